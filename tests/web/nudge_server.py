"""A server of pages with the nudge, under a strict policy, for any browser."""

import contextlib
import functools
import http.server
import threading
from pathlib import Path

from giantkiller.bundle import DEFAULT

WEB = Path(__file__).parents[2] / "web"
STRICT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
NUDGE = """<!doctype html><html lang="en"><link rel="icon" href="/favicon">
<textarea id="comment"></textarea>
<giantkiller-nudge for="comment" bundle="{bundle}"></giantkiller-nudge>
<script type="module" src="/dist/nudge.js"></script><script src="/events.js"></script>"""
EVENTS = """window.seen = []; window.times = [];
for (const what of ["verdict", "unavailable"]) addEventListener("giantkiller-" + what, (e) => {
  const { verdict, words, error } = e.detail;
  window.times.push(performance.now());
  window.seen.push(verdict ? [what, verdict.action, words] : [what, error.message]);
});"""
THREADS = """import { WorkerScreener } from "/dist/giantkiller.js";
const screener = await WorkerScreener.load("/bundle/", { worker: "/dist/worker.js", threads: 4 });
window.scores = await screener.predict("You are an idiot");
window.isolated = self.crossOriginIsolated;"""
PAGES = {
    "/": ("text/html", NUDGE.format(bundle="/bundle/")),
    "/nowhere": ("text/html", NUDGE.format(bundle="/nowhere/bundle/")),
    "/events.js": ("text/javascript", EVENTS),
    "/threads": ("text/html", '<!doctype html><script type="module" src="/threads.js"></script>'),
    "/threads.js": ("text/javascript", THREADS),
    "/favicon": ("image/x-icon", ""),
}
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", "": "application/octet-stream"}
SAID = "document.querySelector('giantkiller-nudge').shadowRoot.querySelector('p').textContent"
"""What the nudge says."""


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = TYPES

    def translate_path(self, path):
        for prefix, folder in (("/dist/", WEB / "dist"), ("/bundle/", DEFAULT)):
            if path.startswith(prefix) and "/" not in path[len(prefix) :]:
                return str(folder / path[len(prefix) :])
        return str(WEB / "nowhere")

    def do_GET(self):
        if self.path not in PAGES:
            return super().do_GET()
        kind, content = PAGES[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(content.encode())

    def end_headers(self):
        self.send_header("Content-Security-Policy", STRICT)
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler)) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()
