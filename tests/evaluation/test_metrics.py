import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.metrics import TooFewRowsError, measure, measure_attributes


def made(rows=400, seed=0, levels=None):
    rng = np.random.default_rng(seed)
    targets = (rng.random(rows) < 0.3).astype(float)
    scores = 1 / (1 + np.exp(-rng.normal(1.5 * targets - 1, 1)))
    return (np.round(scores * levels) / levels if levels else scores), targets


@pytest.mark.parametrize("levels", [None, 8])
def test_every_value_is_the_one_scikit_learn_gives(levels):
    scores, targets = made(levels=levels)
    truth = targets >= 0.5
    report = measure(scores, targets, thresholds={"a": 0.4}, samples=0)
    at, called = report.at["a"], scores >= 0.4
    expected = {
        "roc_auc": sk.roc_auc_score(truth, scores),
        "average_precision": sk.average_precision_score(truth, scores),
        "brier": sk.brier_score_loss(truth, scores),
    }
    for name, value in expected.items():
        assert getattr(report, name).value == pytest.approx(value, abs=1e-12), name
    by_class = sk.precision_recall_fscore_support(truth, called)
    (precision_n, precision), (recall_n, recall), (f1_n, f1), _ = by_class
    expected = {
        "accuracy": sk.accuracy_score(truth, called),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "precision_negative": precision_n,
        "recall_negative": recall_n,
        "f1_negative": f1_n,
        "f1_macro": sk.f1_score(truth, called, average="macro"),
        "f1_weighted": sk.f1_score(truth, called, average="weighted"),
    }
    for name, value in expected.items():
        assert getattr(at, name).value == pytest.approx(value, abs=1e-12), name
    matrix = [[at.tn.value, at.fp.value], [at.fn.value, at.tp.value]]
    assert np.array_equal(matrix, sk.confusion_matrix(truth, called))


def test_best_f1_is_the_best_over_all_thresholds():
    scores, targets = made(rows=120, levels=20)
    report = measure(scores, targets, samples=0)
    by_hand = {t: sk.f1_score(targets >= 0.5, scores >= t) for t in np.unique(scores)}
    assert report.best_f1.value == pytest.approx(max(by_hand.values()))
    assert by_hand[report.best_f1_threshold.value] == pytest.approx(max(by_hand.values()))


def test_recall_at_false_positive_rate_by_hand():
    # 100 negatives: at 1 % one of them may be called toxic, at 5 % five.
    negatives = np.r_[[0.9, 0.7, 0.6, 0.5, 0.45, 0.44], np.full(94, 0.1)]
    positives = np.array([0.95, 0.8, 0.65, 0.4])
    report = measure(np.r_[negatives, positives], np.r_[np.zeros(100), np.ones(4)], samples=0)
    assert report.recall_at_fpr_1.value == 0.5  # above 0.7: 0.95 and 0.8
    assert report.recall_at_fpr_5.value == 0.75  # above 0.44: not yet 0.4


def test_ece_by_hand():
    # Fifteen bins: 0.03 and 0.05 share the first, 0.9 and 0.93 the fourteenth, 1.0 the last.
    scores, targets = np.array([0.03, 0.05, 0.9, 0.93, 1.0]), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    expected = (abs(0.03 + 0.05 - 1) + abs(0.9 + 0.93 - 1) + 0) / 5
    assert measure(scores, targets, samples=0).ece.value == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_ranking_figures_ignore_any_increasing_change_of_scores(data):
    rows = data.draw(st.integers(4, 40))
    grid = st.integers(0, 10)
    scores = np.array(data.draw(st.lists(grid, min_size=rows, max_size=rows))) / 10
    labels = st.lists(st.sampled_from([0.0, 1.0]), min_size=rows - 2, max_size=rows - 2)
    targets = np.array([0.0, 1.0, *data.draw(labels)])
    plain, bent = (measure(each, targets, samples=0) for each in (scores, scores**3 / 2))
    for name in ("roc_auc", "average_precision", "best_f1", "recall_at_fpr_1", "recall_at_fpr_5"):
        assert getattr(plain, name).value == pytest.approx(getattr(bent, name).value)
    flipped = measure(1 - scores, targets, samples=0)
    assert flipped.roc_auc.value == pytest.approx(1 - plain.roc_auc.value)


