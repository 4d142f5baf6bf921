"""Remove the dendrites that a validation score does not need."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from giantkiller.dendrites import state as states
from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.layers import Dendritic
from giantkiller.dendrites.perforate import Parameters, dendritic_layers, parameters
from giantkiller.dendrites.sparse import compact

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PruneResult:
    """Result of pruning.

    Attributes:
        dropped: Number of dendrites removed, counted neuron by neuron.
        kept: Number of dendrites that stay.
        before: The model's parameters before.
        after: The model's parameters after.
        score_before: Validation score before.
        score_after: Validation score after.
        evaluations: Number of times the model was scored.
    """

    dropped: int
    kept: int
    before: Parameters
    after: Parameters
    score_before: float
    score_after: float
    evaluations: int


def prune(
    model: nn.Module,
    score: Callable[[nn.Module], float],
    *,
    tolerance: float = 0.0,
    max_evaluations: int = 200,
) -> PruneResult:
    """Drop, in place, the dendrites of single neurons whose removal costs nothing on validation.

    The weakest dendrites (by |strength|, within all layers) are tried first. A group whose removal keeps
    the score is dropped whole; one that does not is halved and tried again, down to single dendrites or
    until `max_evaluations` is reached, after which what is untried stays. The layers become sparse then: see
    `compact`.

    Args:
        model: A model with dendritic layers.
        score: Returns the validation score of a model; higher is better.
        tolerance: How much the score may fall in all, compared with the unpruned model.
        max_evaluations: Maximum number of times the model is scored.

    Returns:
        What was removed, and the scores before and after.

    Raises:
        DendriteError: If there is nothing to prune, a score is not a number, or a limit is out of range.
    """
    if not tolerance >= 0 or max_evaluations < 2:
        raise DendriteError("pruning needs tolerance >= 0 and max_evaluations >= 2")
    layers = [layer for layer in dendritic_layers(model).values() if layer.dendrites]
    if not layers:
        raise DendriteError("there are no dendrites to prune")
    size = parameters(model)
    unpruned = states.capture(model)
    score_before = float(score(model))
    if not math.isfinite(score_before):
        raise DendriteError(
            f"the score of the unpruned model is {score_before}: nothing can be compared with it"
        )
    units = _units(layers)
    search = _Search(model, layers, units, score, score_before - tolerance, max_evaluations - 1)
    try:
        search.drop(torch.arange(len(units)))
    except BaseException:
        states.restore(model, unpruned)
        raise
    search.apply()
    compact(model)
    score_after = float(score(model))
    dropped = int(search.gone.sum())
    log.info("%d of %d dendrites dropped", dropped, len(units))
    return PruneResult(
        dropped=dropped,
        kept=len(units) - dropped,
        before=size,
        after=parameters(model),
        score_before=score_before,
        score_after=score_after,
        evaluations=search.evaluations + 2,
    )


def _units(layers: list[Dendritic]) -> Tensor:
    """Return every dendrite of every neuron as rows (layer, dendrite, neuron), the weakest first."""
    found, strengths = [], []
    for number, layer in enumerate(layers):
        assert layer.dendrite_strength is not None
        strength = layer.dendrite_strength.detach().abs().cpu()
        indices = torch.cartesian_prod(*(torch.arange(size) for size in strength.shape)).reshape(-1, 2)
        found.append(torch.cat((torch.full((len(indices), 1), number), indices), 1))
        strengths.append(strength.flatten())
    return torch.cat(found)[torch.cat(strengths).argsort(stable=True)]


class _Search:
    """Group testing: which dendrites can go with the score staying at its floor."""

    def __init__(
        self,
        model: nn.Module,
        layers: list[Dendritic],
        units: Tensor,
        score: Callable[[nn.Module], float],
        floor: float,
        budget: int,
    ) -> None:
        self.model, self.layers, self.units = model, layers, units
        self.score, self.floor, self.budget = score, floor, budget
        self.gone = torch.zeros(len(units), dtype=torch.bool)
        self.evaluations = 0
        self.full = [
            (
                layer.dendrite_strength.detach().clone() if layer.dendrite_strength is not None else None,
                layer.dendrite_cascade.detach().clone() if layer.dendrite_cascade is not None else None,
            )
            for layer in layers
        ]

    def drop(self, group: Tensor) -> None:
        """Drop a group of units if the score allows, else what of its halves can go."""
        if self.evaluations >= self.budget or not len(group):
            return
        self.gone[group] = True
        self.apply()
        self.evaluations += 1
        if float(self.score(self.model)) >= self.floor:
            return
        self.gone[group] = False
        if len(group) > 1:
            half = len(group) // 2
            self.drop(group[:half])
            self.drop(group[half:])

    @torch.no_grad()
    def apply(self) -> None:
        """Set to 0 the strengths of what is gone and its links into later dendrites; restore all others."""
        for number, (layer, (strength, cascade)) in enumerate(zip(self.layers, self.full, strict=True)):
            if layer.dendrite_strength is None or strength is None:
                continue
            mine = self.units[self.gone & (self.units[:, 0] == number)]
            stays = torch.ones_like(strength)
            stays[mine[:, 1], mine[:, 2]] = 0
            layer.dendrite_strength.copy_(strength * stays)
            if layer.dendrite_cascade is not None and cascade is not None:
                source = [earlier for later in range(layer.dendrites) for earlier in range(later)]
                layer.dendrite_cascade.copy_(cascade * stays[source])
