"""Rude comments and the same said civilly: of each two, the rude one should score higher.

Ten language-model agents, who worked apart from each other, wrote them, about half word by word and half said
anew (the task is text detoxification; Logacheva et al. 2022, "ParaDetox", whose pairs they were not shown).

`rewrites.tsv` has the writer, the rude comment, its seven labels in tenths (X is ten), the civil one and its
labels.
"""

from functools import cache
from importlib.resources import files

import numpy as np

HELD_BACK = ("d4",)
"""Writers whose pairs train nothing."""


@cache
def read_rewrites(held_back: bool = False) -> tuple[list[str], np.ndarray]:
    """Return comments, a rude one and its civil rewrite in turn.

    Args:
        held_back: Those of the writers who train nothing, instead of the others'.

    Returns:
        2 n comments, and their targets (2 n, 7) float32; nothing is missing.
    """
    lines = (files("giantkiller.data.augment") / "rewrites.tsv").read_text("utf-8").splitlines()[1:]
    texts, targets = [], []
    for line in lines:
        writer, rude, rude_labels, civil, civil_labels = line.split("\t")
        if (writer in HELD_BACK) == held_back:
            texts += [rude, civil]
            targets += [_fractions(rude_labels), _fractions(civil_labels)]
    return texts, np.array(targets, np.float32)


def draw_rewrites(rows: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Draw pairs of those that train, without repetition.

    Args:
        rows: About how many comments: half as many pairs, at least one and at most all.
        seed: Seed of the draw.

    Returns:
        The comments, a rude one and its rewrite in turn; targets (n, 7) float32; numbers (n,) int64 of their
        pairs.
    """
    texts, targets = read_rewrites()
    pairs = np.sort(np.random.default_rng(seed).permutation(len(texts) // 2)[: max(1, rows // 2)])
    chosen = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
    return [texts[row] for row in chosen], targets[chosen], np.repeat(np.arange(len(pairs)), 2)


def _fractions(labels: str) -> list[float]:
    return [1.0 if label == "X" else int(label) / 10 for label in labels]
