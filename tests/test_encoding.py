import numpy as np
import pytest
from bundles import tokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from giantkiller.cleaning import clean_text
from giantkiller.encoding import ID, Encoder
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


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=4), st.sampled_from([8, 32]))
@example(["You are an idiot.", "", "don't_do-that"], 32)
@example(["[SEP] [MASK] [PAD]"], 32)
@example(["İstanbul ß ﬀ 日本語 한국어 مرحبا e\u0301 \u0301x"], 32)
@example(["a" * 200 + " " + "b" * 41, "\x1cx\x1dy"], 32)
def test_words_one_by_one_equal_the_whole_text(made, texts, max_length):
    encoder = Encoder(made, max_length)
    for _ in range(2):  # the second time from memory
        rows = encoder.encode(texts)
        assert [np.frombuffer(row, ID).tolist() for row in rows] == [
            whole(text, max_length) for text in texts
        ]


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


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(chunk, st.sampled_from([" ", " ", "  ", "\n", "\x1c", "\u2003"])), max_size=12))
@example([("loser5", " "), ("m=bi2Q", " ")])
@example([("i", " "), ("d", " "), ("i", " "), ("o", " "), ("t", " ")])
@example([("i", "\u2003"), ("d", "\u2003"), ("i", "\u2003"), ("o", "\u2003"), ("t", "")])
@example([("аs", " "), ("if", " ")])
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
    assert len(encoder._innocent) <= 10
    assert len(encoder._chunks._words) <= 10
    encoder.encode(["x" * 1000])
    assert "x" * 1000 not in encoder._chunks


def test_another_kind_of_tokenizer_reads_whole_texts(tmp_path):
    from tokenizers import normalizers

    cased = tokenizer()
    cased.normalizer = normalizers.BertNormalizer(lowercase=False)
    cased.save(str(tmp_path / "tokenizer.json"))
    encoder = Encoder(tmp_path / "tokenizer.json", 16)
    assert not encoder._by_words
    assert (
        np.frombuffer(encoder.encode(["you are IDIOT"])[0], ID).tolist() == cased.encode("you are IDIOT").ids
    )


def test_refusals(tmp_path, made):
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        Encoder(broken, 32)
    with pytest.raises(UserError, match="room"):
        Encoder(made, 2)
