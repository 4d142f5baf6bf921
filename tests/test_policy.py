import math
import pickle
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.policy import ACTIONS, Policy, level_of, read_policy

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


def test_the_level_of_a_score_does_not_hang_on_the_order_of_thresholds():
    steps = {"remove": 0.9, "monitor": 0.2, "review": 0.5}
    assert [ACTIONS[level_of(steps, score)] for score in (0.1, 0.2, 0.5, 0.9, math.nan)] == [
        *ACTIONS,
        "allow",
    ]
    assert level_of(steps, np.array([0.1, 0.2, 0.5, 0.9])).tolist() == [0, 1, 2, 3]
    assert level_of({}, 1.0) == 0


def test_missing_scores():
    with pytest.raises(UserError, match="insult"):
        POLICY.judge(scores(insult=math.nan))
    with pytest.raises(UserError, match="7 scores"):
        POLICY.judge([0.1])
    with pytest.raises(UserError, match="threat"):
        POLICY.judge({"toxicity": 0.1, "severe_toxicity": 0, "obscene": 0})


@pytest.mark.parametrize("policy", [POLICY, Policy({}), Policy({"threat": {"remove": 0.9}})])
def test_a_row_without_scores_is_for_a_person(policy):
    rows = np.array([[math.nan] * 7, row(), [math.nan] * 7])
    assert policy.actions(rows).tolist() == ["review", "allow", "review"]


def test_an_attribute_that_a_model_lacks_calls_for_nothing_unless_it_is_all_that_counts():
    known = np.array([[0.1, *[math.nan] * 6], [0.97, *[math.nan] * 6]])
    assert POLICY.actions(known).tolist() == ["allow", "remove"]
    assert Policy({"threat": {"monitor": 0.5}}).actions(known).tolist() == ["review", "review"]


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


def row(**scores):
    return [scores.get(attribute, 0.0) for attribute in ATTRIBUTES]


def test_a_score_on_the_threshold_has_reached_it():
    """The table of a file and the verdict on one comment must say the same at the edge."""
    policy = Policy({"insult": {"monitor": 0.25, "remove": 0.5}, "threat": {"review": 0.5}})
    scores = [
        row(insult=0.25), row(insult=0.5), row(threat=0.5), row(insult=math.nextafter(0.5, 0)),
        row(insult=math.nextafter(0.25, 0)), row(insult=0.5, threat=0.5), row(),
    ]  # fmt: skip
    said = ["monitor", "remove", "review", "monitor", "allow", "remove", "allow"]
    assert policy.actions(np.array(scores)).tolist() == said
    assert [policy.judge(scores).action for scores in scores] == said


def test_thresholds_are_compared_in_double_precision():
    """0.7 as float32 is below 0.7: the score of 0.7 that a model gave has not reached it."""
    policy = Policy({"insult": {"review": 0.7}})
    score = np.float32(0.7)
    assert policy.actions(np.array([row(insult=score)], np.float32)).tolist() == ["allow"]
    assert policy.judge(dict.fromkeys(ATTRIBUTES, score)).action == "allow"
    assert policy.judge([score] * 7).action == "allow"


def test_of_two_attributes_as_far_beyond_the_earlier_is_named():
    for order in (["threat", "insult"], ["insult", "threat"]):
        policy = Policy({attribute: {"review": 0.5} for attribute in order})
        assert policy.judge(row(threat=0.75, insult=0.75)).attribute == "threat"
        assert policy.judge(row(threat=0.75, insult=0.875)).attribute == "insult"
        assert list(policy) == ["threat", "insult"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", '{"insult": {"review": 0.6, "remove": 0.95}}'),
        ("p.toml", "[insult]\nreview = 0.6\nremove = 0.95\n"),
    ],
)
def test_a_policy_from_a_file(tmp_path, name, text):
    if name.endswith(".toml") and sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    (tmp_path / name).write_text(text)
    assert read_policy(tmp_path / name) == {"insult": {"review": 0.6, "remove": 0.95}}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.json", "{", "no valid JSON"),
        ("p.json", "[]", "no policy"),
        ("p.json", "[" * 100_000, "no valid JSON"),
        ("p.json", '{"insult": {"ban": 1}}', "'ban'"),
        ("p.json", '{"insult": {"review": NaN}}', "not a score"),
        ("p.json", " " * ((1 << 20) + 1), "too large"),
        ("p.json", "\xff", "no valid JSON"),
        ("p.toml", "insult = ", "no valid TOML"),
        ("missing.json", None, "can't read"),
    ],
)
def test_a_file_that_is_no_policy(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=said) as error:
        read_policy(tmp_path / name)
    assert name in str(error.value)
