"""Comments made up from hand-written situations, for a teacher to label: other domain, same kind or not.

A few thousand situations teach a large model what they mean; a small one needs many more texts to follow it.
These are pieces of situations put together anew. What the result means is for the teacher to say.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from giantkiller.data.augment.remixes import exchange_words
from giantkiller.data.augment.sentences import split_sentences

_CLAUSE = re.compile(r"(?<=[,.;:!?…])\s+|\s+(?=(?:and|but|because|so|when|if|while|or) )")
WAYS = {"exchange": 0.3, "join": 0.15, "surround": 0.2, "cross": 0.25, "fragment": 0.1}
"""How a text comes about, and its share: words exchanged for similar ones; two situations in a row; one among
ordinary sentences; the beginning of one with the end of another of its kind; a clause alone."""


def recombine(
    texts: Sequence[str],
    kinds: Sequence[str],
    background: Sequence[str],
    rows: int,
    seed: int,
    similar: Mapping[str, Sequence[str]],
) -> list[str]:
    """Make up comments from situations.

    Args:
        texts: Situations.
        kinds: The kind of each.
        background: Ordinary sentences to put around them.
        rows: How many to make up.
        seed: Seed of the draw.
        similar: For lower-case words what may stand in their place.

    Returns:
        `rows` texts, or none where there are no situations.
    """
    if not texts:
        return []
    rng = np.random.default_rng(seed)
    clauses = [[part for part in _CLAUSE.split(text) if part.strip()] or [text] for text in texts]
    of_kind: dict[str, list[int]] = {}
    for index, kind in enumerate(kinds):
        of_kind.setdefault(kind, []).append(index)

    def pick(pool: Sequence[int] | None = None) -> int:
        return int(rng.integers(len(texts))) if pool is None else int(pool[int(rng.integers(len(pool)))])

    made = []
    for way in rng.choice(list(WAYS), size=rows, p=list(WAYS.values())):
        one = pick()
        if way == "exchange":
            text = exchange_words(texts[one], similar, float(rng.uniform(0.1, 0.3)), rng)
        elif way == "join":
            text = f"{texts[one]} {texts[pick()]}"
        elif way == "surround":
            around = [background[int(i)] for i in rng.integers(len(background), size=rng.integers(1, 5))]
            place = int(rng.integers(len(around) + 1))
            text = " ".join([*around[:place], texts[one], *around[place:]])
        elif way == "cross":
            other = pick(of_kind[kinds[one]])
            head, tail = clauses[one], clauses[other]
            begin = int(rng.integers(1, len(head) + 1))
            end = int(rng.integers(len(tail)))
            text = " ".join([*head[:begin], *tail[end:]])
            text = exchange_words(text, similar, 0.1, rng)
        else:
            parts = clauses[one]
            begin = int(rng.integers(len(parts)))
            text = " ".join(parts[begin : begin + int(rng.integers(1, 3))])
        made.append(text)
    return made


def ordinary_sentences(texts: Sequence[str], longest: int = 200) -> list[str]:
    """Return the sentences of ordinary comments that can stand around a situation, each once."""
    found = (sentence for text in texts for sentence in split_sentences(text) or [text])
    return list(dict.fromkeys(sentence for sentence in found if len(sentence) <= longest))
