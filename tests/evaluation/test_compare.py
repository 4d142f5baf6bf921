import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from giantkiller.errors import UserError
from giantkiller.evaluation.compare import delong, paired, race, verdict
from giantkiller.evaluation.metrics import measure


def made(rows=600, seed=0, apart=(2.0, 1.0)):
    rng = np.random.default_rng(seed)
    targets = (rng.random(rows) < 0.3).astype(float)
    shared = rng.normal(size=rows)
    both = [1 / (1 + np.exp(-(each * targets - 1 + shared + rng.normal(size=rows)))) for each in apart]
    return *both, targets


def delong_by_definition(one, other, truth):
    """The placements of DeLong et al. 1988, equations 3 to 6, by comparing every pair."""
    parts = []
    for score in (one, other):
        wins = (score[truth][:, None] > score[~truth]) + 0.5 * (score[truth][:, None] == score[~truth])
        parts.append(wins)
    ups, downs = parts[0].shape
    auc = [wins.mean() for wins in parts]
    s10 = np.cov([wins.mean(axis=1) for wins in parts])
    s01 = np.cov([wins.mean(axis=0) for wins in parts])
    s = s10 / ups + s01 / downs
    return auc, (auc[0] - auc[1]) / np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([4, 1000]))
def test_delong_is_its_definition(seed, levels):
    one, other, targets = made(rows=80, seed=seed)
    one, other = np.round(one * levels) / levels, np.round(other * levels) / levels
    truth = targets >= 0.5
    auc, z = delong_by_definition(one, other, truth)
    test = delong(one, other, truth)
    assert (test.first, test.second) == pytest.approx(auc)
    assert (test.first, test.second) == pytest.approx(
        (roc_auc_score(truth, one), roc_auc_score(truth, other))
    )
    assert test.z == pytest.approx(z, rel=1e-6)


def test_delong_finds_no_difference_where_there_is_none_about_as_often_as_it_says():
    ps = [delong(*made(rows=200, seed=seed, apart=(1.5, 1.5))).p for seed in range(300)]
    assert 0.02 < np.mean(np.array(ps) < 0.05) < 0.09
    assert delong(*made()).p < 1e-6
    one, _, targets = made()
    same = delong(one, one, targets)
    assert (same.difference.value, same.p) == (0, 1)


def test_paired_figures_are_those_of_each_model_and_differences_have_both_signs():
    one, other, targets = made()
    report = paired(one, other, targets, thresholds=(0.6, 0.4), samples=100)
    alone = measure(one, targets, thresholds={"a": 0.6}, samples=0)
    assert report.figures["average_precision"].first.value == alone.average_precision.value
    assert report.figures["f1"].first.value == alone.at["a"].f1.value
    assert report.figures["average_precision"].second.value == pytest.approx(
        average_precision_score(targets >= 0.5, other)
    )
    gap = report.figures["roc_auc"].difference
    assert 0 < gap.low < gap.value < gap.high
    swapped = paired(other, one, targets, thresholds=(0.4, 0.6), samples=100)
    assert swapped.figures["roc_auc"].difference.value == pytest.approx(-gap.value)


def test_pairing_is_sharper_than_two_intervals():
    report = paired(*made(), samples=200).figures["roc_auc"]
    width = report.difference.high - report.difference.low
    apart = np.hypot(*(each.high - each.low for each in (report.first, report.second)))
    assert width < 0.9 * apart


def scorer(texts):
    return np.zeros((len(texts), 7))


def test_race_takes_turns_and_gives_each_the_same_texts():
    seen, turns = {"a": [], "b": []}, []

    def watching(name):
        def score(texts):
            seen[name].append(tuple(texts))
            if len(texts) > 1:
                turns.append(name)
            return scorer(texts)

        return score

    report = race({"a": watching("a"), "b": watching("b")}, ["x", "y", "z"], rounds=4, batch=2, single=1)
    assert seen["a"] == seen["b"]
    # After each has warmed up, who is first alternates: neither gains by the other's caches.
    assert "".join(turns) == "ab" + "abba" * 2
    assert len(seen["a"]) == 1 + 4 * 2
    assert report.models["b"].times_slower.low <= report.models["b"].times_slower.high
    assert report.models["a"].times_slower is None
    assert report.models["a"].comments_per_second > 0


def test_the_sentence_says_what_the_figures_say():
    better = paired(*made(), samples=50)
    assert "Ours has better ROC-AUC" in verdict(better, "Ours", "Giant")
    one, other, targets = made()
    assert "worse ROC-AUC" in verdict(paired(other, one, targets, samples=50), "Ours", "Giant")
    assert "cannot be told apart" in verdict(paired(one, one, targets, samples=50), "Ours", "Giant")
    untuned = verdict(better, "Ours", "Giant", fine_tuned=False)
    assert "was not fine-tuned" in untuned
    assert "better" not in untuned


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: delong([0.1, 0.2], [0.1], [True, False]), "different numbers of rows"),
        (lambda: delong([0.1, 0.2], [0.1, 0.2], [True, True]), "no negative row"),
        (lambda: paired([0.5] * 40, [2.0] * 40, np.arange(40) % 2), "between 0 and 1"),
        (lambda: race({"a": scorer}, []), "nothing to time"),
    ],
)
def test_bad_input_is_one_sentence(call, says):
    with pytest.raises(UserError, match=says):
        call()
