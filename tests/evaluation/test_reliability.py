import numpy as np
import pytest

from giantkiller.calibration import sigmoid
from giantkiller.evaluation.reliability import CalibrationGap, calibration_gaps, reliability


def test_reliability_bins_count_every_row_once():
    rng = np.random.default_rng(0)
    logits = rng.normal(-1, 2, 700)
    bins = reliability(sigmoid(logits), rng.random(700) < sigmoid(logits))
    assert sum(each.rows for each in bins) == 700
    assert all(each.begin <= each.score <= each.end for each in bins)
    assert all(each.rate.low <= each.rate.value <= each.rate.high for each in bins)


def test_a_group_that_is_judged_too_harshly_shows_and_a_small_one_is_silent():
    scores, truth = np.full(300, 0.5), np.r_[np.ones(150), np.zeros(150)].astype(bool)
    groups = {
        "harsh": np.r_[np.zeros(140), np.ones(110), np.zeros(50)].astype(bool),
        "small": np.arange(300) < 5,
    }
    found = calibration_gaps(scores, truth, groups)
    assert found["harsh"].gap == pytest.approx(0.5 - 10 / 110)
    assert found["small"] == CalibrationGap(5)
