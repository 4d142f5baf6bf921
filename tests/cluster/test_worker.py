"""What a worker says, in a sentence, about what it can't screen; and that it goes on."""

import gzip
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

pytest.importorskip("ray")

from giantkiller import Screener
from giantkiller.cluster.manifest import ShardRecord
from giantkiller.cluster.places import Place, Shard, find_shards, output_place
from giantkiller.cluster.worker import Job, Worker, versions
from giantkiller.policy import Policy


def contents(screener):
    bundle = screener.bundle
    return {name: (bundle.folder / name).read_bytes() for name in ("bundle.json", *bundle.files)}


@pytest.fixture(scope="module")
def sent(tiny_bundle):
    """A screener, and the files of its bundle as they travel."""
    screener = Screener(tiny_bundle)
    return screener, contents(screener)


@pytest.fixture
def job(sent, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    screener, _ = sent
    return Job(
        source=Place(str(folder), str(folder)),
        target=output_place(str(tmp_path / "out")),
        digest=screener.bundle.digest,
        versions=versions(),
        policy=screener.policy,
        text_column=None,
        prefix="",
    )


def prepared(job, sent):
    worker = Worker()
    assert worker.prepare(job, sent[1]) is None
    return worker


def screened(worker, job):
    """What became of each shard, by its name."""
    return {shard.name: worker.screen(shard) for shard in find_shards(job.source.url)[1]}


def test_a_machine_that_lacks_the_bundle_says_so(job, sent):
    missing = {name: content for name, content in sent[1].items() if name != "model.onnx"}
    assert "can't load the bundle: " in Worker().prepare(job, missing)
    assert "model.onnx" in Worker().prepare(job, missing)
    torn = {**sent[1], "model.onnx": sent[1]["model.onnx"][:-1]}
    assert "can't load the bundle: " in Worker().prepare(job, torn)
    assert "got another bundle" in Worker().prepare(replace(job, digest="another"), sent[1])


@pytest.mark.parametrize("name", ["giantkiller", "onnxruntime", "tokenizers"])
def test_a_machine_of_another_version_says_so(job, sent, name):
    said = Worker().prepare(replace(job, versions={**job.versions, name: "0.0.1"}), sent[1])
    assert f"has {name} {versions()[name]}, and this machine 0.0.1; install the same on both" in said


def test_shards_of_several_schemas(job, sent, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder = tmp_path / "in"
    (folder / "a.csv").write_text("id,text\n1,hi\n")
    (folder / "b.csv").write_text("comment;likes\nhi;3\n")
    (folder / "c.jsonl").write_text('{"text": "hi"}\n{"text": 5}\n{"other": "hi"}\n')
    (folder / "d.csv").write_text("id,number\n1,2\n")
    pq.write_table(pa.table({"text": pa.array(["hi"], pa.large_string())}), folder / "e.parquet")
    pq.write_table(pa.table({"text": pa.array(["hi"]).dictionary_encode(), "n": [1]}), folder / "f.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), folder / "g.parquet")
    found = screened(prepared(job, sent), job)
    rows = {name: (it.rows, it.errors) for name, it in found.items() if isinstance(it, ShardRecord)}
    assert rows == {
        "a.csv": (1, 0),
        "b.csv": (1, 0),
        "c.jsonl": (3, 2),
        "e.parquet": (1, 0),
        "f.parquet": (1, 0),
    }
    assert "none of its columns (id, number)" in found["d.csv"]
    assert "the column 'text' holds int64 values, not text" in found["g.parquet"]


def test_shards_without_rows(job, sent, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder = tmp_path / "in"
    (folder / "a.csv").write_text("id,text\n")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "b.parquet")
    pq.write_table(pa.table({"text": pa.array([None, None], pa.string())}), folder / "c.parquet")
    for name in ("d.csv", "e.jsonl", "f.parquet"):
        (folder / name).touch()
    (folder / "g.jsonl.gz").write_bytes(gzip.compress(b""))
    found = screened(prepared(job, sent), job)
    rows = {name: (it.rows, it.errors) for name, it in found.items() if isinstance(it, ShardRecord)}
    assert rows == {"a.csv": (0, 0), "b.parquet": (0, 0), "c.parquet": (2, 2)}
    for name in ("d.csv", "e.jsonl", "f.parquet"):
        assert found[name] == f"{folder / name} is empty"
    assert "has no rows" in found["g.jsonl.gz"]
    assert pq.read_table(tmp_path / "out" / "b.parquet").num_rows == 0


def test_policy_column_and_prefix_are_those_of_the_run(job, sent, tmp_path):
    policy = Policy({"obscene": {"monitor": 0.5}})
    job = replace(job, policy=policy, text_column="note", prefix="gk_")
    (tmp_path / "in" / "a.csv").write_text("text,note\nyou idiot,damn\nyou idiot,thanks\n")
    found = screened(prepared(job, sent), job)["a.csv"]
    assert (found.text_column, found.actions["monitor"], found.actions["allow"]) == ("note", 1, 1)
    header, first, _ = (tmp_path / "out" / "a.csv").read_text().splitlines()
    assert header.startswith("text,note,gk_toxicity,")
    assert first.endswith(",monitor,obscene,")


STARVED = """
import pickle, resource, sys
from giantkiller.cluster.places import find_shards
from giantkiller.cluster.worker import Worker

job, bundle = pickle.load(sys.stdin.buffer)
big, small = find_shards(job.source.url)[1]
worker = Worker()
assert worker.prepare(job, bundle) is None
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20), most[1]))
said = worker.screen(big)
resource.setrlimit(resource.RLIMIT_AS, most)
print(said)
print(worker.screen(small).rows)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no limit on a process's memory but on Linux")
def test_a_worker_without_memory_says_so_and_goes_on(job, sent, tmp_path):
    """Where Python runs out of it; test_ray.py has workers that the system ends."""
    big = tmp_path / "in" / "big.csv"
    big.write_text("text\n" + "you idiot, and so on " * 600_000 + "\n")
    (tmp_path / "in" / "small.csv").write_text("text\nhi\n")
    given = pickle.dumps((job, sent[1]))
    done = subprocess.run([sys.executable, "-c", STARVED], input=given, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    said, rows = done.stdout.decode().splitlines()
    assert said == f"{big} takes more memory than the worker has; split it into smaller files"
    assert rows == "1"
    assert not list((tmp_path / "out").glob("big*"))


def test_a_store_that_one_machine_cannot_reach(job, sent):
    away = "ftp://127.0.0.1:9/comments"
    worker = prepared(replace(job, source=Place(away, away)), sent)
    said = worker.screen(Shard("a.csv", 8, ""))
    assert said.startswith(f"{away}/a.csv can't be reached: ")
    assert "\n" not in said
