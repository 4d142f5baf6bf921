"""From scores to a verdict: thresholds for each attribute, four actions.

What fitted thresholds aim at is decided where they are fitted: `giantkiller.evaluation.thresholds`, and
`giantkiller.evaluation.presets` for three kinds of site.
"""

import contextlib
import importlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACTIONS = ("allow", "monitor", "review", "remove")
"""What can happen to a comment, mildest first."""

FLAGGED = ACTIONS[ACTIONS.index("review") :]
"""Those that a person has to look at, or that act at once."""

_FILE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Verdict:
    """What to do about one comment, and why.

    Attributes:
        action: One of `ACTIONS`.
        label: "toxic" or "non-toxic", by the bundle's threshold of toxicity.
        attribute: The one whose score called for the action; for "allow" the one closest to calling for one.
        score: Its score.
        scores: All seven, by attribute.
    """

    action: str
    label: str
    attribute: str
    score: float
    scores: Mapping[str, float] = field(repr=False)


class Policy(Mapping[str, Mapping[str, float]]):
    """Thresholds for each attribute: from which score on a comment is monitored, reviewed, removed.

    A comment gets the sternest action that any attribute calls for. An attribute or an action without a
    threshold calls for nothing. As a mapping it holds the thresholds: `policy["insult"]["review"]`.

    Args:
        thresholds: {attribute: {"monitor": t, "review": t, "remove": t}}, scores in [0, 1], not falling from
            monitor to remove; None or absence means never.

    Raises:
        UserError: An unknown name, a value outside [0, 1], or a sterner action at a lower score.
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
                raise UserError(
                    f"policy: the thresholds of {attribute} must not fall from {ACTIONS[1]} to {ACTIONS[-1]}"
                )
            checked[attribute] = MappingProxyType(cuts)
        self._thresholds = MappingProxyType({a: checked[a] for a in ATTRIBUTES if a in checked})

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
        """Return the thresholds as plain dictionaries, for JSON."""
        return {attribute: dict(steps) for attribute, steps in self._thresholds.items()}

    def actions(self, scores: "NDArray[np.floating[Any]]") -> "NDArray[np.str_]":
        """Return the action for each row of scores.

        A row that nothing is known of is for a person to look at: it gets "review" or what is sterner,
        never "allow".

        Args:
            scores: Shape (n, 7), in the order of `ATTRIBUTES`. A model without an attribute leaves NaN, which
                calls for nothing; a row that is all NaN, or NaN wherever there are thresholds, is unknown.

        Returns:
            Shape (n,), names of `ACTIONS`.
        """
        import numpy as np

        judged = [ATTRIBUTES.index(attribute) for attribute, steps in self.items() if steps]
        unknown = np.isnan(scores[:, judged] if judged else scores).all(axis=1)
        sternest = np.where(unknown, ACTIONS.index("review"), 0)
        for attribute, steps in self.items():
            # In float64, as `judge` compares: a threshold rounded to float32 may move below a score.
            column = scores[:, ATTRIBUTES.index(attribute)].astype(np.float64)
            np.maximum(sternest, level_of(steps, column), out=sternest)
        return np.array(ACTIONS)[sternest]

    def judge(self, scores: Mapping[str, float] | Sequence[float], threshold: float = 0.5) -> Verdict:
        """Return the verdict on one comment.

        Args:
            scores: By attribute, or seven in the order of `ATTRIBUTES`.
            threshold: The toxicity from which on the label is "toxic".

        Raises:
            UserError: A score is missing or not finite.
        """
        if not isinstance(scores, Mapping):
            if len(scores) != len(ATTRIBUTES):
                raise UserError(f"a verdict needs {len(ATTRIBUTES)} scores, got {len(scores)}")
            scores = dict(zip(ATTRIBUTES, scores, strict=True))
        checked = {}
        for attribute in ATTRIBUTES:
            value = scores.get(attribute)
            if value is None or not math.isfinite(value):
                raise UserError(f"a verdict needs a score for {attribute}, got {value}")
            checked[attribute] = float(value)
        # Sternest action first; within it, the attribute that is furthest beyond its threshold; of two that
        # are as far, the earlier one in `ATTRIBUTES`.
        best: tuple[int, float, str] | None = None
        for attribute, steps in self.items():
            if not steps:
                continue
            score = checked[attribute]
            level = level_of(steps, score)
            cut = steps[ACTIONS[level]] if level else min(steps.values())
            if best is None or (level, score - cut) > best[:2]:
                best = (level, score - cut, attribute)
        if best is None:
            best = (0, 0.0, max(ATTRIBUTES, key=checked.__getitem__))
        level, _, attribute = best
        return Verdict(
            action=ACTIONS[level],
            label="toxic" if checked["toxicity"] >= threshold else "non-toxic",
            attribute=attribute,
            score=checked[attribute],
            scores=checked,
        )


def read_policy(path: str | Path) -> Policy:
    """Read a policy from a JSON or TOML file: thresholds by attribute and action.

    Args:
        path: JSON like {"insult": {"review": 0.6, "remove": 0.95}}, or the same as tables of TOML (.toml).

    Raises:
        UserError: The file can't be read, or is no policy.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _FILE_LIMIT:
            raise UserError(f"{path} is no policy: it is too large")
        text = path.read_text(encoding="utf-8")
        thresholds = _load_toml(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        kind = "TOML" if path.suffix.lower() == ".toml" else "JSON"
        raise UserError(f"{path} is no valid {kind}: {error}") from error
    if not isinstance(thresholds, dict):
        raise UserError(f"{path} is no policy: it needs thresholds by attribute and action")
    try:
        return Policy(thresholds)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def level_of(steps: Mapping[str, float], score: Any) -> Any:
    """Return the index in `ACTIONS` of what a score, or each of an array of scores, calls for.

    The thresholds don't fall from one action to the next, so whoever reaches one has reached those before.

    Args:
        steps: An attribute's thresholds by action, as `Policy` holds them, in any order.
        score: Of that attribute; NaN calls for nothing.
    """
    level = before = 0
    for index, action in enumerate(ACTIONS):
        if action in steps:
            level = level + (score >= steps[action]) * (index - before)
            before = index
    return level


def _load_toml(text: str) -> Any:
    for name in ("tomllib", "tomli"):  # the first one comes with Python 3.11
        with contextlib.suppress(ImportError):
            return importlib.import_module(name).loads(text)
    raise UserError("reading TOML needs Python 3.11 or the package tomli; use JSON")
