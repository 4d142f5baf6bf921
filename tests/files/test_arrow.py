import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from giantkiller.files.arrow import floats, is_valid, lengths, numbers, strings
from giantkiller.files.batches import ParquetBatches

TEXTS = ["a", None, "", "Größe", None, "x" * 300, "\U0001f600", None, "b", "c"]


def test_strings_are_what_pyarrow_makes_of_them():
    assert strings(TEXTS).equals(pa.array(TEXTS, pa.string()))
    assert strings([]).equals(pa.array([], pa.string()))


def test_nan_is_null():
    made = floats(np.array([[0.5, 1], [np.nan, 2], [0.25, 3]], np.float32)[:, 0])
    assert made.equals(pa.array([0.5, None, 0.25], pa.float32()))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_lengths_and_nulls_of_a_slice(kind):
    array = pa.array([None if t is None else t.encode() for t in TEXTS], pa.binary()).cast(kind)[2:9]
    assert lengths(array)[is_valid(array)].tolist() == [len(t.encode()) for t in TEXTS[2:9] if t is not None]
    assert is_valid(array).tolist() == [t is not None for t in TEXTS[2:9]]


def test_numbers_of_a_slice():
    assert numbers(pa.array([1, 2, 3, 4], pa.int32())[1:3], np.int32).tolist() == [2, 3]


def test_reading_does_not_gather_the_texts_of_a_row_group(tmp_path):
    table = pa.table({"text": [f"{i} {'x' * 400}" for i in range(60_000)]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=60_000)
    size, _ = table.nbytes, table
    del table, _
    before, most = pa.total_allocated_bytes(), 0
    reader = ParquetBatches(tmp_path / "in.parquet")
    for _batch in reader:
        most = max(most, pa.total_allocated_bytes() - before)
    reader.close()
    assert most < size / 2


def test_screening_loads_neither_pandas_nor_kernels(tmp_path):
    pytest.importorskip("pandas")
    pq.write_table(pa.table({"text": ["a", None, "b"]}), tmp_path / "in.parquet")
    program = """
import sys, numpy as np
from giantkiller.files import Verdicts, screen_file
judge = lambda t: Verdicts(np.zeros((len(t), 7), np.float32), ["allow"] * len(t), [None] * len(t))
screen_file(sys.argv[1], sys.argv[2], judge)
print(*sys.modules)
"""
    paths = [str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet")]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    assert not {"pandas", "pyarrow.compute"} & set(done.stdout.split())
    assert pq.read_table(paths[1])["error"].to_pylist() == [None, "no text", None]
