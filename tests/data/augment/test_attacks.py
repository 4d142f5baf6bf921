import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giantkiller.data.augment.attacks import ATTACKS, attack

TEXT = "Nobody with any sense would believe this nonsense"


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_changes_something_and_is_repeatable(name):
    changed = attack(TEXT, name)
    assert changed != TEXT
    assert changed == attack(TEXT, name)
    assert attack("a b c", name) == "a b c"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.sampled_from(list(ATTACKS)), st.integers(0, 5))
def test_short_words_and_everything_else_stay(text, name, seed):
    changed = attack(text, name, seed=seed)
    short = [word for word in text.split() if word.isdigit() or len(word) < 4]
    assert all(word in changed for word in short)


def test_what_the_attacks_write():
    assert attack("notice", "dots between", share=1) == "n.o.t.i.c.e"
    assert attack("notice", "leetspeak", share=1) == "n071c3"
    assert attack("notice", "zero-width inside", share=1).replace("\u200b", "") == "notice"
    assert sorted(attack("notice", "swapped letters", share=1)) == sorted("notice")
    assert attack("notice", "masked letter", share=1).count("*") == 1
