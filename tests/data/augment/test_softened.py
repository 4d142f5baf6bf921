import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giantkiller.data.augment.softened import FEWEST, SOFTER, softened


@pytest.mark.parametrize(
    ("text", "soft"),
    [
        ("What a stupid idea that was", "What a not smart idea that was"),
        ("You are an IDIOT, mate", "You are a person, mate"),
        ("this fucking bus is late again", "this bus is late again"),
        ("those assholes took the bench", "those person took the bench"),
        ("what dumbasses they are", "what person they are"),
    ],
)
def test_rude_words_become_softer(text, soft):
    assert softened(text) == soft


@pytest.mark.parametrize(
    "text", ["", "a calm and classy passage", "fuck you", "shit ? ! ok", "hello shell, class and bass"]
)
def test_nothing_to_soften_or_too_little_left(text):
    assert softened(text) is None


@given(
    st.lists(
        st.sampled_from(["you", "are", "late", "idiot", "fucking", "SHIT", "bull shit", "the"]), max_size=12
    )
)
def test_what_is_left_is_calm_and_settled(words):
    soft = softened(" ".join(words))
    if soft is not None:
        assert len(soft.split()) >= FEWEST
        assert softened(soft) is None
        assert not re.search(r"idiot|fuck|shit", soft, re.IGNORECASE)


def test_each_pattern_has_its_word_to_itself():
    for pattern, word in SOFTER.items():
        assert re.compile(pattern).groups == 0, pattern
        assert softened(f"one two three {word}") is None
