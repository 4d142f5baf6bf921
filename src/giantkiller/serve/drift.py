"""How far scores have moved: the population stability index of each attribute."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import BINS, DISTRIBUTION, bin_counts

FIRST = 2000
"""Comments that make the reference where the bundle has none."""

WINDOW = 5000
"""Comments compared with the reference: the last one to two times as many."""


class Drift:
    """Histograms of scores, now and at reference.

    Args:
        figures: A bundle's figures. Their entry "score_distribution" gives, for each attribute, the shares
            of comments in `BINS` bins of equal width; without it the first `FIRST` comments are the
            reference.
    """

    def __init__(self, figures: Mapping[str, Any]) -> None:
        self._lock = threading.Lock()
        self._recent = np.zeros((len(ATTRIBUTES), BINS))
        self._before = np.zeros_like(self._recent)
        self._first = np.zeros_like(self._recent)
        self._reference = _reference(figures.get(DISTRIBUTION))
        self.source = "bundle" if self._reference is not None else "first comments"
        """Where the reference comes from."""

    def add(self, scores: NDArray[np.float32]) -> None:
        """Count scores, shape (n, 7)."""
        counts = bin_counts(scores)
        with self._lock:
            if self._reference is None:
                self._first += counts
                if self._first[0].sum() >= FIRST:
                    self._reference = _shares(self._first)
                return
            self._recent += counts
            if self._recent[0].sum() >= WINDOW:
                self._before, self._recent = self._recent, np.zeros_like(self._recent)

    def index(self) -> dict[str, float] | None:
        """Return the index of each attribute, or None while too little is known.

        The sum over bins of (now - reference) * log(now / reference): below 0.1 is calm, above 0.25 a shift.
        """
        with self._lock:
            now = self._before + self._recent
            reference = self._reference
        if reference is None or now[0].sum() < 200:
            return None
        shares = _shares(now)
        values = ((shares - reference) * np.log(shares / reference)).sum(axis=1)
        return dict(zip(ATTRIBUTES, values.tolist(), strict=True))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn counts into shares, half a comment in each bin, so that an empty one has a logarithm."""
    padded = counts + 0.5
    shares: NDArray[np.float64] = padded / padded.sum(axis=1, keepdims=True)
    return shares


def _reference(given: Any) -> NDArray[np.float64] | None:
    if not isinstance(given, Mapping):
        return None
    rows = [given.get(attribute) for attribute in ATTRIBUTES]
    if not all(isinstance(row, Sequence) and len(row) == BINS for row in rows):
        return None
    try:
        shares = np.array(rows, np.float64)
    except (TypeError, ValueError):
        return None
    if not np.isfinite(shares).all() or (shares < 0).any():
        return None
    return _shares(shares * WINDOW)
