import pytest

from giantkiller.cleaning import lexicon


def test_two_thousand_words_are_common():
    ranked = list(lexicon.words())
    assert len(lexicon.common()) == 2000
    assert ranked[1999] in lexicon.common()
    assert ranked[2000] not in lexicon.common()


@pytest.mark.parametrize(
    ("letters", "pieces"),
    [
        ("youidiot", ["you", "idiot"]),
        ("xqzthe", ["xqz", "the"]),  # known words cover half of the letters
        ("xqvzthe", None),  # less than half
        ("xqz", None),
        ("", []),
    ],
)
def test_a_run_of_letters_is_cut_where_known_words_cover_half_of_it(letters, pieces):
    assert lexicon.split(letters) == pieces


def test_words_longer_than_the_longest_are_not_tried():
    assert lexicon.split("motherfucker") == ["motherfucker"]
    assert lexicon.split("motherfucker", longest=8) == ["mother", "fucker"]
