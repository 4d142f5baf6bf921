import numpy as np
import pytest

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.files.chunks import Chunk
from giantkiller.files.verdicts import Verdicts, describe_model, judge_with, screen_chunk
from giantkiller.policy import Policy

TEXTS = ["You are stupid, idiot", "Thanks, that helped", "hurt", "stupid"]


def test_each_action_has_the_attribute_that_called_for_it(tiny_bundle):
    screener = Screener(tiny_bundle)
    found = judge_with(screener)(TEXTS)
    assert found.scores.tolist() == screener.scores(TEXTS).tolist()
    expected = screener.judge(TEXTS)
    assert list(found.actions) == [verdict.action for verdict in expected]
    assert found.attributes == ["toxicity", None, "threat", "toxicity"]
    by_insult = judge_with(Screener(tiny_bundle, policy=Policy({"insult": {"review": 0.5}})))(TEXTS)
    assert list(by_insult.actions) == ["review", "allow", "allow", "review"]
    assert by_insult.attributes == ["insult", None, None, "insult"]


def test_rows_that_cannot_be_screened_have_no_scores():
    asked = []

    def judge(texts):
        asked.extend(texts)
        return Verdicts(np.full((len(texts), 7), 0.5, np.float32), ["review"] * len(texts), ["insult"])

    chunk = Chunk(rows=None, texts=["", "good", None, "bad", 3], problems=[None, None, None, "broken", None])
    found = screen_chunk(chunk, judge)
    assert asked == ["good"]
    assert found.errors == ["no text", None, "no text", "broken", "a number, not text"]
    assert found.actions == [None, "review", None, None, None]
    assert found.attributes == [None, "insult", None, None, None]
    assert np.isnan(found.scores).all(axis=1).tolist() == [True, False, True, True, True]


def test_the_name_of_a_model_changes_with_anything_in_its_bundle(tiny_bundle, tmp_path):
    import json
    import shutil

    screener = Screener(tiny_bundle)
    name = describe_model(screener.bundle)
    assert name.startswith("tiny 1 (")
    for key, value in (("calibration", {"slope": 2.0, "intercept": 0.0}), ("threshold", 0.25)):
        other = tmp_path / key
        shutil.copytree(tiny_bundle, other)
        manifest = json.loads((other / "bundle.json").read_text())
        manifest[key] = dict.fromkeys(ATTRIBUTES, value)
        (other / "bundle.json").write_text(json.dumps(manifest))
        assert describe_model(Screener(other).bundle) != name


@pytest.mark.parametrize("count", [0, 1])
def test_any_number_of_comments(tiny_bundle, count):
    assert len(judge_with(Screener(tiny_bundle))(["hi"] * count).actions) == count
