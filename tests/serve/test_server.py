"""The program itself: started, told wrong things, stopped, killed."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from servers import PROGRAM, error_of, serving
from sqlalchemy.exc import OperationalError

from giantkiller.cli.main import giantkiller
from giantkiller.errors import UserError
from giantkiller.store import open_store


def analyze(client, address, key, text="You idiot"):
    call = {"comment": {"text": text}, "requestedAttributes": {"TOXICITY": {}}}
    return client.post(f"{address}/v1alpha1/comments:analyze", params={"key": key}, json=call)


def suggest(client, address, key, token):
    body = {
        "comment": {"text": "You idiot"},
        "attributeScores": {"TOXICITY": {"summaryScore": {"value": 1}}},
        "clientToken": token,
    }
    return client.post(f"{address}/v1alpha1/comments:suggestscore", params={"key": key}, json=body)


def test_from_nothing_to_an_answer_and_out_again(tiny_bundle, tmp_path):
    state = tmp_path / "state"
    with serving(tiny_bundle, state) as (process, address, key):
        assert key.startswith("gk_")
        assert analyze(httpx, address, key).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    log = [json.loads(line) for line in (tmp_path / "state.log").read_text().splitlines()]
    assert [line["route"] for line in log if line["event"] == "request" and line["route"] == "analyze"]
    assert key not in str(log)
    # The key is shown once, works after a restart, and no file holds it.
    with serving(tiny_bundle, state) as (_, address, none):
        assert none == ""
        assert analyze(httpx, address, key).status_code == 200
    for path in state.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


@pytest.mark.slow
def test_killed_in_the_middle_of_load(tiny_bundle, tmp_path):
    """What was acknowledged is there afterwards."""
    state = tmp_path / "state"
    kept = []
    with serving(tiny_bundle, state) as (process, address, key):

        def load(worker):
            with httpx.Client() as client:
                try:
                    for i in range(10_000):
                        token = f"{worker}-{i}"
                        if suggest(client, address, key, token).status_code == 200:
                            kept.append(token)
                except httpx.TransportError:
                    pass

        workers = [threading.Thread(target=load, args=(i,)) for i in range(4)]
        for worker in workers:
            worker.start()
        while len(kept) < 50:
            time.sleep(0.01)
        process.kill()
        for worker in workers:
            worker.join()
    with serving(tiny_bundle, state) as (_, address, _):
        assert analyze(httpx, address, key).status_code == 200
    with closing(sqlite3.connect(state / "giantkiller.db")) as database:
        tokens = {row[0] for row in database.execute("SELECT client_token FROM feedback")}
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(kept) <= tokens
    assert len(tokens) <= len(kept) + 4


@pytest.mark.slow
def test_stopping_finishes_what_was_accepted(tiny_bundle, tmp_path):
    with serving(tiny_bundle, tmp_path / "state", "--open") as (process, address, _):
        call = json.dumps({"texts": [f"you idiot number {i} " * 50 for i in range(1000)]})
        asking = [HTTPConnection(address.removeprefix("http://"), timeout=30) for _ in range(3)]
        for one in asking:
            one.request("POST", "/v1/score", call)
        assert httpx.get(f"{address}/healthz").status_code == 200  # so those before have been accepted
        process.send_signal(signal.SIGTERM)
        answers = [one.getresponse().status for one in asking]
        assert process.wait(20) == 0
        assert 200 in answers
        assert set(answers) <= {200, 503}


@pytest.mark.slow
def test_several_processes_share_the_port(tiny_bundle, tmp_path):
    state = tmp_path / "state"
    with serving(tiny_bundle, state, "--workers", "2") as (process, address, key):
        done = subprocess.run(
            [*PROGRAM, "keys", "create", "slow", "--state", str(state), "--rate", "3", "--json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        slow = json.loads(done.stdout)["key"]
        # Each request on a connection of its own, so that both processes get some.
        with httpx.Client(headers={"Connection": "close"}) as client:
            codes = [analyze(client, address, slow).status_code for _ in range(16)]
        assert codes[:6] == [200] * 6
        assert 429 in codes
        assert {analyze(httpx, address, key).status_code for _ in range(20)} == {200}
        metrics = httpx.get(f"{address}/metrics").text
        assert counted(metrics, 'giantkiller_requests_total{route="analyze",status="200"}') >= 26
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert not (state / "metrics").exists()


def counted(metrics, name):
    return float(next(line for line in metrics.splitlines() if line.startswith(name)).split()[-1])


def test_metrics_and_the_page(server):
    server.analyze("You idiot")
    server.analyze("Thanks", key="wrong")
    metrics = server.client.get("/metrics").text
    assert counted(metrics, 'giantkiller_requests_total{route="analyze",status="200"}') >= 1
    assert counted(metrics, 'giantkiller_requests_total{route="analyze",status="400"}') >= 1
    assert counted(metrics, 'giantkiller_actions_total{action="review"}') >= 1
    assert counted(metrics, "giantkiller_batch_comments_count") >= 1
    assert counted(metrics, "giantkiller_queue_comments") == 0
    page = server.client.get("/")
    assert "script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for line in re.findall(r"<pre>(curl .*?)</pre>", page.text):
        assert server.url in line
    evil = server.client.get("/", headers={"Host": 'a"><img src=x>'}).text
    assert "<img" not in evil


def test_the_pages_lines_work(server, tmp_path):
    import html
    import shutil

    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    (tmp_path / "comments.jsonl").write_text('{"text": "You idiot"}\n')
    lines = re.findall(r"<pre>(curl .*?)</pre>", server.client.get("/").text)
    assert len(lines) == 4
    for line in lines:
        command = html.unescape(line).replace("YOUR_KEY", server.key)
        done = subprocess.run(command, shell=True, capture_output=True, cwd=tmp_path, check=True)
        assert "error" not in json.loads(done.stdout.splitlines()[0])


def test_readiness_is_the_databases_too_and_health_is_not(server, monkeypatch):
    assert server.client.get("/readyz").json()["status"] == "ready"

    def gone():
        raise OperationalError("SELECT 1", {}, Exception("no more"))

    monkeypatch.setattr(server.service.store, "read", gone)
    refused = server.client.get("/readyz")
    assert error_of(refused, 503)["details"][0]["reason"] == "NOT_READY"
    assert int(refused.headers["retry-after"]) >= 1
    assert server.client.get("/healthz").json() == {"status": "ok"}
    monkeypatch.undo()
    monkeypatch.setattr(server.service, "started", False)
    error_of(server.client.get("/readyz"), 503)


def test_metrics_beyond_loopback_need_an_admin(serve):
    with serve(host="0.0.0.0") as server:
        assert server.client.get("/metrics").status_code == 401
        assert server.client.get("/metrics", headers=server.bearer).status_code == 403
        admin = {"Authorization": f"Bearer {server.make_key('admin')}"}
        assert server.client.get("/metrics", headers=admin).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_metrics_are_not_passed_on_by_a_reverse_proxy(server, header):
    assert server.client.get("/metrics", headers={header: "203.0.113.7"}).status_code == 401
    admin = {"Authorization": f"Bearer {server.make_key('admin')}", header: "203.0.113.7"}
    assert server.client.get("/metrics", headers=admin).status_code == 200


def test_open_is_open_to_this_machine_only(serve):
    with serve(open=True) as server:
        body = {"text": "a"}
        assert server.client.post("/v1/score", json=body).status_code == 200
        assert server.client.post("/v1/score", json=body, headers={"Origin": server.url}).status_code == 200
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            assert server.client.post("/v1/score", json=body, headers=headers).status_code == 403


def test_web_pages_that_may_call(serve):
    with serve(cors_origins="https://forum.example") as server:
        asked = {"Origin": "https://forum.example", "Access-Control-Request-Method": "POST"}
        allowed = server.client.options("/v1/score", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://forum.example"
        other = server.client.options("/v1/score", headers={**asked, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_a_port_that_is_taken(tiny_bundle, tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        flags = ["--port", str(port), "--state", str(tmp_path), "--model", str(tiny_bundle)]
        done = subprocess.run(
            [*PROGRAM, "serve", *flags], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"giantkiller: can't listen on 127.0.0.1 port {port}")


def fails(state, bundle):
    """Start the service in this process, which must fail in one sentence."""
    flags = ["--port", "0", "--state", str(state), "--model", str(bundle)]
    result = CliRunner().invoke(giantkiller, ["serve", *flags])
    assert isinstance(result.exception, UserError), result
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_a_state_folder_that_is_none(tiny_bundle, tmp_path):
    (tmp_path / "file").touch()
    assert "state folder" in fails(tmp_path / "file" / "state", tiny_bundle)


def test_a_database_that_is_newer(tiny_bundle, tmp_path):
    open_store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "giantkiller.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer giantkiller" in fails(tmp_path, tiny_bundle)


def test_a_database_that_is_locked(tmp_path, monkeypatch):
    monkeypatch.setattr("giantkiller.store.database.BUSY_SECONDS", 0.1)
    open_store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "giantkiller.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        result = CliRunner().invoke(giantkiller, ["keys", "create", "a", "--state", str(tmp_path)])
        assert isinstance(result.exception, UserError)
        assert "locked" in str(result.exception)


def test_a_database_that_is_locked_keeps_the_service_from_starting(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("giantkiller.store.database.BUSY_SECONDS", 0.1)
    open_store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "giantkiller.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert "locked by another program; " in fails(tmp_path, tiny_bundle)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="can't write in the state folder"):
            open_store(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_state_folder_in_which_nothing_can_be_made(tmp_path, monkeypatch):
    def refused(self, *_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(
        UserError, match=r"can't write in the state folder .*: Permission denied; give this user"
    ):
        open_store(tmp_path)


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"x" * 5000])
def test_a_database_that_is_none(tmp_path, content):
    (tmp_path / "giantkiller.db").write_bytes(content)
    with pytest.raises(UserError, match="not a database"):
        open_store(tmp_path)


def test_keys_by_command(tmp_path):
    def run(*arguments):
        result = CliRunner().invoke(giantkiller, ["keys", *arguments, "--state", str(tmp_path)])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    key = run("create", "forum").strip()
    assert run("create", "prometheus", "--role", "admin", "--rate", "5").startswith("gk_")
    first, second = (json.loads(line) for line in run("list", "--json").splitlines())
    assert (first["name"], first["roles"], first["revoked"]) == ("forum", ["score", "submit"], None)
    assert (second["roles"], second["rate"]) == (["admin"], 5)
    assert key.split("_")[1] == first["id"]
    assert key not in run("list")
    assert run("revoke", first["id"]).strip() == f"revoked {first['id']}"
    assert json.loads(run("list", "--json").splitlines()[0])["revoked"]
    for wrong in (
        ["revoke", first["id"]],
        ["revoke", "nothing"],
        ["create", "a", "--role", "king"],
        ["create", ""],
        ["create", "a", "--rate", "0"],
    ):
        with pytest.raises(UserError):
            run(*wrong)


def test_a_revoked_key_stops_working(server):
    from giantkiller.serve.keys import revoke_key

    key = server.make_key("score")
    assert server.analyze("a", key=key).status_code == 200
    with server.service.store.write() as connection:
        revoke_key(connection, key.split("_")[1])
    until = time.monotonic() + 5
    while server.analyze("a", key=key).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert server.analyze("a", key=key).status_code == 400
