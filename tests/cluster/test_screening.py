import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from giantkiller import Screener
from giantkiller.errors import UserError
from giantkiller.files import ScreenSummary, judge_with, screen_file
from giantkiller.policy import Policy

pytest.importorskip("ray")

from giantkiller.cluster import pool, screen, screening
from giantkiller.cluster.worker import Worker

NAMES = ["a.csv", "b.jsonl.gz", "below/a.csv", "c.parquet", "d.csv"]
MAIN = "from giantkiller.cli.main import main; main()"


def local(folder, target, bundle):
    """What the local engine makes of each shard, and the sum of its summaries."""
    total = ScreenSummary()
    judge = judge_with(Screener(bundle))
    for name in NAMES:
        total.include(screen_file(folder / name, target / name, judge))
    return total


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "_manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write_many(folder, count, rows):
    folder.mkdir()
    for i in range(count):
        lines = (f'{{"id": {row}, "text": "comment {i} {row} you idiot"}}\n' for row in range(rows))
        (folder / f"{i}.jsonl").write_text("".join(lines))
    return folder


@pytest.mark.slow
def test_shards_are_those_of_the_local_engine_to_the_byte(two_workers, shards, tmp_path, tiny_bundle):
    total = local(shards, tmp_path / "local", tiny_bundle)
    seen = []
    found = screen(
        shards, tmp_path / "out", tiny_bundle, progress=lambda it: seen.append((it.kept, it.done, it.rows))
    )
    assert contents(tmp_path / "out") == contents(tmp_path / "local")
    assert sorted(contents(tmp_path / "out")) == NAMES
    assert (found.rows, found.errors, found.scored) == (total.rows, total.errors, total.scored)
    assert found.actions == total.actions
    assert (found.shards, found.done, found.kept, found.failed) == (5, 5, 0, {})
    assert found.text_column == "body, comment, text"
    assert [done for _, done, _ in seen] == [0, 1, 2, 3, 4, 5]
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert sorted(manifest["shards"]) == NAMES
    assert manifest["settings"]["model"] == Screener(tiny_bundle).bundle.digest


@pytest.mark.slow
def test_a_second_run_does_what_is_missing_or_changed(two_workers, shards, tmp_path, tiny_bundle):
    out = tmp_path / "out"
    first = screen(shards, out, tiny_bundle, workers=1)
    untouched = (out / "b.jsonl.gz").stat().st_mtime_ns
    expected = contents(out)
    (out / "c.parquet").unlink()
    (out / "below" / "a.csv").write_bytes(expected["below/a.csv"][:-1])
    (shards / "d.csv").write_text("id,text\n1,idiot\n")
    (shards / "e.csv").write_text("id,text\n1,damn\n")
    again = screen(shards, out, tiny_bundle)
    assert (again.kept, again.done, again.shards) == (2, 4, 6)
    assert again.rows == first.rows + 2
    assert (again.resumed, again.scored) == (10_001 + 3, 8_000 + 2 + 1 + 1)
    assert (out / "b.jsonl.gz").stat().st_mtime_ns == untouched
    assert {name: contents(out)[name] for name in expected if name != "d.csv"} == {
        name: data for name, data in expected.items() if name != "d.csv"
    }
    assert b"idiot" in (out / "d.csv").read_bytes()
    nothing = screen(shards, out, tiny_bundle)
    assert (nothing.kept, nothing.done, nothing.scored, nothing.rows) == (6, 0, 0, again.rows)


@pytest.mark.slow
def test_workers_that_are_killed_lose_and_double_nothing(two_workers, tmp_path, tiny_bundle):
    psutil = pytest.importorskip("psutil")
    folder = write_many(tmp_path / "in", 6, 15_000)
    killed = []

    def kill(summary):
        if summary.done and not killed:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # dead already, of an earlier test
                    if "ray::Worker" in " ".join(process.cmdline()):
                        process.kill()
                        killed.append(process.pid)

    found = screen(folder, tmp_path / "out", tiny_bundle, progress=kill)
    assert killed
    assert (found.done, found.failed, found.rows) == (6, {}, 90_000)
    for source in folder.iterdir():
        screen_file(source, tmp_path / "local" / source.name, judge_with(Screener(tiny_bundle)))
    assert contents(tmp_path / "out") == contents(tmp_path / "local")


