"""Whole files as Arrow tables, read by the readers that screening uses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from giantkiller.errors import MissingExtraError, UserError
from giantkiller.files.chunks import rows_per_chunk
from giantkiller.files.columns import MAX_COLUMNS
from giantkiller.files.delimited import DelimitedReader
from giantkiller.files.formats import JSON_LINES, PARQUET, format_of
from giantkiller.files.jsonlines import read_lines
from giantkiller.files.paths import check_file
from giantkiller.files.source import Source

try:
    import pyarrow as pa
except ImportError as error:
    raise MissingExtraError("pyarrow", "train") from error

MAX_BYTES = 8 << 30
"""Decoded bytes of a file that is read whole; a larger one is refused before it fills the memory."""


def load_table(path: Path, text_column: str | None = None) -> pa.Table:
    """Read a Parquet, CSV, TSV or JSON Lines file (the last three also .gz); of the text formats all is text.

    Args:
        path: The file; its ending says what it is.
        text_column: Where the comments are, if that is known.

    Raises:
        UserError: The file can't be read, one of its rows is broken, or it has no rows.
    """
    check_file(path)
    file_format, gzipped = format_of(path)
    if file_format is PARQUET:
        table = _load_parquet(path)
    else:
        source = Source(path, gzipped)
        try:
            if file_format is JSON_LINES:
                table = _load_json_lines(source)
            else:
                table = _load_delimited(DelimitedReader(source, file_format.delimiters, text_column), path)
        finally:
            source.close()
    if len(set(table.column_names)) < table.num_columns:
        raise UserError(f"{path}: two columns have the same name; rename one")
    if table.num_rows == 0:
        raise UserError(f"{path} has a header but no rows")
    return table


def _load_parquet(path: Path) -> pa.Table:
    from giantkiller.files.batches import ParquetBatches

    batches = ParquetBatches(path)
    try:
        table = pa.Table.from_batches(_bounded(path, batches), schema=batches.schema)
    finally:
        batches.close()
    for name in table.column_names:
        _check_utf8(path, name, table)
    return table


def _bounded(path: Path, batches: Any) -> Iterator[Any]:
    size = 0
    for batch in batches:
        size += batch.nbytes
        if size > MAX_BYTES:
            raise UserError(f"{path} has more than {MAX_BYTES >> 30} GB once decoded; split it")
        yield batch


def _check_utf8(path: Path, name: str, table: pa.Table) -> None:
    """Arrow doesn't check that strings are UTF-8 when it reads them."""
    if table.column_names.count(name) > 1:
        return  # refused later
    row = 0
    for chunk in table.column(name).chunks:
        try:
            chunk.validate(full=True)
        except pa.ArrowInvalid as error:
            if pa.types.is_dictionary(chunk.type):
                chunk = chunk.dictionary_decode()
            row += next((i for i in range(len(chunk)) if not _is_valid(chunk.take(pa.array([i])))), 0)
            raise UserError(f"{path}: row {row + 1} has something in {name!r} that is not UTF-8") from error
        row += len(chunk)


def _is_valid(chunk: pa.Array) -> bool:
    try:
        chunk.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _load_delimited(reader: DelimitedReader, path: Path) -> pa.Table:
    """Everything as text: what is a number is decided where the row can be named."""
    schema = pa.schema([(name, pa.string()) for name in reader.names])
    most = rows_per_chunk(len(schema))
    batches: list[Any] = []
    rows: list[list[str]] = []

    def gather() -> None:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
        arrays = [pa.array(column, pa.string()) for column in columns]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        rows.clear()

    for number, (fields, problem) in enumerate(reader.rows(), 1):
        if problem is not None:
            raise UserError(f"{path}: row {number} can't be read: {problem}; mend it or leave it out")
        rows.append(fields)
        if len(rows) >= most:
            gather()
    gather()
    return pa.Table.from_batches(batches, schema=schema)


def _load_json_lines(source: Source) -> pa.Table:
    columns: dict[str, list[Any]] = {}
    rows = 0
    for line in read_lines(source):
        if line.values is None:
            raise UserError(f"{source.name}: line {line.number} is {line.problem}")
        for name, value in line.values.items():
            columns.setdefault(name, [None] * rows).append(value)
        if len(columns) > MAX_COLUMNS:
            raise UserError(f"{source.name} has more than {MAX_COLUMNS:,} different keys")
        rows += 1
        if len(line.values) < len(columns):
            for values in columns.values():
                values.extend([None] * (rows - len(values)))
    if not rows:
        raise UserError(f"{source.name} has no rows")
    return pa.table({name: _arrow(values) for name, values in columns.items()})


def _arrow(values: list[Any]) -> pa.Array:
    """One column of JSON values; mixed or nested values become their JSON text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        # Not all of what JSON can escape can be encoded: lone surrogates become the replacement character.
        return pa.array([v and v.encode("utf-8", "replace").decode() for v in values], pa.string())
    if kinds <= {int, float}:
        return pa.array([None if v is None else _float(v) for v in values], pa.float64())
    if kinds <= {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")
