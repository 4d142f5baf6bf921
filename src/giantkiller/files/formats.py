"""The file formats, and the endings by which they are known."""

from dataclasses import dataclass
from pathlib import Path

from giantkiller.errors import UserError


@dataclass(frozen=True)
class FileFormat:
    """A format that files of comments come in.

    Attributes:
        name: As people call it.
        suffixes: The endings of its files, the usual one first.
        delimiters: What may stand between the fields of a row, the usual one first.
        gzipped: Whether its files may be compressed with gzip, with `.gz` after the ending.
    """

    name: str
    suffixes: tuple[str, ...]
    delimiters: tuple[str, ...] = ()
    gzipped: bool = True


CSV = FileFormat("CSV", (".csv",), (",", ";", "\t"))
TSV = FileFormat("TSV", (".tsv",), ("\t",))
JSON_LINES = FileFormat("JSON Lines", (".jsonl", ".ndjson"))
PARQUET = FileFormat("Parquet", (".parquet",), gzipped=False)

FORMATS = {"csv": CSV, "tsv": TSV, "jsonl": JSON_LINES, "parquet": PARQUET}
"""Every format, by the short name that chooses it."""


def format_of(path: Path) -> tuple[FileFormat, bool]:
    """Return the format of a file by its ending, and whether it is compressed with gzip.

    Raises:
        UserError: The ending is none of those known.
    """
    name = path.name.lower()
    gzipped = name.endswith(".gz")
    found = _of_suffix(name.removesuffix(".gz"))
    if found is None:
        raise UserError(
            f"{path}: its ending is not known here; use .csv, .tsv, .jsonl (also .gz) or .parquet"
        )
    if gzipped and not found.gzipped:
        raise UserError(f"{path}: {found.name} is compressed inside; leave out the .gz")
    return found, gzipped


def is_table(path: Path) -> bool:
    """Return whether a path ends like a file of one of the formats."""
    return _of_suffix(path.name.lower().removesuffix(".gz")) is not None


def named_format(name: str) -> FileFormat:
    """Return the format with a short name.

    Raises:
        UserError: There is none of that name.
    """
    if name not in FORMATS:
        raise UserError(f"`file_format` is {name!r}, none of {', '.join(FORMATS)}")
    return FORMATS[name]


def _of_suffix(name: str) -> FileFormat | None:
    return next((each for each in FORMATS.values() if name.endswith(each.suffixes)), None)
