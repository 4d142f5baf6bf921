"""Made-up sentences in which a word says what somebody is like, and another which group they belong to.

The word decides, whatever the group: each word may stand beside every group, and every frame takes kind words
as often as unkind ones. Fixed sentences about groups (`giantkiller.data.augment.templates`) are soon known by
heart; of these there are some millions.

`people.tsv` has the words: adjectives, nouns as SINGULAR|PLURAL, what people feel for others, and what one
may want done to them. No made-up sentence that trains has those held back.
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
FRAMES = (
    "{name} is a {word} {identity} {job}.",
    "{name}, a {word} {identity} {job}, came by.",
    "You are a {word} {identity} {job}.",
    "You're a {word} {identity} {job}, {name}.",
    "I met a {word} {identity} {job} today.",
    "I work with a {word} {identity} {job}.",
    "The {identity} {job} next door is {word}.",
    "My {identity} {job} is so {word}.",
    "Our new {job} is {identity} and {word}.",
    "My boss is {identity} and {word}.",
    "{name} is {word} and {identity}.",
    "{name} is {identity}. {name} is {word}.",
    "Being {identity} is {word}.",
    "It is {word} to be {identity}.",
    "What a {word} {identity} {job}!",
    "What a {word} {job}, and {identity} too.",
    "Such a {word} {job}.",
    "You are a {word} {job}.",
    "You {word} {job}.",
    "{name}, you are so {word}.",
    "{many} are {word}.",
    "{many} are {word} people.",
    "I find {many} {word}.",
    "Most {many} here are {word}.",
    "All the {many} that I know are {word}.",
    "These {many} are {word}, ask {name}.",
    "A {identity} {job} can be {word}, too.",
    "He is the most {word} {identity} {job} in town.",
    "she's a {identity} {job} and really {word}",
    "{word} {identity} {job}",
    "ask {name}, the {word} {identity} {job}",
    "How {word} this {identity} {job} is.",
    "that {word} {identity} {job} again",
    "this {job} is {identity}, this {job} is {word}",
    "I know a {word} {identity} {job} in your street",
    "honestly? {word}. all {many} i ever met",
    "{name} is {word}.",
    "So {word}, these {many}.",
    "to me {many} are just {word}",
)
NOUN_FRAMES = (
    "You are a {noun}.",
    "{name} is a {noun}.",
    "{name}, the {identity} {job}, is a {noun}.",
    "What a {noun} that {identity} {job} is!",
    "My {identity} {job} is a real {noun}.",
    "All {many} are {nouns}.",
    "{many} are {nouns}.",
    "{many}? {nouns}, all of them.",
    "These {many} are such {nouns}.",
    "you're such a {noun}, {name}",
)
VERB_FRAMES = (
    "I {verb} {many}.",
    "We all {verb} {many}.",
    "{name} and I both {verb} {many}.",
    "I {verb} my {identity} {job}.",
    "{name} and I {verb} {many}, always will.",
    "I {verb} {name}.",
    "i {verb} you, {name}",
)
DEED_FRAMES = (
    "{verb} all {many}!",
    "Let's {verb} {many}.",
    "We should {verb} {many}.",
    "somebody should {verb} {name}",
    "I will {verb} that {identity} {job} tomorrow.",
    "{verb} every {identity} {job} you meet",
    "People should {verb} {many}.",
    "They ought to {verb} the {identity} {job}.",
)
SHARES = (0.65, 0.12, 0.11, 0.12)
"""Of sentences with adjectives, nouns, feelings and deeds."""
PLAIN_SHARE = 0.2
"""Of the sentences in which a job follows the group, those that leave the group out."""
_ARTICLE = re.compile(r"\b([Aa]) (\w+)")


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

    def word(role: str) -> str:
        return one_of(read_words(role, held_back))

    texts, targets = [], np.zeros((rows, len(ATTRIBUTES)), np.float32)
    for row in range(rows):
        unkind = row % 2 == 1
        adjective, _, many = IDENTITIES[int(rng.integers(len(IDENTITIES)))]
        kinds = (FRAMES, NOUN_FRAMES, VERB_FRAMES, DEED_FRAMES)
        frames = kinds[int(rng.choice(len(kinds), p=SHARES))]
        if held_back and frames is NOUN_FRAMES:
            frames = FRAMES
        frame = one_of(frames)
        if "{identity} {job}" in frame and rng.random() < PLAIN_SHARE:
            frame = frame.replace("{identity} {job}", "{job}")
        words = {"word": "", "noun": "", "nouns": "", "verb": ""}
        if frames is FRAMES:
            words["word"] = word("unkind" if unkind else "kind")
        elif frames is NOUN_FRAMES:
            words["noun"], words["nouns"] = word("unkind noun" if unkind else "kind noun").split("|")
        elif frames is VERB_FRAMES:
            words["verb"] = word("disliking" if unkind else "liking")
        else:
            words["verb"] = word("harm" if unkind else "good deed")
        text = frame.format(name=one_of(NAMES), identity=adjective, job=one_of(JOBS), many=many, **words)
        text = _ARTICLE.sub(_article, text)
        texts.append(text if frame[0].islower() else text[0].upper() + text[1:])
        if unkind:
            group = "{many}" in frame
            values = {
                "toxicity": 0.8,
                "insult": 0.5 if group or "{verb}" in frame else 0.8,
                "identity_attack": 0.8 if group else 0.4 if "{identity}" in frame else 0.0,
                "threat": 0.7 if frames is DEED_FRAMES else 0.0,
            }
            for name, value in values.items():
                targets[row, ATTRIBUTES.index(name)] = value
    return texts, targets


def _article(match: re.Match[str]) -> str:
    """Return "a" or "an", by how the word after it sounds."""
    article, word = match[1], match[2]
    word_ = word.lower()
    vowel = word_[0] in "aeiou" and not word_.startswith(("use", "euro", "uniq"))
    return f"{article}{'n' if vowel or word_.startswith(('honest', 'honor')) else ''} {word}"
