"""The batches of an epoch."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from giantkiller.models.inference import Tokens
from giantkiller.training.corpus import Corpus

SHUFFLED_BATCHES = 64  # so many batches' texts are sorted by length together


@dataclass
class Examples:
    """A corpus and its tokens, ready to train on or to score."""

    corpus: Corpus
    tokens: Tokens


def plan_batches(
    lengths: np.ndarray, size: int, tokens: int | None, seed: Any, pairs: np.ndarray | None = None
) -> list[np.ndarray]:
    """Cut one epoch into length-bucketed batches, in random order.

    Texts are shuffled, then sorted by length inside chunks of many batches, so that a batch holds
    texts of about one length yet differs from epoch to epoch. Twins stay together.

    Args:
        lengths: (n,) tokens a text.
        size: Texts a batch, unless `tokens` is given.
        tokens: Padded tokens a batch.
        seed: Seed of the order; anything `numpy.random.default_rng` takes.
        pairs: (n,) twins have one number; -1 for texts that have no twin.

    Returns:
        Arrays of indices; together each text once. A batch is larger than asked for only where the twins
        of one number do not fit.
    """
    members, begins = _units(len(lengths), pairs)
    sizes = np.diff(begins)
    longest = np.maximum.reduceat(lengths[members], begins[:-1]) if len(members) else lengths
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sizes))
    chunk = SHUFFLED_BATCHES * (size if tokens is None else max(1, int(tokens / max(1.0, lengths.mean()))))
    batches = []
    for begin in range(0, len(order), chunk):
        units = order[begin : begin + chunk]
        units = units[np.argsort(-longest[units], kind="stable")]
        ends = np.cumsum(sizes[units])
        at = taken = 0
        while at < len(units):
            count = size if tokens is None else max(1, tokens // int(longest[units[at]]))
            stop = max(at + 1, int(np.searchsorted(ends, taken + count, side="right")))
            batches.append(np.concatenate([members[begins[u] : begins[u + 1]] for u in units[at:stop]]))
            at, taken = stop, int(ends[stop - 1])
    return [batches[i] for i in rng.permutation(len(batches))]


def _units(count: int, pairs: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Group rows that must not be parted.

    Returns:
        The rows (n,), a unit's one after the other, and where each unit begins (u + 1,).
    """
    first = np.arange(count)
    if pairs is not None and (pairs >= 0).any():
        paired = np.flatnonzero(pairs >= 0)
        _, heads, inverse = np.unique(pairs[paired], return_index=True, return_inverse=True)
        first[paired] = paired[heads][inverse]  # the first row with the same number
    members = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.diff(first[members], prepend=-1))
    return members, np.append(starts, count)
