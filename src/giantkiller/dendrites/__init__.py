"""Dendrites for any PyTorch model: extra units on a layer's neurons, grown one at a time.

This package needs torch and nothing of the rest of the project.
"""

from giantkiller.dendrites.correlation import Chosen, CorrelationRule
from giantkiller.dendrites.errors import Errors
from giantkiller.dendrites.growth import Grower, Phase
from giantkiller.dendrites.ledger import Attempt, Ledger, read_ledger
from giantkiller.dendrites.linear import ACTIVATIONS, DendriteError, Dendritic, DendriticLinear
from giantkiller.dendrites.perforate import (
    Parameters,
    allocate,
    counts,
    dendritic_layers,
    parameters,
    perforate,
)
from giantkiller.dendrites.rules import GradientRule, Growth, Rule

__all__ = [
    "ACTIVATIONS",
    "Attempt",
    "Chosen",
    "CorrelationRule",
    "DendriteError",
    "Dendritic",
    "DendriticLinear",
    "Errors",
    "GradientRule",
    "Grower",
    "Growth",
    "Ledger",
    "Parameters",
    "Phase",
    "Rule",
    "allocate",
    "counts",
    "dendritic_layers",
    "parameters",
    "perforate",
    "read_ledger",
]
