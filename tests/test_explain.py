from itertools import pairwise

import numpy as np
import pytest
from bundles import build
from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller import Screener
from giantkiller.cleaning import clean_text
from giantkiller.errors import UserError


@pytest.fixture(scope="module")
def screener(tiny_bundle):
    return Screener(tiny_bundle)


def test_contributions_by_hand(screener):
    text = "You are stupid, thanks"
    spans = screener.explain(text)
    assert [text[s.begin : s.end] for s in spans] == ["You", "are", "stupid", ",", "thanks"]

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    whole = sigmoid(-2.5)
    by_hand = [0, 0, whole - sigmoid(-7), 0, whole - sigmoid(0.5)]
    np.testing.assert_allclose([s.contribution for s in spans], by_hand, rtol=1e-9, atol=1e-12)


def test_another_attribute(screener):
    spans = screener.explain("hurt damn", "threat")
    assert spans[0].contribution > 0.9
    assert spans[1].contribution == 0


def test_disguised_words_are_found_in_the_original(screener):
    text = "  You id\u200biot \n s t u p i d!  "
    spans = [s for s in screener.explain(text) if s.contribution > 0.01]
    assert [text[s.begin : s.end] for s in spans] == ["id\u200biot", "s t u p i d"]


def test_words_that_were_not_read_are_left_out(tmp_path):
    screener = Screener(build(tmp_path / "b", max_length=8))
    text = "you are you are you are idiot stupid"
    spans = screener.explain(text)
    assert [text[s.begin : s.end] for s in spans] == ["you", "are"] * 3
    assert all(s.contribution == 0 for s in spans)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60), st.lists(st.sampled_from(["idiot", "1d10t", "a", "x-y", "…"])).map(" ".join)
    )
)
def test_spans_are_in_order_and_in_the_text(tiny_bundle, text):
    spans = Screener(tiny_bundle).explain(text)
    assert all(0 <= s.begin < s.end <= len(text) for s in spans)
    assert all(a.begin <= b.begin and a.end <= b.end for a, b in pairwise(spans))
    assert bool(spans) == bool(clean_text(text))


def test_a_word_that_is_left_out_leaves_a_gap(screener):
    """Else its neighbours melt into another word: "id" and "iot" around a comma."""
    assert screener.predict("id,iot")["toxicity"] < 0.1 < screener.predict("idiot")["toxicity"]
    assert [span.contribution for span in screener.explain("id,iot")] == [0, 0, 0]


def test_refusals(screener):
    with pytest.raises(UserError, match="rudeness"):
        screener.explain("a", "rudeness")
    with pytest.raises(UserError, match="NoneType"):
        screener.explain(None)
    assert screener.explain("") == []


def test_top_words_matter_more_than_random_ones(data_dir):
    """Removing the three top words lowers the shipped model's score more than removing three random ones."""
    from giantkiller.bundle import DEFAULT

    if not (DEFAULT / "bundle.json").is_file():
        pytest.skip("no shipped bundle here")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = parquet.read_table(data_dir / "civil_val.parquet", columns=["text"])["text"].to_pylist()[:400]
    screener = Screener()
    toxic = [
        t for t, s in zip(texts, screener.scores(texts)[:, 0], strict=True) if s > 0.3 and len(t.split()) > 8
    ]
    dice = np.random.default_rng(0)
    top, chance = [], []
    for text in toxic[:40]:
        spans = screener.explain(text)
        best = sorted(spans, key=lambda s: -s.contribution)[:3]
        some = [spans[i] for i in dice.choice(len(spans), 3, replace=False)]
        for chosen, scores in ((best, top), (some, chance)):
            rest = text
            for span in sorted(chosen, reverse=True):
                rest = rest[: span.begin] + " " + rest[span.end :]
            scores.append(screener.predict(rest)["toxicity"])
    assert len(top) >= 10
    assert np.mean(top) < np.mean(chance) - 0.1
