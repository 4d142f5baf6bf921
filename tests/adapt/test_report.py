"""The report of an adaptation, made by hand."""

import dataclasses
import json

import pytest

pytest.importorskip("jinja2")

from giantkiller.adapt import Settings
from giantkiller.adapt.dial import Tried
from giantkiller.adapt.judging import Flip, Flips, Group, Judged
from giantkiller.adapt.report import AdaptationReport, DecisionCounts, LearnedSummary, html, write_report
from giantkiller.evaluation.compare import PairedFigure
from giantkiller.evaluation.figures import Figure

HOSTILE = "<script>alert(1)</script>"
BETTER = PairedFigure(Figure(0.9), Figure(0.8), Figure(0.1, 0.05, 0.15))
UNKNOWN = PairedFigure(Figure(float("nan")), Figure(float("nan")), Figure(float("nan")))


@pytest.fixture
def report():
    return AdaptationReport(
        base="tiny 1",
        method="head",
        better=False,
        reasons=[f"on {HOSTILE} it changes by -0.1"],
        decisions=DecisionCounts(120, 100, 40, 3, 70, 30, "time", 5),
        learned=LearnedSummary(3, 2, 0.6, [Tried(1.0, 0.2, {"situations": 0.1})]),
        judged={"site": Judged(30, 12, BETTER, BETTER), HOSTILE: Judged(9, 0, UNKNOWN, UNKNOWN)},
        flagged=Flips(1, 0, [Flip(HOSTILE, True, 0.2, 0.8)]),
        passed=Flips(0, 0, []),
        groups={"female": Group(25, Figure(0.1, 0.05, 0.2), Figure(0.2, 0.1, 0.3))},
        settings=Settings(method="head"),
        seconds=1.5,
        parameters=7,
    )


def test_the_page_says_what_was_found_and_escapes_what_people_wrote(report):
    page = html(report)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3  # a reason, a name, a comment
    assert "from 70 decisions, judged by 30 others, told apart by time" in " ".join(page.split())
    assert "60 % of the change is kept" in page
    assert "0.800</td><td" in page.replace("\n", "")
    assert "+0.100 (+0.050 to +0.150)" in page
    assert page.count(">–<") == 4  # what nobody labelled has no figures
    assert "20.0% (10.0% to 30.0%)" in page


def test_a_page_of_turns_says_whose_scores_those_are(report):
    counts = dataclasses.replace(report.decisions, learned_from=100, judged_by=100, split_by="turns")
    page = " ".join(html(dataclasses.replace(report, decisions=counts)).split())
    assert "from 100 decisions, judged by 100 in turns, each part by what the others taught" in page
    assert "<td>decisions, in turns</td>" in page
    assert "held-out" not in page


def test_the_json_has_the_same_and_no_nan(report, tmp_path):
    assert [path.name for path in write_report(report, tmp_path / "new")] == ["report.json", "report.html"]
    found = json.loads((tmp_path / "new" / "report.json").read_text())
    assert found == json.loads(report.to_json())
    assert found["decisions"]["learned_from"] == 70
    assert found["learned"]["tried"] == [{"share": 1.0, "gain": 0.2, "losses": {"situations": 0.1}}]
    assert found["judged"]["site"]["average_precision"]["difference"] == {
        "value": 0.1,
        "low": 0.05,
        "high": 0.15,
    }
    assert found["judged"][HOSTILE]["roc_auc"]["first"]["value"] is None
    assert found["settings"]["method"] == "head"
