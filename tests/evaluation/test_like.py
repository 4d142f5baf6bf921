import json

import numpy as np
import pytest
from scipy.stats import ks_2samp, spearmanr

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import DISTRIBUTION, read_bundle
from giantkiller.calibration import follow
from giantkiller.data.labelled import Columns, Labelled
from giantkiller.errors import UserError
from giantkiller.evaluation.like import (
    LEAST_ROWS,
    compare_scores,
    fit_curve,
    ks_distance,
    rank_correlation,
    report_of,
    with_curves,
    with_distribution,
)

pa = pytest.importorskip("pyarrow")


def log_of(theirs, column=0):
    """A log of as many comments as there are scores; other attributes have none."""
    targets = np.full((len(theirs), len(ATTRIBUTES)), np.nan, np.float32)
    targets[:, column] = theirs
    return Labelled([f"comment number {i}" for i in range(len(theirs))], targets, None, Columns(pa.table({})))


def made(rows=4000, noise=0.5, seed=0):
    """Our scores, and theirs on another scale with some disagreement."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-2.5, 1.5, rows)
    scores = np.tile(1 / (1 + np.exp(-logit)), (7, 1)).T.astype(np.float32)
    theirs = 1 / (1 + np.exp(-(1.3 * logit + 2.0 + noise * rng.normal(size=rows))))
    return scores, theirs


def test_a_threshold_carried_over_sends_as_many_comments_on():
    scores, theirs = made()
    found = compare_scores(scores, log_of(theirs), model="m 1", file="scores.csv").attributes["toxicity"]
    assert found.rows == 4000
    assert 1900 < found.held_out < 2100
    assert found.after.mean_absolute_error < found.before.mean_absolute_error / 2
    assert found.after.ks < 0.06 < found.before.ks
    for cut in found.cuts:
        assert cut.before < 0.6 * cut.theirs
        assert cut.after == pytest.approx(cut.theirs, abs=0.02)
        # The threshold of ours is one of all rows, by its definition.
        assert (scores[:, 0] >= cut.ours).sum() == (theirs.astype(np.float32) >= cut.threshold).sum()
        assert 0.4 < cut.same <= 1


def test_the_curve_is_measured_on_other_rows_than_it_is_fitted_on():
    """Scores of pure chance: a curve can match their spread, and no curve brings the error to nought."""
    rng = np.random.default_rng(0)
    scores = rng.random((3000, 7)).astype(np.float32)
    theirs = np.clip(0.1 * scores[:, 0] + 0.9 * rng.random(3000), 0, 1)
    found = compare_scores(scores, log_of(theirs), model="m 1", file="f").attributes["toxicity"]
    assert found.after.mean_absolute_error > 0.2
    assert found.after.ks > 0


@pytest.mark.parametrize("seed", range(5))
def test_curves_rise(seed):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(LEAST_ROWS, 2000))
    ours = np.round(rng.beta(0.3, 2, rows), 2)  # many ties, many at 0
    theirs = np.where(rng.random(rows) < 0.7, 0.0, np.round(rng.random(rows), 1))
    curve = fit_curve(ours, theirs)
    x, y = np.array(curve).T
    assert (curve[0], curve[-1]) == ((0, 0), (1, 1))
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) > 0).all()


def test_the_same_scores_get_no_curve_worth_the_name():
    scores, _ = made()
    ours = scores[:, 0].astype(np.float64)
    np.testing.assert_allclose(follow(fit_curve(ours, ours), ours), ours, atol=0.01)


def test_figures_are_those_of_scipy():
    rng = np.random.default_rng(3)
    first, second = np.round(rng.random(500), 2), np.round(rng.random(500) ** 2, 2)
    assert ks_distance(first, second) == pytest.approx(ks_2samp(first, second).statistic)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)


def test_what_can_not_be_used_is_left_out():
    scores, theirs = made()
    log = log_of(theirs)
    log.targets[:150, 3] = theirs[:150]
    log.targets[:, 4] = 0.25
    found = compare_scores(scores, log, model="m 1", file="f")
    assert list(found.attributes) == list(found.curves) == ["toxicity"]
    assert found.skipped["threat"] == "150 comments with a score, of at least 200"
    assert found.skipped["insult"] == "all scores are 0.25"
    assert found.skipped["obscene"] == "no column, or no score in it"
    assert "curves" not in json.loads(json.dumps(report_of(found)))


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (np.full(300, np.nan), "f has no scores: call their columns TOXICITY"),
        (
            np.linspace(0, 1, 20),
            "f is too little to go by .toxicity: 20 comments with a score, of at least 200",
        ),
        (np.full(300, 0.5), "all scores are 0.5"),
        (np.linspace(1, 0, 300), "f: toxicity: where their scores are high ours are low"),
    ],
)
def test_logs_that_are_none(theirs, said):
    scores = np.tile(np.linspace(0, 1, len(theirs)), (7, 1)).T.astype(np.float32)
    with pytest.raises(UserError, match=said):
        compare_scores(scores, log_of(theirs), model="m", file="f")


def test_one_comment_again_and_again_is_no_log():
    scores, theirs = made(400)
    log = log_of(theirs)
    log.texts = ["the same"] * 400
    with pytest.raises(UserError, match="too many of the comments are the same"):
        compare_scores(scores, log, model="m", file="f")


def test_a_bundle_moves_with_its_scores(tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    scores, theirs = made()
    found = compare_scores(scores, log_of(theirs), model="m", file="scores.csv")
    new = with_curves(bundle, found, scores, name="tiny-like")
    curve = new.calibration["toxicity"].curve
    assert curve == found.curves["toxicity"]
    assert new.calibration["threat"] == bundle.calibration["threat"]
    for step, cut in bundle.policy["toxicity"].items():
        assert new.policy["toxicity"][step] == pytest.approx(follow(curve, cut))
    assert new.policy["threat"] == bundle.policy["threat"]
    assert new.threshold["toxicity"] == pytest.approx(follow(curve, 0.5))
    about = {"file": "scores.csv", "rows": 4000, "bundle": bundle.digest, "base": "tiny 1"}
    assert new.provenance["calibrated_like"] == about
    spread = new.figures[DISTRIBUTION]
    assert (spread["file"], spread["rows"]) == ("scores.csv", 4000)
    # The spread is that of their scores now.
    assert spread["toxicity"] == pytest.approx(np.histogram(theirs, 20, (0, 1))[0] / 4000, abs=0.02)
    with pytest.raises(UserError, match="follows another service already"):
        with_curves(new, found, scores, name="again")


def test_a_reference_takes_some_comments(tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    scores, _ = made(LEAST_ROWS)
    assert with_distribution(bundle, scores, "f").figures[DISTRIBUTION]["rows"] == LEAST_ROWS
    with pytest.raises(UserError, match="f has 199 comments; a reference takes at least 200"):
        with_distribution(bundle, scores[:-1], "f")
