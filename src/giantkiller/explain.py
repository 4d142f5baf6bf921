"""Which words carried a score: each one left out in turn, the rest scored again (occlusion)."""

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.encoding import length
from giantkiller.errors import UserError

if TYPE_CHECKING:
    from giantkiller.screener import Screener

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")


class Span(NamedTuple):
    """A word of the original text, and what it added to the score.

    Attributes:
        begin: Of its first character.
        end: After its last: the word is text[begin:end].
        contribution: The score less the score without the word; negative where a word soothes.
    """

    begin: int
    end: int
    contribution: float


def explain(screener: "Screener", text: str, attribute: str = "toxicity") -> list[Span]:
    """Score a text without each of its words (Zeiler & Fergus 2014, section 4, on words).

    Args:
        screener: What scores.
        text: The text to explain.
        attribute: The score to explain.

    Returns:
        The words that the model read, in order. A disguised word is one span, from its first to its last
        character. Words beyond the model's length are left out.

    Raises:
        UserError: The attribute is unknown or the text is not a str.
    """
    if attribute not in ATTRIBUTES:
        raise UserError(f"{attribute!r} is none of the attributes {', '.join(ATTRIBUTES)}")
    if not isinstance(text, str):
        raise UserError(f"the text to explain is of type {type(text).__name__}, not a string")
    encoder = screener.encoder
    cleaned = encoder.clean(text)
    words = []
    end = room = 0
    for match in _WORD.finditer(cleaned.text):
        room += length(encoder.ids(match[0]))
        if room > encoder.room:
            break
        words.append((match.start(), match.end()))
        end = match.end()
    if not words:
        return []
    read = cleaned.text[:end]
    variants = [read] + [read[:a] + " " + read[b:] for a, b in words]
    scores = screener.score_ids(encoder.encode_cleaned(variants))[:, ATTRIBUTES.index(attribute)]
    contributions = np.asarray(scores[0] - scores[1:]).tolist()
    return [Span(*cleaned.original_span(a, b), c) for (a, b), c in zip(words, contributions, strict=True)]
