"""From logits to probabilities: a line for each attribute (Platt scaling), then a curve if it has one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from giantkiller.attributes import ATTRIBUTES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Curve = tuple[tuple[float, float], ...]
"""Points from (0, 0) to (1, 1), strictly rising in both; straight lines between them."""


@dataclass(frozen=True)
class Calibration:
    """How a logit becomes a probability: sigmoid(slope * logit + intercept), then `curve` if there is one."""

    slope: float = 1.0
    intercept: float = 0.0
    curve: Curve = ()

    def apply(self, logits: "ArrayLike") -> "NDArray[np.float64]":
        """Return the probabilities of logits of any shape."""
        import numpy as np

        return follow(self.curve, sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept))


def sigmoid(logits: "ArrayLike") -> "NDArray[np.float64]":
    """Return 1 / (1 + exp(-logits)), without overflow."""
    import numpy as np

    probabilities: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64)))
    return probabilities


def follow(curve: Curve, scores: "ArrayLike") -> "NDArray[np.float64]":
    """Return where a curve leads from scores of any shape; the scores themselves if it has no points."""
    import numpy as np

    score = np.asarray(scores, dtype=np.float64)
    if not curve:
        return score
    x, y = zip(*curve, strict=True)
    return np.asarray(np.interp(score, x, y))


class Calibrator:
    """The calibration of all attributes, to be applied again and again.

    Attributes:
        slopes: Shape (7,), in the order of ATTRIBUTES.
        intercepts: Likewise.
    """

    def __init__(self, calibration: Mapping[str, Calibration]) -> None:
        import numpy as np

        lines = [calibration.get(attribute, Calibration()) for attribute in ATTRIBUTES]
        self.slopes = np.array([line.slope for line in lines])
        self.intercepts = np.array([line.intercept for line in lines])
        self._curves = {column: line.curve for column, line in enumerate(lines) if line.curve}

    def lines(self, logits: "ArrayLike") -> "NDArray[np.float64]":
        """Return logits, shape (n, 7), on their attributes' lines: what the sigmoid is taken of."""
        import numpy as np

        calibrated: NDArray[np.float64] = self.slopes * np.asarray(logits) + self.intercepts
        return calibrated

    def apply(self, logits: "ArrayLike") -> "NDArray[np.float64]":
        """Return the probabilities of logits, shape (n, 7)."""
        scores = sigmoid(self.lines(logits))
        for column, curve in self._curves.items():
            scores[:, column] = follow(curve, scores[:, column])
        return scores


def calibrate(logits: "ArrayLike", calibration: Mapping[str, Calibration]) -> "NDArray[np.float64]":
    """Return the probabilities of logits of all attributes.

    Args:
        logits: (n, 7), in the order of ATTRIBUTES.
        calibration: By attribute; one that is missing keeps slope 1, intercept 0 and no curve.

    Returns:
        (n, 7) in float64.
    """
    return Calibrator(calibration).apply(logits)
