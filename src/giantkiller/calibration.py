"""From logits to probabilities: a slope and an intercept for each attribute (Platt scaling)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from giantkiller.attributes import ATTRIBUTES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Calibration:
    """How a logit becomes a probability: sigmoid(slope * logit + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, logits: "ArrayLike") -> "NDArray[np.float64]":
        """Return the probabilities of logits of any shape."""
        import numpy as np

        return sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept)


def sigmoid(logits: "ArrayLike") -> "NDArray[np.float64]":
    """Return 1 / (1 + exp(-logits)), without overflow."""
    import numpy as np

    probabilities: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64)))
    return probabilities


def calibrate(logits: "ArrayLike", calibration: Mapping[str, Calibration]) -> "NDArray[np.float64]":
    """Return the probabilities of logits of all attributes.

    Args:
        logits: (n, 7), in the order of ATTRIBUTES.
        calibration: Attribute to its line; one that is missing keeps slope 1 and intercept 0.

    Returns:
        (n, 7) in float64.
    """
    import numpy as np

    slopes, intercepts = coefficients(calibration)
    return sigmoid(slopes * np.asarray(logits) + intercepts)


def coefficients(calibration: Mapping[str, Calibration]) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return the slopes and the intercepts, each of shape (7,), in the order of ATTRIBUTES."""
    import numpy as np

    lines = [calibration.get(attribute, Calibration()) for attribute in ATTRIBUTES]
    return np.array([line.slope for line in lines]), np.array([line.intercept for line in lines])
