"""The page and the nudge in a real Chromium: from a file, under a strict policy, without a network."""

import base64
import contextlib
import functools
import gzip
import html
import importlib.util
import json
import re
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from browser import violations
from click.testing import CliRunner
from nudge_server import SAID, serving
from test_parity import LOGITS, needs_model

from giantkiller.bundle import read_bundle
from giantkiller.cli.export import command
from giantkiller.export import web
from giantkiller.screener import Screener

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-dev-shm-usage"
)
PATIENCE = 120  # seconds, for a machine that does other things as well

pytestmark = [
    pytest.mark.slow,
    needs_model,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER and importlib.util.find_spec("selenium")),
        reason="no Chromium, no chromedriver or no selenium here",
    ),
    pytest.mark.skipif(not web.TEMPLATE.is_file(), reason="no `npm run dist` in web/"),
]


@contextlib.contextmanager
def chromium(*flags):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in (*FLAGS.split(), *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    with tempfile.TemporaryDirectory() as downloads:
        driver.downloads = Path(downloads)
        try:
            driver.set_script_timeout(PATIENCE)
            driver.execute_cdp_cmd(
                "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": downloads}
            )
            yield driver
        finally:
            driver.quit()


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page that the README's line makes."""
    (line,) = re.findall(r"^giantkiller export (.*?--format web)", README, re.MULTILINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        done = CliRunner().invoke(command, line.split())
        assert done.exit_code == 0, done.output
        return Path("page.html").absolute()


def cut_network(browser, offline=True):
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )


def wait(condition, *arguments):
    """Return what a condition finds as soon as it finds something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition(*arguments):
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE} s in vain")


def text_of(browser, name):
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def said(browser, name, part):
    return wait(lambda: part in text_of(browser, name) and text_of(browser, name))


def loaded(browser, page):
    """Open a page, unless it is the one that another test has left open."""
    if browser.current_url == page.as_uri():
        type_comment(browser, "")
        wait(lambda: not text_of(browser, "verdict"))
        return
    browser.get(page.as_uri())
    wait(lambda: browser.execute_script("return !document.getElementById('comment').disabled"))


def type_comment(browser, text):
    browser.execute_script(
        "const c = document.getElementById('comment'); c.value = arguments[0];"
        "c.dispatchEvent(new Event('input'))",
        text,
    )


screener = functools.cache(lambda: Screener(threads=1))


def expected(text):
    """The verdict of Python; what model there is doesn't matter."""
    return screener().judge(text)


def screen(browser, path):
    browser.find_element("id", "file").send_keys(str(path))
    wait(lambda: text_of(browser, "outcome"))
    if browser.find_element("id", "start").is_displayed():
        browser.find_element("id", "start").click()


def requests(browser):
    """Every address that was asked for since the last call."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def test_a_comment_in_a_page_from_a_file_without_a_network(browser, page):
    cut_network(browser)
    requests(browser)
    browser.get_log("browser")
    loaded(browser, page)
    text = "You are an 1d10t <img src=x onerror=\"document.title='hit'\"> but thanks 🙂"
    type_comment(browser, text)
    said(browser, "verdict", f"({expected(text).action})")
    shown = browser.execute_script(
        "return [...document.querySelectorAll('#scores tbody tr')].map((r) => +r.cells[1].textContent)"
    )
    assert shown == pytest.approx(list(expected(text).scores.values()), abs=LOGITS / 4)
    wait(
        lambda: (
            "1d10t"
            in browser.execute_script(
                "return [...document.querySelectorAll('#marked mark.strong')].map((mark) => mark.textContent)"
            )
        )
    )
    assert text_of(browser, "marked") == text
    assert browser.execute_script("return document.querySelectorAll('#marked img').length") == 0
    assert "1d10t" in text_of(browser, "words")
    type_comment(browser, "  ")
    wait(lambda: not text_of(browser, "verdict"))
    assert all(url.startswith(("file:", "blob:", "data:")) for url in requests(browser))
    assert browser.get_log("browser") == []


def test_the_page_for_those_who_dont_see_it(browser, page):
    loaded(browser, page)
    type_comment(browser, "You are an idiot")
    said(browser, "verdict", f"({expected('You are an idiot').action})")
    unnamed = browser.execute_script(
        """return [...document.querySelectorAll('input, textarea, select, progress, meter, button')]
             .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
             .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    assert browser.execute_script("return document.documentElement.lang") == "en"
    assert browser.execute_script(
        "return [...document.querySelectorAll('[role=status]')].map((e) => e.id)"
    ) == ["loading", "cut", "verdict", "outcome"]
    headings = browser.execute_script("return [...document.querySelectorAll('h1, h2')].map((h) => h.tagName)")
    assert headings == ["H1", "H2", "H2"]
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        assert violations(browser) == []


