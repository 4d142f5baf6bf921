"""Copies of training texts that say the same in other words, or in other company; labels are kept."""

from collections.abc import Sequence, Set

import numpy as np

from giantkiller.cleaning import clean_text
from giantkiller.data.augment.attacks import ATTACKS, attack
from giantkiller.data.augment.templates import mentions
from giantkiller.data.holdout import fold
from giantkiller.training.corpus import Corpus, join
from giantkiller.training.settings import DataSettings


def augment(train: Corpus, validation: Corpus, data: DataSettings, seed: int) -> Corpus:
    """Add the copies that a recipe asks for.

    Args:
        train: n texts.
        validation: Texts that no copy may equal.
        data: How many copies of which kind.
        seed: Seed of the draws.

    Returns:
        The texts, and the copies behind them.
    """
    plain = train
    if data.mentions:
        train = join([train, mentioning_copies(plain, data.mentions, seed)])
    if data.disguised:
        known = {*train.keys, *validation.keys}
        train = join([train, disguised_copies(plain, data.disguised, seed, known)])
    return train


def mentioning_copies(corpus: Corpus, share: float, seed: int) -> Corpus:
    """Copy some texts with a neutral sentence about an identity before or behind them, labels kept.

    Where groups are mentioned mostly by those who attack them, raters' labels and a teacher's alike tie the
    mention to toxicity; that it adds nothing is what these copies say. A teacher's states would be those of
    the added sentence, too, so the copies have none.

    Args:
        corpus: n texts.
        share: Texts to copy, as a share of n.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng([seed, len(corpus), 1])
    rows = rng.choice(len(corpus), round(len(corpus) * share), replace=False)
    pairs = zip(rows, mentions(len(rows), seed), rng.random(len(rows)) < 0.5, strict=True)
    texts = [
        f"{added} {corpus.texts[row]}" if first else f"{corpus.texts[row]} {added}"
        for row, added, first in pairs
    ]
    copies = _copies(corpus, rows, [clean_text(text) for text in texts])
    copies.states = None
    return copies


def disguised_copies(corpus: Corpus, share: float, seed: int, known: Set[str]) -> Corpus:
    """Copy some texts with words misspelt or disguised, labels and states kept.

    People write so to get past a filter, and readers understand them all the same. Each copy gets one of
    `giantkiller.data.augment.attacks.ATTACKS`, drawn evenly. Copies that cleaning turns back into a known
    text are left out: they would only count it twice.

    Args:
        corpus: n texts.
        share: Texts to copy, as a share of n.
        seed: Seed of the draw.
        known: Keys that no copy may have.

    Returns:
        The copies, at most `share * n`.
    """
    rng = np.random.default_rng([seed, len(corpus)])
    rows = rng.choice(len(corpus), round(len(corpus) * share), replace=False)
    names = rng.choice(list(ATTACKS), len(rows))
    texts = [
        clean_text(attack(corpus.texts[row], name, seed=seed)) for row, name in zip(rows, names, strict=True)
    ]
    copies = _copies(corpus, rows, texts)
    return copies.take(np.flatnonzero([key not in known for key in copies.keys]))


def _copies(corpus: Corpus, rows: np.ndarray, texts: Sequence[str]) -> Corpus:
    """Put other, cleaned texts in the place of some rows'; no copy is anybody's twin."""
    copies = corpus.take(rows)
    copies.texts = list(texts)
    copies.keys[:] = [fold(text) for text in texts]
    copies.pairs[:] = -1
    return copies
