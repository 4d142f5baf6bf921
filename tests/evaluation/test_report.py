"""The report as a whole: figures, files, and what a browser makes of them."""

import html
import itertools
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation import assess, plots, report
from giantkiller.evaluation.assess import Wishes

RATES = ("accuracy", "missed", "false_alarms")
SCRIPT = "<script>alert(1)</script> you fool"


def made(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.full((rows, 7), np.nan)
    scores = np.full((rows, 7), np.nan)
    for column in (0, 4):
        targets[:, column] = rng.random(rows) < 0.3
        scores[:, column] = 1 / (1 + np.exp(-rng.normal(2.5 * targets[:, column] - 1.5, 1)))
    who = ["a man", "a woman", "a Muslim", "nobody"]
    texts = [f"{who[n % 4]} said something, number {n}" for n in range(rows)]
    # The model misses this one by far, so that it must turn up among the errors.
    texts[0], targets[0, 0], scores[0, 0] = SCRIPT, 1, 0.001
    return texts, targets, scores


def scorer(texts):
    scores = np.full((len(texts), 7), np.nan)
    scores[:, 0] = [0.2 + 0.1 * ("muslim" in text.lower()) for text in texts]
    return scores


WISHES = Wishes(
    thresholds={"bundle": {"toxicity": 0.4, "insult": 0.4}},
    policy={"toxicity": {"monitor": 0.2, "review": 0.4, "remove": 0.85}},
    samples=50,
    errors=3,
)


@pytest.fixture(scope="module")
def whole():
    texts, targets, scores = made()
    result = assess.assess(
        texts, targets, scores, WISHES, scorer=scorer, explain=lambda text: [(26, 29, 0.2), (30, 34, -0.1)]
    )
    result["model"] = {"name": "small <model>", "kind": "scores", "about": {}}
    result["data"] = {"file": "made.csv", "rows": len(texts)}
    result["training"] = {
        "log": [
            {"phase": "base", "step": n, "seconds": 10.0 * n, "loss": 1 / n, "score": n / 10}
            for n in (1, 2, 3)
        ],
        "score": "average precision",
        "ledger": [],
    }
    figure = {"value": 0.8, "low": 0.7, "high": 0.9}
    result["suites"] = {
        "hatecheck": {
            "file": "h.csv", "rows": 10,
            "by": {"toxicity": {
                "threshold": 0.4, "accuracy": figure, "roc_auc": figure,
                "functionalities": {"slur_h": {"rows": 5, "hateful": True, "accuracy": figure},
                                    "ident_nh": {"rows": 5, "hateful": False, "accuracy": figure}},
                "targets": {"women": {"rows": 5, **dict.fromkeys(RATES, figure)}},
            }},
        },
        "paradetox": {
            "file": "p.csv", "rows": 10, "threshold": 0.4, "ranked_rightly": figure, "drop": figure,
            "toxic_caught": figure, "rewrites_called_toxic": figure,
        },
        "spelling-attacks": {
            "file": "c.csv", "rows": 10,
            "attacks": {
                name: {"recall": figure, "false_positive_rate": figure, "roc_auc": figure,
                       "average_precision": figure, "average_precision_kept": kept}
                for name, kept in (("none", 1.0), ("leetspeak", 0.875))
            },
        },
    }  # fmt: skip
    return result


@pytest.fixture(scope="module")
def pictures(whole):
    return plots.draw(whole)


def test_the_report_is_json_without_nan_and_the_same_one_gives_the_same_bytes(whole, pictures, tmp_path):
    text = json.dumps(whole, allow_nan=False)
    assert json.loads(text) == whole
    files = report.write(whole, tmp_path / "new" / "folder")
    assert report.read(tmp_path / "new" / "folder" / "report.json") == whole
    assert {path.name for path in files} >= {
        "report.json", "report.html", "card.md", "roc.png", "pr.png", "thresholds.png", "reliability.png",
        "histogram.png", "confusion.png", "fairness.png", "hatecheck.png", "attacks.png", "training.png",
        "roc-insult.png",
    }  # fmt: skip
    for path in files:
        if path.suffix == ".png":
            assert path.read_bytes() == pictures[path.name][0]
            assert path.read_bytes().startswith(b"\x89PNG")


def test_figures_of_the_report_are_those_of_metrics(whole):
    from giantkiller.evaluation.metrics import as_json, measure

    _, targets, scores = made()
    alone = as_json(measure(scores[:, 0], targets[:, 0], thresholds={"0.5": 0.5, "bundle": 0.4}, samples=50))
    for name, value in alone.items():
        assert whole["attributes"]["toxicity"][name] == value


def test_curves_begin_and_end_where_curves_do(whole):
    curves = whole["attributes"]["toxicity"]["curves"]
    roc, pr = curves["roc"]["value"], curves["pr"]["value"]
    assert roc[-1] == 1
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(roc))
    assert pr[-1] >= whole["attributes"]["toxicity"]["positives"] / 400 - 1e-9
    assert all(a <= v + 1e-9 for a, v in zip(curves["roc"]["low"], np.ones(101), strict=True))
    area = np.trapezoid(roc, curves["grid"])
    assert area == pytest.approx(whole["attributes"]["toxicity"]["roc_auc"]["value"], abs=0.02)


