"""What the file formats have in common: chunks of rows in, encoded chunks with results out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CHUNK_ROWS = 8_192
CHUNK_BYTES = 8 << 20
CHUNK_CELLS = 1 << 20
"""A chunk ends at this many rows, bytes or fields, whichever comes first: it is all that is in memory."""

MAX_ROW_BYTES = 16 << 20
"""A row longer than this is taken for a broken one."""


@dataclass
class Chunk:
    """Some rows of a file.

    Attributes:
        rows: The rows, in whatever form the format wants back for encoding.
        texts: The value of the text column, of any type; one a row.
        problems: For each row, why it can't be read, or None.
    """

    rows: Any
    texts: list[Any]
    problems: list[str | None]


@dataclass
class Results:
    """What is added to the rows of a chunk.

    Attributes:
        scores: float32 (rows, 7); NaN in rows with an error.
        actions: One a row, None in rows with an error.
        attributes: The attribute that called for the action; None where nothing is done about a comment.
        errors: One a row, None where all is well.
    """

    scores: NDArray[np.float32]
    actions: Sequence[str | None]
    attributes: Sequence[str | None]
    errors: Sequence[str | None]

    def rows(self) -> Iterator[tuple[list[float], str | None, str | None, str | None]]:
        """Yield what is added to each row: seven scores, action, attribute, error."""
        return zip(self.scores.tolist(), self.actions, self.attributes, self.errors, strict=True)


class Table(Protocol):
    """An input that is open for reading, and the encoding of its rows for the output."""

    text_column: str

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""

    def position(self) -> float:
        """Return how much of the file has been read, from 0 to 1; NaN where its size isn't known."""

    def head(self) -> bytes:
        """Encode what comes before the first row."""

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode a chunk and its results; encoded chunks are concatenated."""

    def finish(self, partial: Path, finished: Path) -> bool:
        """Turn concatenated chunks into the final file; return False where they are that already."""

    def close(self) -> None:
        """Close the file."""


def text_problem(value: Any) -> str | None:
    """Return why the value of a text column can't be screened, or None."""
    if value is None:
        return "no text"
    if not isinstance(value, str):
        kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
        return f"{kinds.get(type(value), type(value).__name__)}, not text"
    return None if value.strip() else "no text"


def rows_per_chunk(columns: int) -> int:
    """Return how many rows with so many columns a chunk holds at most."""
    return max(1, min(CHUNK_ROWS, CHUNK_CELLS // max(columns, 1)))