def test_a_file_in_the_background(browser, page, tmp_path):
    cut_network(browser)
    loaded(browser, page)
    path = tmp_path / "comments.csv"
    rows = [f'{i},"You idiot number {i}"' if i % 2 else f"{i},thanks for {i}" for i in range(1500)]
    path.write_text("id,text\n" + "\n".join(rows) + "\n7,\n", encoding="utf-8")
    browser.execute_script(
        """window.seen = []; window.beats = 0; setInterval(() => {
             window.beats += 1; window.seen.push(document.getElementById('progress').value) }, 20)"""
    )
    screen(browser, path)
    type_comment(browser, "thanks")  # while the file is under way
    said(browser, "verdict", "(allow)")
    outcome = said(browser, "outcome", "1,501 rows")
    assert "1 rows could not be screened" in outcome
    assert browser.execute_script("return window.seen.filter((p) => p > 0 && p < 1).length") > 0
    assert (
        browser.execute_script("return document.getElementById('download').download")
        == "comments.screened.csv"
    )
    out = downloaded(browser)
    assert out[0].endswith("identity_attack,sexual_explicit,action,attribute,error")
    assert out[1].startswith("0,thanks for 0,0.")
    assert out[-1] == "7," + "," * 9 + ",no text"
    assert len(out) == 1502


def downloaded(browser):
    browser.find_element("id", "download").click()
    path = wait(lambda: next(browser.downloads.glob("*.screened.csv"), None))
    return path.read_text(encoding="utf-8").splitlines()


def test_a_file_that_is_no_table(browser, page, tmp_path):
    loaded(browser, page)
    path = tmp_path / "comments.csv"
    path.write_bytes(b"PK\x03\x04")
    screen(browser, path)
    said(browser, "outcome", "zip archive or an Excel workbook")
    path.write_text("a,b\nx,you idiot\n", encoding="utf-8")
    browser.find_element("id", "file").send_keys(str(path))
    said(browser, "outcome", "2 columns")
    wait(lambda: browser.find_element("id", "start").is_displayed())
    browser.execute_script("document.getElementById('column').value = 'b'")
    browser.find_element("id", "start").click()
    said(browser, "outcome", "1 rows")


def test_a_hundred_megabytes_pasted(browser, page):
    """The field takes a comment's length of them, whoever puts more there is answered, and the page lives."""
    loaded(browser, page)
    browser.execute_script(
        """const c = document.getElementById('comment'); c.focus();
           const data = new DataTransfer(); data.setData('text/plain', 'idiot '.repeat(17e6));
           c.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}));
           document.execCommand('insertText', false, 'idiot '.repeat(1e5))"""
    )
    assert "its beginning is kept" in text_of(browser, "cut")
    assert browser.execute_script("return document.getElementById('comment').value.length") == 20_000
    said(browser, "verdict", f"({expected('idiot ' * 4_000).action})")
    # A value as long as a program can set, but never laid out.
    browser.execute_script(
        """const c = document.getElementById('comment'); c.hidden = true; window.big = 'thanks '.repeat(15e6);
           Object.defineProperty(c, 'value', {get: () => window.big}); c.dispatchEvent(new Event('input'))"""
    )
    said(browser, "verdict", "(allow)")


def block(name):
    return re.compile(rf'(?<=id="{name}">)[^<]*')


def edited(page, folder, name, change):
    """A page one of whose parts was changed."""
    content = page.read_text(encoding="utf-8")
    part = gzip.decompress(base64.b64decode(block(name).search(content)[0]))
    packed = base64.b64encode(gzip.compress(change(part))).decode()
    path = folder / "tampered.html"
    path.write_text(block(name).sub(packed, content), encoding="utf-8")
    return path


def test_a_tampered_page_says_so(browser, page, tmp_path):
    flipped = edited(
        page, tmp_path, "model", lambda model: model[:1000] + bytes([model[1000] ^ 1]) + model[1001:]
    )
    browser.get(flipped.as_uri())
    said(browser, "loading", "Model.onnx is damaged or was changed: its SHA-256 is wrong")
    assert browser.execute_script("return document.getElementById('comment').disabled")
    content = page.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(block("tokenizer").sub("AAAA", content), encoding="utf-8")
    browser.get(broken.as_uri())
    said(browser, "loading", "The page is damaged")


def test_a_browser_without_simd(page):
    with chromium("--js-flags=--no-enable-ssse3 --no-enable-sse4-1 --no-enable-avx") as browser:
        browser.get(page.as_uri())
        said(browser, "loading", "This browser lacks WebAssembly SIMD")


def test_the_policy_that_a_site_chose(browser, tmp_path):
    from giantkiller.policy import Policy

    own = web.export_web(
        None, tmp_path / "own.html", policy=Policy({"insult": {"remove": 1.0, "monitor": 0.0}})
    )
    loaded(browser, own)
    type_comment(browser, "You are an idiot")
    said(browser, "verdict", "(monitor)")
    browser.execute_script(
        """const p = document.getElementById('policy'); p.value = 'default';
           p.dispatchEvent(new Event('change'))"""
    )
    said(browser, "verdict", f"({expected('You are an idiot').action})")


