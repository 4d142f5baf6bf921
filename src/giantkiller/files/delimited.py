"""CSV and TSV."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.files import chunks
from giantkiller.files.chunks import Chunk, Results, rows_per_chunk
from giantkiller.files.columns import check_collision, check_count, choose_text_column, is_text_name
from giantkiller.files.source import Source

_BLANK = [""] * len(ATTRIBUTES)
_BOM = b"\xef\xbb\xbf"

# Before Python 3.11 the csv module neither reads nor writes NUL: there a noncharacter stands for it.
_NUL_STAND_IN = "\ufdd0" if sys.version_info < (3, 11) else ""


class DelimitedReader:
    """The rows of a CSV or TSV file with a header, in UTF-8.

    Quoting is the usual one (RFC 4180). Blank lines are no rows. Where several delimiters are possible the
    header decides: the first that gives a column with a usual name for text, or else the most columns.

    Args:
        source: The file.
        delimiters: What may stand between fields.
        text_column: Counts as a usual name for text, too.

    Attributes:
        names: The columns.
        delimiter: What stands between fields.

    Raises:
        UserError: The header can't be read.
    """

    def __init__(self, source: Source, delimiters: Sequence[str], text_column: str | None = None) -> None:
        # The csv module's own limit is 128 KiB a field, for all readers of the process.
        csv.field_size_limit(max(csv.field_size_limit(), chunks.MAX_ROW_BYTES))
        self._source = source
        self._row = _Row(source)
        self.delimiter, self.names = self._header(delimiters, text_column)
        check_count(source.name, self.names)

    def _header(self, delimiters: Sequence[str], text_column: str | None) -> tuple[str, list[str]]:
        read: list[tuple[str, list[str], str | None]] = []
        refused: UserError | None = None
        for delimiter in delimiters:
            try:
                header = self._first(delimiter)
            except UserError as error:  # a quote that one delimiter leaves open may be closed with another
                refused = refused or error
                continue
            if header is None:
                raise UserError(f"{self._source.name} has no header, only blank lines")
            names, problem = header
            read.append((delimiter, names, problem))
        good = [(delimiter, names) for delimiter, names, problem in read if problem is None]
        known = [each for each in good if text_column in each[1] or any(map(is_text_name, each[1]))]
        if not known and refused is not None:
            raise refused
        if not known and (not good or good[0][0] != delimiters[0]):
            raise UserError(f"{self._source.name}: the header can't be read: {read[0][2]}")
        chosen = known[0] if known else max(good, key=lambda each: len(each[1]))
        self._first(chosen[0])
        self._row.end_header()
        return chosen

    def _first(self, delimiter: str) -> tuple[list[str], str | None] | None:
        self._row.rewind()
        self._reader = csv.reader(self._row, delimiter=delimiter, strict=True)
        return self.next()

    @property
    def size(self) -> int:
        """Bytes of the row that was read last."""
        return self._row.size

    @property
    def line_end(self) -> str:
        """What the first line ends with."""
        return self._row.line_end

    def next(self) -> tuple[list[str], str | None] | None:
        """Read the next row that is not blank.

        Returns:
            Its fields and what is wrong with it, or None; None at the end of the file.
        """
        while True:
            self._row.begin()
            begin = self._row.line + 1
            try:
                fields = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                if self._row.at_end:
                    raise UserError(
                        f"{self._source.name}: a quote is opened in the row of line {begin} and never closed"
                    ) from error
                return [], "broken quoting"
            if fields:
                if self._row.has_nul and _NUL_STAND_IN:
                    fields = [field.replace(_NUL_STAND_IN, "\0") for field in fields]
                return fields, "not UTF-8" if self._row.undecodable else None

    def rows(self) -> Iterator[tuple[list[str], str | None]]:
        """Read the rows, and for each what is wrong with it; one without the header's columns is wrong."""
        width = len(self.names)
        while found := self.next():
            fields, problem = found
            if len(fields) != width and problem is None:
                problem = f"{len(fields)} fields where the header has {width}"
            yield fields, problem

    def written(self) -> str:
        """Return the row that was read last as it was written."""
        return self._row.written()


