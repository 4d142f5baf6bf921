"""A folder of shards, and an object store that speaks S3."""

import gzip
import socket

import pytest


def write(folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

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


@pytest.fixture(scope="session")
def write_shards():
    """What makes a folder with a shard of each format, one below, one without rows, and what is none."""
    return write


@pytest.fixture
def shards(tmp_path):
    return write(tmp_path / "in")


@pytest.fixture(scope="module")
def endpoint():
    """A port for an object store, and the settings by which s3fs finds it, in programs begun later, too."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "nobody")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield port


@pytest.fixture(scope="module")
def store(endpoint):
    """The store's file system."""
    for package in ("s3fs", "moto", "flask"):
        pytest.importorskip(package)
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=endpoint, verbose=False)
    server.start()
    system = fsspec.filesystem("s3")
    system.clear_instance_cache()
    yield fsspec.filesystem("s3")
    system.clear_instance_cache()
    server.stop()
