"""What people do to a word so that a filter misses it while readers do not.

The attacks are those of Hosseini et al. 2017 ("Deceiving Google's Perspective API") and of HateCheck's
spelling tests, made by rule and seed from any comments, since no common file of them exists.
"""

import random
import re
from collections.abc import Callable

_LEET = str.maketrans({"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7"})
_TWINS = str.maketrans({"a": "а", "c": "с", "e": "е", "i": "і", "o": "о", "p": "р", "x": "х", "y": "у"})
_WORD = re.compile(r"[A-Za-z]{4,}")


def _inner(word: str, rng: random.Random) -> int:
    return rng.randrange(1, len(word) - 2)


def _swap(word: str, rng: random.Random) -> str:
    at = _inner(word, rng)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _drop(word: str, rng: random.Random) -> str:
    at = _inner(word, rng)
    return word[:at] + word[at + 1 :]


def _double(word: str, rng: random.Random) -> str:
    at = _inner(word, rng)
    return word[:at] + word[at] * rng.randrange(2, 5) + word[at + 1 :]


def _split(word: str, rng: random.Random) -> str:
    at = _inner(word, rng) + 1
    return word[:at] + " " + word[at:]


def _star(word: str, rng: random.Random) -> str:
    at = _inner(word, rng)
    return word[:at] + "*" + word[at + 1 :]


ATTACKS: dict[str, Callable[[str, random.Random], str]] = {
    "swapped letters": _swap,
    "missing letter": _drop,
    "repeated letter": _double,
    "space inside": _split,
    "masked letter": _star,
    "dots between": lambda word, rng: ".".join(word),
    "spaces between": lambda word, rng: " ".join(word),
    "leetspeak": lambda word, rng: word.translate(_LEET),
    "look-alike letters": lambda word, rng: word.translate(_TWINS),
    "zero-width inside": lambda word, rng: "\u200b".join(word),
}
"""Name to what is done to one word of four letters or more."""


def attack(text: str, name: str, *, share: float = 0.5, seed: int = 0) -> str:
    """Disguise a share of a comment's longer words; the same text, name and seed give the same result.

    Args:
        text: a comment.
        name: one of ATTACKS.
        share: of words of four letters or more that are disguised; at least one is, if there is one.
        seed: of the choice of words and letters.
    """
    rng = random.Random(f"{seed} {name} {text}")
    words = list(_WORD.finditer(text))
    chosen = [word for word in words if rng.random() < share] or words[:1]
    for word in reversed(chosen):
        text = text[: word.start()] + ATTACKS[name](word.group(), rng) + text[word.end() :]
    return text
