"""Parquet."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from giantkiller.errors import UserError
from giantkiller.files import chunks
from giantkiller.files.arrow import floats, strings
from giantkiller.files.batches import ParquetBatches, is_text, texts_of
from giantkiller.files.chunks import Chunk, Results, rows_per_chunk
from giantkiller.files.columns import check_collision, choose_text_column


class ParquetTable:
    """A Parquet file whose comments are screened; columns keep their types and the file its metadata.

    A Parquet file can't be appended to, so chunks are gathered as Arrow streams, one after the other, and
    written as Parquet at the end.

    Args:
        path: The file.
        text_column: Where the comments are; looked for if None.
        added: The columns that encoding adds.

    Raises:
        UserError: The file can't be read, or has not the columns that are needed.
    """

    def __init__(self, path: Path, text_column: str | None, added: Sequence[str]) -> None:
        self._batches = ParquetBatches(path)
        schema = self._batches.schema
        self._read = 0
        self.text_column = choose_text_column(path, schema.names, text_column)
        check_collision(path, schema.names, added)
        self._text_index = schema.names.index(self.text_column)
        kind = schema.field(self._text_index).type
        if not is_text(kind):
            raise UserError(f"{path}: the column {self.text_column!r} holds {kind} values, not text")
        self._out = schema
        for name in added[:-3]:
            self._out = self._out.append(pa.field(name, pa.float32()))
        for name in added[-3:]:
            self._out = self._out.append(pa.field(name, pa.string()))

    def chunks(self) -> Iterator[Chunk]:
        """Read the file, a chunk at a time."""
        most = rows_per_chunk(len(self._batches.schema))
        chunk = Chunk(rows=[], texts=[], problems=[])
        size = 0
        for batch in self._batches:
            if chunk.texts and (
                len(chunk.texts) + batch.num_rows > most or size + batch.nbytes > chunks.CHUNK_BYTES
            ):
                self._read += len(chunk.texts)
                yield chunk
                chunk, size = Chunk(rows=[], texts=[], problems=[]), 0
            texts, problems = texts_of(batch.column(self._text_index))
            chunk.rows.append(batch)
            chunk.texts += texts
            chunk.problems += problems
            size += batch.nbytes
        if chunk.texts:
            self._read += len(chunk.texts)
            yield chunk

    def position(self) -> float:
        """Return how much of the file has been read, from 0 to 1."""
        return self._read / self._batches.rows if self._batches.rows else 1.0

    def head(self) -> bytes:
        """Nothing comes before the first row."""
        return b""

    def encode(self, chunk: Chunk, results: Results) -> bytes:
        """Encode the rows of a chunk with their results as one Arrow stream; no score is null."""
        added = [floats(column) for column in results.scores.T]
        added += [strings(column) for column in (results.actions, results.attributes, results.errors)]
        buffer = io.BytesIO()
        with pa.ipc.new_stream(buffer, self._out) as stream:
            row = 0
            for batch in chunk.rows:
                columns = [*batch.columns, *(column.slice(row, batch.num_rows) for column in added)]
                stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._out))
                row += batch.num_rows
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
        """Close the file."""
        self._batches.close()
