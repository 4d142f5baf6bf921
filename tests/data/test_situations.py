"""The hand-written situations: what holds for every one of them, and how they are split."""

from collections import Counter, defaultdict

import pytest

from giantkiller.data.situations import KINDS, SPLITS, read_situations
from giantkiller.errors import UserError


def test_each_situation_has_a_known_kind_and_fractions_in_tenths_that_fit_it():
    for row in read_situations():
        assert row.kind in KINDS
        assert row.text.strip() == row.text
        assert all(0 <= value <= 1 and abs(round(value * 10) - value * 10) < 1e-9 for value in row.targets)
        assert (row.targets[0] >= 0.5) == row.harmful, row.text


def test_no_text_stands_twice():
    counts = Counter(" ".join(row.text.casefold().split()) for row in read_situations())
    assert [text for text, count in counts.items() if count > 1] == []


def test_twins_are_one_harmless_and_one_harmful_of_one_writer_and_split():
    twins = defaultdict(list)
    for row in read_situations():
        if row.pair:
            twins[row.pair].append(row)
    assert len(twins) > 1000
    for pair, rows in twins.items():
        assert sorted(row.harmful for row in rows) == [False, True], pair
        assert len({(row.writer, row.split) for row in rows}) == 1, pair


def test_the_writer_of_the_test_split_wrote_nothing_that_trains():
    writers = {split: {row.writer for row in read_situations(split)} for split in SPLITS}
    assert writers["test"]
    assert not writers["test"] & writers["train"]
    assert sum(len(read_situations(split)) for split in SPLITS) == len(read_situations())


def test_another_split_is_refused():
    with pytest.raises(UserError, match="train, validation, test"):
        read_situations("dev")
