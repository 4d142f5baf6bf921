import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.evaluation.thresholds import (
    PolicyAims,
    choose_threshold,
    consequences,
    fit_policy,
    fit_thresholds,
    sweep,
)
from giantkiller.policy import ACTIONS


def made(rows=2000, seed=0, apart=2.0):
    rng = np.random.default_rng(seed)
    targets = (rng.random(rows) < 0.1).astype(float)
    return 1 / (1 + np.exp(-rng.normal(apart * targets - 2, 1))), targets


# By hand: scores falling, toxic at places 0, 1, 3, 6.
HAND = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]), np.array([1.0, 1, 0, 1, 0, 0, 1, 0])


def test_sweep_by_hand():
    table = sweep(*HAND)
    assert table.threshold == pytest.approx([0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.2])
    assert table.precision == pytest.approx([1, 1, 2 / 3, 3 / 4, 3 / 5, 3 / 6, 4 / 7, 4 / 8])
    assert table.recall == pytest.approx([0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 1, 1])
    assert table.flagged == pytest.approx(np.arange(1, 9) / 8)
    assert table.false_positive_rate == pytest.approx([0, 0, 0.25, 0.25, 0.5, 0.75, 0.75, 1])


@pytest.mark.parametrize(
    ("by", "value", "expected"),
    [
        ("f1", None, 0.55),
        ("recall", 0.75, 0.55),
        ("recall", 1.0, 0.25),
        ("cost", 1.0, 0.75),  # 2 missed; at 0.55: 1 missed, 1 false alarm: a tie, the higher wins
        ("cost", 10.0, 0.25),
        ("capacity", 0.5, 0.55),
        ("capacity", 0.13, 0.85),
    ],
)
def test_choices_by_hand(by, value, expected):
    assert choose_threshold(*HAND, by=by, value=value) == pytest.approx(expected)


def test_choices_on_many_rows_reach_what_they_promise():
    scores, targets = made(apart=4)
    truth = targets >= 0.5
    called = scores >= choose_threshold(scores, targets, by="precision", value=0.95)
    assert precision_score(truth, called) >= 0.95
    assert recall_score(truth, scores >= choose_threshold(scores, targets, by="recall", value=0.9)) >= 0.9
    best = f1_score(truth, scores >= choose_threshold(scores, targets))
    assert all(best >= f1_score(truth, scores >= t) - 1e-12 for t in np.linspace(0.05, 0.95, 50))
    # 200 a day of 10,000
    assert (scores >= choose_threshold(scores, targets, by="capacity", value=0.02)).sum() == 40


def test_precision_is_not_believed_from_a_handful_of_comments():
    # The three highest are toxic by luck, then it is a coin.
    rng = np.random.default_rng(0)
    scores = np.linspace(1, 0, 200)
    targets = np.r_[np.ones(3), (rng.random(197) < 0.5)].astype(float)
    with pytest.raises(UserError, match="no threshold for toxicity reaches 95% precision on 20 comments"):
        choose_threshold(scores, targets, by="precision", value=0.95)


STRICT = PolicyAims(remove_precision=0.95, review_recall=0.90, monitor_recall=0.97)


def test_fitted_policy_keeps_its_promises_and_its_order():
    scores, targets = np.full((4000, 7), np.nan), np.full((4000, 7), np.nan)
    scores[:, 0], targets[:, 0] = made(rows=4000, apart=3)
    scores[:, 4], targets[:, 4] = made(rows=4000, apart=0.5, seed=1)  # too weak to remove anything
    policy, notes = fit_policy(scores, targets, aims=STRICT)
    lines = policy["toxicity"]
    assert lines["monitor"] < lines["review"] < lines["remove"]
    truth = targets[:, 0] >= 0.5
    assert precision_score(truth, scores[:, 0] >= lines["remove"]) >= 0.95
    assert recall_score(truth, scores[:, 0] >= lines["review"]) >= 0.90
    assert recall_score(truth, scores[:, 0] >= lines["monitor"]) >= 0.97
    assert list(policy) == ["toxicity", "insult"]
    assert "remove" not in policy["insult"]
    assert "nothing is removed by insult" in notes["insult"]
    assert "no row has a target for threat" in notes["threat"]
    assert "remove" in policy["toxicity"]
    assert "toxicity" not in notes
    decisions = fit_thresholds(scores, targets)
    assert decisions["threat"] == 0.5
    assert decisions["toxicity"] == choose_threshold(scores[:, 0], targets[:, 0])


def test_a_policy_of_few_rows_says_how_many_it_needs():
    """The sentence goes on the model card: no word of intervals or bootstraps, which a policy has not."""
    scores, targets = np.full((500, 7), np.nan), np.full((500, 7), np.nan)
    scores[:, 0], targets[:, 0] = np.linspace(1, 0, 500), np.arange(500) < 11
    policy, notes = fit_policy(scores, targets, aims=PolicyAims())
    assert dict(policy) == {}
    assert notes["toxicity"] == (
        "toxicity leads to no action: only 11 positive rows for toxicity: a policy needs at least 30 of each "
        "class"
    )


