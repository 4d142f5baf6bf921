"""Situations put together anew."""

from giantkiller.data.augment.recombine import ordinary_sentences, recombine

TEXTS = ["He said, and I quote, go home.", "Nice work, you legend!", "We know where you park, so be careful."]
KINDS = ["b3", "b1", "t4"]


def test_as_many_texts_as_asked_for_and_the_same_for_the_same_seed():
    made = recombine(TEXTS, KINDS, ["It rained."], 200, 3, {"park": ["walk"]})
    assert len(made) == 200
    assert all(text.strip() for text in made)
    assert made == recombine(TEXTS, KINDS, ["It rained."], 200, 3, {"park": ["walk"]})
    assert made != recombine(TEXTS, KINDS, ["It rained."], 200, 4, {"park": ["walk"]})
    assert len(set(made)) > 20


def test_words_are_exchanged_for_similar_ones_alone():
    known = {word.strip(",.!").lower() for text in [*TEXTS, "It rained. walk"] for word in text.split()}
    made = recombine(TEXTS, KINDS, ["It rained."], 200, 3, {"park": ["walk"]})
    assert {word.strip(",.!").lower() for text in made for word in text.split()} <= known


def test_nothing_comes_of_nothing():
    assert recombine([], [], ["It rained."], 5, 1, {}) == []


def test_ordinary_sentences_are_short_and_stand_once():
    assert ordinary_sentences(["It rained all day.", "It rained all day.", "x" * 300]) == [
        "It rained all day."
    ]
