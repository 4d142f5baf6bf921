from hypothesis import given
from hypothesis import strategies as st

from giantkiller.data.augment.sentences import WORDS, split_sentences


def test_sentences_are_cut_and_scraps_dropped():
    text = "I read it all. No way!  You can't be serious?\nSo what now, my friend"
    assert split_sentences(text) == ["I read it all.", "You can't be serious?", "So what now, my friend"]


def test_a_single_sentence_is_the_comment_itself():
    assert split_sentences("This bus is late again.") == []
    assert split_sentences("  ") == []


@given(st.text(alphabet='ab .!?\n"', max_size=80))
def test_sentences_are_pieces_in_order(text):
    at = 0
    for part in split_sentences(text):
        assert len(part.split()) >= WORDS
        at = text.index(part, at) + len(part)
