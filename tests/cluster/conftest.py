"""A Ray of two cores, and a folder of shards."""

import gzip

import pytest


@pytest.fixture(scope="module")
def two_workers():
    """A cluster on this machine; the address by which another process joins it."""
    ray = pytest.importorskip("ray")
    from giantkiller.cluster.connection import connected

    with connected(None, 2):
        yield ray.get_runtime_context().gcs_address


@pytest.fixture
def shards(tmp_path):
    """A folder with a shard of each format, one below, one without rows, and what is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"\xef\xbb\xbfid,text\r\n1,You are stupid idiot\r\n2,\r\n3,thanks\r\n")
    (folder / "below" / "a.csv").write_text("body;id\ndamn;1\nhurt you;2\ntoo;many;fields\n")
    lines = '{"comment": "stupid", "n": 1.50}\n' * 10_000 + "no object\n"
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    table = pa.table({"text": ["idiot", None, "thanks"] * 4_000, "id": range(12_000)})
    pq.write_table(table, folder / "c.parquet", row_group_size=5_000)
    (folder / "d.csv").write_text("id,text\n")
    (folder / "_SUCCESS").write_text("")
    (folder / "_notes.csv").write_text("text\nhi\n")
    (folder / "read.me").write_text("no table")
    return folder
