"""What a report says."""

import itertools
import json

import numpy as np
import pytest
from reports import CONFIG, MODEL, made, scorer, whole_report

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.metrics import measure
from giantkiller.evaluation.report import evaluate, fit_validation
from giantkiller.evaluation.settings import fit_settings, to_logits
from giantkiller.evaluation.thresholds import PolicyAims


@pytest.fixture(scope="module")
def whole():
    return whole_report()


def test_the_report_is_json_without_nan(whole):
    found = json.loads(whole.json())
    assert found["format"] == 2
    assert found["attributes"]["toxicity"]["roc_auc"].keys() == {"value", "low", "high"}
    assert found["settings"] == {"samples": 50, "seed": 0, "positive_from": 0.5}
    assert found["suites"]["hatecheck"]["by"]["toxicity"]["accuracy"]["value"] == 0.8


def test_figures_of_the_report_are_those_of_metrics(whole):
    _, targets, scores = made()
    alone = measure(scores[:, 0], targets[:, 0], thresholds={"0.5": 0.5, "bundle": 0.4}, samples=50)
    assert whole.attributes["toxicity"].roc_auc == alone.roc_auc
    assert whole.attributes["toxicity"].at == alone.at
    assert set(whole.attributes) | set(whole.skipped) == set(ATTRIBUTES)


def test_curves_begin_and_end_where_curves_do(whole):
    block = whole.attributes["toxicity"]
    roc, pr = block.curves.roc.value, block.curves.pr.value
    assert roc[-1] == 1
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(roc))
    assert pr[-1] >= block.positives / 400 - 1e-9
    assert (block.curves.roc.low <= block.curves.roc.high).all()
    assert np.trapezoid(roc, block.curves.grid) == pytest.approx(block.roc_auc.value, abs=0.02)


def test_the_words_of_an_error_are_those_of_its_own_comment():
    texts, targets, scores = made()
    report = evaluate(
        texts, targets, scores, CONFIG, model=MODEL, file="made.csv",
        explain=lambda text: [(0, len(text), 1.0)],
    )  # fmt: skip
    assert {error.kind for error in report.errors} == {"missed", "false alarm"}
    for error in report.errors:
        assert error.text == texts[error.row - 1]
        assert error.words == [(0, len(error.text), 1.0)]
    first = report.errors[0]
    assert (first.kind, first.row, first.score) == ("missed", 1, pytest.approx(0.001))


def test_a_report_for_publishing_has_no_comments_in_it():
    texts, targets, scores = made()
    config = EvaluationConfig(samples=0, errors=0)
    report = evaluate(texts, targets, scores, config, model=MODEL, file="made.csv")
    assert "number 5" not in report.json()
    assert report.errors == []


def test_figures_alone_need_no_curves():
    texts, targets, scores = made()
    report = evaluate(
        texts, targets, scores, CONFIG, model=MODEL, file="made.csv", scorer=scorer, in_full=False
    )
    assert report.attributes["toxicity"].curves is report.bias is report.policy is None


def test_fitting_is_done_on_validation_and_holds_on_test():
    _, targets, scores = made(rows=4000)
    scores = np.where(np.isnan(scores), np.nan, scores**2)  # miscalibrated
    fitted = fit_validation(scores, targets, ["precision=0.9", "capacity=0.1"], file="val.csv")
    assert fitted.methods["toxicity"] == "platt"
    assert list(fitted.thresholds) == ["validation", "precision=0.9", "capacity=0.1"]
    assert "threat" not in fitted.thresholds["validation"]
    _, others, raw = made(rows=4000, seed=1)
    raw = np.where(np.isnan(raw), np.nan, raw**2)
    mended = fitted.apply(raw)
    assert np.isnan(mended[:, 3]).all()
    config = EvaluationConfig(thresholds=fitted.thresholds, policy=fitted.policy, samples=0)
    report = evaluate([""] * 4000, others, mended, config, model=MODEL, file="test.csv")
    block = report.attributes["toxicity"]
    assert block.ece.value < 0.03
    assert block.at["precision=0.9"].precision.value == pytest.approx(0.9, abs=0.04)
    assert (mended[:, 0] >= block.at["capacity=0.1"].threshold).mean() == pytest.approx(0.1, abs=0.02)
    assert report.policy.consequences.caught.value > 0.66
    with pytest.raises(UserError, match="`choose` got 'precision=high'"):
        fit_validation(scores, targets, ["precision=high"])


def test_what_is_judged_is_what_export_would_ship():
    """One fit for both: the same rows give the same calibration, thresholds and policy."""
    _, targets, scores = made(rows=2000)
    scores[:, [1, 2, 3, 5, 6]] = 0.5
    judged = fit_validation(scores, targets)
    shipped = fit_settings(to_logits(scores), targets)
    assert judged.policy == shipped.policy.to_dict()
    assert judged.calibration == shipped.calibration
    assert judged.thresholds["validation"] == shipped.threshold
    assert judged.notes == shipped.notes
    assert judged.aims == PolicyAims()
