"""Comments made up from the sentences of real ones, as further texts for a teacher to label.

A student soon knows by heart what its teacher says of the comments there are. New texts about the same
things, with words exchanged for similar ones, tell it more (Jiao et al. 2020, "TinyBERT: distilling BERT for
natural language understanding", section 3.2 and algorithm 1, where the words come from word vectors too).
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from giantkiller.data.augment.sentences import split_sentences

_WORD = re.compile(r"[A-Za-z]+")


def similar_words(vectors: np.ndarray, vocabulary: Mapping[str, int], count: int = 8) -> dict[str, list[str]]:
    """Find for each word the words whose vectors point most nearly where its own does.

    Args:
        vectors: (v, d) word vectors.
        vocabulary: Tokens and their rows; those that are whole words of three letters or more take part.
        count: Words to find for each.

    Returns:
        For each word `count` others (fewer in a vocabulary as small as that), nearest first.
    """
    words = [token for token in vocabulary if len(token) > 2 and _WORD.fullmatch(token)]
    unit = vectors[[vocabulary[word] for word in words]].astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    found: dict[str, list[str]] = {}
    for begin in range(0, len(words), 1024):
        near = unit[begin : begin + 1024] @ unit.T
        near[np.arange(len(near)), np.arange(begin, begin + len(near))] = -np.inf
        order = np.argsort(-near, axis=1)[:, : min(count, len(words) - 1)]
        found |= {words[begin + i]: [words[j] for j in row] for i, row in enumerate(order)}
    return found


def exchange_words(
    text: str, similar: Mapping[str, Sequence[str]], replaced: float, rng: np.random.Generator
) -> str:
    """Exchange words of a text for similar ones.

    Args:
        text: Any text.
        similar: For lower-case words what may stand in their place.
        replaced: Chance of a word that has similar ones to be exchanged.
        rng: Where the draws come from.
    """

    def exchange(match: re.Match[str]) -> str:
        others = similar.get(match[0].lower())
        if not others or rng.random() >= replaced:
            return match[0]
        return others[int(rng.integers(len(others)))]

    return _WORD.sub(exchange, text)


def remix(
    comments: Sequence[str],
    rows: int,
    seed: int,
    similar: Mapping[str, Sequence[str]],
    replaced: float = 0.15,
) -> list[str]:
    """Make up comments: neighbouring sentences, about half, of one comment or of two, some words exchanged.

    Args:
        comments: Real comments.
        rows: How many to make up.
        seed: Seed of the draw.
        similar: For lower-case words what may stand in their place.
        replaced: Chance of a word that has similar ones to be exchanged.

    Returns:
        `rows` texts, or none where there are no comments.
    """
    rng = np.random.default_rng(seed)
    sentences = [split_sentences(text) or [text] for text in comments if text.strip()]

    texts = []
    for _ in range(rows if sentences else 0):
        parts: list[str] = []
        for source in rng.integers(len(sentences), size=rng.integers(1, 3)):
            whole = sentences[int(source)]
            length = (len(whole) + 1) // 2
            begin = int(rng.integers(len(whole) - length + 1))
            parts += whole[begin : begin + length]
        texts.append(exchange_words(" ".join(parts), similar, replaced, rng))
    return texts
