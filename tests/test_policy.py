import math
import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.policy import ACTIONS, Combination, Policy, combine

POLICY = Policy(
    {
        "toxicity": {"monitor": 0.3, "review": 0.6, "remove": 0.95},
        "threat": {"review": 0.4},
        "obscene": {},
    }
)


def scores(**named):
    return dict.fromkeys(ATTRIBUTES, 0.0) | named


@pytest.mark.parametrize(
    ("given", "action", "attribute", "label"),
    [
        (scores(), "allow", "toxicity", "non-toxic"),
        (scores(toxicity=0.3), "monitor", "toxicity", "non-toxic"),
        (scores(toxicity=0.5), "monitor", "toxicity", "toxic"),
        (scores(toxicity=0.6), "review", "toxicity", "toxic"),
        (scores(toxicity=0.61, threat=0.9), "review", "threat", "toxic"),
        (scores(toxicity=0.95, threat=0.9), "remove", "toxicity", "toxic"),
        (scores(obscene=1.0, insult=1.0), "allow", "toxicity", "non-toxic"),
        (scores(threat=0.39), "allow", "threat", "non-toxic"),
    ],
)
def test_verdicts(given, action, attribute, label):
    verdict = POLICY.judge(given)
    assert (verdict.action, verdict.attribute, verdict.label) == (action, attribute, label)
    assert verdict.score == given[attribute]
    assert verdict.scores == given


def test_no_policy_allows():
    verdict = Policy({}).judge(scores(insult=0.9))
    assert (verdict.action, verdict.attribute) == ("allow", "insult")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7), min_size=1, max_size=5))
@example([[float(np.float32(0.95)), 0, 0, 0, 0, 0, 0]])  # float32 has no 0.95: the score lies below
def test_rows_and_single_verdicts_agree(rows):
    single = [POLICY.judge(row).action for row in rows]
    assert POLICY.actions(np.array(rows, np.float32)).tolist() == single


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.integers(0, 6), st.floats(0, 1))
def test_a_higher_score_is_never_milder(row, column, more):
    worse = list(row)
    worse[column] = max(row[column], more)
    assert ACTIONS.index(POLICY.judge(worse).action) >= ACTIONS.index(POLICY.judge(row).action)


def test_missing_scores():
    assert POLICY.actions(np.full((1, 7), np.nan)).tolist() == ["allow"]
    with pytest.raises(UserError, match="insult"):
        POLICY.judge(scores(insult=math.nan))
    with pytest.raises(UserError, match="7 scores"):
        POLICY.judge([0.1])
    with pytest.raises(UserError, match="threat"):
        POLICY.judge({"toxicity": 0.1, "severe_toxicity": 0, "obscene": 0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"rude": {}},
        {"toxicity": 0.5},
        {"toxicity": {"delete": 0.5}},
        {"toxicity": {"review": 1.5}},
        {"toxicity": {"review": "0.5"}},
        {"toxicity": {"review": math.nan}},
        {"toxicity": {"monitor": 0.7, "review": 0.5}},
    ],
)
def test_wrong_policies(wrong):
    with pytest.raises(UserError, match="policy"):
        Policy(wrong)


def test_a_policy_is_a_value():
    assert pickle.loads(pickle.dumps(POLICY)) == POLICY
    assert Policy(POLICY.to_dict()) == POLICY
    assert Policy({"threat": {"monitor": None, "review": 0.5}}) == Policy({"threat": {"review": 0.5}})
    with pytest.raises(TypeError):
        POLICY["threat"]["review"] = 0.1


COMBINATION = Combination(("ours", "reports"), (2.0, 0.5), -1.0, (0.5, 1.0), (0.25, 2.0))


def test_combining():
    got = combine(COMBINATION, {"ours": [0.5, 0.75], "reports": [1, 5], "unused": ["x"]})
    np.testing.assert_allclose(got, [1 / (1 + math.exp(1)), 1 / (1 + math.exp(-2))])


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        ({"ours": [0.5]}, "'reports' is missing"),
        ({"ours": [0.5, math.nan], "reports": [1, 2]}, "row 2"),
        ({"ours": [0.5, None], "reports": [1, 2]}, "row 2"),
        ({"ours": [0.5], "reports": [1, 2]}, "number of rows"),
        ({"ours": ["much"], "reports": [1]}, "no number"),
    ],
)
def test_a_missing_signal_is_not_guessed(signals, said):
    with pytest.raises(UserError, match=said):
        combine(COMBINATION, signals)


def test_wrong_combinations():
    with pytest.raises(UserError, match="one weight"):
        Combination(("a", "b"), (1.0,), 0.0, (0.0,), (1.0,))
    with pytest.raises(UserError, match="finite"):
        Combination(("a",), (math.inf,), 0.0, (0.0,), (1.0,))
    with pytest.raises(UserError, match="above 0"):
        Combination(("a",), (1.0,), 0.0, (0.0,), (0.0,))
