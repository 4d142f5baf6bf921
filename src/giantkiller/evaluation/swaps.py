"""How far scores move when only the identity changes (Garg et al. 2019, token fairness)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from giantkiller.evaluation.figures import Figure, interval, share
from giantkiller.evaluation.identities import SWAPS, swap
from giantkiller.evaluation.metrics import SAMPLES, Scorer

MIN_SWAPPED = 20
MAX_SWAPPED = 500


@dataclass(frozen=True)
class Swapped:
    """How far scores move when only the identity changes; None where the comments are too few.

    Attributes:
        comments: Comments that mention the first identity.
        shift: Mean change of the score.
        size: Mean absolute change.
        flipped: Share of comments whose decision changes.
    """

    comments: int
    shift: Figure | None = None
    size: Figure | None = None
    flipped: Figure | None = None


def measure_swaps(
    texts: Sequence[str],
    scorer: Scorer,
    *,
    threshold: float = 0.5,
    attribute: int = 0,
    samples: int = SAMPLES,
    seed: int = 0,
    least: int = MIN_SWAPPED,
) -> dict[str, Swapped]:
    """Measure how far scores move when only the identity changes (Garg et al. 2019, token fairness).

    Args:
        texts: Real comments; for each pair of SWAPS those that mention the first identity are used, at most
            500, the first of the file.
        scorer: Texts to scores (n, 7).
        threshold: From which on a comment is toxic.
        attribute: Column of the scores.
        samples: Bootstrap samples over comments.
        seed: Of the bootstrap.
        least: Comments below which there is no figure.

    Returns:
        The name of each pair of SWAPS to what was measured.
    """
    report: dict[str, Swapped] = {}
    jobs: list[tuple[str, list[str], list[str]]] = []
    for name, words in SWAPS.items():
        before, after = [], []
        for text in texts:
            changed = swap(text, words)
            if changed != text:
                before.append(text)
                after.append(changed)
                if len(before) == MAX_SWAPPED:
                    break
        report[name] = Swapped(len(before))
        if len(before) >= least:
            jobs.append((name, before, after))
    if not jobs:
        return report
    scores = np.asarray(scorer([text for _, before, after in jobs for text in before + after]))[:, attribute]
    rng, begin = np.random.default_rng(seed), 0
    for name, before, _ in jobs:
        size = len(before)
        old, new = scores[begin : begin + size], scores[begin + size : begin + 2 * size]
        begin += 2 * size
        moved = (new - old).astype(np.float64)
        drawn = moved[rng.integers(0, size, (samples, size))]
        report[name] = Swapped(
            comments=size,
            shift=Figure(float(moved.mean()), *interval(drawn.mean(axis=1))),
            size=Figure(float(np.abs(moved).mean()), *interval(np.abs(drawn).mean(axis=1))),
            flipped=share(int(((old >= threshold) != (new >= threshold)).sum()), size),
        )
    return report
