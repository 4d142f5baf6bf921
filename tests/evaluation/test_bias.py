import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from giantkiller.errors import UserError
from giantkiller.evaluation.bias import error_rates, group_accuracies, measure_bias
from giantkiller.evaluation.identities import SWAPS, by_words, find, swap
from giantkiller.evaluation.identity_aucs import auc_by_identity, generalized_mean
from giantkiller.evaluation.swaps import Swapped, measure_swaps


def test_the_three_aucs_by_hand():
    # mention: toxic at .9 and .4, other at .6 and .1; background: toxic at .8 and .5, other at .7 and .2
    scores = np.array([0.9, 0.4, 0.6, 0.1, 0.8, 0.5, 0.7, 0.2])
    truth = np.array([1, 1, 0, 0, 1, 1, 0, 0], dtype=bool)
    mask = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    report = auc_by_identity(scores, truth, {"x": mask}, samples=0, least=2)
    found = {
        name: getattr(report.identities["x"], name).value for name in ("subgroup_auc", "bpsn_auc", "bnsp_auc")
    }
    assert found == {
        "subgroup_auc": pytest.approx(3 / 4),  # .9 beats both, .4 beats .1
        "bpsn_auc": pytest.approx(3 / 4),  # .8 beats both, .5 beats .1
        "bnsp_auc": pytest.approx(3 / 4),  # .9 beats both, .4 beats .2
    }
    assert report.overall_auc.value == pytest.approx(12 / 16)
    assert report.final.value == pytest.approx(0.75)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([5, 50, 100_000]))
def test_the_three_aucs_are_those_of_scikit_learn(seed, levels):
    rng = np.random.default_rng(seed)
    scores, truth = np.round(rng.random(120) * levels) / levels, rng.random(120) < 0.4
    mask = rng.random(120) < 0.4
    report = auc_by_identity(scores, truth, {"x": mask}, samples=0, least=1).identities["x"]
    rows = {
        "subgroup_auc": mask,
        "bpsn_auc": (mask & ~truth) | (~mask & truth),
        "bnsp_auc": (mask & truth) | (~mask & ~truth),
    }
    for name, kept in rows.items():
        assert getattr(report, name).value == pytest.approx(
            roc_auc_score(truth[kept], scores[kept]), abs=1e-12
        )


def test_a_bootstrap_sample_is_the_same_as_repeating_rows():
    # One sample gives an interval of one value: the figure on the rows that were drawn.
    from giantkiller.evaluation.figures import draws

    rng = np.random.default_rng(5)
    scores, truth, mask = rng.random(200), rng.random(200) < 0.4, rng.random(200) < 0.3
    drawn = auc_by_identity(scores, truth, {"x": mask}, samples=1, seed=9).identities["x"]
    ups, downs = next(draws(int(truth.sum()), int((~truth).sum()), 1, 9))
    rows = np.r_[np.flatnonzero(truth)[ups], np.flatnonzero(~truth)[downs]]
    repeated = auc_by_identity(scores[rows], truth[rows], {"x": mask[rows]}, samples=0).identities["x"]
    for name in ("subgroup_auc", "bpsn_auc", "bnsp_auc"):
        assert getattr(drawn, name).low == pytest.approx(getattr(repeated, name).value, abs=1e-12)


def test_generalized_mean_by_hand_and_final_score():
    assert generalized_mean([0.8, 0.8]) == pytest.approx(0.8)
    assert generalized_mean([0.5, 1.0]) == pytest.approx(((0.5**-5 + 1) / 2) ** (-1 / 5))
    rng = np.random.default_rng(0)
    scores, truth = rng.random(500), rng.random(500) < 0.5
    masks = {"a": rng.random(500) < 0.3, "b": rng.random(500) < 0.3}
    report = auc_by_identity(scores, truth, masks, samples=50)
    table = [
        [getattr(report.identities[i], k).value for i in masks]
        for k in ("subgroup_auc", "bpsn_auc", "bnsp_auc")
    ]
    means = [generalized_mean(row) for row in table]
    assert [
        getattr(report.means, k).value for k in ("subgroup_auc", "bpsn_auc", "bnsp_auc")
    ] == pytest.approx(means)
    expected = 0.25 * roc_auc_score(truth, scores) + 0.25 * sum(means)
    assert report.final.value == pytest.approx(expected)
    assert report.final.low < report.final.value < report.final.high


def test_small_groups_get_no_number():
    rng = np.random.default_rng(0)
    scores, truth = rng.random(300), rng.random(300) < 0.5
    masks = {"few": np.arange(300) < 9, "many": rng.random(300) < 0.4}
    report = auc_by_identity(scores, truth, masks, samples=0)
    few = report.identities["few"]
    assert (few.rows, few.subgroup_auc) == (9, None)
    assert few.too_small.startswith("fewer than 10")
    alone = auc_by_identity(scores, truth, {"few": masks["few"]}, samples=0)
    assert alone.final is None
    assert alone.means is None
    rates = error_rates(scores > 0.5, truth, masks)
    assert rates["few"].false_positive_rate.difference is None
    assert group_accuracies(scores > 0.5, truth, {"male": masks["few"]}).worst is None