def test_the_page_is_whole_and_escapes_what_people_wrote(whole, pictures):
    page = report.html(whole, pictures)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "small &lt;model&gt;" in page
    # Nothing is fetched: every image is inside, no sheet, no script, no frame.
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page) == []
    assert page.count("<img ") == page.count('alt="') > 8


def test_words_are_cut_at_their_spans():
    pieces = report.words({"text": "you fool, you", "words": [[0, 3, 0.1], [4, 8, 0.5]]})
    assert pieces == [("you", 0.1), (" ", 0.0), ("fool", 0.5), (", you", 0.0)]
    assert report.words({"text": "plain"}) == [("plain", 0.0)]


def test_a_report_for_publishing_has_no_comments_in_it():
    texts, targets, scores = made()
    result = assess.assess(texts, targets, scores, Wishes(samples=0, errors=0))
    assert "number 5" not in json.dumps(result)
    assert result["errors"] == []


def test_fitting_is_done_on_validation_and_holds_on_test():
    _, targets, scores = made(rows=4000)
    scores = np.where(np.isnan(scores), np.nan, scores**2)  # miscalibrated
    fitted = assess.fit(scores, targets, ["precision=0.9", "capacity=0.1"])
    assert fitted["methods"]["toxicity"] == "platt"
    assert list(fitted["thresholds"]) == ["validation", "precision=0.9", "capacity=0.1"]
    assert "threat" not in fitted["thresholds"]["validation"]
    _, others, raw = made(rows=4000, seed=1)
    raw = np.where(np.isnan(raw), np.nan, raw**2)
    mended = assess.recalibrated(raw, fitted["lines"])
    assert np.isnan(mended[:, 3]).all()
    wishes = Wishes(thresholds=fitted["thresholds"], policy=fitted["policy"], samples=0)
    result = assess.assess([""] * 4000, others, mended, wishes)
    block = result["attributes"]["toxicity"]
    assert block["ece"]["value"] < 0.03
    assert block["at"]["precision=0.9"]["precision"]["value"] == pytest.approx(0.9, abs=0.04)
    assert (mended[:, 0] >= block["at"]["capacity=0.1"]["threshold"]).mean() == pytest.approx(0.1, abs=0.02)
    assert result["policy"]["consequences"]["caught"]["value"] == pytest.approx(0.9, abs=0.04)
    with pytest.raises(UserError, match="is no choice"):
        assess.fit(scores, targets, ["precision=high"])


def test_the_card_has_valid_metadata_and_every_section(whole):
    yaml = pytest.importorskip("yaml")
    text = report.card(whole)
    begin, end = text.index("---\n"), text.index("\n---\n", 5)
    head = yaml.safe_load(text[begin + 4 : end])
    result = head["model-index"][0]["results"][0]
    assert result["metrics"][0]["value"] == round(whole["attributes"]["toxicity"]["roc_auc"]["value"], 4)
    assert {"type", "name", "value"} <= result["metrics"][0].keys()
    for section in (
        "Intended use",
        "Figures",
        "For whom",
        "Limits",
        "Data and recipe",
        "Licence and citation",
    ):
        assert f"## {section}" in text
    # Tables are whole: every row of a table has as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_the_hubs_own_parser_takes_the_metadata(whole):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(report.card(whole))
    assert card.data.license == "apache-2.0"
    assert {each.metric_type for each in card.data.eval_results} >= {"roc_auc", "f1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not JSON"), ("{}", "no report of this version"), ("[]", "no report of this version")],
)
def test_reading_what_is_no_report(tmp_path, text, says):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UserError, match=says):
        report.read(tmp_path / "report.json")


def test_a_folder_that_cannot_be_written(whole, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="can't write the report"):
        report.write(whole, tmp_path / "taken")


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


@pytest.mark.skipif(
    browser() is None, reason="no Chromium here (install it, or name one in GIANTKILLER_BROWSER)"
)
@pytest.mark.parametrize("width", [360, 1200])
def test_a_real_browser_shows_it_on_phone_and_desk(whole, pictures, tmp_path, width):
    page = report.html(whole, pictures)
    # The page forbids scripts; the probe stands outside and looks in.
    (tmp_path / "probe.html").write_text(PROBE.format(width=width, page=html.escape(page)), encoding="utf-8")
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


def test_every_attribute_has_words_in_the_page(whole):
    page = report.html(whole, {})
    assert all(name in page for name in whole["attributes"])
    assert set(whole["attributes"]) | set(whole["skipped"]) == set(ATTRIBUTES)
