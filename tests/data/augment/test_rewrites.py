import numpy as np
import pytest

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cleaning import clean_text
from giantkiller.data.augment.rewrites import HELD_BACK, draw_rewrites, read_rewrites
from giantkiller.data.holdout import fold

TOXICITY = ATTRIBUTES.index("toxicity")


@pytest.mark.parametrize("held_back", [False, True])
def test_the_rude_one_is_always_the_more_toxic(held_back):
    texts, targets = read_rewrites(held_back)
    assert len(texts) == len(targets) > 2 * 300
    assert len(texts) % 2 == 0
    assert (targets[::2, TOXICITY] >= targets[1::2, TOXICITY] + 0.1).all()
    assert targets.min() >= 0
    assert targets.max() <= 1
    assert all(text == text.strip() and text for text in texts)


def test_no_comment_stands_twice_or_on_both_sides():
    both = [fold(clean_text(text)) for held_back in (False, True) for text in read_rewrites(held_back)[0]]
    assert len(set(both)) == len(both)
    assert len(both) == 2 * 3976


def test_the_writer_held_back_is_there():
    assert HELD_BACK == ("d4",)
    assert len(read_rewrites(held_back=True)[0]) == 2 * 397


def test_a_draw_keeps_pairs_together():
    texts, targets, pairs = draw_rewrites(100, 3)
    all_texts, all_targets = read_rewrites()
    places = np.array([all_texts.index(text) for text in texts])
    assert len(texts) == 100 == len(set(texts))
    assert (places[::2] % 2 == 0).all()
    assert (places[1::2] == places[::2] + 1).all()
    assert (pairs == np.repeat(np.arange(50), 2)).all()
    assert (targets == all_targets[places]).all()
    assert draw_rewrites(100, 3)[0] == texts != draw_rewrites(100, 4)[0]


def test_a_draw_of_more_than_there_are_takes_all():
    assert draw_rewrites(10**6, 1)[0] == read_rewrites()[0]
