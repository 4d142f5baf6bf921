"""A layer that has grown, and the ledger of a growth."""

import torch
from torch import nn

from giantkiller.dendrites import Attempt, DendriticLinear, Ledger


def grown(inputs=4, neurons=5, dendrites=3, activation="tanh"):
    layer = DendriticLinear(inputs, neurons, dtype=torch.float64, dendrites=dendrites, activation=activation)
    with torch.no_grad():
        for tensor in (layer.dendrite_strength, layer.dendrite_cascade):
            if tensor is not None:
                tensor.normal_()
    return nn.Sequential(layer)


def ledger():
    first = Attempt(0, {}, None, 0.5, True, 100, 0, 0.0, 2.0, curve=[(1.0, 0.4), (2.0, 0.5)])
    kept = Attempt(
        1, {"a": 1, "b": 1}, 0.5, 0.625, True, 140, 40, 1.0, 2.0, {"a": 0.25, "b": 0.5}, [(1.5, 0.6)]
    )
    lost = Attempt(2, {"a": 2, "b": 2}, 0.625, 0.5, False, 180, 80, 1.0, 2.5, {"a": 0.1, "b": 0.2})
    return Ledger({"rule": "some"}, [first, kept, lost], "1 attempts in a row did not add 0 to the score")
