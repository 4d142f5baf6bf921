"""Dendrites for any PyTorch model: extra units on a layer's neurons, grown one at a time.

This package needs torch and nothing of the rest of the project.
"""

from giantkiller.dendrites.correlation import BestCandidates, CorrelationRule
from giantkiller.dendrites.error_signal import Errors
from giantkiller.dendrites.exceptions import DendriteError
from giantkiller.dendrites.growth import Grower, GrowthPhase
from giantkiller.dendrites.layers import (
    ACTIVATIONS,
    Dendritic,
    DendriticConv1d,
    DendriticConv2d,
    DendriticLinear,
)
from giantkiller.dendrites.ledger import Attempt, Ledger, read_ledger
from giantkiller.dendrites.loops import PlainLoop, TrainerLoop
from giantkiller.dendrites.perforate import (
    Parameters,
    allocate,
    counts,
    dendritic_layers,
    parameters,
    perforate,
)
from giantkiller.dendrites.prune import PruneResult, prune
from giantkiller.dendrites.rules import GradientRule, Growth, Rule
from giantkiller.dendrites.sparse import (
    SparseDendritic,
    SparseDendriticConv1d,
    SparseDendriticConv2d,
    SparseDendriticLinear,
    allocate_sparse,
    compact,
    expand,
    sparse_layers,
    sparse_layout,
)

__all__ = [
    "ACTIVATIONS",
    "Attempt",
    "BestCandidates",
    "CorrelationRule",
    "DendriteError",
    "Dendritic",
    "DendriticConv1d",
    "DendriticConv2d",
    "DendriticLinear",
    "Errors",
    "GradientRule",
    "Grower",
    "Growth",
    "GrowthPhase",
    "Ledger",
    "Parameters",
    "PlainLoop",
    "PruneResult",
    "Rule",
    "SparseDendritic",
    "SparseDendriticConv1d",
    "SparseDendriticConv2d",
    "SparseDendriticLinear",
    "TrainerLoop",
    "allocate",
    "allocate_sparse",
    "compact",
    "counts",
    "dendritic_layers",
    "expand",
    "parameters",
    "perforate",
    "prune",
    "read_ledger",
    "sparse_layers",
    "sparse_layout",
]
