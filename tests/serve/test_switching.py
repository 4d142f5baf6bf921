"""From one bundle to another while the service answers."""

import gc
import itertools
import os
import random
import signal
import subprocess
import threading
import time
import weakref
from contextlib import closing, contextmanager

import httpx
import pytest
from bundles import build
from click.testing import CliRunner
from servers import PROGRAM, serving

from giantkiller.bundle import read_bundle
from giantkiller.calibration import Calibration
from giantkiller.cli.main import giantkiller
from giantkiller.desk import lineup
from giantkiller.errors import UserError
from giantkiller.screener import Screener
from giantkiller.serve import shelf, switching
from giantkiller.store import open_store, utc_now

TEXT = "You idiot"


@pytest.fixture
def site(tmp_path):
    """A bundle whose scores differ from the tiny one's by calibration only."""
    milder = {"toxicity": Calibration(1.0, -3.0), "insult": Calibration(1.0, -3.0)}
    return build(tmp_path / "site", name="site", calibration=milder)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(switching, "LOOK_SECONDS", 0.02)


def change(server, what, *arguments):
    service = server.service
    return what(service.store, service.settings, *arguments, "test", now=utc_now())


def score(server):
    response = server.post("/v1/score", {"text": TEXT})
    assert response.status_code == 200, response.text
    body = response.json()
    return body["model"], body["results"][0]["scores"]["toxicity"]


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@contextmanager
def load(server, threads=4):
    """Ask for scores all the time; gives the list of answers, which fills."""
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(score(server))

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in asking:
            thread.join()


def test_no_request_is_dropped_and_each_score_is_its_bundles(serve, tiny_bundle, site):
    expected = {}
    for folder in (tiny_bundle, site):
        screener = Screener(folder)
        expected[screener.bundle.digest[:12]] = round(float(screener.scores([TEXT])[0, 0]), 6)
    assert len(set(expected.values())) == 2
    with serve() as server:
        digest = change(server, lineup.add, str(site))
        with load(server) as answers:
            for _ in range(3):
                change(server, lineup.promote, digest)
                until(lambda: server.service.active == digest)
                change(server, lineup.roll_back)
                until(lambda: server.service.active is None)
        assert {model.split()[0] for model, _ in answers} == {"tiny", "site"}
        for model, value in answers:
            assert value == expected[model[-13:-1]], model
        assert len(answers) > 20


def test_an_old_bundle_goes_when_nobody_holds_it(serve, site):
    with serve() as server:
        score(server)
        old = weakref.ref(server.service.batcher)
        model = weakref.ref(server.service.screener)
        change(server, lineup.promote, change(server, lineup.add, str(site)))
        until(lambda: score(server)[0].startswith("site"))
        gc.collect()
        assert old() is None
        assert model() is None


def test_a_stream_is_scored_by_one_bundle(serve, site):
    with serve() as server:
        digest = change(server, lineup.add, str(site))

        def lines():
            yield b'{"text": "You idiot"}\n' * 128
            change(server, lineup.promote, digest)
            until(lambda: server.service.active == digest)
            yield b'{"text": "You idiot"}\n' * 128

        rows = server.client.post("/v1/screen", content=lines(), headers=server.bearer)
        assert len(set(rows.text.splitlines())) == 1
        assert rows.text.count("\n") == 256
        assert score(server)[0].startswith("site")


def test_a_bundle_that_does_not_load_leaves_the_old_one_running(serve, site, tmp_path):
    with serve() as server:
        digest = change(server, lineup.add, str(site))
        (shelf.folder_of(server.service.settings.state, digest) / "model.onnx").write_bytes(b"broken")
        with pytest.raises(UserError, match="damaged"):
            change(server, lineup.promote, digest)
        with server.service.store.write() as connection:  # as if it broke a moment later
            shelf.promote(connection, digest, "test", now=utc_now())

        def error():
            with server.service.store.read() as connection:
                return shelf.find_kept(connection, digest[:12]).error

        until(error)
        assert "model.onnx is damaged" in error()
        assert score(server)[0].startswith("tiny")
        assert server.client.get("/readyz").status_code == 200
    with serve() as server:  # nor does it keep the service from starting
        assert score(server)[0].startswith("tiny")
        change(server, lineup.add, str(site))
    with serve() as server:  # mended, it scores
        assert score(server)[0].startswith("site")


