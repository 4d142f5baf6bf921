"""Reading Parquet in batches that are small once decoded, however small the file makes them look."""

from collections.abc import Iterator, Sequence
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
    import pyarrow.parquet
except ImportError as error:
    raise MissingExtraError("pyarrow", "parquet") from error

from giantkiller.files.arrow import is_valid, lengths, numbers

_ROOM = 64 << 20
"""Decoded bytes that a batch may come to at worst, where only bounds are known before it is decoded."""

_PLAIN = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}
"""Encodings of strings that Arrow can read as dictionaries."""

_VARIABLE = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())


class ParquetBatches:
    """The record batches of a Parquet file.

    A page of a few kilobytes can decode to gigabytes: one long value, named thousands of times. So the number
    of rows that are decoded at once is bounded by the most that they can decode to. For columns of strings
    that is known from the dictionary of a row group, which is looked at before its rows are decoded.

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
                self.schema, metadata = file.schema_arrow, file.metadata
            check_count(path, self.schema.names)
            self.rows = metadata.num_rows
            self._strings = sorted(_with_dictionaries(self.schema, metadata))
            self._file = pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
            # Read to the end in this way, Arrow would hold all values of a row group, and some of them twice.
            self._dictionaries = pa.parquet.ParquetFile(
                path, read_dictionary=self._strings, pre_buffer=False, buffer_size=1 << 20
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except MemoryError as error:
            raise UserError(f"{self._path} takes more memory to read than there is") from error
        except (pa.ArrowException, OSError) as error:
            # Arrow's own words can be long and quote the data.
            raise UserError(f"{self._path} is damaged or not Parquet") from error

    def __iter__(self) -> Iterator[Any]:
        """Read the file: record batches of its own schema, each of at most CHUNK_BYTES or one row."""
        row = 0
        for group in range(self._file.num_row_groups):
            with self._reading():
                size = self._batch_size(group)
                # Scoring takes a hundred times as long: threads would only add their memory.
                batches = self._file.iter_batches(size, row_groups=[group], use_threads=False)
            while True:
                with self._reading():
                    batch = next(batches, None)
                if batch is None:
                    break
                for first, last in self._slices(batch, row):
                    with self._reading():
                        decoded = self._decoded(batch.slice(first, last - first))
                    step = max(1, decoded.num_rows * chunks.CHUNK_BYTES // max(decoded.nbytes, 1))
                    for i in range(0, decoded.num_rows, step):
                        yield decoded.slice(i, step)
                row += batch.num_rows

    def _batch_size(self, group: int) -> int:
        """Return how many rows of a row group may be decoded at once."""
        size = _batch_size(self.schema, self._file.metadata.row_group(group), self._strings)
        if not self._strings:
            return size
        # With its first row, Arrow returns all values of the dictionary.
        first = next(
            self._dictionaries.iter_batches(1, row_groups=[group], columns=self._strings, use_threads=False),
            None,
        )
        longest = [lengths(column.dictionary).max(initial=1) for column in first.columns] if first else [1]
        return max(1, min(size, _ROOM // int(sum(longest))))

    def _slices(self, batch: Any, row: int) -> Iterator[tuple[int, int]]:
        """Cut a batch into runs of rows that are small enough when they are decoded."""
        sizes = np.zeros(batch.num_rows, np.int64)
        for column in batch.columns:
            if pa.types.is_dictionary(column.type):
                sizes += _lengths(column)
            elif column.type in _VARIABLE:
                sizes += lengths(column)
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
            if pa.types.is_dictionary(column.type):
                # Without the values that this slice doesn't name.
                column = column.dictionary_decode().dictionary_encode().cast(field.type)
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._dictionaries.close()


def _with_dictionaries(schema: Any, metadata: Any) -> set[str]:
    """Choose the columns of strings that Arrow can read as dictionaries."""
    strings = {field.name for field in schema if field.type in _VARIABLE}
    for column in (column for group in _groups(metadata) for column in _columns(group)):
        if not set(column.encodings) <= _PLAIN:
            strings.discard(column.path_in_schema)
    return strings


def _batch_size(schema: Any, group: Any, with_dictionaries: Sequence[str]) -> int:
    """Return how many rows of a row group may be decoded at once, as far as its metadata tell."""
    fixed = sum(field.type.byte_width for field in schema if pa.types.is_fixed_size_binary(field.type))
    size = min(rows_per_chunk(len(schema)), _ROOM // max(fixed, 1))
    # By averages; and by less where a group is so large that they can hide much.
    size = min(size, chunks.CHUNK_BYTES * group.num_rows // max(group.total_byte_size, 1))
    if group.total_byte_size > _ROOM:
        size = min(size, 512)
    for column in _columns(group):
        if column.physical_type == "BYTE_ARRAY" and column.path_in_schema not in with_dictionaries:
            # Each of its values may be as long as the whole column is encoded.
            values = -(-column.num_values // max(group.num_rows, 1))
            size = min(size, _ROOM // max(column.total_uncompressed_size * values, 1))
    return int(max(1, size))


def _groups(metadata: Any) -> Iterator[Any]:
    return (metadata.row_group(i) for i in range(metadata.num_row_groups))


def _columns(group: Any) -> Iterator[Any]:
    return (group.column(i) for i in range(group.num_columns))


def _lengths(column: Any) -> NDArray[np.int64]:
    """The bytes of each value of a column of dictionaries."""
    values = column.dictionary
    if values.type not in _VARIABLE:
        return np.full(len(column), 8)
    sizes = lengths(values)
    if not len(sizes):
        return np.zeros(len(column), np.int64)  # nothing but nulls
    indices = numbers(column.indices, np.dtype(str(column.indices.type)))
    return np.where(is_valid(column.indices), sizes[np.clip(indices, 0, len(sizes) - 1)], 0)


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
