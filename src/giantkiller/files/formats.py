"""What the file formats have in common: chunks of rows in, encoded chunks with results out."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

TEXT_NAMES = ("text", "comment_text", "comment", "body", "content")
"""Where the comment is looked for when no column is named, in this order."""

CHUNK_ROWS = 8_192
CHUNK_BYTES = 8 << 20
"""A chunk ends at this many rows or bytes, whichever comes first: it is all that is held in memory."""

MAX_ROW_BYTES = 64 << 20
"""A row longer than this is taken for a broken file."""

FORMATS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".jsonl": "JSON Lines",
    ".ndjson": "JSON Lines",
    ".parquet": "Parquet",
}


@dataclass
class Chunk:
    """Some rows of a file.

    Attributes:
        rows: the rows, in whatever form the format wants back for encoding.
        texts: the value of the text column, of any type; one a row.
        problems: for each row, why it can't be read, or None.
    """

    rows: Any
    texts: list[Any]
    problems: list[str | None]


@dataclass
class Results:
    """What is added to the rows of a chunk.

    Attributes:
        scores: float32 (rows, 7); NaN in rows with an error.
        actions: one a row, None in rows with an error.
        errors: one a row, None where all is well.
    """

    scores: npt.NDArray[np.float32]
    actions: Sequence[str | None]
    errors: Sequence[str | None]


class Table(Protocol):
    """An input file that is open for reading, and the encoding of its rows for the output."""

    text_column: str

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""

    def position(self) -> float:
        """Tell how much of the file has been read, from 0 to 1."""

    def head(self) -> bytes:
        """Encode what comes before the first row."""

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode a chunk and its results; encoded chunks are concatenated."""

    def finish(self, partial: Path, finished: Path) -> bool:
        """Turn concatenated chunks into the final file; False where they are that already."""

    def close(self) -> None:
        """Let go of the file."""


def format_of(path: Path) -> tuple[str, bool]:
    """Tell the format of a file by its ending, and whether it is compressed with gzip.

    Raises:
        UserError: the ending is none of those known.
    """
    name = path.name.lower()
    zipped = name.endswith(".gz")
    name = name.removesuffix(".gz")
    found = next((kind for ending, kind in FORMATS.items() if name.endswith(ending)), None)
    if found is None:
        raise UserError(
            f"{path}: its ending is not known here; use .csv, .tsv, .jsonl (also .gz) or .parquet"
        )
    if zipped and found == "Parquet":
        raise UserError(f"{path}: Parquet is compressed inside; leave out the .gz")
    return found, zipped


def added_columns(prefix: str) -> tuple[str, ...]:
    """Name the columns that screening adds."""
    return tuple(prefix + name for name in (*ATTRIBUTES, "action", "error"))


def check_collision(path: Path, names: Sequence[str], prefix: str) -> None:
    """Refuse a file that already has a column of a name to be added."""
    taken = [name for name in added_columns(prefix) if name in names]
    if taken:
        raise UserError(
            f"{path} already has a column {taken[0]!r}, which screening would add; "
            "give the new columns another beginning, e.g. --prefix new_"
        )


def choose_text_column(path: Path, names: Sequence[str], wanted: str | None) -> str:
    """Find the column that holds the comments.

    Raises:
        UserError: there is none of that name, two, or none with a usual name.
    """
    if wanted is None:
        wanted = next((name for name in TEXT_NAMES if name in names), None)
        if wanted is None:
            raise UserError(
                f"{path}: none of its columns ({listed(names)}) is called {' or '.join(TEXT_NAMES)}; "
                "name the one with the comments: --text-column NAME"
            )
    elif wanted not in names:
        raise UserError(f"{path} has no column {wanted!r}; its columns are: {listed(names)}")
    if list(names).count(wanted) > 1:
        raise UserError(f"{path} has two columns called {wanted!r}; rename one")
    return wanted


def listed(names: Sequence[str], most: int = 12) -> str:
    """Name columns in a message, printable and not without end."""
    shown = ", ".join(repr(name[:40])[1:-1] for name in names[:most])
    return shown + (", ..." if len(names) > most else "")


class Source:
    """A file read as bytes, unzipped on the way; `position` is measured in the file as it is on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._size = max(path.stat().st_size, 1)
            self._file = path.open("rb")
            zipped = path.name.lower().endswith(".gz")
            self._bytes = cast(IO[bytes], gzip.GzipFile(fileobj=self._file)) if zipped else self._file
        self.line = 0

    def lines(self) -> Iterator[bytes]:
        """Read line by line, the line ends included; a byte order mark is left to the caller."""
        with reading(self.path):
            while line := self._bytes.readline(MAX_ROW_BYTES + 1):
                self.line += 1
                if len(line) > MAX_ROW_BYTES:
                    raise UserError(f"{self.path}: line {self.line} is longer than {MAX_ROW_BYTES >> 20} MB")
                if self.line == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise UserError(f"{self.path} is UTF-16; save it as UTF-8")
                yield line

    def position(self) -> float:
        """Tell how much of the file has been read, from 0 to 1."""
        return min(self._file.tell() / self._size, 1.0)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a file into one sentence."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path} is damaged, cut short or not gzip at all") from error
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}") from error
