import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from giantkiller.errors import UserError
from giantkiller.evaluation.combine import fit, report
from giantkiller.policy import combine


def made(rows=1500, seed=0):
    rng = np.random.default_rng(seed)
    targets = (rng.random(rows) < 0.2).astype(float)
    signals = {
        "score": rng.normal(1.2 * targets, 1),
        "reports": rng.poisson(0.2 + 1.5 * targets).astype(float),
        "noise": rng.normal(size=rows),
    }
    return signals, targets


def test_the_fit_is_the_one_scikit_learn_gives():
    signals, targets = made()
    fitted = fit(signals, targets)
    columns = np.stack(list(signals.values()), axis=1)
    standard = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    theirs = LogisticRegression(C=1.0, tol=1e-8).fit(standard, targets)
    assert fitted.weights == pytest.approx(theirs.coef_[0], abs=1e-4)
    assert fitted.intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)
    assert combine(fitted, signals) == pytest.approx(theirs.predict_proba(standard)[:, 1], abs=1e-4)


def test_two_signals_beat_each_alone_on_rows_they_have_not_seen():
    found = report(*made(), samples=50)
    auc = {name: each["roc_auc"].value for name, each in found["alone"].items()}
    assert found["combined"]["roc_auc"].value > max(auc.values()) + 0.02
    assert auc["noise"] == pytest.approx(0.5, abs=0.06)
    assert found["combined"]["ece"].value < 0.05
    assert abs(found["weights"]["noise"]) < 0.2 < found["weights"]["reports"]


def test_a_missing_signal_is_refused_when_combining():
    signals, targets = made()
    fitted = fit(signals, targets)
    with pytest.raises(UserError, match="'reports' is missing"):
        combine(fitted, {"score": signals["score"], "noise": signals["noise"]})


def test_a_perfect_signal_stays_finite():
    targets = np.r_[np.zeros(30), np.ones(30)]
    fitted = fit({"oracle": targets}, targets)
    assert np.isfinite(fitted.weights).all()
    assert combine(fitted, {"oracle": [0.0, 1.0]}) == pytest.approx([0, 1], abs=0.1)


@pytest.mark.parametrize(
    ("signals", "targets", "says"),
    [
        ({}, np.zeros(30), "at least one signal"),
        ({"x": np.zeros(29)}, np.zeros(30), "29 rows for 30 labels"),
        ({"x": ["a"] * 30}, np.zeros(30), "holds words"),
        ({"x": np.r_[np.nan, np.zeros(29)]}, np.zeros(30), "missing in row 1"),
        ({"x": np.zeros(30)}, np.arange(30) % 2, "the same in every row"),
        ({"x": np.arange(30)}, np.zeros(30), "no positive row"),
    ],
)
def test_bad_input_is_one_sentence(signals, targets, says):
    with pytest.raises(UserError, match=says):
        fit(signals, targets)
