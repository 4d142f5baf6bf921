"""One Ray of two nodes with two cores each for all: a run by four workers, and whatever dies in the middle.

What dies is held there by a worker that stops: no test depends on how fast the machine is.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from giantkiller import Screener
from giantkiller.errors import UserError
from giantkiller.files import ScreenSummary, judge_with, screen_file

pytest.importorskip("ray")

import ray

from giantkiller.cluster import places, pool, screen, screening
from giantkiller.cluster.connection import connected
from giantkiller.cluster.worker import Worker

pytestmark = pytest.mark.slow
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NAMES = ["a.csv", "b.jsonl.gz", "below/a.csv", "c.parquet", "d.csv"]
BROKEN = {
    "empty.csv": (b"", "/empty.csv is empty"),
    "numbers.jsonl": (b'{"id": 1}\n', "none of its columns (id)"),
    "torn.parquet": (b"PAR1 and no more", "is damaged or not Parquet"),
}
PATIENCE = 120  # seconds, for a machine that does other things as well


def start_cluster():
    """Start two nodes; on a busy machine Ray gives up on one after 30 seconds."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "object_store_memory": 100 << 20}
    for attempt in range(3):
        cluster = Cluster()
        try:
            cluster.add_node(**node, include_dashboard=False)
            second = cluster.add_node(**node)
            cluster.wait_for_nodes()
        except Exception:
            cluster.shutdown()
            if attempt == 2:
                raise
        else:
            return cluster, second
    raise AssertionError


@pytest.fixture(scope="module")
def cluster(endpoint):
    """The cluster, which this process is connected to, and what removes its second node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made, second = start_cluster()
        try:
            with connected(made.address, None):
                yield SimpleNamespace(
                    address=made.address,
                    second=second.node_id,
                    remove=lambda: made.remove_node(second, allow_graceful=False),
                )
        finally:
            ray.shutdown()
            made.shutdown()


def local(source, target, bundle, names):
    """What the local engine makes of each shard, and the sum of its summaries."""
    total = ScreenSummary()
    judge = judge_with(Screener(bundle))
    for name in names:
        total.include(screen_file(source / name, target / name, judge))
    return total


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "_manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write_many(folder, count, rows=500):
    folder.mkdir()
    for i in range(count):
        lines = (f'{{"id": {row}, "text": "comment {i} {row} you idiot"}}\n' for row in range(rows))
        (folder / f"{i}.jsonl").write_text("".join(lines))
    return folder


def is_as_local(source, out, folder, bundle):
    """Whether the output is the local engine's, whole, with nothing beside it."""
    local(source, folder / "local", bundle, [path.name for path in source.iterdir()])
    return contents(out) == contents(folder / "local")


def once(folder, count, what):
    """Do something as soon as a folder has so many files."""
    folder.mkdir()

    def wait():
        end = time.monotonic() + PATIENCE
        while len(found := [path for path in folder.iterdir() if path.suffix != ".new"]) < count:
            if time.monotonic() > end:
                return
            time.sleep(0.02)
        what(found)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def first(cluster, write_shards, tiny_bundle, tmp_path_factory):
    """A run by four workers, none of which begins before all of them have."""
    folder = tmp_path_factory.mktemp("first")
    source = write_shards(folder / "in")
    for name, (content, _) in BROKEN.items():
        (source / name).write_bytes(content)
    meeting = folder / "workers"
    meeting.mkdir()

    class Met(Worker):
        def screen(self, shard):
            (meeting / f"{os.getpid()} {ray.get_runtime_context().get_node_id()}").touch()
            end = time.monotonic() + 120
            while len(list(meeting.iterdir())) < 4:
                assert time.monotonic() < end
                time.sleep(0.02)
            return super().screen(shard)

    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "Worker", Met)
        found = screen(
            source,
            folder / "out",
            tiny_bundle,
            workers=4,
            progress=lambda it: seen.append((it.done, it.rows)),
        )
    workers = [path.name.split() for path in meeting.iterdir()]
    return SimpleNamespace(source=source, out=folder / "out", found=found, seen=seen, workers=workers)


def test_four_workers_on_two_nodes_do_what_the_local_engine_does(first, tmp_path, tiny_bundle):
    assert len(first.workers) == 4
    assert len({node for _, node in first.workers}) == 2
    total = local(first.source, tmp_path / "local", tiny_bundle, NAMES)
    assert contents(first.out) == contents(tmp_path / "local")
    found = first.found
    assert (found.rows, found.errors, found.scored) == (total.rows, total.errors, total.scored)
    assert found.actions == total.actions
    assert (found.shards, found.done, found.kept) == (8, 5, 0)
    assert found.text_column == "body, comment, text"
    assert first.seen == sorted(first.seen)
    assert (first.seen[0], first.seen[-1]) == ((0, 0), (5, total.rows))
    manifest = json.loads((first.out / "_manifest.json").read_text())
    assert sorted(manifest["shards"]) == NAMES
    assert manifest["settings"]["model"] == Screener(tiny_bundle).bundle.digest