@pytest.mark.slow
def test_a_driver_that_is_killed_loses_nothing(two_workers, tmp_path, tiny_bundle):
    folder, out = write_many(tmp_path / "in", 8, 15_000), tmp_path / "out"
    command = [sys.executable, "-c", MAIN, "screen", folder, "-o", out, "--model", tiny_bundle]
    command += ["--engine", "ray", "--address", two_workers, "--workers", "1"]
    process = subprocess.Popen(list(map(str, command)))
    while not list(out.glob("*.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(out.glob("*.jsonl"))) < 8
    found = screen(folder, out, tiny_bundle)
    assert (found.kept + found.done, found.rows) == (8, 120_000)
    judge = judge_with(Screener(tiny_bundle))
    for source in folder.iterdir():
        screen_file(source, tmp_path / "local" / source.name, judge)
    assert contents(out) == contents(tmp_path / "local")


@pytest.mark.slow
def test_a_shard_that_workers_die_of_is_given_up(two_workers, shards, tmp_path, tiny_bundle, monkeypatch):
    class Poisoned(Worker):
        def screen(self, shard):
            if shard.name == "c.parquet":
                os._exit(1)
            return super().screen(shard)

    monkeypatch.setattr(pool, "Worker", Poisoned)
    found = screen(shards, tmp_path / "out", tiny_bundle)
    assert found.done == 4
    assert list(found.failed) == ["c.parquet"]
    assert "3 workers died of it" in found.failed["c.parquet"]
    monkeypatch.undo()
    assert screen(shards, tmp_path / "out", tiny_bundle).done == 1


@pytest.mark.slow
def test_shards_that_are_broken_stop_no_other(two_workers, shards, tmp_path, tiny_bundle):
    (shards / "empty.csv").write_bytes(b"")
    (shards / "numbers.jsonl").write_text('{"id": 1}\n')
    (shards / "torn.parquet").write_bytes(b"PAR1 and no more")
    found = screen(shards, tmp_path / "out", tiny_bundle)
    assert (found.done, sorted(found.failed)) == (5, ["empty.csv", "numbers.jsonl", "torn.parquet"])
    assert found.failed["empty.csv"] == f"{shards / 'empty.csv'} is empty"
    assert "none of its columns (id)" in found.failed["numbers.jsonl"]
    assert "is damaged or not Parquet" in found.failed["torn.parquet"]
    assert sorted(contents(tmp_path / "out")) == NAMES


@pytest.mark.slow
def test_machines_that_differ_are_refused(two_workers, shards, tmp_path, tiny_bundle, monkeypatch):
    class Broken(Worker):
        def prepare(self, job, bundle):
            raise ModuleNotFoundError("No module named 'onnxruntime'")

    with monkeypatch.context() as patch:
        patch.setattr(screening, "versions", lambda: {"giantkiller": "0.0.1"})
        with pytest.raises(
            UserError, match=r"has giantkiller .*, and this machine 0\.0\.1; install the same"
        ):
            screen(shards, tmp_path / "versions", tiny_bundle)
    with monkeypatch.context() as patch:
        read = screening.read_bundle
        patch.setattr(screening, "read_bundle", lambda model: replace(read(model), digest="another"))
        with pytest.raises(UserError, match="got another bundle"):
            screen(shards, tmp_path / "bundle", tiny_bundle)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "Worker", Broken)
        with pytest.raises(UserError, match=r"no worker could be started \(.*No module named 'onnxruntime'"):
            screen(shards, tmp_path / "start", tiny_bundle)
    assert contents(tmp_path / "versions") == contents(tmp_path / "start") == {}


@pytest.mark.slow
def test_the_command_line(two_workers, shards, tmp_path, tiny_bundle):
    command = [sys.executable, "-c", MAIN, "screen", f"{shards}/*.csv", "-o", str(tmp_path / "out")]
    command += ["--model", str(tiny_bundle), "--engine", "ray", "--address", two_workers]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "2 of 3 comments screened" in done.stdout
    assert "2 of 2 files screened" in done.stdout
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (found["shards_kept"], found["shards_done"], found["resumed"]) == (2, 0, 3)
    (shards / "empty.csv").write_text("")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "empty.csv is empty" in done.stderr
    assert "1 of 3 files have no output" in done.stderr


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"policy": Policy({"insult": {"remove": 0.5}})}, "another `policy`"),
        ({"text_column": "text"}, "another `text_column`"),
        ({"prefix": "new_"}, "another `prefix`"),
    ],
)
def test_another_runs_output_is_refused(changes, what, shards, tmp_path, tiny_bundle, monkeypatch):
    monkeypatch.setattr(screening, "_run", lambda job, bundle, shards, manifest, *_: manifest.save())
    screen(shards, tmp_path / "out", tiny_bundle)
    with pytest.raises(UserError, match=what):
        screen(shards, tmp_path / "out", tiny_bundle, **changes)


def test_an_output_within_the_input_is_no_input(shards, tiny_bundle, monkeypatch):
    seen = []
    monkeypatch.setattr(screening, "_run", lambda job, bundle, missing, *_: seen.append(len(missing)))
    screen(shards, shards / "out", tiny_bundle)
    (shards / "out" / "below").mkdir()
    (shards / "out" / "below" / "x.csv").write_text("text\nhi\n")
    screen(shards, shards / "out", tiny_bundle)
    screen(f"{shards}/**/*.csv", shards / "out", tiny_bundle)
    assert seen == [5, 5, 3]


def test_places_that_would_harm_are_refused(shards, tmp_path, tiny_bundle):
    (tmp_path / "link").symlink_to(shards)
    for target in (shards, f"{shards}/", tmp_path / "link"):
        with pytest.raises(UserError, match="is where the input is"):
            screen(shards, target, tiny_bundle)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("mine")
    with pytest.raises(UserError, match=r"has a file a\.csv already"):
        screen(shards, tmp_path / "out", tiny_bundle)
    assert (tmp_path / "out" / "a.csv").read_text() == "mine"
    with pytest.raises(UserError, match="is a file; name a folder"):
        screen(shards, tmp_path / "out" / "a.csv", tiny_bundle)
    with pytest.raises(UserError, match="no such file or folder"):
        screen(tmp_path / "nowhere", tmp_path / "out", tiny_bundle)
    with pytest.raises(UserError, match="`workers` is 0"):
        screen(shards, tmp_path / "other", tiny_bundle, workers=0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "_manifest.json").write_text('{"format": 1, "settings": []}')
    with pytest.raises(UserError, match=r"_manifest\.json is damaged"):
        screen(shards, tmp_path / "other", tiny_bundle)
