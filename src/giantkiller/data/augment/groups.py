"""Sentences about groups, made of frames: what is said decides, not of whom.

A frame is a comment, in most with a slot where the group stands. Thirty-five language-model agents worked
apart from each other and wrote hateful frames and harmless ones that share their words: hate denied, quoted,
reported and denounced, hate of things, hard words for people who are no protected group. About half of them
are twins. The functions that hate has in a sentence follow those that HateCheck tells apart (Röttger et al.
2021, section 3); its cases were not shown to them.

`groups.tsv` has the writer, the family, the number of the twins, seven labels in tenths (X is ten) and the
frame. Families of hateful frames: h1 contempt, h2 dehumanising, h3 wishes of harm, h4 threats, h5
exclusion, h6 inferiority, h7 implied, h8 as a question or opinion, h9 with an excuse before it, h10 over
two sentences, h11 with swear words, h12 said to one person. Of harmless ones: n1 neutral or kind, n2
denied, n3 quoted and denounced, n4 reported, n5 defence, n6 swearing beside a group, n7 hate of things, n8
hard words for others (as toxic as they are, but about no group), n9 positive negations, n10 said by one of
the group.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from giantkiller.data.augment.templates import IDENTITIES

_BEFORE_ADJECTIVE = re.compile(r"\b([Aa]) (\{adj\})")
HELD_BACK = ("f4", "f6")
"""Writers whose frames train nothing."""


@dataclass(frozen=True)
class Frame:
    """A comment with slots {people}, {person} and {adj}; without any if it is about no group."""

    writer: str
    family: str
    pair: str
    """The same for both twins of a writer; empty if there is no twin."""
    labels: tuple[float, ...]
    """Fractions of raters, by attribute."""
    text: str

    @property
    def hateful(self) -> bool:
        """Whether the frame attacks the group."""
        return self.family.startswith("h")


@cache
def read_frames() -> tuple[Frame, ...]:
    """Return all frames, as the writers left them."""
    lines = (files("giantkiller.data.augment") / "groups.tsv").read_text("utf-8").splitlines()[1:]
    frames = []
    for line in lines:
        writer, family, pair, labels, text = line.split("\t")
        values = tuple(1.0 if label == "X" else int(label) / 10 for label in labels)
        frames.append(Frame(writer, family, pair, values, text))
    return tuple(frames)


@dataclass(frozen=True)
class Filled:
    """Sentences made of frames, n of them."""

    texts: list[str]
    frames: list[Frame]
    """What each was made of."""
    targets: np.ndarray
    """(n, 7) float32; nothing is missing."""
    pairs: np.ndarray
    """(n,) int64: both twins about one group have one number; -1 without a twin. A frame without a
    slot is the twin of one of its twin's sentences."""
    repeat: np.ndarray
    """(n,) int64: groups that a frame without a slot stands for; 1 elsewhere."""


def sentences_about_groups(rows: int, seed: int, held_back: bool = False) -> Filled:
    """Fill frames with groups drawn for each, the same ones for both twins.

    Args:
        rows: About how many; every frame takes as many groups as the others, at least 1 and at most
            `len(IDENTITIES)`.
        seed: Seed of the draw.
        held_back: Take the frames of the writers who train nothing, instead of the others'.
    """
    written = [frame for frame in read_frames() if (frame.writer in HELD_BACK) == held_back]
    groups = min(max(1, round(rows / len(written))), len(IDENTITIES))
    rng = np.random.default_rng(seed)
    drawn: dict[tuple[str, str], np.ndarray] = {}
    numbers: dict[tuple[str, str, int], int] = {}
    texts: list[str] = []
    frames: list[Frame] = []
    targets, pairs, repeat = [], [], []
    for frame in written:
        key = (frame.writer, frame.pair or frame.text)
        chosen = drawn.setdefault(key, rng.permutation(len(IDENTITIES))[:groups])
        slotted = "{" in frame.text
        for place, group in enumerate(chosen if slotted else chosen[:1]):
            texts.append(fill(frame.text, IDENTITIES[group]))
            frames.append(frame)
            targets.append(frame.labels)
            pairs.append(numbers.setdefault((*key, place), len(numbers)) if frame.pair else -1)
            repeat.append(1 if slotted else groups)
    numbered = np.array(pairs)
    numbered[(np.bincount(numbered + 1) < 2)[numbered + 1]] = -1
    return Filled(texts, frames, np.array(targets, np.float32), numbered, np.array(repeat))


def fill(frame: str, identity: tuple[str, str, str]) -> str:
    """Put a group, its adjective, a singular and a plural, into a frame's slots."""
    adjective, one, many = identity
    if adjective[0].lower() in "aeiou" and not adjective.startswith("Euro"):
        frame = _BEFORE_ADJECTIVE.sub(r"\1n \2", frame)
    text = frame.format(adj=adjective, person=one, people=many)
    return text[0].upper() + text[1:] if frame.startswith("{") else text
