"""CSV and TSV."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.files.formats import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    MAX_ROW_BYTES,
    Chunk,
    Results,
    Source,
    added_columns,
    check_collision,
    choose_text_column,
)

_BLANK = [""] * len(ATTRIBUTES)
_BOM = b"\xef\xbb\xbf"


class DelimitedTable:
    """A CSV or TSV file with a header, in UTF-8.

    Quoting is the usual one (RFC 4180). A row that can't be split into the header's columns comes out with
    what was written in the text column and nothing in the others. Blank lines are no rows.
    """

    def __init__(self, path: Path, delimiter: str, text_column: str | None, prefix: str) -> None:
        # The csv module's own limit is 128 KiB a field, for all readers of the process.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
        self._path = path
        self._delimiter = delimiter
        self._source = Source(path)
        self._row = _Row(self._source)
        self._reader = csv.reader(self._row, delimiter=delimiter, strict=True)
        header = self._next()
        if header is None:
            raise UserError(f"{path} has no header, only blank lines")
        self._names, problem = header
        if problem is not None:
            raise UserError(f"{path}: the header can't be read: {problem}")
        self.text_column = choose_text_column(path, self._names, text_column)
        check_collision(path, self._names, prefix)
        self._text_at = self._names.index(self.text_column)
        self._added = added_columns(prefix)

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""
        rows: list[list[str]] = []
        problems: list[str | None] = []
        size = 0
        while found := self._next():
            fields, problem = found
            if len(fields) != len(self._names):
                if problem is None:
                    problem = f"{len(fields)} fields where the header has {len(self._names)}"
                fields = [""] * len(self._names)
                fields[self._text_at] = self._row.written()
            rows.append(fields)
            problems.append(problem)
            size += self._row.size
            if len(rows) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                yield self._chunk(rows, problems)
                rows, problems, size = [], [], 0
        if rows:
            yield self._chunk(rows, problems)

    def _chunk(self, rows: list[list[str]], problems: list[str | None]) -> Chunk:
        return Chunk(rows=rows, texts=[row[self._text_at] for row in rows], problems=problems)

    def _next(self) -> tuple[list[str], str | None] | None:
        """The next row that is not blank, and what is wrong with it; None at the end of the file."""
        while True:
            begin = self._source.line + 1
            self._row.begin()
            try:
                fields = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                if self._row.at_end:
                    raise UserError(
                        f"{self._path}: a quote is opened in the row of line {begin} and never closed"
                    ) from error
                return [], "broken quoting"
            if fields:
                return fields, "not UTF-8" if self._row.undecodable else None

    def position(self) -> float:
        """Tell how much of the file has been read, from 0 to 1."""
        return self._source.position()

    def head(self) -> bytes:
        """Encode the header, with the byte order mark and the line ends of the input."""
        return (_BOM if self._row.bom else b"") + self._encode([[*self._names, *self._added]])

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode the rows of a chunk with their results; scores with six decimals."""
        added = zip(chunk.rows, results.scores.tolist(), results.actions, results.errors, strict=True)
        return self._encode(
            [*row, *(_BLANK if error else [f"{score:.6f}" for score in scores]), action or "", error or ""]
            for row, scores, action, error in added
        )

    def _encode(self, rows: Any) -> bytes:
        lines = _Written(self._row.line_end)
        # The csv module only quotes a stray \r where it ends lines itself.
        csv.writer(lines, delimiter=self._delimiter, lineterminator="\r\n").writerows(rows)
        return "".join(lines).encode()

    def finish(self, partial: Path, finished: Path) -> bool:
        """Concatenated chunks are a file already."""
        return False

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


class _Written(list[str]):
    """Lines as the csv module writes them, with the line ends that are wanted."""

    def __init__(self, line_end: str) -> None:
        self._line_end = line_end

    def write(self, line: str) -> None:
        self.append(line.removesuffix("\r\n") + self._line_end)


class _Row:
    """The lines of one row as the csv module asks for them, kept until the next row begins."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines = source.lines()
        self._kept: list[str] = []
        self.bom = False
        self.line_end = "\n"
        self.begin()

    def begin(self) -> None:
        self._kept = []
        self.size = 0
        self.undecodable = False
        self.at_end = False

    def written(self) -> str:
        return "".join(self._kept).rstrip("\r\n")

    def __iter__(self) -> "_Row":
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.at_end = True
            raise
        if self._source.line == 1:
            self.bom = line.startswith(_BOM)
            self.line_end = "\r\n" if line.endswith(b"\r\n") else "\n"
            line = line.removeprefix(_BOM)
        self.size += len(line)
        if self.size > MAX_ROW_BYTES:
            first = self._source.line - len(self._kept)
            raise UserError(
                f"{self._source.path}: a quote that opens in line {first} seems never to be closed"
            )
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.undecodable = True
            text = line.decode(errors="replace")
        self._kept.append(text)
        return text
