"""A value with its 95 % interval: bootstrap, Wilson, Newcombe; and how a report of them becomes JSON."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Draw = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Indices of the positive and of the negative rows in one bootstrap sample."""
Z = 1.959963984540054
"""The 97.5 % quantile of a normal distribution."""


class Figure(NamedTuple):
    """A value with its 95 % interval; the ends are NaN where no interval was asked for."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def show(figure: Figure | None, digits: int = 3) -> str:
    """Write a figure with its interval, or a dash where there is none."""
    if figure is None or np.isnan(figure.value):
        return "–"
    text = f"{figure.value:,.{digits}f}"
    return text if np.isnan(figure.low) else f"{text} ({figure.low:,.{digits}f} to {figure.high:,.{digits}f})"


def draws(positives: int, negatives: int, samples: int, seed: int) -> Iterator[Draw]:
    """Draw rows with replacement, each class for itself; the same seed gives the same draws."""
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield rng.integers(0, positives, positives), rng.integers(0, negatives, negatives)


def interval(samples: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % points of bootstrap samples (NaN without samples)."""
    if not len(samples):
        return float("nan"), float("nan")
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); NaN without trials."""
    if not trials:
        return float("nan"), float("nan")
    share = successes / trials
    middle = (share + Z * Z / (2 * trials)) / (1 + Z * Z / trials)
    half = Z * np.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials**2)) / (1 + Z * Z / trials)
    return float(max(middle - half, 0)), float(min(middle + half, 1))


def share(part: float, whole: float) -> Figure:
    """Return a share with its Wilson interval; NaN of nothing."""
    return Figure(float(part) / float(whole) if whole else float("nan"), *wilson(float(part), float(whole)))


def difference(first: Figure, second: Figure) -> Figure:
    """Return the difference of two independent shares with Newcombe's interval (1998, method 10)."""
    gap = first.value - second.value
    low = gap - float(np.hypot(first.value - first.low, second.high - second.value))
    high = gap + float(np.hypot(first.high - first.value, second.value - second.low))
    return Figure(gap, low, high)


def to_json(thing: Any) -> Any:
    """Turn a report into what JSON can hold: dataclasses and figures become objects, NaN becomes null."""
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: to_json(getattr(thing, field.name)) for field in dataclasses.fields(thing)}
    if isinstance(thing, Figure):
        return {name: to_json(value) for name, value in thing._asdict().items()}
    if isinstance(thing, Mapping):
        return {str(key): to_json(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple, np.ndarray)):
        return [to_json(value) for value in thing]
    if isinstance(thing, np.generic):
        thing = thing.item()
    if isinstance(thing, float):
        return thing if np.isfinite(thing) else None
    return thing
