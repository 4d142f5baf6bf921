"""The optional first look: comments that need no review, told by their words alone before the model runs.

A weight for each token, learned from what the model itself says (`giantkiller export --gate`): a comment's
margin is bias + length * log(n) + (sum of its tokens' weights) / sqrt(n), with n its number of tokens. What
stays below the threshold is stopped, and gets the same scores as every stopped comment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import GATE, Bundle
from giantkiller.encoding import ID
from giantkiller.errors import UserError

WEIGHT = np.dtype("<f2")
"""How weights are stored."""


@dataclass(frozen=True)
class Gate:
    """What decides who is stopped, and what stopped comments get.

    `weights`, one a token id; `logits`, shape (7,), those of a stopped comment.
    """

    weights: NDArray[np.float16]
    bias: float
    length: float
    threshold: float
    logits: NDArray[np.float32]

    def margins(self, rows: Sequence[bytes]) -> NDArray[np.float64]:
        """Give each row's margin; rows are packed `ID` integers, special tokens included."""
        if not rows:
            return np.empty(0)
        counts = np.fromiter(map(len, rows), np.intp, len(rows)) // ID.itemsize
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        # 16-bit weights add up exactly in 64 bits: no margin depends on the order or the neighbours.
        values = self.weights[np.frombuffer(b"".join(rows), ID)].astype(np.float64)
        sums = np.add.reduceat(values, starts)
        margins: NDArray[np.float64] = self.bias + self.length * np.log(counts) + sums / np.sqrt(counts)
        return margins

    def passes(self, rows: Sequence[bytes]) -> NDArray[np.bool_]:
        """Tell for each row whether the model has to look at it."""
        passing: NDArray[np.bool_] = self.margins(rows) >= self.threshold
        return passing

    def manifest(self) -> dict[str, Any]:
        """Give what a bundle's manifest says of the gate."""
        return {
            "bias": self.bias,
            "length": self.length,
            "threshold": self.threshold,
            "logits": dict(zip(ATTRIBUTES, self.logits.tolist(), strict=True)),
        }


def read_gate(bundle: Bundle, tokens: int) -> Gate:
    """Read a bundle's gate.

    Parameters: `tokens`, how many token ids the tokenizer has.
    Raises UserError where the bundle has none, or one for another tokenizer.
    """
    if bundle.gate is None:
        raise UserError(
            f"the bundle {bundle.name} has no gate; leave the gate off, or export a bundle with --gate"
        )
    path = bundle.folder / GATE
    weights = np.frombuffer(path.read_bytes(), WEIGHT).astype(np.float16)
    if len(weights) < tokens or not np.isfinite(weights).all():
        raise UserError(f"{path} does not fit the bundle's tokenizer; get the bundle again")
    return Gate(
        weights=weights,
        bias=bundle.gate["bias"],
        length=bundle.gate["length"],
        threshold=bundle.gate["threshold"],
        logits=np.array([bundle.gate["logits"][attribute] for attribute in ATTRIBUTES], np.float32),
    )
