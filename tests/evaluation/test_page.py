"""What a browser makes of a report."""

import dataclasses
import html
import json
import os
import re
import shutil
import subprocess

import pytest
from reports import made, whole_report

from giantkiller.errors import UserError
from giantkiller.evaluation import page, plots
from giantkiller.evaluation.report import HardError, fit_validation


@pytest.fixture(scope="module")
def whole():
    return whole_report()


@pytest.fixture(scope="module")
def pictures(whole):
    return plots.draw(whole)


@pytest.mark.slow
def test_the_same_report_gives_the_same_bytes(whole, pictures, tmp_path):
    files = page.write_report(whole, tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "report.json").read_text(encoding="utf-8") == whole.json()
    assert {path.name for path in files} >= {
        "report.json", "report.html", "roc.png", "pr.png", "thresholds.png", "reliability.png",
        "histogram.png", "confusion.png", "fairness.png", "hatecheck.png", "attacks.png", "roc-insult.png",
    }  # fmt: skip
    for path in files:
        if path.suffix == ".png":
            assert path.read_bytes() == pictures[path.name][0]
            assert path.read_bytes().startswith(b"\x89PNG")


def test_the_page_is_whole_and_escapes_what_people_wrote(whole, pictures):
    text = page.html(whole, pictures)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "small &lt;model&gt;" in text
    # Nothing is fetched: every image is inside, no sheet, no script, no frame.
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', text) == []
    assert text.count("<img ") == text.count('alt="') > 8
    assert all(name in text for name in whole.attributes)
    assert "leetspeak" in text


def test_the_page_says_what_was_fitted(whole):
    _, targets, scores = made(rows=2000)
    fitted = fit_validation(scores, targets, file="val.csv")
    text = page.html(dataclasses.replace(whole, validation=fitted), {})
    assert "chosen on val.csv" in text
    assert "Log loss in five-fold cross-validation" in text


def test_words_are_cut_at_their_spans():
    error = HardError("missed", 1, 0.1, "you fool, you", [(0, 3, 0.1), (4, 8, 0.5)])
    assert page.pieces(error) == [("you", 0.1), (" ", 0.0), ("fool", 0.5), (", you", 0.0)]
    assert page.pieces(dataclasses.replace(error, text="plain", words=[])) == [("plain", 0.0)]


def test_a_folder_that_cannot_be_written(whole, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="can't write the report"):
        page.write_report(whole, tmp_path / "taken")


def browser():
    named = os.environ.get("GIANTKILLER_BROWSER")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "chrome"]
    return next((found for name in names if (found := shutil.which(name))), None)


PROBE = """<!doctype html><body style="margin:0"><iframe id="f" style="border:0;width:{width}px;height:800px"
srcdoc="{page}"></iframe><script>
document.getElementById("f").onload = () => {{
  const page = document.getElementById("f").contentDocument, root = page.documentElement;
  const veil = page.querySelector(".veil"), text = veil.querySelector(".text");
  const look = () => page.defaultView.getComputedStyle(text).filter;
  const before = look(); veil.click(); const after = look();
  document.body.dataset.result = JSON.stringify({{
    width: root.clientWidth, scroll: root.scrollWidth, before, after,
    images: [...page.images].map(i => [i.naturalWidth, i.getBoundingClientRect().width]),
    letters: parseFloat(page.defaultView.getComputedStyle(page.body).fontSize),
    alerts: page.scripts.length,
  }});
}};</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(
    browser() is None, reason="no Chromium here (install it, or name one in GIANTKILLER_BROWSER)"
)
@pytest.mark.parametrize("width", [360, 1200])
def test_a_real_browser_shows_it_on_phone_and_desk(whole, pictures, tmp_path, width):
    shown = page.html(whole, pictures)
    # The page forbids scripts; the probe stands outside and looks in.
    (tmp_path / "probe.html").write_text(PROBE.format(width=width, page=html.escape(shown)), encoding="utf-8")
    done = subprocess.run(
        [browser(), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}",
         "--window-size=1400,900", "--virtual-time-budget=20000", "--dump-dom",
         (tmp_path / "probe.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r'data-result="([^"]*)"', done.stdout)
    assert found, done.stderr[-500:]
    seen = json.loads(html.unescape(found[1]))
    assert seen["scroll"] <= seen["width"] <= width  # wide tables scroll inside their box, not the page
    assert seen["before"].startswith("blur(")
    assert seen["after"] == "none"
    assert len(seen["images"]) >= 10
    assert all(natural > 300 for natural, _ in seen["images"])
    assert all(shown <= width for _, shown in seen["images"])
    assert seen["letters"] >= 16
    assert seen["alerts"] == 0
