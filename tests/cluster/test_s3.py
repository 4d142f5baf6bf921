"""An object store that speaks S3."""

import pytest

from giantkiller import Screener
from giantkiller.errors import UserError
from giantkiller.files import judge_with, screen_file

pytest.importorskip("ray")
pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytest.importorskip("flask")

import fsspec

from giantkiller.cluster import screen
from giantkiller.cluster.places import find_shards, output_place, put

pytestmark = pytest.mark.slow


@pytest.fixture
def store(monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").clear_instance_cache()
    yield fsspec.filesystem("s3")
    server.stop()


def test_shards_come_from_a_bucket_and_go_to_one(store, shards, tmp_path, tiny_bundle):
    store.mkdir("inbox")
    store.mkdir("screened")
    for name in ("a.csv", "below/a.csv", "c.parquet"):
        store.pipe(f"inbox/comments/{name}", (shards / name).read_bytes())
    found = screen("s3://inbox/comments", "s3://screened/out", tiny_bundle, workers=1)
    assert (found.done, found.failed) == (3, {})
    judge = judge_with(Screener(tiny_bundle))
    for name in ("a.csv", "below/a.csv", "c.parquet"):
        screen_file(shards / name, tmp_path / "local" / name, judge)
        assert store.cat(f"screened/out/{name}") == (tmp_path / "local" / name).read_bytes()
    again = screen("s3://inbox/comments", "s3://screened/out", tiny_bundle)
    assert (again.kept, again.done, again.rows) == (3, 0, found.rows)
    with pytest.raises(UserError, match="is where the input is"):
        screen("s3://inbox/comments/", "s3://inbox/comments", tiny_bundle)


def test_a_bucket_that_is_missing_is_not_made(store, tmp_path):
    (tmp_path / "a.csv").write_text("text\nhi\n")
    with pytest.raises(UserError, match="there is no such file or folder"):
        find_shards("s3://nobody/comments")
    with pytest.raises(UserError, match=r"s3://nobody/out/a\.csv"):
        put(tmp_path / "a.csv", output_place("s3://nobody/out"), "a.csv")
    assert not store.exists("nobody")


def test_a_store_that_is_gone(store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store.clear_instance_cache()
    with pytest.raises(UserError, match=r"s3://inbox/comments can't be reached: Could not connect"):
        find_shards("s3://inbox/comments")
