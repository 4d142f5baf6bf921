"""Made-up sentences in which a word says what somebody is like, and another which group they belong to.

The word decides, whatever the group: each word may stand beside every group, and every frame takes kind words
as often as unkind ones. Fixed sentences about groups (`giantkiller.data.augment.templates`) are soon known by
heart; of these there are some hundred thousand.
"""

import re

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.augment.templates import IDENTITIES

KIND = (
    "kind", "clever", "honest", "funny", "gentle", "brave", "wonderful", "talented", "generous", "lovely",
    "careful", "patient", "bright", "calm", "charming", "cheerful", "considerate", "creative", "decent",
    "dedicated", "delightful", "dependable", "fair", "faithful", "friendly", "good", "graceful", "great",
    "happy", "hard-working", "helpful", "humble", "inspiring", "likeable", "loyal", "modest", "nice",
    "noble", "outstanding", "polite", "proud", "punctual", "quiet", "reliable", "respected", "sensible",
    "sincere", "skilled", "smart", "sweet", "tall", "thoughtful", "tidy", "trustworthy", "warm",
    "well-known", "wise", "witty", "young at heart", "tired",
)  # fmt: skip
UNKIND = (
    "worthless", "stupid", "filthy", "disgusting", "pathetic", "vile", "ugly", "despicable", "rotten",
    "useless", "horrible", "dumb", "idiotic", "moronic", "repulsive", "revolting", "wretched",
    "dim-witted", "brainless", "foul", "hideous", "loathsome", "contemptible", "cowardly", "creepy",
    "crooked", "deceitful", "degenerate", "depraved", "detestable", "dirty", "evil", "gross", "hateful",
    "imbecile", "inferior", "insufferable", "lazy", "lying", "low-life", "mindless", "nasty",
    "nauseating", "obnoxious", "parasitic", "perverted", "retarded", "scummy", "shameless", "shitty",
    "sick in the head", "slimy", "spineless", "stinking", "subhuman", "thick", "thieving", "twisted",
    "wicked", "crappy",
)  # fmt: skip
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
)
VERB_FRAMES = (
    "I {verb} {many}.",
    "We all {verb} {many}.",
    "{name} and I both {verb} {many}.",
    "I {verb} my {identity} {job}.",
    "{name} and I {verb} {many}, always will.",
)
LIKING = ("love", "like", "admire", "respect", "adore", "trust", "support", "appreciate", "thank", "miss")
DISLIKING = ("hate", "despise", "detest", "loathe", "can't stand", "spit on", "look down on", "want to hurt")
THREATS = ("want to hurt",)
PLAIN_SHARE = 0.2
"""Of the sentences in which a job follows the group, those that leave the group out."""
_ARTICLE = re.compile(r"\b([Aa]) (\w+)")


def sentences_about_people(rows: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Draw sentences, half of them unkind, with repetition.

    Args:
        rows: How many.
        seed: Seed of the draw.

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
        frame = one_of(FRAMES if rng.random() < 0.8 else VERB_FRAMES)
        if "{identity} {job}" in frame and rng.random() < PLAIN_SHARE:
            frame = frame.replace("{identity} {job}", "{job}")
        verb = one_of(DISLIKING if unkind else LIKING)
        text = frame.format(
            name=one_of(NAMES),
            word=one_of(UNKIND if unkind else KIND),
            identity=adjective,
            job=one_of(JOBS),
            many=many,
            verb=verb,
        )
        text = _ARTICLE.sub(_article, text)
        texts.append(text if frame[0].islower() else text[0].upper() + text[1:])
        if unkind:
            group = "{many}" in frame
            values = {
                "toxicity": 0.8,
                "insult": 0.5 if group else 0.8,
                "identity_attack": 0.8 if group else 0.4 if "{identity}" in frame else 0.0,
                "threat": 0.7 if "{verb}" in frame and verb in THREATS else 0.0,
            }
            for name, value in values.items():
                targets[row, ATTRIBUTES.index(name)] = value
    return texts, targets


def _article(match: re.Match[str]) -> str:
    """Return "a" or "an", by how the word after it sounds."""
    article, word = match[1], match[2]
    vowel = word[0].lower() in "aeiou" and not word.lower().startswith(("use", "euro"))
    return f"{article}{'n' if vowel or word.lower().startswith('honest') else ''} {word}"
