import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import LogisticRegression

from giantkiller.errors import UserError
from giantkiller.evaluation.calibration import (
    Line,
    Steps,
    apply_lines,
    choose,
    fit,
    fit_lines,
    gaps,
    reliability,
    shift_prior,
    sigmoid,
    to_logits,
    wilson,
)
from giantkiller.evaluation.metrics import TooFewRowsError, measure


def made(rows=3000, slope=1.0, intercept=0.0, seed=0):
    """Logits whose true calibration is the given line."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, rows)
    return logits, (rng.random(rows) < sigmoid(slope * logits + intercept)).astype(float)


def test_platt_is_the_one_scikit_learn_fits():
    logits, targets = made(rows=500, slope=0.6, intercept=-1)
    ours = fit("platt", logits, targets)
    theirs = _SigmoidCalibration().fit(logits, targets)
    assert ours.slope == pytest.approx(-theirs.a_, rel=1e-3)
    assert ours.intercept == pytest.approx(-theirs.b_, rel=1e-3)


def test_temperature_is_a_logistic_regression_without_intercept():
    logits, targets = made(rows=500, slope=0.4)
    plain = LogisticRegression(C=np.inf, fit_intercept=False).fit(logits[:, None], targets)
    assert fit("temperature", logits, targets) == Line(pytest.approx(plain.coef_[0, 0], rel=1e-3), 0.0)


@pytest.mark.parametrize(
    ("slope", "intercept", "method"), [(0.4, 0.0, "temperature"), (0.5, -1.5, "platt"), (1.7, 0.8, "platt")]
)
def test_the_right_method_is_chosen_and_found(slope, intercept, method):
    choice = choose(
        *made(rows=6000, slope=slope, intercept=intercept), methods=("none", "temperature", "platt")
    )
    assert choice.method == method
    assert choice.calibration.slope == pytest.approx(slope, abs=0.08)
    assert choice.calibration.intercept == pytest.approx(intercept, abs=0.15)
    assert choice.losses[method] == min(choice.losses.values())


def test_a_bend_that_no_line_follows_is_left_to_isotonic():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 6000)
    truth = np.select([logits < -1, logits < 1], [0.05, 0.5], 0.6)
    choice = choose(logits, (rng.random(6000) < truth).astype(float))
    assert choice.method == "isotonic"
    assert isinstance(choice.calibration, Steps)
    assert np.abs(choice.calibration(np.array([-3.0, 0.0, 3.0])) - [0.05, 0.5, 0.6]).max() < 0.06


def test_calibration_mends_the_error_on_rows_it_has_not_seen_and_keeps_the_order():
    fitted = fit("platt", *made(slope=0.5, intercept=-1.5))
    logits, targets = made(slope=0.5, intercept=-1.5, seed=1)
    before, after = (measure(each, targets, samples=0) for each in (sigmoid(logits), fitted(logits)))
    assert after["ece"].value < before["ece"].value / 3
    assert after["roc_auc"].value == pytest.approx(before["roc_auc"].value, abs=1e-12)


def test_every_attribute_gets_a_line_and_the_unlabelled_one_is_left_alone():
    targets = np.full((3000, 7), np.nan)
    logits = np.zeros((3000, 7))
    logits[:, 0], targets[:, 0] = made(slope=0.5, intercept=-1.5)
    lines, notes = fit_lines(logits, targets)
    assert notes["toxicity"] == "platt"
    assert lines["toxicity"]["slope"] == pytest.approx(0.5, abs=0.08)
    assert lines["threat"] == {"slope": 1.0, "intercept": 0.0}
    assert "no row has a target for threat" in notes["threat"]
    scores = apply_lines(logits, lines)
    assert scores.dtype == np.float32
    assert scores[:, 0] == pytest.approx(Line(**lines["toxicity"])(logits[:, 0]), rel=1e-6)
    assert (scores[:, 1:] == 0.5).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_prior_shift_multiplies_the_odds(score, before, after):
    shifted = shift_prior(score, before, after)
    odds = score / (1 - score) * (after / (1 - after)) / (before / (1 - before))
    assert shifted == pytest.approx(odds / (1 + odds), rel=1e-6, abs=1e-9)
    assert shift_prior(shifted, after, before) == pytest.approx(score, rel=1e-4)
    assert Line(0.7, 0.2).shifted(before, after)(1.3) == pytest.approx(
        shift_prior(Line(0.7, 0.2)(1.3), before, after), rel=1e-6
    )


def test_prior_shift_calibrates_a_site_with_another_base_rate():
    logits, targets = made(rows=40_000)
    rng = np.random.default_rng(1)
    rare = (targets == 0) | (rng.random(len(targets)) < 0.1)  # keep one toxic comment in ten
    before, after = targets.mean(), targets[rare].mean()
    plain = measure(sigmoid(logits[rare]), targets[rare], samples=0)["ece"].value
    moved = measure(shift_prior(sigmoid(logits[rare]), before, after), targets[rare], samples=0)["ece"].value
    assert moved < 0.02 < plain


def test_scores_of_exactly_zero_and_one_survive():
    assert np.isfinite(to_logits([0.0, 1.0])).all()
    assert sigmoid(to_logits([0.0, 0.3, 1.0])) == pytest.approx([0, 0.3, 1])
    logits = to_logits(np.r_[np.zeros(50), np.ones(50)])
    targets = np.r_[np.zeros(45), np.ones(50), np.zeros(5)]
    assert np.isfinite(fit("platt", logits, targets)(logits)).all()


def test_perfectly_separated_rows_still_give_a_finite_line():
    line = fit("platt", np.r_[np.full(20, -2.0), np.full(20, 2.0)], np.r_[np.zeros(20), np.ones(20)])
    # Platt's smoothed targets: (20 + 1) / (20 + 2) at one end.
    assert line(2.0) == pytest.approx(21 / 22, abs=1e-3)


def test_reliability_bars_count_every_row_once():
    logits, targets = made(rows=700)
    bars = reliability(sigmoid(logits), targets)
    assert sum(bar["rows"] for bar in bars) == 700
    assert all(bar["begin"] <= bar["score"] <= bar["end"] for bar in bars)
    assert all(bar["low"] <= bar["rate"] <= bar["high"] for bar in bars)


def test_wilson_by_its_published_example():
    # 81 of 263 (Newcombe 1998, table I): 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20)[0] == 0
    assert np.isnan(wilson(0, 0)).all()


def test_a_group_that_is_judged_too_harshly_shows_and_a_small_one_is_silent():
    scores, truth = np.full(300, 0.5), np.r_[np.ones(150), np.zeros(150)].astype(bool)
    groups = {
        "harsh": np.r_[np.zeros(140), np.ones(110), np.zeros(50)].astype(bool),
        "small": np.arange(300) < 5,
    }
    found = gaps(scores, truth, groups)
    assert found["harsh"]["gap"] == pytest.approx(0.5 - 10 / 110)
    assert found["small"] == {"rows": 5}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit("platt", np.zeros(30), np.zeros(30)), "no positive row"),
        (lambda: fit("platt", np.zeros(3), np.zeros(4)), "one for each row"),
        (lambda: fit("platt", np.full(30, np.nan), np.arange(30) % 2), "no logit"),
        (lambda: fit("platt", -made()[0], made()[1]), "wrong way round"),
        (lambda: fit("magic", *made()), "no calibration 'magic'"),
        (lambda: Line().shifted(0.1, 1.0), "base rate of 1"),
    ],
)
def test_bad_input_is_one_sentence(call, says):
    with pytest.raises(UserError, match=says):
        call()


def test_too_few_rows_are_refused():
    with pytest.raises(TooFewRowsError, match="only 5 positive rows"):
        fit("platt", np.arange(100.0), np.arange(100) >= 95)