# The nudge, from a server.


@pytest.fixture(scope="module")
def server():
    with serving() as address:
        yield address


def visit(browser, address):
    """Open a page of the server, unless it is the one that another test has left open."""
    cut_network(browser, offline=False)
    if browser.current_url.rstrip("/") != address:
        browser.get(address)
        return
    browser.execute_script(
        """const c = document.getElementById('comment'); c.value = '';
           c.dispatchEvent(new Event('input', {bubbles: true})); window.seen = []; window.times = []"""
    )


def nudge_says(browser):
    return browser.execute_script(f"return {SAID}")


def seen(browser, count):
    return wait(
        lambda: (found := browser.execute_script("return window.seen")) and len(found) >= count and found
    )


def test_the_nudge_under_a_strict_policy(browser, server):
    visit(browser, server)
    wait(lambda: browser.execute_script("return Boolean(customElements.get('giantkiller-nudge'))"))
    requests(browser)
    browser.get_log("browser")
    field = browser.find_element("id", "comment")
    assert not requests(browser)  # nothing is loaded before the writer comes
    field.send_keys("You are an 1d10t, but thanks")
    wait(lambda: "1d10t" in nudge_says(browser))
    assert seen(browser, 1)[-1][:2] == ["verdict", expected("You are an 1d10t, but thanks").action]
    assert all(url.startswith(server) for url in requests(browser))
    live = browser.execute_script(
        "const p = document.querySelector('giantkiller-nudge').shadowRoot.querySelector('p');"
        "return [p.role, p.ariaLive]"
    )
    assert live == ["status", "polite"]
    cut_network(browser)  # once loaded, it needs nobody
    field.clear()
    field.send_keys("Thanks a lot for this")
    wait(lambda: not nudge_says(browser))
    field.send_keys(", idiot")
    wait(lambda: nudge_says(browser))
    cut_network(browser, offline=False)
    assert browser.get_log("browser") == []


def test_the_nudge_waits_for_a_pause(browser, server):
    visit(browser, server)
    typed = browser.execute_script(
        """const c = document.getElementById('comment');
           for (const letter of 'You are an idiot') {
             c.value += letter; c.dispatchEvent(new Event('input', {bubbles: true}));
           }
           return performance.now()"""
    )
    assert [it[:2] for it in seen(browser, 1)] == [["verdict", expected("You are an idiot").action]]
    assert browser.execute_script("return window.times[0]") > typed + 290


def test_the_nudge_names_the_words_of_a_long_comment_later(browser, server):
    visit(browser, server)
    browser.execute_script(
        """const nudge = document.querySelector('giantkiller-nudge');
           window.said = [];
           nudge.message = (verdict, words) => { window.said.push(words); return words.join() || 'Well.'; };
           const c = document.getElementById('comment');
           c.value = 'You are stupid idiots, all of you, and you are pathetic! '
             + 'The new bus line stops too far from the school. '.repeat(6);
           c.dispatchEvent(new Event('input', {bubbles: true}))"""
    )
    assert "idiots" in seen(browser, 1)[0][2]
    said = browser.execute_script("return window.said")
    assert len(said) == 1 or said[0] == []  # a quick machine finds them at once
    assert "idiots" in nudge_says(browser)


def test_the_nudge_and_a_hundred_megabytes(browser, server):
    visit(browser, server)
    browser.execute_script(
        """const c = document.getElementById('comment'), big = 'idiot '.repeat(17e6);
           Object.defineProperty(c, 'value', {get: () => big});
           c.dispatchEvent(new Event('input', {bubbles: true}))"""
    )
    assert seen(browser, 1)[0][1] == expected("idiot " * 4_000).action


def test_the_nudge_is_silent_when_it_cant_load(browser, server):
    visit(browser, server + "/nowhere")
    field = browser.find_element("id", "comment")
    field.send_keys("You idiot")
    assert "404" in seen(browser, 1)[0][1]
    field.send_keys("s")
    assert nudge_says(browser) == ""
    assert browser.switch_to.active_element.get_attribute("value") == "You idiots"


def test_four_threads_in_an_isolated_page(browser, server):
    visit(browser, server + "/threads")
    scores = wait(lambda: browser.execute_script("return window.scores"))
    assert browser.execute_script("return window.isolated")
    assert scores == pytest.approx(expected("You are an idiot").scores, abs=LOGITS / 4)


def test_what_an_export_refuses(tmp_path, monkeypatch):
    from giantkiller.errors import UserError

    with pytest.raises(UserError, match="no policy 'nosuch'"):
        web.export_web(None, tmp_path / "page.html", policy="nosuch")
    monkeypatch.setattr(web, "TEMPLATE", tmp_path / "nosuch.html")
    with pytest.raises(UserError, match="has no page inside"):
        web.export_web(None, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_page_names_its_model(page):
    title = html.escape(f"Screen comments: {read_bundle().name}")
    assert f"<title>{title}" in page.read_text(encoding="utf-8")
