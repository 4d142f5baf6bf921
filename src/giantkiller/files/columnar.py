"""Parquet."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import MissingExtraError, UserError
from giantkiller.files.formats import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    Chunk,
    Results,
    added_columns,
    check_collision,
    choose_text_column,
)

try:
    import pyarrow as pa
    import pyarrow.parquet
except ImportError as error:
    raise MissingExtraError("pyarrow", "parquet") from error


class ParquetTable:
    """A Parquet file; columns keep their types and the file its metadata.

    A Parquet file can't be appended to, so chunks are gathered as Arrow streams, one after the other, and
    written as Parquet at the end.
    """

    def __init__(self, path: Path, text_column: str | None, prefix: str) -> None:
        self._path = path
        with self._reading():
            self._file = pa.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
            self._schema = self._file.schema_arrow
        self._rows = self._file.metadata.num_rows
        size = sum(self._file.metadata.row_group(i).total_byte_size for i in range(self._file.num_row_groups))
        # Batches by rows and, as far as averages tell, by bytes.
        self._batch = int(np.clip(CHUNK_BYTES * self._rows // max(size, 1), 1, CHUNK_ROWS))
        self._read = 0
        names = self._schema.names
        self.text_column = choose_text_column(path, names, text_column)
        check_collision(path, names, prefix)
        kind = self._schema.field(self.text_column).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"):
            raise UserError(f"{path}: the column {self.text_column!r} holds {kind} values, not text")
        self._out = self._schema
        for name in added_columns(prefix):
            is_score = name.removeprefix(prefix) in ATTRIBUTES
            self._out = self._out.append(pa.field(name, pa.float32() if is_score else pa.string()))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            # Arrow's own words can be long and quote the data.
            raise UserError(f"{self._path} is damaged or not Parquet") from error

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""
        with self._reading():
            batches = self._file.iter_batches(batch_size=self._batch)
        while True:
            with self._reading():
                batch = next(batches, None)
            if batch is None:
                return
            self._read += batch.num_rows
            texts, problems = _texts(batch.column(self.text_column))
            yield Chunk(rows=batch, texts=texts, problems=problems)

    def position(self) -> float:
        """Tell how much of the file has been read, from 0 to 1."""
        return self._read / self._rows if self._rows else 1.0

    def head(self) -> bytes:
        """Nothing comes before the first row."""
        return b""

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode the rows of a chunk with their results as one Arrow stream; no score is null."""
        scores = [
            pa.array(column, pa.float32(), mask=np.isnan(column)) for column in np.asarray(results.scores).T
        ]
        added = [pa.array(column, pa.string()) for column in (results.actions, results.errors)]
        batch = pa.RecordBatch.from_arrays([*chunk.rows.columns, *scores, *added], schema=self._out)
        buffer = io.BytesIO()
        with pa.ipc.new_stream(buffer, self._out) as stream:
            stream.write_batch(batch)
        return buffer.getvalue()

    def finish(self, partial: Path, finished: Path) -> bool:
        """Write the gathered streams as one Parquet file."""
        size = partial.stat().st_size
        with (
            partial.open("rb") as gathered,
            pa.parquet.ParquetWriter(finished, self._out, compression="zstd") as writer,
        ):
            while gathered.tell() < size:
                with pa.ipc.open_stream(gathered) as stream:
                    writer.write_table(stream.read_all())
        return True

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _texts(column: Any) -> tuple[list[str | None], list[str | None]]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.to_pylist(), [None] * len(column)
    except UnicodeDecodeError:
        pass
    # Arrow does not check that strings are UTF-8.
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
