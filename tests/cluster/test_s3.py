"""What is said of an object store that speaks S3; test_ray.py has a run from and to one."""

import pytest

from giantkiller.errors import UserError

pytest.importorskip("ray")

from giantkiller.cluster.places import find_shards, output_place, put

pytestmark = pytest.mark.slow


def test_a_bucket_that_is_missing_is_not_made(store, tmp_path):
    (tmp_path / "a.csv").write_text("text\nhi\n")
    with pytest.raises(UserError, match="there is no such file or folder"):
        find_shards("s3://nobody/comments")
    with pytest.raises(UserError, match=r"s3://nobody/out/a\.csv"):
        put(tmp_path / "a.csv", output_place("s3://nobody/out"), "a.csv")
    assert not store.exists("nobody")


def test_a_store_that_is_gone(store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store.clear_instance_cache()
    with pytest.raises(UserError, match=r"s3://inbox/comments can't be reached: Could not connect"):
        find_shards("s3://inbox/comments")
