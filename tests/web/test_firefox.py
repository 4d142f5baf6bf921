"""The page in a real Firefox, over WebDriver BiDi, which it speaks by itself."""

import contextlib
import importlib.util
import json
import re
import shutil
import subprocess
import time

import pytest
from nudge_server import SAID, serving
from test_parity import LOGITS, needs_model

from giantkiller.export import web
from giantkiller.screener import Screener

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PATIENCE = 120  # seconds, for a machine that does other things as well
QUIET = """user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1"); user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1"); user_pref("network.proxy.ssl_port", 9);
user_pref("app.normandy.enabled", false); user_pref("toolkit.telemetry.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false); user_pref("app.update.auto", false);
"""
"""A profile that reaches no network: its proxy is a port where nobody listens."""

pytestmark = [
    pytest.mark.slow,
    needs_model,
    pytest.mark.skipif(
        not (FIREFOX and importlib.util.find_spec("websocket")),
        reason="no Firefox or no websocket-client here",
    ),
    pytest.mark.skipif(not web.TEMPLATE.is_file(), reason="no `npm run dist` in web/"),
]


class Tab:
    """One tab of a Firefox."""

    def __init__(self, address):
        import websocket

        self._socket = websocket.create_connection(
            f"{address}/session", timeout=PATIENCE, suppress_origin=True
        )
        self._count = 0
        self.ask("session.new", capabilities={})
        self._context = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method, **parameters):
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv())).get("id") != self._count:
            pass
        assert answer["type"] == "success", answer
        return answer["result"]

    def open(self, url):
        self.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def run(self, expression):
        answer = self.ask(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def wait(self, expression):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := self.run(expression):
                return found
            time.sleep(0.05)
        raise AssertionError(f"waited {PATIENCE} s for {expression}")


@contextlib.contextmanager
def firefox(folder):
    (folder / "user.js").write_text(QUIET, encoding="ascii")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"]
    log = folder / "log"
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not (found := re.search(r"listening on (ws://\S+)", log.read_text(errors="replace"))):
                assert process.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < end, "Firefox doesn't begin"
                time.sleep(0.1)
            yield Tab(found[1])
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with firefox(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def test_the_page_in_firefox(tab, tmp_path):
    page = web.export_web(None, tmp_path / "page.html")
    tab.open(page.as_uri())
    loading = "document.getElementById('loading').textContent"
    tab.wait(f"!document.getElementById('comment').disabled || !{loading}.startsWith('Loading')")
    assert tab.run(loading) == ""
    text = "You are an 1d10t, but thanks 🙂"
    tab.run(f"document.getElementById('comment').value = {json.dumps(text)}")
    tab.run("document.getElementById('comment').dispatchEvent(new Event('input'))")
    marked = "[...document.querySelectorAll('#marked mark.strong')].map((mark) => mark.textContent).join()"
    assert "1d10t" in tab.wait(marked).split(",")
    expected = Screener(threads=1).judge(text)
    assert f"({expected.action})" in tab.run("document.getElementById('verdict').textContent")
    shown = tab.run("[...document.querySelectorAll('#scores tbody tr')].map((r) => +r.cells[1].textContent)")
    assert shown == pytest.approx(list(expected.scores.values()), abs=LOGITS / 4)
    tab.run(
        """(() => { const dataTransfer = new DataTransfer();
             dataTransfer.items.add(new File(['text\\nyou idiot\\nthanks\\n'], 'c.csv'));
             document.dispatchEvent(new DragEvent('drop', {dataTransfer})); })()"""
    )
    tab.wait("!document.getElementById('column-choice').hidden")
    tab.run("document.getElementById('start').click() ?? null")
    tab.wait("document.getElementById('download').hasAttribute('href')")
    assert "2 rows: allow 1" in tab.run("document.getElementById('outcome').textContent")


def test_the_nudge_in_firefox_under_a_strict_policy(tab):
    text = "You are an 1d10t"
    writes = f"""(() => {{ const c = document.getElementById('comment'); c.focus(); c.value = '{text}';
                   c.dispatchEvent(new Event('input', {{bubbles: true}})); }})() ?? null"""
    with serving() as address:
        tab.open(f"{address}/")
        tab.run(writes)
        tab.wait(f"{SAID}.includes('1d10t')")
        action = Screener(threads=1).judge(text).action
        assert tab.run("window.seen[0].slice(0, 2)") == ["verdict", action]
        tab.open(f"{address}/nowhere")
        tab.run(writes)
        assert "404" in tab.wait("window.seen")[0][1]
        assert tab.run(SAID) == ""
