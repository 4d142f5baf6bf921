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
        streamed: Whether it can be read and written from begin to end, without a file.
    """

    name: str
    suffixes: tuple[str, ...]
    delimiters: tuple[str, ...] = ()
    gzipped: bool = True
    streamed: bool = True


CSV = FileFormat("CSV", (".csv",), (",", ";", "\t"))
TSV = FileFormat("TSV", (".tsv",), ("\t",))
JSON_LINES = FileFormat("JSON Lines", (".jsonl", ".ndjson"))
PARQUET = FileFormat("Parquet", (".parquet",), gzipped=False, streamed=False)

FORMATS = {"csv": CSV, "tsv": TSV, "jsonl": JSON_LINES, "parquet": PARQUET}
"""Every format, by the short name that chooses it.

What one is read and written by stands in `giantkiller.files.tables`, in `giantkiller.data.loading` and in
`giantkiller.training.soft_labels`.
"""

ENDINGS = " or ".join(
    (
        ", ".join(each.suffixes[0] for each in FORMATS.values() if each.gzipped) + " (also .gz)",
        *(each.suffixes[0] for each in FORMATS.values() if not each.gzipped),
    )
)
"""The usual endings, for messages and help."""

_GZIP = ".gz"


def format_of(path: Path) -> tuple[FileFormat, bool]:
    """Return the format of a file by its ending, and whether it is compressed with gzip.

    Raises:
        UserError: The ending is none of those known.
    """
    found, gzipped = _of_name(path), is_gzipped(path)
    if found is None:
        raise UserError(f"{path}: its ending is not known here; use {ENDINGS}")
    if gzipped and not found.gzipped:
        raise UserError(f"{path}: {found.name} is compressed inside; leave out the {_GZIP}")
    return found, gzipped


def is_gzipped(path: Path) -> bool:
    """Return whether a path ends like a file compressed with gzip."""
    return path.name.lower().endswith(_GZIP)


def is_table(path: Path) -> bool:
    """Return whether a path ends like a file of one of the formats."""
    return _of_name(path) is not None


def named_format(name: str) -> FileFormat:
    """Return the format with a short name.

    Raises:
        UserError: There is none of that name.
    """
    if name not in FORMATS:
        raise UserError(f"`file_format` is {name!r}, none of {', '.join(FORMATS)}")
    return FORMATS[name]


def _of_name(path: Path) -> FileFormat | None:
    name = path.name.lower().removesuffix(_GZIP)
    return next((each for each in FORMATS.values() if name.endswith(each.suffixes)), None)
