"""Texts on which the browser and Python must agree: hostile ones, every script, disguises, real comments."""

import csv
import random
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from giantkiller.cleaning import lexicon
from giantkiller.data.augment import attacks, templates

ROOT = Path(__file__).parents[2]

_LETTERS = "aAiouscktdr01345$@!|+£*#%.-_~,·/ \t\n:&=\\"
_ODD = (
    "\u200b\u00ad\u202e\u0301\u0338\u20dd\ud800\udfff\ufeff\x00\x1c\x7f\x85\U000e0041\ue000\u3164\u00a0\u2003"
    "авеοсѕԁɑɩᴀ…™½´¨ﬁﷺＡ🅰Ⓐ𝒶²ªßſİıΣςσǅK가ᄀ\u1161\u11a8が\u3099漢𠀀🙂👨\u200d👩🏽🇺🇸ʼ’'\"“«»—"
)
_WORDS = ["f**k", "sh!t", "1d10t", "a$$", "www.sh1t.com", "f.u.c.k", "i  d  i  o  t", "stuuupid", "!!!!!!!!",
          "XIII", "$h1t", "401k", "[SEP]", "[UNK]", "##ing", "ΟΔΟΣ", "y o u a r e", "p3dο", "аss",
          "KKK", "x" * 120]  # fmt: skip


def hostile(count: int, seed: int = 0) -> list[str]:
    """Make texts out of what cleaning and tokenizing trip over."""
    dice = random.Random(seed)
    disguised, common = sorted(lexicon.disguised_words()), sorted(lexicon.common())

    def any_character() -> str:
        return chr(dice.randrange(dice.choice((0x80, 0x800, 0x10000, 0x110000))))

    pieces: list[Callable[[], str]] = [
        lambda: "".join(dice.choices(_LETTERS, k=dice.randint(0, 8))),
        lambda: "".join(dice.choices(_ODD, k=dice.randint(0, 4))),
        lambda: "".join(any_character() for _ in range(dice.randint(0, 6))),
        lambda: dice.choice(disguised),
        lambda: " ".join(dice.choice(disguised)),
        lambda: dice.choice(common),
        lambda: dice.choice(_WORDS),
    ]
    ends = ("", "", " ", "  ", ".", "\n")
    return [
        "".join(dice.choice(pieces)() + dice.choice(ends) for _ in range(dice.randint(0, 8)))
        for _ in range(count)
    ]


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