class DelimitedTable:
    """A CSV or TSV file whose comments are screened.

    A row that can't be split into the header's columns comes out with what was written in the text column
    and nothing in the others.

    Args:
        source: The file.
        delimiters: What may stand between fields.
        text_column: Where the comments are; looked for if None.
        added: The columns that encoding adds.

    Raises:
        UserError: The header can't be read, or has not the columns that are needed.
    """

    def __init__(
        self, source: Source, delimiters: Sequence[str], text_column: str | None, added: Sequence[str]
    ) -> None:
        self._source = source
        self._reader = DelimitedReader(source, delimiters, text_column)
        self._names = self._reader.names
        self.text_column = choose_text_column(source.name, self._names, text_column)
        check_collision(source.name, self._names, added)
        self._text_index = self._names.index(self.text_column)
        self._added = added

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""
        most = rows_per_chunk(len(self._names))
        rows: list[list[str]] = []
        problems: list[str | None] = []
        size = 0
        for fields, problem in self._reader.rows():
            if len(fields) != len(self._names):
                fields = [""] * len(self._names)
                fields[self._text_index] = self._reader.written()
            rows.append(fields)
            problems.append(problem)
            size += self._reader.size
            if len(rows) >= most or size >= chunks.CHUNK_BYTES:
                yield self._chunk(rows, problems)
                rows, problems, size = [], [], 0
        if rows:
            yield self._chunk(rows, problems)

    def _chunk(self, rows: list[list[str]], problems: list[str | None]) -> Chunk:
        return Chunk(rows=rows, texts=[row[self._text_index] for row in rows], problems=problems)

    def position(self) -> float:
        """Return how much of the file has been read, from 0 to 1."""
        return self._source.position()

    def head(self) -> bytes:
        """Encode the header, with the byte order mark and the line ends of the input."""
        return (_BOM if self._source.bom else b"") + self._encode([[*self._names, *self._added]])

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode the rows of a chunk with their results; scores with six decimals."""
        return self._encode(
            [
                *row,
                *(_BLANK if error else [f"{score:.6f}" for score in scores]),
                action or "",
                attribute or "",
                error or "",
            ]
            for row, (scores, action, attribute, error) in zip(chunk.rows, results.rows(), strict=True)
        )

    def _encode(self, rows: Iterable[list[str]]) -> bytes:
        lines = _Written(self._reader.line_end)
        # The csv module only quotes a stray \r where it ends lines itself.
        writer = csv.writer(lines, delimiter=self._reader.delimiter, lineterminator="\r\n")
        if _NUL_STAND_IN:
            for row in rows:
                with_nul = any("\0" in field for field in row)
                writer.writerow([f.replace("\0", _NUL_STAND_IN) for f in row] if with_nul else row)
                if with_nul:
                    lines[-1] = lines[-1].replace(_NUL_STAND_IN, "\0")
        else:
            writer.writerows(rows)
        return "".join(lines).encode()

    def finish(self, partial: Path, finished: Path) -> bool:
        """Concatenated chunks are a file already."""
        return False

    def close(self) -> None:
        """Close the file."""
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
        self._header: list[tuple[bytes, bool]] | None = []
        self._again: list[tuple[bytes, bool]] = []
        self.line = 0
        self.line_end = "\n"
        self.begin()

    def begin(self) -> None:
        """Forget the row before."""
        self._kept: list[str] = []
        self.size = 0
        self.undecodable = False
        self.has_nul = False
        self.at_end = False

    def rewind(self) -> None:
        """Go back to the first line, as long as the header is being read."""
        assert self._header is not None
        self._again = self._header + self._again
        self._header = []
        self.line = 0

    def end_header(self) -> None:
        """Go on without a way back."""
        self._header = None

    def written(self) -> str:
        """Return the row as it was written."""
        text = "".join(self._kept).rstrip("\r\n")
        return text.replace(_NUL_STAND_IN, "\0") if self.has_nul and _NUL_STAND_IN else text

    def __iter__(self) -> "_Row":
        return self

    def __next__(self) -> str:
        try:
            line, too_long = self._again.pop(0) if self._again else (next(self._lines), self._source.too_long)
        except StopIteration:
            self.at_end = True
            raise
        if self._header is not None:
            self._header.append((line, too_long))
        self.line += 1
        if self.line == 1:
            self.line_end = "\r\n" if line.endswith(b"\r\n") else "\n"
        self.size += len(line)
        if too_long or self.size > chunks.MAX_ROW_BYTES:
            raise self._too_long()
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.undecodable = True
            text = line.decode(errors="replace")
        if "\0" in text:
            self.has_nul = True
            text = text.replace("\0", _NUL_STAND_IN or "\0")
        self._kept.append(text)
        return text

    def _too_long(self) -> UserError:
        if not self._kept:
            megabytes = chunks.MAX_ROW_BYTES >> 20
            return UserError(f"{self._source.name}: line {self.line} is longer than {megabytes} MB")
        first = self.line - len(self._kept)
        return UserError(f"{self._source.name}: a quote that opens in line {first} seems never to be closed")