def test_what_cannot_be_promoted(serve, tiny_bundle, site, tmp_path):
    with serve() as server:
        base = change(server, lineup.add, str(tiny_bundle))
        digest = change(server, lineup.add, str(site))
        assert change(server, lineup.add, str(site)) == digest
        with pytest.raises(UserError, match="nothing to roll back"):
            change(server, lineup.roll_back)
        change(server, lineup.promote, digest)
        for what in (lineup.promote, lineup.try_out):
            with pytest.raises(UserError, match="is the active one"):
                change(server, what, digest)
        change(server, lineup.promote, base)
        for held in (digest, base):
            with pytest.raises(UserError, match="roll back first"):
                change(server, lineup.drop, held)
        with pytest.raises(UserError, match="not in"):
            change(server, lineup.promote, "0" * 64)
        with pytest.raises(UserError, match="in the meantime"):
            lineup.roll_back(server.service.store, server.service.settings, "test", now=utc_now(), seen=1)
        assert change(server, lineup.roll_back) == digest
        assert change(server, lineup.roll_back) is None
        change(server, lineup.try_out, digest)
        change(server, lineup.drop, digest)
        assert not shelf.folder_of(server.service.settings.state, digest).exists()
        with server.service.store.read() as connection:
            assert shelf.read_lineup(connection) == shelf.Lineup()
            assert [kept.digest for kept in shelf.list_kept(connection)] == [base]


def models(state, *arguments):
    return subprocess.run(
        [*PROGRAM, "models", *arguments, "--state", state], capture_output=True, text=True, timeout=60
    )


def test_the_commands(site, tiny_bundle, tmp_path):
    def models(*arguments):
        return CliRunner().invoke(giantkiller, ["models", *arguments, "--state", str(tmp_path / "state")])

    added = models("add", str(site), "--try")
    assert added.exit_code == 0, added.output
    key = added.stdout.strip()
    assert key == read_bundle(site).digest[:12]
    assert f"{key}  candidate" in models("list").stdout
    assert str(models("promote", "1f2e3d4c").exception).endswith(f"on the shelf; it holds {key}")
    assert models("shadow").stdout.startswith("0 comments")
    assert models("promote").exit_code == 0
    assert f"{key}  active" in models("list").stdout
    refused = models("drop", key)
    assert refused.exit_code == 1
    assert "roll back first" in str(refused.exception)
    assert "default scores" in models("rollback").stderr
    assert models("drop", key).exit_code == 0
    assert key not in models("list", "--json").stdout
    for wrong in (["promote"], ["promote", "1f2e3d4c"], ["try", "a"], ["add", str(tmp_path / "none")]):
        failed = models(*wrong)
        assert failed.exit_code == 1
        assert isinstance(failed.exception, UserError)
        assert "\n" not in str(failed.exception)


@pytest.mark.slow
def test_killed_in_the_middle_of_promoting_one_bundle_is_active(tiny_bundle, site, tmp_path):
    """Commands are killed at any moment, then the service with two processes, too."""
    state = tmp_path / "state"
    digest = read_bundle(site).digest
    rng = random.Random(1)
    assert models(state, "add", str(site)).returncode == 0
    for what in itertools.islice(itertools.cycle([("promote", digest[:12]), ("rollback",)]), 6):
        command = subprocess.Popen(
            [*PROGRAM, "models", *what, "--state", state],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.4, 1.2))
        command.kill()
        command.wait()
        with closing(open_store(state)) as store, store.read() as connection:
            active = shelf.read_lineup(connection).active
        assert active in (None, digest)
    wanted = "site" if active else "tiny"
    with serving(tiny_bundle, state, "--workers", "2", "--open") as (process, address, _):
        assert bundle_of(address) == {wanted}
        done = models(state, "rollback") if active else models(state, "promote", digest[:12])
        assert done.returncode == 0, done.stderr
        other = {"site", "tiny"} - {wanted}
        until(lambda: bundle_of(address) == other)
        kill_with_children(process)
    with serving(tiny_bundle, state, "--open") as (_, address, _):
        assert bundle_of(address) == other


def kill_with_children(process):
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    for pid in [process.pid, *map(int, children.stdout.split())]:
        os.kill(pid, signal.SIGKILL)


def bundle_of(address):
    """Which bundles answer, asked over connections of their own."""
    answers = [httpx.post(f"{address}/v1/score", json={"text": TEXT}, timeout=30) for _ in range(8)]
    return {answer.json()["model"].split()[0] for answer in answers}
