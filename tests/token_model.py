"""A small model of tokens with a padded batch, which the tests of errors and of the rules share."""

import itertools

import torch
from torch import nn

from giantkiller.dendrites import Errors, perforate


class Tokens(nn.Module):
    """Two layers on tokens, one on the first token, as a tiny encoder with a pooler has them."""

    def __init__(self, activation="tanh"):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.second = nn.Linear(5, 3)
        self.head = nn.Linear(3, 2)
        self.double()
        perforate(self, nn.Linear, activation=activation)

    def forward(self, x):
        h = self.second(torch.relu_(self.first(x)))
        return self.head(torch.tanh(h[:, 0]))


def model_and_data(seed=0, samples=12, tokens=6, activation="tanh"):
    torch.manual_seed(seed)
    model = Tokens(activation)
    x = torch.randn(samples, tokens, 4, dtype=torch.float64)
    y = torch.randn(samples, 2, dtype=torch.float64)
    lengths = torch.randint(1, tokens + 1, (samples,))
    mask = torch.arange(tokens)[None] < lengths[:, None]
    return model, x, y, mask


def loss(model, batch):
    """Every token counts, so that every token has an error."""
    x, y, mask = batch
    h = model.second(torch.relu_(model.first(x)))
    every = model.head(torch.tanh(h)) - y[:, None]
    return (every.square().sum(-1) * mask).sum() / len(x)


def pooled_loss(model, batch):
    x, y, _ = batch
    return (model(x) - y).square().sum(-1).mean()


def batches(x, y, mask, edges=(0, 5, 12)):
    return [(x[i:j], y[i:j], mask[i:j]) for i, j in itertools.pairwise(edges)]


def errors(parts, **more):
    return Errors(parts, loss, mask=lambda batch: batch[2], **more)


def states(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
