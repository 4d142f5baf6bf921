"""Grow first where error remains."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from torch import nn

from giantkiller.dendrites.correlation import CorrelationRule
from giantkiller.dendrites.error_signal import Errors
from giantkiller.dendrites.layers import Dendritic


@dataclass(frozen=True)
class Placement:
    """Let a few candidates look at each layer, and grow the layers where they track the error best.

    Attributes:
        layers: how many layers grow in one attempt.
        scout: trains the candidates that look; they are thrown away.
    """

    layers: int = 1
    scout: CorrelationRule = field(default_factory=lambda: CorrelationRule(candidates=2, passes=3))

    def rank(
        self, model: nn.Module, layers: Sequence[str], *, errors: Errors | None, seed: int
    ) -> dict[str, float]:
        """Measure the mean |S| over the neurons of each layer, the highest first; the model stays as it is.

        Raises:
            DendriteError: `errors` is missing or shows no usable error.
        """
        chosen = self.scout.choose(model, layers, errors=errors, seed=seed)
        found = {name: best.correlation.abs().mean().item() for name, best in chosen.items()}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def pick(self, ranked: Sequence[str], tried: Collection[str]) -> list[str]:
        """Take the best layers that were not tried since the last attempt that was kept."""
        fresh = [name for name in ranked if name not in tried]
        return (fresh or list(ranked))[: self.layers]


def cost(layer: Dendritic, dendrites: int) -> int:
    """Number of parameters that so many more dendrites add to a layer."""
    each = layer.weight[0].numel() + 2
    links = sum(range(layer.dendrites, layer.dendrites + dendrites))
    return layer.neurons * (each * dendrites + links)


def affordable(layers: dict[str, Dendritic], names: Sequence[str], dendrites: int, left: int) -> list[str]:
    """Take the layers, in the order of `names`, whose growth fits into the parameters left."""
    taken = []
    for name in names:
        price = cost(layers[name], dendrites)
        if price <= left:
            taken.append(name)
            left -= price
    return taken
