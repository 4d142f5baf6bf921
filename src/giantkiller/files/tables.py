"""Opening a file of comments, whatever its format."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from giantkiller.errors import UserError
from giantkiller.files.chunks import Table, text_problem
from giantkiller.files.delimited import DelimitedTable
from giantkiller.files.formats import JSON_LINES, PARQUET, FileFormat, format_of
from giantkiller.files.jsonlines import JsonLinesTable
from giantkiller.files.paths import check_file
from giantkiller.files.source import Source


def open_table(
    origin: Path | IO[bytes],
    file_format: FileFormat,
    *,
    gzipped: bool = False,
    text_column: str | None = None,
    added: Sequence[str] = (),
) -> Table:
    """Open a file of comments.

    Args:
        origin: The file, or a binary stream.
        file_format: Its format.
        gzipped: Whether it is compressed with gzip.
        text_column: Where the comments are; looked for by the names in `TEXT_NAMES` if None.
        added: The columns that encoding will add; none of them may be there already.

    Raises:
        UserError: It can't be read, or has not the columns that are needed.
    """
    if not isinstance(origin, Path) and not file_format.streamed:
        raise UserError(f"{file_format.name} can't be read from a stream; name a file")
    if file_format is PARQUET and isinstance(origin, Path):
        # Imported here: pyarrow is an extra, and slow to load.
        from giantkiller.files.parquet import ParquetTable

        return ParquetTable(origin, text_column, added)
    source = Source(origin, gzipped)
    try:
        if file_format is JSON_LINES:
            return JsonLinesTable(source, text_column, added)
        return DelimitedTable(source, file_format.delimiters, text_column, added)
    except BaseException:
        source.close()
        raise


def read_texts(path: str | Path, *, text_column: str | None = None) -> Iterator[str]:
    """Read the comments of a CSV, TSV, JSON Lines or Parquet file; rows without text are left out.

    Args:
        path: The file; its ending says what it is.
        text_column: Where the comments are; looked for by the names in `TEXT_NAMES` if None.

    Raises:
        UserError: The file can't be read, or has no such column.
    """
    path = Path(path)
    check_file(path)
    file_format, gzipped = format_of(path)
    table = open_table(path, file_format, gzipped=gzipped, text_column=text_column)
    try:
        for chunk in table.chunks():
            for text, problem in zip(chunk.texts, chunk.problems, strict=True):
                if problem is None and isinstance(text, str):
                    yield text
    finally:
        table.close()


def read_columns(path: str | Path, columns: Mapping[str, str | None]) -> Iterator[dict[str, str]]:
    """Read several columns of texts of a file; rows without a comment are left out.

    Args:
        path: The file; its ending says what it is.
        columns: By the name that each gets here, where it stands. "text" has the comments, and is looked for
            by the names in `TEXT_NAMES` if it stands at None.

    Yields:
        The row's texts by those names, without those that are blank or missing.

    Raises:
        UserError: The file can't be read, has no such column, or has something else than texts in it.
    """
    path = Path(path)
    check_file(path)
    file_format, gzipped = format_of(path)
    tables: dict[str, Table] = {}
    try:
        for name, column in columns.items():
            tables[name] = open_table(path, file_format, gzipped=gzipped, text_column=column)
        cells = [_cells(table) for table in tables.values()]
        for number, row in enumerate(zip(*cells, strict=True), 1):
            found = dict(zip(tables, row, strict=True))
            for name, (_, problem) in found.items():
                if name != "text" and problem not in (None, text_problem(None)):
                    column = tables[name].text_column
                    raise UserError(f"{path.name}: column {column!r} of row {number} is {problem}")
            if found["text"][1] is None:
                yield {name: value for name, (value, problem) in found.items() if problem is None}
    finally:
        for table in tables.values():
            table.close()


def _cells(table: Table) -> Iterator[tuple[Any, str | None]]:
    """Read one column: the values, and why each is no text."""
    for chunk in table.chunks():
        for text, problem in zip(chunk.texts, chunk.problems, strict=True):
            yield text, problem or text_problem(text)