def test_shards_that_are_broken_stop_no_other(first):
    assert sorted(first.found.failed) == sorted(BROKEN)
    for name, (_, sentence) in BROKEN.items():
        assert sentence in first.found.failed[name]
    manifest = json.loads((first.out / "_manifest.json").read_text())
    assert manifest["failed"] == first.found.failed


def test_a_second_run_does_what_is_missing_changed_or_mended(first, tmp_path, tiny_bundle):
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(first.source, source)
    shutil.copytree(first.out, out)
    untouched = (out / "b.jsonl.gz").stat().st_mtime_ns
    expected = contents(out)
    (out / "c.parquet").unlink()
    (out / "below" / "a.csv").write_bytes(expected["below/a.csv"][:-1])
    (source / "d.csv").write_text("id,text\n1,idiot\n")
    (source / "empty.csv").write_text("id,text\n1,damn\n")
    for name in ("numbers.jsonl", "torn.parquet"):
        (source / name).unlink()
    again = screen(source, out, tiny_bundle, workers=1)
    assert (again.kept, again.done, again.shards, again.failed) == (2, 4, 6, {})
    assert again.rows == first.found.rows + 2
    assert (again.resumed, again.scored) == (10_001 + 3, 8_000 + 2 + 1 + 1)
    assert (out / "b.jsonl.gz").stat().st_mtime_ns == untouched
    changed = {name: data for name, data in contents(out).items() if name not in ("d.csv", "empty.csv")}
    assert changed == {name: data for name, data in expected.items() if name != "d.csv"}
    assert b"idiot" in (out / "d.csv").read_bytes()
    nothing = screen(source, out, tiny_bundle)
    assert (nothing.kept, nothing.done, nothing.scored, nothing.rows) == (6, 0, 0, again.rows)


def test_workers_that_are_killed_lose_and_double_nothing(cluster, tmp_path, tiny_bundle, monkeypatch):
    """Two are killed while half of an output is on its way to its place."""
    source, stuck = write_many(tmp_path / "in", 4), tmp_path / "stuck"

    class Stuck(Worker):
        def screen(self, shard):
            process = stuck / shard.name
            if shard.name in ("0.jsonl", "1.jsonl") and not process.exists():

                def half(source, target):
                    Path(target).write_bytes(Path(source).read_bytes()[:1000])
                    process.with_suffix(".new").write_text(str(os.getpid()))
                    process.with_suffix(".new").rename(process)
                    time.sleep(600)

                places.shutil.copyfile = half  # in a process that is about to die
            return super().screen(shard)

    killed = []

    def kill(processes):
        assert list((tmp_path / "out").glob(".*.partial"))
        for process in processes:
            os.kill(int(process.read_text()), signal.SIGKILL)
            killed.append(process.name)

    monkeypatch.setattr(pool, "Worker", Stuck)
    killing = once(stuck, 2, kill)
    found = screen(source, tmp_path / "out", tiny_bundle, workers=2)
    killing.join()
    assert sorted(killed) == ["0.jsonl", "1.jsonl"]
    assert (found.done, found.failed, found.rows) == (4, {}, 2_000)
    assert is_as_local(source, tmp_path / "out", tmp_path, tiny_bundle)


DRIVER = """
import time
from giantkiller.cluster import pool
from giantkiller.cluster.worker import Worker

class Stuck(Worker):
    def screen(self, shard):
        if shard.name == "1.jsonl":
            time.sleep(600)
        return super().screen(shard)

pool.Worker = Stuck
from giantkiller.cli.main import main
main()
"""


