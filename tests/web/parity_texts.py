"""Texts on which the browser and Python must agree: hostile ones, every script, disguises, real comments."""

import csv
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from giantkiller.cleaning import lexicon
from giantkiller.data.augment import attacks, templates

ROOT = Path(__file__).parents[2]

_LETTERS = "aAiouscktdr01345$@!|+£*#%.-_~,·/ \t\n:&=\\"
_ODD = (
    "\u200b\u00ad\u202e\u0301\u0338\u20dd\ud800\udfff\ufeff\x00\x1c\x7f\x85\U000e0041\ue000\u3164\u00a0\u2003"
    "авеοсѕԁɑɩᴀ…™½´¨ﬁﷺＡ🅰Ⓐ𝒶²ªßſİıΣςσǅK가ᄀ\u1161\u11a8が\u3099漢𠀀🙂👨\u200d👩🏽🇺🇸ʼ’'\"“«»—"
)
_PIECES = st.one_of(
    st.text(st.sampled_from(_LETTERS), max_size=8),
    st.text(st.sampled_from(_ODD), max_size=4),
    st.text(st.characters(), max_size=6),
    st.sampled_from(sorted(lexicon.disguised_words())),
    st.sampled_from(sorted(lexicon.disguised_words())).map(" ".join),
    st.sampled_from(sorted(lexicon.common())),
    st.sampled_from(
        ["f**k", "sh!t", "1d10t", "a$$", "www.sh1t.com", "f.u.c.k", "i  d  i  o  t", "stuuupid", "!!!!!!!!",
         "XIII", "$h1t", "401k", "[SEP]", "[UNK]", "##ing", "ΟΔΟΣ", "y o u a r e", "p3dο", "аss",
         "KKK", "x" * 120]
    ),
)  # fmt: skip
_HOSTILE = st.lists(st.tuples(_PIECES, st.sampled_from(["", "", " ", "  ", ".", "\n"])), max_size=8).map(
    lambda pairs: "".join(a + b for a, b in pairs)
)


def hostile(count: int) -> list[str]:
    """Make texts out of what cleaning and tokenizing trip over."""
    found: list[str] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(_HOSTILE)
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return found


def scripts(each: int) -> Iterator[str]:
    """Make texts of every script, alone and with Latin letters in between."""
    members: dict[str, list[str]] = {}
    for code in range(0x110000):
        c = chr(code)
        if unicodedata.category(c) not in ("Cn", "Cs", "Co"):
            members.setdefault(unicodedata.name(c, "CONTROL").split()[0], []).append(c)
    for name in sorted(members):
        rng = random.Random(name)
        for number in range(each):
            words = ["".join(rng.choices(members[name], k=rng.randint(1, 8))) for _ in range(4)]
            if number % 2:
                words = [
                    a + b
                    for a, b in zip(words, rng.choices(("", "a", "shit", "e1", "!", "ing"), k=4), strict=True)
                ]
            yield " ".join(words)


def every_character() -> Iterator[str]:
    """Put each character that Python knows beside letters and alone, many to a text."""
    known = [
        chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
    ]
    for begin in range(0, len(known), 24):
        yield " ".join(f"a{c}b {c}" for c in known[begin : begin + 24])


def attacked(count: int) -> Iterator[str]:
    """Disguise words of openly licensed sentences in every way of the shared suite."""
    sentences = templates.identity_sentences(count, 1)[0] + templates.harsh_sentences(count // 4, 1)
    for sentence in sentences:
        yield sentence
        for name in attacks.ATTACKS:
            yield attacks.attack(sentence, name)


def examples() -> list[str]:
    """Read the comments that come with the project."""
    with (ROOT / "examples" / "comments.csv").open(encoding="utf-8", newline="") as file:
        return [value for row in csv.DictReader(file) for value in row.values()]


def as_javascript(text: str) -> str:
    """Join surrogates that stand side by side: JavaScript knows no other way to write the character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def known_to_python(text: str) -> bool:
    """Return whether this Python's Unicode has all characters; a browser's may have newer ones, too."""
    return all(unicodedata.category(c) != "Cn" or ord(c) & 0xFFFE == 0xFFFE for c in text)
