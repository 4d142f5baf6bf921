"""How a model is to be evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from giantkiller.evaluation.metrics import SAMPLES


@dataclass(frozen=True)
class EvaluationConfig:
    """How a model is to be evaluated.

    Attributes:
        thresholds: Name to a threshold per attribute, next to 0.5; the first one decides where one must.
        policy: Attribute to thresholds of the actions; may be empty.
        policy_source: What the report says of where the policy is from, in words that follow "it is".
        base_rate: Share of toxic comments at the site in question; that of the rows if None.
        samples: Bootstrap samples.
        seed: Of every random draw.
        errors: How many of the hardest errors of each kind are shown with their text.
        split: Which rows of a suite that has splits are measured.
    """

    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    policy: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    base_rate: float | None = None
    samples: int = SAMPLES
    seed: int = 0
    errors: int = 10
    split: str = "test"
    policy_source: str = "one that was given"

    @property
    def drawn(self) -> dict[str, Any]:
        """What functions that draw at random take of it, as keyword arguments."""
        return {"samples": self.samples, "seed": self.seed}

    def threshold(self, attribute: str) -> float:
        """Return the score from which on a comment is called positive where one number is needed."""
        for named in self.thresholds.values():
            if attribute in named:
                return float(named[attribute])
        return 0.5
