import contextlib

import numpy as np
import pytest
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import LogisticRegression

from giantkiller.calibration import Calibration, calibrate, sigmoid
from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import TooFewRowsError, measure
from giantkiller.evaluation.settings import (
    WrongWayRoundError,
    choose_calibration,
    fit_settings,
    to_logits,
)
from giantkiller.evaluation.thresholds import choose_threshold


def made(rows=3000, slope=1.0, intercept=0.0, seed=0):
    """Logits whose true calibration is the given line."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, rows)
    return logits, (rng.random(rows) < sigmoid(slope * logits + intercept)).astype(float)


def test_platt_is_the_one_scikit_learn_fits():
    logits, targets = made(rows=500, slope=0.6, intercept=-1)
    choice = choose_calibration(logits, targets)
    ours = choice.calibration
    assert choice.method == "platt"
    theirs = _SigmoidCalibration().fit(logits, targets)
    assert ours.slope == pytest.approx(-theirs.a_, rel=1e-3)
    assert ours.intercept == pytest.approx(-theirs.b_, rel=1e-3)


def test_temperature_is_a_logistic_regression_without_intercept():
    logits, targets = made(rows=500, slope=0.4)
    plain = LogisticRegression(C=np.inf, fit_intercept=False).fit(logits[:, None], targets)
    choice = choose_calibration(logits, targets)
    assert choice.method == "temperature"
    assert choice.calibration == Calibration(pytest.approx(plain.coef_[0, 0], rel=1e-3), 0.0)


@pytest.mark.parametrize(
    ("slope", "intercept", "method"), [(0.4, 0.0, "temperature"), (0.5, -1.5, "platt"), (1.7, 0.8, "platt")]
)
def test_the_right_method_is_chosen_and_found(slope, intercept, method):
    choice = choose_calibration(*made(rows=6000, slope=slope, intercept=intercept))
    assert choice.method == method
    assert choice.calibration.slope == pytest.approx(slope, abs=0.08)
    assert choice.calibration.intercept == pytest.approx(intercept, abs=0.15)
    assert choice.losses[method] == min(choice.losses.values())


def test_calibration_mends_the_error_on_rows_it_has_not_seen_and_keeps_the_order():
    fitted = choose_calibration(*made(slope=0.5, intercept=-1.5)).calibration
    logits, targets = made(slope=0.5, intercept=-1.5, seed=1)
    before, after = (measure(each, targets, samples=0) for each in (sigmoid(logits), fitted.apply(logits)))
    assert after.ece.value < before.ece.value / 3
    assert after.roc_auc.value == pytest.approx(before.roc_auc.value, abs=1e-12)


def test_every_attribute_gets_settings_and_the_unlabelled_one_is_left_alone():
    targets = np.full((3000, 7), np.nan)
    logits = np.zeros((3000, 7))
    logits[:, 0], targets[:, 0] = made(slope=0.5, intercept=-1.5)
    fitted = fit_settings(logits, targets)
    assert fitted.methods["toxicity"] == "platt"
    assert fitted.calibration["toxicity"].slope == pytest.approx(0.5, abs=0.08)
    assert fitted.calibration["threat"] == Calibration(1.0, 0.0)
    assert "no row has a target for threat" in fitted.methods["threat"]
    scores = calibrate(logits, fitted.calibration).astype(np.float32)
    assert scores[:, 0] == pytest.approx(fitted.calibration["toxicity"].apply(logits[:, 0]), rel=1e-6)
    assert (scores[:, 1:] == 0.5).all()
    assert fitted.threshold["toxicity"] == choose_threshold(scores[:, 0], targets[:, 0])
    assert fitted.threshold["threat"] == 0.5
    assert list(fitted.policy) == ["toxicity"]
    assert set(fitted.notes) >= {"threat", "insult"}
    assert list(fitted.losses) == ["toxicity"]


def test_rows_that_label_nothing_are_an_error_and_no_silent_default():
    targets = np.full((500, 7), np.nan)
    targets[:, 0] = 0
    with pytest.raises(UserError, match=r"nothing can be fitted on these rows: no positive row"):
        fit_settings(np.zeros((500, 7)), targets)


def test_an_attribute_that_ranks_the_wrong_way_round_gets_no_action():
    logits, targets = np.zeros((3000, 7)), np.full((3000, 7), np.nan)
    logits[:, 0], targets[:, 0] = made()
    logits[:, 4], targets[:, 4] = -logits[:, 0], targets[:, 0]
    fitted = fit_settings(logits, targets)
    assert list(fitted.policy) == ["toxicity"]
    assert (fitted.calibration["insult"], fitted.threshold["insult"]) == (Calibration(), 0.5)
    assert "the scores for insult rank labelled rows the wrong way round" in fitted.notes["insult"]
    assert list(fitted.wrong_way_round) == ["insult"]


def test_one_complete_surprise_does_not_decide_the_calibration():
    logits, targets = made(rows=400)
    logits[0], targets[0] = 30.0, 0.0
    probability = np.clip(sigmoid(logits), 1e-4, 1 - 1e-4)
    expected = -np.log(np.where(targets == 1, probability, 1 - probability)).mean()
    assert choose_calibration(logits, targets).losses["none"] == pytest.approx(expected)


def test_logits_beyond_all_measure_are_cut():
    logits, targets = made(rows=400)
    logits[:2], targets[:2] = (-1e9, 1e9), (0.0, 1.0)
    cut = np.clip(logits, -30, 30)
    assert choose_calibration(logits, targets) == choose_calibration(cut, targets)


def test_scores_of_exactly_zero_and_one_survive():
    assert np.isfinite(to_logits([0.0, 1.0])).all()
    assert sigmoid(to_logits([0.0, 0.3, 1.0])) == pytest.approx([0, 0.3, 1])
    logits = to_logits(np.r_[np.zeros(50), np.ones(50)])
    targets = np.r_[np.zeros(45), np.ones(50), np.zeros(5)]
    assert np.isfinite(choose_calibration(logits, targets).calibration.apply(logits)).all()


def test_perfectly_separated_rows_still_give_a_finite_line():
    logits, targets = np.r_[np.full(20, -2.0), np.full(20, 2.0)], np.r_[np.zeros(20), np.ones(20)]
    line = choose_calibration(logits, targets).calibration
    assert np.isfinite([line.slope, line.intercept]).all()
    assert line.apply(2.0) > 0.95


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: choose_calibration(np.zeros(30), np.zeros(30)), "no positive row"),
        (lambda: choose_calibration(np.zeros(3), np.zeros(4)), "one for each row"),
        (lambda: choose_calibration(np.full(30, np.nan), np.arange(30) % 2), "no logit"),
        (lambda: choose_calibration(-made()[0], made()[1]), "wrong way round"),
    ],
)
def test_bad_input_is_one_sentence(call, says):
    with pytest.raises(UserError, match=says):
        call()


def test_scores_that_are_all_but_equal_are_fitted_in_silence(recwarn):
    targets = np.arange(100) % 2
    with contextlib.suppress(WrongWayRoundError):  # so close to each other, rounding decides the sign
        choose_calibration(0.3 + 1e-9 * targets, targets)
    assert not recwarn.list


def test_too_few_rows_are_refused():
    with pytest.raises(TooFewRowsError, match="only 5 positive rows"):
        choose_calibration(np.arange(100.0), np.arange(100) >= 95)