def test_worst_group_by_hand():
    truth = np.repeat([True, False, True, False], [10, 10, 10, 10])
    male = np.repeat([True, True, False, False], [10, 10, 10, 10])
    called = truth.copy()
    called[:4] = False  # four of ten toxic comments on men are missed
    called[10] = True
    report = group_accuracies(called, truth, {"male": male, "martian": ~male}, least=10)
    assert report.worst.group == "male, toxic"
    assert report.worst.accuracy.value == pytest.approx(0.6)
    assert report.groups["male, other"].accuracy.value == pytest.approx(0.9)
    assert report.average.value == pytest.approx(35 / 40)
    assert "martian, toxic" not in report.groups


def test_error_rates_by_hand():
    truth = np.repeat([False, False, True, True], [60, 100, 60, 100])
    mask = np.repeat([True, False, True, False], [60, 100, 60, 100])
    called = truth.copy()
    called[:30] = True  # half of the harmless mentions
    called[60:70] = True  # a tenth elsewhere
    report = error_rates(called, truth, {"x": mask})["x"]
    assert report.false_positive_rate.mentioned.value == pytest.approx(0.5)
    assert report.false_positive_rate.elsewhere.value == pytest.approx(0.1)
    assert report.false_positive_rate.difference.value == pytest.approx(0.4)
    assert report.false_negative_rate.mentioned.value == 0


@pytest.mark.parametrize(
    ("text", "identities"),
    [
        ("Two women asked the Muslim shopkeeper.", {"female", "muslim"}),
        ("The White House bought a black box on Black Friday.", set()),
        ("White people and black people", {"white", "black"}),
        ("black and white pictures", set()),
        ("Manual amendments", set()),
        ("LGBTQ+ groups, Catholics and Jews", {"LGBTQ", "christian", "jewish", "other_religions"}),
    ],
)
def test_words_find_mentions(text, identities):
    assert {name for name, mask in by_words([text]).items() if mask[0]} == identities


def test_columns_win_over_words_and_unasked_rows_are_left_out():
    columns = {
        "male": np.array([0.6, 0.1, np.nan, 0.0]),
        "bisexual": np.array([0.0, 0.5, np.nan, np.nan]),
        "transgender": np.array([0.0, 0.0, np.nan, np.nan]),
    }
    found = find(["a woman", "b", "c", "d"], columns)
    assert found.source == "columns"
    assert found.masks["male"].tolist() == [True, False, False, False]
    assert found.masks["LGBTQ"].tolist() == [False, True, False, False]
    assert found.known.tolist() == [True, True, False, True]
    assert "female" not in found.masks
    assert find(["a woman"], {"likes": np.array([3.0])}).source == "word list"


@pytest.mark.parametrize(
    ("column", "says"),
    [(np.array(["yes", "no"], dtype=object), "holds words"), (np.array([0.0, 3.0]), "reaches from 0 to 3")],
)
def test_identity_columns_that_are_none(column, says):
    with pytest.raises(UserError, match=says):
        find(["a", "b"], {"muslim": column})


def test_swap_keeps_capitals_and_leaves_parts_of_words():
    words = SWAPS["muslim to christian"]
    assert swap("MUSLIMS and a Muslim; muslimah, islam", words) == (
        "CHRISTIANS and a Christian; muslimah, christianity"
    )


def test_swap_measures_a_prejudice_that_was_put_in():
    def prejudiced(texts):
        scores = np.full((len(texts), 7), np.nan)
        scores[:, 0] = [0.3 + 0.4 * ("muslim" in text.lower()) for text in texts]
        return scores

    texts = [f"A Muslim neighbour lent me {n} chairs." for n in range(30)] + ["nothing"] * 10
    report = measure_swaps(texts, prejudiced, samples=100)
    moved = report["muslim to christian"]
    assert moved.comments == 30
    assert moved.shift.value == pytest.approx(-0.4)
    assert moved.size.value == pytest.approx(0.4)
    assert moved.flipped.value == 1
    assert report["gay to straight"] == Swapped(0)


def test_audit_leaves_out_rows_where_nobody_was_asked():
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.5
    scores = np.clip(truth * 0.3 + rng.random(400) * 0.7, 0, 1)
    male = np.where(np.arange(400) < 300, rng.random(400) < 0.5, np.nan).astype(float)
    report = measure_bias(scores, truth, find([""] * 400, {"male": male}), threshold=0.5, samples=20)
    assert report.rows == 300
    assert report.source == "columns"
    assert report.jigsaw.identities["male"].rows == int((male == 1).sum())


def test_lengths_that_differ_are_refused():
    with pytest.raises(UserError, match="differ in length"):
        auc_by_identity(np.zeros(3), np.zeros(3), {"x": np.zeros(4, dtype=bool)})
