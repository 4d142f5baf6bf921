"""The example bot, between a real service and a fake of Mastodon's API made from its documentation."""

import hashlib
import hmac
import importlib.util
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "mastodon_bot.py"
SECRET = "the webhook's secret"


def load():
    spec = importlib.util.spec_from_file_location("mastodon_bot", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bot_module = load()


@pytest.fixture
def mastodon():
    """POST /api/v1/reports, as docs.joinmastodon.org/methods/reports has it."""
    reports = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if self.path != "/api/v1/reports":
                code, body = 404, {"error": "Record not found"}
            elif self.headers["Authorization"] != "Bearer token":
                code, body = 401, {"error": "The access token is invalid"}
            else:
                reports.append(form)
                code, body = 200, {"id": "48914", "status_ids": form["status_ids[]"]}
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.reports = reports
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def bot(server, mastodon):
    bot = bot_module.Bot(mastodon.url, "token", SECRET, server.url, server.key)
    listening = bot_module.serve(bot, port=0)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    bot.url = f"http://127.0.0.1:{listening.server_port}"
    yield bot
    listening.shutdown()
    listening.server_close()


def tell(bot, event, secret=SECRET):
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    answer = httpx.post(bot.url, content=body, headers={"X-Hub-Signature": f"sha256={digest}"})
    bot.waiting.join()
    return answer.status_code


def post(content, visibility="public", spoiler_text="", event="status.created"):
    status = {
        "id": "108882889550545820", "visibility": visibility, "spoiler_text": spoiler_text,
        "content": content, "account": {"id": "108366849347798387", "acct": "ada"},
    }  # fmt: skip
    return {"event": event, "created_at": "2026-11-24T00:00:00.000Z", "object": status}


def test_the_bot_reports_what_calls_for_a_look(bot, mastodon):
    assert tell(bot, post("<p>You <b>idi</b>ot<br>idiot</p>")) == 202
    assert mastodon.reports == [
        {
            "account_id": ["108366849347798387"],
            "status_ids[]": ["108882889550545820"],
            "comment": ["toxicity 1.00: remove (automatic score)"],
        }
    ]
    assert tell(bot, post("<p>thanks</p>", spoiler_text="stupid stupid")) == 202
    assert tell(bot, post("<p>idiot</p>", event="status.updated")) == 202
    assert len(mastodon.reports) == 3


@pytest.mark.parametrize(
    "event",
    [
        post("<p>thanks</p>"), post(""), post("<img alt='idiot'>"), post("<p>idiot</p>", "direct"),
        post("<p>idiot</p>", "private"), post("<p>idiot</p>", event="report.created"),
    ],
)  # fmt: skip
def test_the_bot_leaves_the_rest_alone(bot, mastodon, event):
    assert tell(bot, event) == 202
    assert mastodon.reports == []


def test_the_bot_takes_nothing_from_strangers(bot, mastodon):
    assert tell(bot, post("<p>idiot</p>"), secret="another") == 401
    assert httpx.post(bot.url, json=post("<p>idiot</p>")).status_code == 401
    assert tell(bot, b"[]") == 400
    assert tell(bot, b"{") == 400
    assert tell(bot, {"event": "status.created", "object": 3}) == 400
    assert mastodon.reports == []


def test_the_bot_outlives_what_goes_wrong(bot, mastodon, capsys):
    bot.token = "wrong"
    assert tell(bot, post("<p>idiot unmistakable</p>")) == 202
    assert mastodon.reports == []
    assert "HTTPError" in (told := capsys.readouterr().err)
    assert "unmistakable" not in told
    bot.token = "token"
    assert tell(bot, post("<p>idiot</p>")) == 202
    assert len(mastodon.reports) == 1


def test_the_bot_says_what_it_needs():
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MASTODON_")}
    done = subprocess.run([sys.executable, SCRIPT], env=clean, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("set MASTODON_URL, MASTODON_TOKEN, MASTODON_SECRET")