def test_every_attribute_without_an_action_is_explained():
    """The card lists what is said here: no attribute lacks `remove` in silence."""
    scores, targets = np.full((2000, 7), np.nan), np.full((2000, 7), np.nan)
    for column, apart in enumerate((4, 0.1)):
        scores[:, column], targets[:, column] = made(apart=apart)
    policy, notes = fit_policy(scores, targets, aims=PolicyAims())
    removing = {attribute for attribute, steps in policy.items() if "remove" in steps}
    assert removing == {"toxicity"}
    assert set(notes) == set(ATTRIBUTES) - removing


def test_an_attribute_of_an_enriched_file_never_removes_and_says_why():
    scores, targets = np.full((2000, 7), np.nan), np.full((2000, 7), np.nan)
    scores[:, 0], targets[:, 0] = made(apart=4)
    policy, notes = fit_policy(scores, targets, aims=PolicyAims(), enriched={"toxicity": "train.csv"})
    assert list(policy["toxicity"]) == ["monitor", "review"]
    assert notes["toxicity"].startswith("nothing is removed by toxicity: its thresholds come from train.csv")


def test_a_policy_whose_removal_alone_finds_enough_is_still_in_order():
    """At 60 % precision the threshold of `remove` lies below the one that reaches 10 % recall."""
    scores, targets = np.full((2000, 7), np.nan), np.full((2000, 7), np.nan)
    scores[:, 0], targets[:, 0] = made(apart=4)
    aims = PolicyAims(remove_precision=0.6, review_recall=0.1, monitor_recall=0.2)
    steps = fit_policy(scores, targets, aims=aims)[0]["toxicity"]
    assert steps["monitor"] == steps["review"] == steps["remove"]


def test_consequences_by_hand():
    # 10 toxic of 100: 4 removed, 4 reviewed, 2 allowed; of 90 others 1 removed, 9 reviewed, 80 allowed.
    taken = np.array(ACTIONS)[np.repeat([3, 2, 0, 3, 2, 0], [4, 4, 2, 1, 9, 80])]
    truth = np.arange(100) < 10
    report = consequences(taken, truth, samples=0)
    assert report.actions["remove"].comments.value == pytest.approx(500)
    assert report.actions["remove"].precision.value == pytest.approx(0.8)
    assert report.actions["review"].not_toxic.value == pytest.approx(900)
    assert report.actions["allow"].toxic.value == pytest.approx(200)
    assert report.actions["monitor"].comments.value == 0
    assert np.isnan(report.actions["monitor"].precision.value)
    assert report.caught.value == pytest.approx(0.8)
    assert report.removed_wrongly.value == pytest.approx(1 / 90)
    elsewhere = consequences(taken, truth, base_rate=0.01, samples=0)
    assert elsewhere.actions["remove"].toxic.value == pytest.approx(40)
    assert elsewhere.actions["remove"].not_toxic.value == pytest.approx(9900 / 90)
    assert elsewhere.caught.value == pytest.approx(0.8)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=40, max_size=80), st.floats(0.01, 0.99))
def test_consequences_add_up_to_all_comments(taken, rate):
    truth = np.arange(len(taken)) % 2 == 0
    report = consequences(np.array(ACTIONS)[taken], truth, base_rate=rate, samples=30)
    assert sum(report.actions[name].comments.value for name in ACTIONS) == pytest.approx(10_000)
    assert sum(report.actions[name].toxic.value for name in ACTIONS) == pytest.approx(10_000 * rate)
    for name in ACTIONS:
        figure = report.actions[name].comments
        assert figure.low <= figure.high


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: choose_threshold(*HAND, by="luck"), "not by 'luck'"),
        (lambda: choose_threshold(*HAND, by="precision"), "a share between 0 and 1, not None"),
        (lambda: choose_threshold(*HAND, by="recall", value=1.5), "a share between 0 and 1, not 1.5"),
        (lambda: choose_threshold(*HAND, by="cost", value=0), "a positive number, not 0"),
        (lambda: choose_threshold(np.full(8, 0.5), HAND[1], by="capacity", value=0.1), "they tie"),
        (lambda: choose_threshold(HAND[0], np.zeros(8)), "no positive row"),
        (lambda: consequences(["allow"] * 3, np.zeros(4)), "3 actions for 4 rows"),
        (lambda: consequences(["allow"] * 39 + ["smite"], np.arange(40) % 2), "row 40 has an action"),
        (lambda: consequences(["allow"] * 40, np.arange(40) % 2, base_rate=0), "`base_rate` is 0"),
        (lambda: PolicyAims(review_recall=0.99), "review's must not exceed monitor's"),
        (lambda: PolicyAims(remove_precision=0), "`remove_precision` is 0"),
    ],
)
def test_bad_input_is_one_sentence(call, says):
    with pytest.raises(UserError, match=says):
        call()
