"""Grow dendrites on a small network that cannot tell two spirals apart. Half a minute on a CPU.

    python examples/dendrites_spirals.py [--rule gradient|correlation] [--folder DIR]

With --folder the growth is recorded there and, killed, resumes: `giantkiller grow-report DIR --plot a.png`.
"""

import argparse
import math

import torch
from torch import nn

from giantkiller.dendrites import (
    CorrelationRule,
    Errors,
    GradientRule,
    Grower,
    PlainLoop,
    parameters,
    perforate,
)


def spirals(points, seed):
    draw = torch.Generator().manual_seed(seed)
    label = torch.randint(2, (points,), generator=draw)
    turn = 2.5 * math.pi * torch.rand(points, generator=draw).sqrt()
    angle = turn + math.pi * label
    x = turn[:, None] * torch.stack((angle.cos(), angle.sin()), 1) / 8
    return x + 0.02 * torch.randn(points, 2, generator=draw), label


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rule", choices=("gradient", "correlation"), default="gradient")
    parser.add_argument("--folder")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    perforate(model, where=nn.Linear)
    (x, y), (x_val, y_val), (x_test, y_test) = spirals(1000, 1), spirals(1000, 2), spirals(1000, 3)
    batches = [(x[i : i + 100], y[i : i + 100]) for i in range(0, 1000, 100)]

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    @torch.no_grad()
    def score(model):
        return -nn.functional.cross_entropy(model.eval()(x_val), y_val).item()

    loop = PlainLoop(
        batches,
        loss,
        score,
        optimizer=lambda learning: torch.optim.Adam(learning, lr=0.01),
        epochs=150,
        patience=20,
    )
    grower = Grower(
        model,
        fit=loop.fit,
        score=loop.score,
        rule=CorrelationRule(candidates=4) if options.rule == "correlation" else GradientRule(),
        errors=Errors(batches, loss),
        max_dendrites=3,
        tries=2,
        folder=options.folder,
    )
    ledger = grower.run()
    print(ledger.table())
    right = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"accuracy on other points: {right:.3f}, with {parameters(model)}")


if __name__ == "__main__":
    main()
