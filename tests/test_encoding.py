import pytest
from bundles import tokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from giantkiller.cleaning import clean_text
from giantkiller.encoding import Encoder, length, pack, unpack
from giantkiller.errors import UserError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer().save(str(path))
    return path


def whole(text, max_length):
    """What the `tokenizers` package gives for the whole text, special tokens in it taken as text."""
    reference = tokenizer()
    reference.encode_special_tokens = True
    reference.enable_truncation(max_length)
    return reference.encode(clean_text(text)).ids


@settings(max_examples=3 * settings().max_examples)
@given(st.lists(st.text(max_size=30), max_size=4), st.sampled_from([8, 32]))
@example(["You are an idiot.", "", "don't_do-that"], 32)
@example(["[SEP] [MASK] [PAD]"], 32)
@example(["İstanbul ß ﬀ 日本語 한국어 مرحبا e\u0301 \u0301x"], 32)
@example(["a" * 200 + " " + "b" * 41, "\x1cx\x1dy"], 32)
def test_words_one_by_one_equal_the_whole_text(made, texts, max_length):
    encoder = Encoder(made, max_length)
    for _ in range(2):  # the second time from memory
        rows = encoder.encode(texts)
        assert [unpack(row).tolist() for row in rows] == [whole(text, max_length) for text in texts]


chunk = st.one_of(
    st.sampled_from(
        [
            "you",
            "are",
            "idiot",
            "loser5",
            "1d10t",
            "m=bi2Q",
            "U.S.A.",
            "a",
            "I",
            "x",
            ".",
            ",",
            "f*ck",
            "sooo",
            "......",
            "4re",
            "th3",
            "аss",
            "ıs",
            "d\xa0e",
        ]
    ),
    st.text(st.sampled_from("aik01$@*.-! \u0301\u00a0\u200bа…ﬁ"), min_size=1, max_size=5),
)


@settings(max_examples=5 * settings().max_examples)
@given(st.lists(st.tuples(chunk, st.sampled_from([" ", " ", "  ", "\n", "\x1c", "\u2003"])), max_size=12))
@example([("loser5", " "), ("m=bi2Q", " ")])
@example([("i", " "), ("d", " "), ("i", " "), ("o", " "), ("t", " ")])
@example([("i", "\u2003"), ("d", "\u2003"), ("i", "\u2003"), ("o", "\u2003"), ("t", "")])
@example([("аs", " "), ("if", " ")])
@example([("id", " "), ("iot", " ")])
@example([("id", "  "), ("iot", " "), ("peolpe", " ")])
def test_the_way_around_cleaning_gives_the_same(made, parts):
    """Where memory says that a text needs no cleaning, cleaning it changes nothing."""
    text = "".join(word + blank for word, blank in parts)
    encoder = Encoder(made, 32)
    assert encoder._clean_ids(text) == encoder.ids(clean_text(text))


def test_memory_is_bounded(made, monkeypatch):
    monkeypatch.setattr("giantkiller.encoding._REMEMBERED", 10)
    encoder = Encoder(made, 32)
    encoder.encode([f"word{i} ümlaut{i}" for i in range(100)])
    assert len(encoder._chunks) <= 10
    assert len(encoder._spelt) <= 10
    assert len(encoder._words) <= 10
    encoder.encode(["x" * 1000])
    assert "x" * 1000 not in encoder._chunks


KINDS = {
    "cased": normalizers.BertNormalizer(lowercase=False),
    "accents kept": normalizers.BertNormalizer(lowercase=True, strip_accents=False),
    "cased, no accents": normalizers.BertNormalizer(lowercase=False, strip_accents=True),
}
ENCODERS = {}


@settings(max_examples=3 * settings().max_examples)
@given(st.sampled_from(list(KINDS)), st.lists(st.text(max_size=20), max_size=4).map(" ".join))
@example("cased", "You are an IDIOT")
@example("accents kept", "naïve é e\u0301 É")
@example("cased, no accents", "İstanbul ß ﬀ 日本語 Damn")
def test_any_wordpiece_tokenizer_of_berts(kind, text):
    other = tokenizer()
    other.normalizer = KINDS[kind]
    if kind not in ENCODERS:
        ENCODERS[kind] = Encoder(other, 32)
    encoder = ENCODERS[kind]
    assert encoder._by_words
    other.encode_special_tokens = True
    other.enable_truncation(32)
    (row,) = encoder.encode([text])
    assert unpack(row).tolist() == other.encode(clean_text(text)).ids


def test_another_kind_of_tokenizer_reads_whole_texts():
    other = Tokenizer(models.WordLevel({"<s>": 0, "you are": 1, "?": 2}, unk_token="?"))
    other.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    encoder = Encoder(other, 8)
    assert not encoder._by_words
    assert unpack(encoder.encode(["you are"])[0]).tolist() == [0, 1]
    assert encoder.room == 7


def test_special_tokens_in_a_text_that_is_read_whole():
    other = tokenizer()
    other.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder = Encoder(other, 16)
    assert not encoder._by_words
    ids = unpack(encoder.encode(["you [SEP] are"])[0]).tolist()
    assert ids.count(other.token_to_id("[SEP]")) == 1  # the one at the end


def test_words_that_somebody_added_are_found_within_words():
    other = tokenizer()
    other.add_tokens(["dio"])
    assert unpack(Encoder(other, 32).encode(["idiot"])[0]).tolist() == other.encode("idiot").ids


def test_a_tokenizer_that_is_given_stays_as_it_is():
    given_one = tokenizer()
    given_one.enable_truncation(7)
    before = given_one.to_str()
    encoder = Encoder(given_one, 32)
    assert length(encoder.encode(["you " * 50])[0]) == 32
    assert given_one.to_str() == before


def test_rows():
    assert length(pack([])) == 0
    assert length(pack([5, 6, 7])) == 3
    assert unpack(pack([5, 6, 7])).tolist() == [5, 6, 7]


def test_refusals(tmp_path, made):
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        Encoder(broken, 32)
    with pytest.raises(UserError, match="room"):
        Encoder(made, 2)
