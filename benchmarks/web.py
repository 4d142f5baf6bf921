"""What the browser costs: bytes to download, time to the first score, comments a second in a worker.

Example: python benchmarks/web.py --json
Needs Chromium and chromedriver, selenium, Node, and `npm ci && npm run dist` in web/. The page is opened from
a file with the network cut, everything else is served on this machine to a cross-origin isolated page.
"""

import argparse
import functools
import gzip
import http.server
import json
import shutil
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from about import machine

from giantkiller.bundle import DEFAULT
from giantkiller.data.augment.templates import identity_sentences
from giantkiller.export.web import export_web

WEB = Path(__file__).parents[1] / "web"
SERVED = {"/dist/": WEB / "dist", "/bundle/": DEFAULT}
TYPES = {".js": "text/javascript", ".wasm": "application/wasm", "": "application/octet-stream"}
FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update"

LOAD = """const [threads, done] = arguments;
import("/dist/giantkiller.js").then(async ({ WorkerScreener }) => {
  const began = performance.now();
  window.screener = await WorkerScreener.load("/bundle/", { worker: "/dist/worker.js", threads });
  await screener.predict("You are an idiot");
  done(performance.now() - began);
}).catch((error) => done(String(error)));"""
SCORE = """const [texts, done] = arguments;
(async () => {
  const began = performance.now();
  await screener.scores(texts);
  done(performance.now() - began);
})().catch((error) => done(String(error)));"""
ONE_BY_ONE = """const [texts, explained, done] = arguments;
(async () => {
  const taken = [];
  for (const text of texts) {
    const began = performance.now();
    const { attribute } = await screener.judge(text);
    if (explained) await screener.explain(text, attribute); // as the nudge does before it speaks
    taken.push(performance.now() - began);
  }
  done(taken);
})().catch((error) => done(String(error)));"""

LONG = "The new bus line stops too far from the school, and nobody asked us, you idiots. " * 6


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = TYPES

    def translate_path(self, path):
        for prefix, folder in SERVED.items():
            if path.startswith(prefix) and "/" not in path[len(prefix) :]:
                return str(folder / path[len(prefix) :])
        return str(WEB / "nowhere")

    def do_GET(self):
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>benchmark</title>")

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def chromium():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in FLAGS.split():
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(600)
    try:
        yield driver
    finally:
        driver.quit()


def run(browser, script, *arguments):
    found = browser.execute_async_script(script, *arguments)
    if isinstance(found, str):
        raise SystemExit(f"the browser says: {found}")
    return found


def first_score(page):
    """Seconds from opening the page to the verdict on a comment that was typed at once, browser started."""
    with chromium() as browser:
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
        )
        began = time.perf_counter()
        browser.get(page.as_uri())
        browser.execute_script("document.getElementById('comment').value = 'You are an idiot'")
        while not browser.execute_script("return document.getElementById('verdict').textContent"):
            if error := browser.execute_script(
                "return document.querySelector('#loading.error')?.textContent"
            ):
                raise SystemExit(f"the page says: {error}")
            time.sleep(0.01)
        return time.perf_counter() - began


def sizes(page):
    """Bytes as they lie on the disk, and as a server sends them with gzip."""

    def both(*paths):
        contents = [path.read_bytes() for path in paths]
        return {"bytes": sum(map(len, contents)), "gzip": sum(len(gzip.compress(c)) for c in contents)}

    dist = WEB / "dist"
    bundle = [DEFAULT / name for name in ("bundle.json", "model.onnx", "tokenizer.json")]
    return {
        "page": both(page),
        "nudge, before the writer comes": both(dist / "nudge.js"),
        "nudge, once the writer comes": both(
            dist / "worker.js", dist / "ort-wasm-simd-threaded.wasm", *bundle
        ),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--comments", type=int, default=4_000)
    parser.add_argument("--json", action="store_true", help="One JSON object, nothing else.")
    arguments = parser.parse_args()
    texts = list(dict.fromkeys(identity_sentences(2 * arguments.comments, 1)[0]))[: arguments.comments]
    result = {"machine": machine(), "comments": len(texts)}
    with tempfile.TemporaryDirectory() as folder:
        page = export_web(None, Path(folder) / "page.html")
        result["sizes"] = sizes(page)
        result["page_first_score_s"] = statistics.median(first_score(page) for _ in range(arguments.rounds))
    with serving() as address:
        for threads in (1, 4):
            with chromium() as browser:
                result["browser"] = (
                    f"{browser.capabilities['browserName']} {browser.capabilities['browserVersion']}"
                )
                browser.get(address)
                loading = run(browser, LOAD, threads)
                taken = [run(browser, SCORE, texts) for _ in range(arguments.rounds)]
                single = run(browser, ONE_BY_ONE, texts[:300], False)
                explained = run(browser, ONE_BY_ONE, texts[:300], True)
                long = run(browser, ONE_BY_ONE, [LONG] * 10, True)
            result[f"threads {threads}"] = {
                "load_and_first_score_s": round(loading / 1000, 2),
                "comments_per_s": round(1000 * len(texts) / statistics.median(taken)),
                "one_comment_ms_median": round(statistics.median(single), 1),
                "one_comment_ms_95th": round(statistics.quantiles(single, n=20)[-1], 1),
                "and_words_ms_median": round(statistics.median(explained), 1),
                "and_words_ms_95th": round(statistics.quantiles(explained, n=20)[-1], 1),
                "and_words_of_96_ms": round(statistics.median(long), 1),
            }
    if not arguments.json:
        show(result)
    print(json.dumps(result))


def show(result):
    print(f"{result['browser']} on {result['machine']['cpu']}, {result['machine']['cores']} cores\n")
    for name, size in result["sizes"].items():
        print(f"{name:<34}{size['bytes'] / 1e6:8.2f} MB{size['gzip'] / 1e6:8.2f} MB with gzip")
    print(f"page, opened to first score       {result['page_first_score_s']:8.2f} s")
    for threads in (1, 4):
        for name, value in result[f"threads {threads}"].items():
            print(f"{threads} threads, {name:<23}{value:8}")


if __name__ == "__main__":
    main()
