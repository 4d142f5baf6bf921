import resource
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from giantkiller.errors import UserError
from giantkiller.files import chunks
from giantkiller.files.batches import ParquetBatches


def batches(path):
    reader = ParquetBatches(path)
    try:
        return list(reader)
    finally:
        reader.close()


def test_what_is_read_is_what_was_written(tmp_path):
    table = pa.table(
        {
            "text": pa.array(["a", None, "", "b" * 300] * 50),
            "large": pa.array(["x", "y", None, "x"] * 50, pa.large_string()),
            "bytes": pa.array([b"\xff", None, b"", b"z"] * 50),
            "kind": pa.array(["p", "q", None, "p"] * 50).dictionary_encode(),
            "tags": pa.array([["a", None], [], None, ["b"]] * 50),
            "when": pa.array([1, None, 3, 4] * 50, pa.timestamp("us")),
            "fixed": pa.array([b"1234", None, b"abcd", b"0000"] * 50, pa.binary(4)),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=70)
    found = pa.Table.from_batches(batches(tmp_path / "in.parquet"))
    assert found.schema == table.schema
    assert found.to_pylist() == table.to_pylist()


def repeated(path, size, rows, **options):
    """A small file of large values: one long text, named over and over."""
    value = "".join(np.random.default_rng(0).choice(list("abcdefgh "), size))
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))
    pq.write_table(pa.table({"text": text.cast(pa.string())}), path, **options)
    return path


def test_long_texts_named_many_times_come_in_slices(tmp_path):
    path = repeated(tmp_path / "in.parquet", 500_000, 200)
    assert path.stat().st_size < 1_000_000
    found = batches(path)
    assert sum(batch.num_rows for batch in found) == 200
    assert max(batch.nbytes for batch in found) <= chunks.CHUNK_BYTES


def test_a_row_beyond_all_measure_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "MAX_ROW_BYTES", 1 << 18)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1 << 18)
    text = pa.array(["short", "x" * (2 << 20)])
    pq.write_table(pa.table({"text": text}), tmp_path / "in.parquet")
    with pytest.raises(UserError, match="row 2 is longer than 1 MB"):
        batches(tmp_path / "in.parquet")


def test_too_many_columns(tmp_path):
    pq.write_table(pa.table({f"c{i}": [1] for i in range(4_097)}), tmp_path / "in.parquet")
    with pytest.raises(UserError, match="has 4,097 columns"):
        ParquetBatches(tmp_path / "in.parquet")


PROGRAM = """
import sys, numpy as np
from giantkiller.files import Verdicts, screen_file

def judge(texts):
    return Verdicts(np.zeros((len(texts), 7), np.float32), ["allow"] * len(texts), [None] * len(texts))

print(screen_file(sys.argv[1], sys.argv[2], judge).rows)
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["dictionary", "DELTA_BYTE_ARRAY", "nested"])
def test_memory_is_bounded(tmp_path, encoding):
    path = tmp_path / "in.parquet"
    if encoding == "nested":
        value = "x" * 200_000
        table = pa.table({"text": ["a"] * 5_000, "tags": pa.array([[value]] * 5_000)})
        pq.write_table(table, path)
    elif encoding == "dictionary":
        repeated(path, 200_000, 5_000)
    else:
        repeated(path, 200_000, 5_000, use_dictionary=False, column_encoding=encoding)
    assert path.stat().st_size < 2_000_000

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (768 << 20, 768 << 20))

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "out.parquet")],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == pq.ParquetFile(path).metadata.num_rows
