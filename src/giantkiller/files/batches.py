"""Reading Parquet in batches that are small once decoded, however small the file makes them look."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.errors import MissingExtraError, UserError
from giantkiller.files import chunks
from giantkiller.files.chunks import rows_per_chunk
from giantkiller.files.columns import check_count

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet
except ImportError as error:
    raise MissingExtraError("pyarrow", "parquet") from error

_ROOM = 256 << 20
"""Decoded bytes that a batch may come to at worst, where only bounds are known before it is decoded."""

_VARIABLE = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())


class ParquetBatches:
    """The record batches of a Parquet file.

    A page of a few kilobytes can decode to gigabytes: one long value, named thousands of times. So columns of
    strings are read as dictionaries, where each value is held once, and decoded in slices of at most
    CHUNK_BYTES. For all else the number of rows is bounded by the most that they can decode to.

    Args:
        path: The file.

    Attributes:
        schema: The file's, as Arrow has it.
        rows: How many rows it has.

    Raises:
        UserError: It can't be read as Parquet, or has too many columns.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._reading():
            with pa.parquet.ParquetFile(path) as file:
                self.schema = file.schema_arrow
            check_count(path, self.schema.names)
            strings = [field.name for field in self.schema if field.type in _VARIABLE]
            self._file = pa.parquet.ParquetFile(
                path, read_dictionary=strings, pre_buffer=False, buffer_size=1 << 20
            )
            self.rows = self._file.metadata.num_rows
            self._size = self._batch_size()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            # Arrow's own words can be long and quote the data.
            raise UserError(f"{self._path} is damaged or not Parquet") from error

    def _batch_size(self) -> int:
        """Return how many rows may be decoded at once."""
        size = rows_per_chunk(len(self.schema))
        held = {field.name for field in self.schema if field.type in _VARIABLE}
        metadata = self._file.metadata
        fixed = sum(_width(field.type) for field in self.schema)
        size = min(size, _ROOM // max(fixed, 1))
        for group in (metadata.row_group(i) for i in range(metadata.num_row_groups)):
            rows = max(group.num_rows, 1)
            # By averages; and by less where a group is so large that they can hide much.
            size = min(size, chunks.CHUNK_BYTES * rows // max(group.total_byte_size, 1))
            if group.total_byte_size > _ROOM:
                size = min(size, 512)
            for column in (group.column(i) for i in range(group.num_columns)):
                if column.physical_type != "BYTE_ARRAY":
                    continue
                if column.path_in_schema not in held or "DELTA_BYTE_ARRAY" in column.encodings:
                    # Each of its values may be as long as the whole column is encoded.
                    worst = column.total_uncompressed_size * max(1, column.num_values // rows)
                    size = min(size, _ROOM // max(worst, 1))
        return max(1, size)

    def __iter__(self) -> Iterator[Any]:
        """Read the file: record batches of its own schema, each of at most CHUNK_BYTES or one row."""
        with self._reading():
            batches = self._file.iter_batches(batch_size=self._size)
        row = 0
        while True:
            with self._reading():
                batch = next(batches, None)
            if batch is None:
                return
            for first, last in self._slices(batch, row):
                with self._reading():
                    yield self._decoded(batch.slice(first, last - first))
            row += batch.num_rows

    def _slices(self, batch: Any, row: int) -> Iterator[tuple[int, int]]:
        """Cut a batch into runs of rows that are small enough when they are decoded."""
        sizes = np.zeros(batch.num_rows, np.int64)
        for column in batch.columns:
            if pa.types.is_dictionary(column.type):
                sizes += _lengths(column)
        if sizes.sum() <= chunks.CHUNK_BYTES:
            yield 0, batch.num_rows
            return
        if sizes.max() > 4 * chunks.MAX_ROW_BYTES:
            number = row + int(sizes.argmax()) + 1
            raise UserError(f"{self._path}: row {number} is longer than {4 * chunks.MAX_ROW_BYTES >> 20} MB")
        first, total = 0, 0
        for index, size in enumerate(sizes.tolist()):
            if index > first and total + size > chunks.CHUNK_BYTES:
                yield first, index
                first, total = index, 0
            total += size
        yield first, batch.num_rows

    def _decoded(self, batch: Any) -> Any:
        columns = []
        for column, field in zip(batch.columns, self.schema, strict=True):
            if pa.types.is_dictionary(column.type) and column.type != field.type:
                column = column.dictionary_decode().cast(field.type)
            elif pa.types.is_dictionary(column.type):
                # Without the values that this slice doesn't name.
                column = column.dictionary_decode().dictionary_encode().cast(field.type)
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lengths(column: Any) -> NDArray[np.int64]:
    """The bytes of each value of a column of dictionaries."""
    values = column.dictionary
    if values.type not in _VARIABLE:
        return np.full(len(column), 8)
    lengths = pc.binary_length(values).take(column.indices)
    result: NDArray[np.int64] = pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return result


def _width(kind: Any) -> int:
    return kind.byte_width if pa.types.is_fixed_size_binary(kind) else 8


def texts_of(column: Any) -> tuple[list[str | None], list[str | None]]:
    """Return the strings of a column, and for each why it is none, or None.

    Arrow doesn't check that strings are UTF-8.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.to_pylist(), [None] * len(column)
    except UnicodeDecodeError:
        pass
    wide = pa.types.is_large_string(column.type)
    texts: list[str | None] = []
    problems: list[str | None] = []
    for value in column.view(pa.large_binary() if wide else pa.binary()).to_pylist():
        try:
            texts.append(None if value is None else value.decode())
            problems.append(None)
        except UnicodeDecodeError:
            texts.append(value.decode(errors="replace"))
            problems.append("not UTF-8")
    return texts, problems


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type is one of strings."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"
