"""From scores to a verdict: thresholds for each attribute, four actions."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACTIONS = ("allow", "monitor", "review", "remove")
"""What can happen to a comment, mildest first."""


@dataclass(frozen=True)
class Verdict:
    """What to do about one comment, and why.

    `attribute` is the one whose score called for the action (for "allow": the one closest to calling for
    one), `score` its score; `label` says whether the comment is called toxic at the bundle's threshold.
    """

    action: str
    label: str
    attribute: str
    score: float
    scores: Mapping[str, float] = field(repr=False)


class Policy(Mapping[str, Mapping[str, float]]):
    """Thresholds for each attribute: from which score on a comment is monitored, reviewed, removed.

    A comment gets the sternest action that any attribute calls for. An attribute or an action without a
    threshold calls for nothing. As a mapping it gives the thresholds back: policy["insult"]["review"].

    Parameters: `thresholds`, {attribute: {"monitor": t, "review": t, "remove": t}}, scores in [0, 1],
    not falling from monitor to remove; None or absence means never.
    Raises UserError for unknown names, values outside [0, 1], or a sterner action at a lower score.
    """

    def __init__(self, thresholds: Mapping[str, Mapping[str, float | None]]) -> None:
        checked: dict[str, Mapping[str, float]] = {}
        for attribute, steps in thresholds.items():
            if attribute not in ATTRIBUTES:
                raise UserError(f"policy: {attribute!r} is none of {', '.join(ATTRIBUTES)}")
            if not isinstance(steps, Mapping):
                raise UserError(f"policy: {attribute} needs thresholds for {', '.join(ACTIONS[1:])}")
            for action, cut in steps.items():
                if action not in ACTIONS[1:]:
                    raise UserError(f"policy: {action!r} of {attribute} is none of {', '.join(ACTIONS[1:])}")
                number = isinstance(cut, int | float) and not isinstance(cut, bool)
                if cut is not None and not (number and 0 <= cut <= 1):
                    raise UserError(f"policy: {action} of {attribute} is {cut!r}, not a score from 0 to 1")
            cuts = {a: float(cut) for a in ACTIONS[1:] if (cut := steps.get(a)) is not None}
            if list(cuts.values()) != sorted(cuts.values()):
                raise UserError(f"policy: the thresholds of {attribute} must not fall from monitor to remove")
            checked[attribute] = MappingProxyType(cuts)
        self._thresholds = MappingProxyType(checked)

    def __getitem__(self, attribute: str) -> Mapping[str, float]:
        return self._thresholds[attribute]

    def __iter__(self) -> Iterator[str]:
        return iter(self._thresholds)

    def __len__(self) -> int:
        return len(self._thresholds)

    def __repr__(self) -> str:
        return f"Policy({self.to_dict()})"

    def __reduce__(self) -> Any:
        return Policy, (self.to_dict(),)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Give the thresholds as plain dictionaries, for JSON."""
        return {attribute: dict(steps) for attribute, steps in self._thresholds.items()}

    def actions(self, scores: "NDArray[np.floating[Any]]") -> "NDArray[np.str_]":
        """Give the action for each row of scores, shape (n, 7) in the order of ATTRIBUTES.

        A missing score (NaN) calls for nothing.
        """
        import numpy as np

        sternest = np.zeros(len(scores), dtype=np.int8)
        for attribute, steps in self.items():
            # In float64, as `judge` compares: a threshold rounded to float32 may move below a score.
            column = scores[:, ATTRIBUTES.index(attribute)].astype(np.float64)
            for level, action in enumerate(ACTIONS):
                if action in steps:
                    np.maximum(
                        sternest,
                        np.where(column >= steps[action], level, 0),
                        out=sternest,
                        casting="unsafe",
                    )
        return np.array(ACTIONS)[sternest]

    def judge(self, scores: Mapping[str, float] | Sequence[float], threshold: float = 0.5) -> Verdict:
        """Give the verdict on one comment.

        Parameters: `scores`, by attribute, or seven in the order of ATTRIBUTES; `threshold`, the toxicity
        from which on the label is "toxic".
        Raises UserError for a missing or non-finite score.
        """
        if not isinstance(scores, Mapping):
            if len(scores) != len(ATTRIBUTES):
                raise UserError(f"a verdict needs {len(ATTRIBUTES)} scores, got {len(scores)}")
            scores = dict(zip(ATTRIBUTES, map(float, scores), strict=True))
        for attribute in ATTRIBUTES:
            value = scores.get(attribute)
            if value is None or not math.isfinite(value):
                raise UserError(f"a verdict needs a score for {attribute}, got {value}")
        # Sternest action first; within it, the attribute that is furthest beyond its threshold.
        best: tuple[int, float, str] | None = None
        for attribute, steps in self.items():
            if not steps:
                continue
            score = scores[attribute]
            level, cut = 0, min(steps.values())
            for action, value in steps.items():
                if score >= value:
                    level, cut = ACTIONS.index(action), value
            candidate = (level, score - cut, attribute)
            if best is None or candidate[:2] > best[:2]:
                best = candidate
        if best is None:
            best = (0, 0.0, max(ATTRIBUTES, key=lambda a: scores[a]))
        level, _, attribute = best
        return Verdict(
            action=ACTIONS[level],
            label="toxic" if scores["toxicity"] >= threshold else "non-toxic",
            attribute=attribute,
            score=scores[attribute],
            scores={a: scores[a] for a in ATTRIBUTES},
        )


@dataclass(frozen=True)
class Combination:
    """A logistic combination of signals: our score and others, such as user reports or account age.

    probability = sigmoid(intercept + sum of weight * (signal - mean) / scale). `judging` fits it on
    labelled rows; this applies it.
    """

    signals: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    means: tuple[float, ...]
    scales: tuple[float, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.signals), len(self.weights), len(self.means), len(self.scales)}
        if len(sizes) != 1 or not self.signals or len(set(self.signals)) != len(self.signals):
            raise UserError("a combination needs one weight, mean and scale for each of its signals")
        numbers = (*self.weights, *self.means, *self.scales, self.intercept)
        if not all(math.isfinite(n) for n in numbers) or not all(s > 0 for s in self.scales):
            raise UserError("a combination needs finite numbers and scales above 0")


def combine(combination: Combination, signals: Mapping[str, Any]) -> "NDArray[np.float64]":
    """Combine signals into one probability a row.

    Parameters: `signals`, a column of n finite numbers for each signal that the combination was fitted on;
    others are ignored.
    Returns shape (n,), probabilities. Raises UserError where a signal is missing, rather than guessing.
    """
    import numpy as np

    total: NDArray[np.float64] | None = None
    for name, weight, mean, scale in zip(
        combination.signals, combination.weights, combination.means, combination.scales, strict=True
    ):
        if name not in signals:
            raise UserError(
                f"the signal {name!r} is missing; this combination needs {', '.join(combination.signals)}"
            )
        try:
            column = np.atleast_1d(np.asarray(signals[name], dtype=np.float64))
        except (TypeError, ValueError):
            raise UserError(f"the signal {name!r} holds something that is no number") from None
        if column.ndim != 1 or (total is not None and column.shape != total.shape):
            raise UserError(f"the signal {name!r} has another number of rows than the others")
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise UserError(f"the signal {name!r} is missing in row {bad[0] + 1}")
        term = weight * (column - mean) / scale
        total = term if total is None else total + term
    assert total is not None
    return np.exp(-np.logaddexp(0.0, -(combination.intercept + total)))
