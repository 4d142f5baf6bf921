"""Dendrites for any PyTorch model: extra units on a layer's neurons, grown one at a time.

This package needs torch and nothing of the rest of the project.
"""

from giantkiller.dendrites.linear import ACTIVATIONS, DendriteError, Dendritic, DendriticLinear
from giantkiller.dendrites.perforate import (
    Parameters,
    allocate,
    counts,
    dendritic_layers,
    parameters,
    perforate,
)

__all__ = [
    "ACTIVATIONS",
    "DendriteError",
    "Dendritic",
    "DendriticLinear",
    "Parameters",
    "allocate",
    "counts",
    "dendritic_layers",
    "parameters",
    "perforate",
]
