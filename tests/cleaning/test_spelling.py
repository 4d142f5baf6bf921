import re

import pytest
from bundles import tokenizer
from hypothesis import given
from hypothesis import strategies as st

from giantkiller.cleaning import clean, clean_text, lexicon, spelling
from giantkiller.data.augment.attacks import attack
from giantkiller.encoding import Encoder

MISSPELT = {
    "swapped": ("you idoit", "you idiot"),
    "swapped, common": ("peolpe like that", "people like that"),
    "swapped in capitals": ("YOU IDOIT", "YOU IDIOT"),
    "swapped, capitalised": ("Mulsims pray", "Muslims pray"),
    "doubled": ("you stuupid fool", "you stupid fool"),
    "missing": ("what a disgustng thing", "what a disgusting thing"),
    "missing, short but often disguised": ("you idot", "you idiot"),
    "run together": ("womenare people too", "women are people too"),
    "three run together": ("ihatethem", "i hate them"),
    "a hashtag": ("#killallmen", "#kill all men"),
    "a blank inside": ("what an id iot", "what an idiot"),
    "a blank after one letter": ("what an i diot", "what an idiot"),
    "a blank before one letter": ("so stupi d", "so stupid"),
    "two with blanks": ("id iot and mor on", "idiot and moron"),
    "in quotes": ('"idoit", he said', '"idiot", he said'),
    "of somebody": ("that idoit's car", "that idiot's car"),
    "four letters": ("s hit", "shit"),
    "four letters after a word": ("you piece of s hit", "you piece of shit"),
    "an initial and no word": ("F uck this", "Fuck this"),
    "in capitals with a blank": ("STU PID", "STUPID"),
    "over two blanks": ("id  iot", "idiot"),
    "over a line's end": ("id\niot", "idiot"),
    "a common word is meant": ("the reards of a raing", "the regards of a rating"),
}
RIGHT = [
    "The therapists ate candied fruit in the classics room",  # "the rapists", "class ics"
    "Scunthorpe, Penistone and Middlesex",
    "froth, liens, rouge, salve, prefect and causal are words",
    "mail bob@idoit.com or @idoit, see http://idoit.org/womenare and C:\\idoit",
    "idoit-proof, O'idoit and idoit_1",
    "brutalities and constitutionalists",
    "a car pet and an arm chair",  # each piece is a word
    "xqzvkjwp qwrtzp",
    "whoe idea was it, can you shie the goos",
    "Ford Motor Co on Tuesday, an Al Gore fan, a PE teacher and a SS officer",
    "people who re poor, he ll pay, the men s hit list, it s hit or miss",
    "an F at school, Rated R at the theater, grade C rap music, As S Marshall said",
    "have let Hal get away, the villa in Tuscany, being a theist",
    "compasses, psychotherapy, Matsushita, Rushdie, cocktails and hatters",
    "http://example.com/?womenare=1&idoit",
]


@pytest.mark.parametrize(("misspelt", "plain"), MISSPELT.values(), ids=MISSPELT)
def test_misspelt_words_are_mended(misspelt, plain):
    assert clean_text(misspelt) == plain
    assert clean(misspelt).text == plain
    assert clean_text(plain) == plain


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_or_unclear_stays(text):
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Oh, womenare id iots", ["Oh", "women", "are", "id iots"]),
        ("#killallmen", ["kill", "all", "men"]),
        ("a stuupid peopple", ["a", "stuupid", "peopple"]),
        ("YOU IDOT, Mulsims", ["YOU", "IDOT", "Mulsims"]),
    ],
)
def test_mended_words_point_at_what_was_written(text, spans):
    cleaned = clean(text)
    found = [cleaned.original_span(*word.span()) for word in re.finditer(r"\w+", cleaned.text)]
    assert [text[a:b] for a, b in found] == spans


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer().save(str(path))
    return Encoder(path, 128)


known = st.sampled_from(sorted(word for word in lexicon.words() if len(word) > 1))


@given(st.lists(known, max_size=12))
def test_known_words_stay(words):
    text = " ".join(words)
    assert spelling.well_spelt(text)
    assert spelling.strange(text) == []
    begins = [match.start() for match in re.finditer(r"\w+", text)]
    assert not any(spelling.mend_words(text, begins))


@given(st.text("abcdeghiklmnoprstuvy", min_size=4, max_size=40))
def test_a_word_is_mended_to_words_or_stays(word):
    meant = spelling.mend(word)
    assert meant == word or all(each in lexicon.words() or each in ("a", "i") for each in meant.split())


def test_words_spared_would_be_mended_and_are_not():
    spared = lexicon.spared()
    assert len(spared) > 1000
    assert all(spelling.guess(word) and word not in lexicon.words() for word in spared)
    assert all(spelling.mend(word) == word for word in spared)


def test_what_is_remembered_knows_pieces_of_words(encoder):
    """However long the chunk, and however often memory was cleared."""
    texts = ["stu pid", f"stu pid,{'(' * 60}", "id iot ok", "stu dent"]
    for _ in range(3):
        assert [encoder._clean_ids(text) for text in texts] == [encoder.ids(clean_text(t)) for t in texts]
        encoder._spelt.clear()


attacked = st.builds(
    lambda words, name, seed: attack(" ".join(words), name, seed=seed),
    st.lists(known, min_size=1, max_size=15),
    st.sampled_from(["swapped letters", "missing letter", "repeated letter", "space inside"]),
    st.integers(0, 99),
)


@given(st.lists(attacked, min_size=1, max_size=3))
def test_encoding_word_by_word_is_encoding_what_is_cleaned(encoder, texts):
    assert encoder.encode(texts) == encoder.encode_cleaned(list(map(clean_text, texts)))
    assert encoder.encode(texts) == encoder.encode_cleaned(list(map(clean_text, texts)))  # from memory


def test_most_swapped_letters_and_blanks_are_mended():
    words = [word for word in list(lexicon.words())[:3000] if len(word) > 5]
    for name in ("swapped letters", "space inside"):
        texts = [attack(f"so {word} indeed", name, share=1.0) for word in words]
        mended = sum(clean_text(text).split()[1] == word for text, word in zip(texts, words, strict=True))
        assert mended > 0.8 * len(words), name