def test_intervals_are_seeded_and_hold_the_truth_about_as_often_as_they_say():
    scores, targets = made()
    assert measure(scores, targets, samples=50, seed=3) == measure(scores, targets, samples=50, seed=3)
    assert measure(scores, targets, samples=50, seed=3) != measure(scores, targets, samples=50, seed=4)
    # The true AUC of two unit normals 1.5 apart is Phi(1.5 / sqrt 2) = 0.8556.
    held = 0
    for seed in range(60):
        figure = measure(*made(rows=200, seed=seed), samples=100, seed=seed).roc_auc
        assert figure.low <= figure.value <= figure.high
        held += figure.low <= 0.8556 <= figure.high
    assert 50 <= held <= 60


def test_missing_targets_count_nowhere():
    scores, targets = made()
    holes = np.r_[targets, np.full(50, np.nan)]
    padded = np.r_[scores, np.full(50, np.nan)]
    assert measure(padded, holes, samples=20) == measure(scores, targets, samples=20)


def test_each_attribute_is_measured_by_itself():
    scores = np.full((400, 7), np.nan)
    targets = np.full((400, 7), np.nan)
    scores[:, 0], targets[:, 0] = made()
    scores[:, 4], targets[:, 4] = made(seed=1)
    scores[:, 3] = 0.5
    targets[:, 3] = 0
    measured, skipped = measure_attributes(
        scores, targets, thresholds={"bundle": {"insult": 0.3}}, samples=20
    )
    assert list(measured) == ["toxicity", "insult"]
    assert list(measured["insult"].at) == ["0.5", "bundle"]
    assert measured["insult"].decided_at[0] == "bundle"
    assert measured["toxicity"].decided_at[0] == "0.5"
    assert measured["toxicity"] == measure(scores[:, 0], targets[:, 0], samples=20)
    assert set(skipped) == set(ATTRIBUTES) - {"toxicity", "insult"}
    assert skipped["threat"].startswith("no positive row for threat")


GOOD = np.array([0.1, 0.9, 0.2, 0.8]), np.array([0.0, 1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("scores", "targets", "error", "says"),
    [
        (GOOD[0], np.zeros(4), TooFewRowsError, "no positive row"),
        (GOOD[0], np.ones(4), TooFewRowsError, "no negative row"),
        (GOOD[0], np.full(4, np.nan), TooFewRowsError, "no row has a target"),
        (GOOD[0] * 3, GOOD[1], UserError, "between 0 and 1"),
        (GOOD[0], GOOD[1] * 3, UserError, "fractions of raters"),
        (GOOD[0][:3], GOOD[1], UserError, "3 scores for 4 rows"),
        (GOOD[0] * np.nan, GOOD[1], UserError, "row 1 has a target for toxicity but no score"),
        (["low", "high", "low", "high"], GOOD[1], UserError, "not numbers"),
        (GOOD[0].reshape(2, 2), GOOD[1], UserError, "2 dimensions"),
        (GOOD[0], GOOD[1], TooFewRowsError, "an interval \\(`samples` above 0\\) needs at least 10"),
    ],
)
def test_bad_input_is_one_sentence(scores, targets, error, says):
    with pytest.raises(error, match=says) as caught:
        measure(scores, targets)
    assert "\n" not in str(caught.value)


def test_what_no_attribute_survives_is_refused():
    with pytest.raises(UserError, match="no positive row for toxicity"):
        measure_attributes(np.full((4, 7), 0.5), np.zeros((4, 7)))
    with pytest.raises(UserError, match="between 0 and 1"):
        measure_attributes(np.full((4, 7), 2.0), np.zeros((4, 7)))
    with pytest.raises(UserError, match="shape"):
        measure_attributes(np.zeros((4, 2)), np.zeros((4, 7)))
    with pytest.raises(UserError, match="3 rows of scores for 4 rows"):
        measure_attributes(np.zeros((3, 7)), np.zeros((4, 7)))


def test_stored_scores_of_the_giant_give_its_known_figures(data_dir):
    from giantkiller.data.labelled import read_labelled

    data = read_labelled(data_dir / "civil_test.parquet")
    report = measure(data.extra["toxic_bert_score"], data.targets[:, 0], samples=0)
    truth = data.targets[:, 0] >= 0.5
    assert report.roc_auc.value == pytest.approx(sk.roc_auc_score(truth, data.extra["toxic_bert_score"]))
    assert 0.88 < report.roc_auc.value < 0.96