def test_a_driver_that_is_killed_loses_nothing(cluster, tmp_path, tiny_bundle):
    source, out = write_many(tmp_path / "in", 3), tmp_path / "out"
    command = [sys.executable, "-c", DRIVER, "screen", source, "-o", out, "--model", tiny_bundle]
    command += ["--engine", "ray", "--address", cluster.address, "--workers", "1"]
    process = subprocess.Popen(list(map(str, command)))
    while not (out / "0.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert [path.name for path in out.glob("*.jsonl")] == ["0.jsonl"]
    found = screen(source, out, tiny_bundle, workers=1)
    assert (found.kept + found.done, found.rows) == (3, 1_500)
    assert is_as_local(source, out, tmp_path, tiny_bundle)


def test_a_shard_that_workers_die_of_is_given_up(cluster, tmp_path, tiny_bundle, monkeypatch):
    """As the system ends a process that takes too much memory."""
    source = write_many(tmp_path / "in", 2)

    class Poisoned(Worker):
        def screen(self, shard):
            if shard.name == "0.jsonl":
                os.kill(os.getpid(), signal.SIGKILL)
            return super().screen(shard)

    monkeypatch.setattr(pool, "Worker", Poisoned)
    found = screen(source, tmp_path / "out", tiny_bundle, workers=1)
    assert (found.done, list(found.failed)) == (1, ["0.jsonl"])
    assert re.match(
        r"0\.jsonl: 3 workers died of it \(.*\); it may take more memory than they have: split it",
        found.failed["0.jsonl"],
    )


def test_machines_that_differ_are_refused(cluster, tmp_path, tiny_bundle, monkeypatch):
    source = write_many(tmp_path / "in", 1)

    class Broken(Worker):
        def prepare(self, job, bundle):
            raise ModuleNotFoundError("No module named 'onnxruntime'")

    with monkeypatch.context() as patch:
        patch.setattr(screening, "versions", lambda: {"giantkiller": "0.0.1"})
        with pytest.raises(
            UserError, match=r"has giantkiller .*, and this machine 0\.0\.1; install the same"
        ):
            screen(source, tmp_path / "versions", tiny_bundle, workers=1)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "Worker", Broken)
        with pytest.raises(UserError, match=r"no worker could be started \(.*No module named 'onnxruntime'"):
            screen(source, tmp_path / "start", tiny_bundle, workers=1)
    assert contents(tmp_path / "versions") == contents(tmp_path / "start") == {}


def test_shards_come_from_a_bucket_and_go_to_one(cluster, store, shards, tmp_path, tiny_bundle):
    names = ("a.csv", "below/a.csv", "c.parquet")
    store.mkdir("inbox")
    store.mkdir("screened")
    for name in names:
        store.pipe(f"inbox/comments/{name}", (shards / name).read_bytes())
    found = screen("s3://inbox/comments", "s3://screened/out", tiny_bundle, workers=1)
    assert (found.done, found.failed) == (3, {})
    local(shards, tmp_path / "local", tiny_bundle, names)
    for name in names:
        assert store.cat(f"screened/out/{name}") == (tmp_path / "local" / name).read_bytes()
    again = screen("s3://inbox/comments", "s3://screened/out", tiny_bundle)
    assert (again.kept, again.done, again.rows) == (3, 0, found.rows)
    with pytest.raises(UserError, match="is where the input is"):
        screen("s3://inbox/comments/", "s3://inbox/comments", tiny_bundle)


def test_a_node_that_dies_loses_nothing(cluster, tmp_path, tiny_bundle, monkeypatch):
    """Comes after the other tests that need the cluster: from here on it has one node."""
    source, stuck, doomed = write_many(tmp_path / "in", 4), tmp_path / "stuck", cluster.second

    class Stuck(Worker):
        def screen(self, shard):
            if ray.get_runtime_context().get_node_id() == doomed:
                (stuck / shard.name).touch()
                time.sleep(600)
            # The other node leaves it a shard, however late its worker starts.
            end = time.monotonic() + PATIENCE
            while not any(stuck.iterdir()) and time.monotonic() < end:
                time.sleep(0.05)
            return super().screen(shard)

    monkeypatch.setattr(pool, "Worker", Stuck)
    removed = []
    removing = once(stuck, 1, lambda held: removed.append((held, cluster.remove())))
    found = screen(source, tmp_path / "out", tiny_bundle, workers=3)
    removing.join()
    assert removed
    assert (found.done, found.failed, found.rows) == (4, {}, 2_000)
    assert is_as_local(source, tmp_path / "out", tmp_path, tiny_bundle)


def test_the_readmes_line(tmp_path):
    """With a Ray of its own, which begins and ends with the command."""
    (line,) = re.findall(r"^giantkiller (screen .*--engine ray)", README, re.MULTILINE)
    main = "from giantkiller.cli.main import main; main()"
    command = [sys.executable, "-c", main, *line.split(), "--workers", "1"]
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.csv").write_text("id,text\n1,You are an idiot\n2,\n3,thanks\n")
    (tmp_path / "inbox" / "empty.csv").write_text("")

    def run(*more):
        return subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True)

    done = run()
    assert done.returncode == 1, done.stderr
    assert "2 of 3 comments screened" in done.stdout
    assert "1 of 2 files screened" in done.stdout
    assert "empty.csv is empty" in done.stderr
    assert "1 of 2 files have no output" in done.stderr
    (tmp_path / "inbox" / "empty.csv").unlink()
    done = run("--json")
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert (found["shards_kept"], found["shards_done"], found["resumed"]) == (1, 0, 3)
    assert (tmp_path / "out" / "a.csv").read_text().splitlines()[1].startswith("1,You are an idiot,0.9")
