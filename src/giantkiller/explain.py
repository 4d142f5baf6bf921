"""Which words carried a score: each one left out in turn, the rest scored again (occlusion)."""

import re
from typing import NamedTuple

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cleaning import clean
from giantkiller.encoding import ID
from giantkiller.errors import UserError
from giantkiller.screener import Screener

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")


class Span(NamedTuple):
    """A word of the original text, text[begin:end], and what it added to the score."""

    begin: int
    end: int
    contribution: float


def explain(screener: Screener, text: str, attribute: str = "toxicity") -> list[Span]:
    """Score a text without each of its words (Zeiler & Fergus 2014, section 4, on words).

    Parameters: `text`; `attribute`, the score to explain.
    Returns the words that the model read, in order, with offsets into `text`: `contribution` is the
    score minus the score without the word (probabilities; negative where a word soothes). A disguised
    word is one span, from its first to its last character. Words beyond the model's length are left out.
    Raises UserError for an unknown attribute or a text that is no str.
    """
    if attribute not in ATTRIBUTES:
        raise UserError(f"{attribute!r} is none of the attributes {', '.join(ATTRIBUTES)}")
    if not isinstance(text, str):
        raise UserError(f"the text to explain is of type {type(text).__name__}, not a string")
    cleaned = clean(text)
    encoder = screener.encoder
    words = []
    end = room = 0
    for match in _WORD.finditer(cleaned.text):
        room += len(encoder.ids(match[0])) // ID.itemsize
        if room > encoder.room:
            break
        words.append((match.start(), match.end()))
        end = match.end()
    if not words:
        return []
    read = cleaned.text[:end]
    variants = [read] + [read[:a] + " " + read[b:] for a, b in words]
    rows = encoder.encode(variants, clean=False)
    scores = screener._probabilities(screener._run_rows(rows))[:, ATTRIBUTES.index(attribute)]
    contributions = np.asarray(scores[0] - scores[1:]).tolist()
    return [Span(*cleaned.original_span(a, b), c) for (a, b), c in zip(words, contributions, strict=True)]
