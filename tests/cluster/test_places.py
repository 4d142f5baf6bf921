import pytest

from giantkiller.errors import UserError

pytest.importorskip("ray")

import fsspec

from giantkiller.cluster.places import fetched, find_outputs, find_shards, output_place, put, read, sweep


def names(url):
    return [shard.name for shard in find_shards(str(url))[1]]


def test_a_folder_a_glob_and_a_file(shards):
    assert names(shards) == ["a.csv", "b.jsonl.gz", "below/a.csv", "c.parquet", "d.csv"]
    assert names(f"{shards}/*.csv") == ["a.csv", "d.csv"]
    assert names(f"{shards}/**/a.csv") == ["a.csv", "below/a.csv"]
    assert names(shards / "below" / "a.csv") == ["a.csv"]
    assert names(f"file://{shards}/below") == ["a.csv"]
    odd = shards / "odd [1]*.csv"
    odd.write_text("text\nhi\n")
    assert names(odd) == ["odd [1]*.csv"]


def test_nothing_to_read_is_said_in_one_sentence(shards):
    for url, sentence in (
        (shards / "nowhere", "no such file or folder"),
        (f"{shards}/*.tsv", r"there is no file with the ending \.csv"),
        (shards / "read.me", r"there is no file with the ending \.csv"),
        ("nosuch://bucket/a.csv", "can't be reached: Protocol not known: nosuch"),
    ):
        with pytest.raises(UserError, match=sentence):
            find_shards(str(url))


@pytest.mark.parametrize("protocol", ["ftp", "http"])
def test_a_store_that_cannot_be_reached(protocol):
    if protocol == "http":
        pytest.importorskip("aiohttp")
    url = f"{protocol}://127.0.0.1:9/a.csv"
    with pytest.raises(UserError, match=rf"{url} can't be reached|{url}: there is no such file") as caught:
        find_shards(url)
    assert "\n" not in str(caught.value)


def test_a_store_whose_package_is_missing(monkeypatch):
    def refuse(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(UserError, match="needs another package: Install s3fs to access S3"):
        find_shards("s3://bucket/comments")


def test_files_go_to_a_store_and_come_back(tmp_path):
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/in/one/a.csv", b"text\nhi\n")
    place, (shard,) = find_shards("memory://bucket/in")
    assert (shard.name, shard.size) == ("one/a.csv", 8)
    with fetched(place, shard, tmp_path) as copy:
        assert copy.read_bytes() == b"text\nhi\n"
    store.pipe("/bucket/in/one/a.csv", b"text\nhi\nmore\n")
    with pytest.raises(UserError, match="has changed since"), fetched(place, shard, tmp_path):
        pass
    target = output_place("memory://bucket/out/deep")
    assert find_outputs(target) == {}
    assert read(target, "one/a.csv") is None
    put(tmp_path / "a.csv", target, "one/a.csv")
    assert find_outputs(target) == {"one/a.csv": 13}
    assert read(target, "one/a.csv") == b"text\nhi\nmore\n"


def test_what_killed_workers_leave_is_swept(tmp_path):
    (tmp_path / "below").mkdir()
    left = tmp_path / "below" / ".a.csv.0badcafe.partial"
    left.write_text("half")
    (tmp_path / "a.partial").write_text("mine")
    sweep(output_place(str(tmp_path)))
    assert not left.exists()
    assert (tmp_path / "a.partial").exists()
