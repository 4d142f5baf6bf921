"""Made-up sentences in which a word says what somebody is like, and another which group they belong to.

The word decides, whatever the group: each word may stand beside every group, and every frame takes kind words
as often as unkind ones. Fixed sentences about groups (`giantkiller.data.augment.templates`) are soon known by
heart; of these there are many millions.

`people.tsv` has the words: adjectives, among them "neutral" ones that judge nobody, nouns as SINGULAR|PLURAL,
what people feel for others, and what one may want done to them. No made-up sentence that trains has those
held back. `people_frames.tsv` has the frames, by what they take: a word, a noun, a feeling ("verb") or what
is done ("deed").
"""

import re
from functools import cache
from importlib.resources import files

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.templates import IDENTITIES

JOBS = (
    "teacher", "nurse", "driver", "actor", "plumber", "lawyer", "baker", "pilot", "student", "farmer",
    "judge", "singer", "barber", "butcher", "carpenter", "cashier", "cleaner", "clerk", "coach", "cook",
    "dancer", "dentist", "doctor", "electrician", "engineer", "fireman", "gardener", "guard",
    "journalist", "librarian", "manager", "mechanic", "midwife", "minister", "musician", "neighbour",
    "painter", "politician", "postman", "professor", "roofer", "sailor", "scientist", "secretary",
    "soldier", "tailor", "tenant", "waiter", "writer", "cousin", "friend", "roommate", "person", "guy",
)  # fmt: skip
NAMES = (
    "Anna", "Tom", "Sara", "Ivan", "Mei", "Omar", "Lucy", "Ben", "Aisha", "Carlos", "Dana", "Emeka",
    "Fatima", "George", "Hana", "Igor", "Jane", "Kofi", "Lena", "Marco", "Nina", "Paul", "Rosa", "Sam",
    "Tariq", "Uma", "Victor", "Wei", "Yusuf",
)  # fmt: skip
SHARES = {"word": 0.65, "noun": 0.12, "verb": 0.11, "deed": 0.12}
"""Of sentences, by what their frames take."""
ROLES = {
    "word": ("kind", "unkind"),
    "noun": ("kind noun", "unkind noun"),
    "verb": ("liking", "disliking"),
    "deed": ("good deed", "harm"),
}
"""The roles of kind and unkind words, by what a frame takes."""
PLAIN_SHARE = 0.2
"""Of the sentences in which a job follows the group, those that leave the group out."""
NEUTRAL_SHARE = 0.2
"""Of kind adjectives, those that judge nobody in their place."""
_I = re.compile(r"(?<!and )\bI (?:\w+ )?\{verb\}", re.IGNORECASE)
"""Frames whose feeling is that of one who says I: elsewhere "am" is "are"."""
_LIKE_YOU = re.compile("us[eu]|eu|uni(?=[cfloqstv])|onc?e$")
"""How words begin that have a vowel first and sound as if they had none."""
_ARTICLE = re.compile(r"\b([Aa]) (\w+)")


@cache
def read_frames(kind: str) -> tuple[str, ...]:
    """Return the frames that take a "word", a "noun", a "verb" or a "deed"."""
    lines = (files("giantkiller.data.augment") / "people_frames.tsv").read_text("utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return tuple(frame for name, frame in rows if name == kind)


@cache
def read_words(role: str, held_back: bool = False) -> tuple[str, ...]:
    """Return the words of a role, "kind" or "unkind noun" say, as `people.tsv` has them."""
    lines = (files("giantkiller.data.augment") / "people.tsv").read_text("utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return tuple(word for name, word, held in rows if name == role and bool(held) == held_back)


def sentences_about_people(rows: int, seed: int, held_back: bool = False) -> tuple[list[str], np.ndarray]:
    """Draw sentences, half of them unkind, with repetition.

    Args:
        rows: How many.
        seed: Seed of the draw.
        held_back: Take the words held back, instead of the others; no nouns are among them.

    Returns:
        The sentences, and their targets (n, 7) float32; nothing is missing.
    """
    rng = np.random.default_rng(seed)

    def one_of(pool: tuple[str, ...]) -> str:
        return pool[int(rng.integers(len(pool)))]

    texts, targets = [], np.zeros((rows, len(ATTRIBUTES)), np.float32)
    for row in range(rows):
        unkind = row % 2 == 1
        adjective, _, many = IDENTITIES[int(rng.integers(len(IDENTITIES)))]
        kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        if held_back and kind == "noun":
            kind = "word"
        frame = one_of(read_frames(kind))
        if "{identity} {job}" in frame and rng.random() < PLAIN_SHARE:
            frame = frame.replace("{identity} {job}", "{job}")
        role = ROLES[kind][unkind]
        if role == "kind" and rng.random() < NEUTRAL_SHARE:
            role = "neutral"
        word, _, more = one_of(read_words(role, held_back)).partition("|")
        if word.startswith("am ") and not _I.search(frame):
            word = f"are {word[3:]}"
        words = {"word": word, "verb": word, "noun": word, "nouns": more}
        text = frame.format(name=one_of(NAMES), identity=adjective, job=one_of(JOBS), many=many, **words)
        text = _ARTICLE.sub(_article, text)
        texts.append(text if frame[0].islower() else text[0].upper() + text[1:])
        if unkind:
            group = "{many}" in frame
            values = {
                "toxicity": 0.8,
                "insult": 0.5 if group or "{verb}" in frame else 0.8,
                "identity_attack": 0.8 if group else 0.4 if "{identity}" in frame else 0.0,
                "threat": 0.7 if kind == "deed" else 0.0,
            }
            for name, value in values.items():
                targets[row, ATTRIBUTES.index(name)] = value
    return texts, targets


def _article(match: re.Match[str]) -> str:
    """Return "a" or "an", by how the word after it sounds."""
    article, word = match[1], match[2]
    word_ = word.lower()
    silent = word_.startswith(("honest", "honor", "honour"))
    vowel = word_[0] in "aeiou" and not _LIKE_YOU.match(word_)
    return f"{article}{'n' if vowel or silent else ''} {word}"
