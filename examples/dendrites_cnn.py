"""Grow dendrites on the channels of a small CNN, then prune. A minute on a CPU.

    python examples/dendrites_cnn.py

The data are scikit-learn's 8 x 8 digits. Validation images decide what is kept; test images only judge.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from giantkiller.dendrites import Grower, PlainLoop, parameters, perforate, prune


def main():
    torch.manual_seed(0)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, val, test = order[:800], order[800:1300], order[1300:]
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 10),
    )
    perforate(model, where=(nn.Conv2d, nn.Linear))
    batches = [(x[rows], y[rows]) for rows in train.split(50)]

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    @torch.no_grad()
    def score(model):
        return -nn.functional.cross_entropy(model.eval()(x[val]), y[val]).item()

    def accuracy():
        return (model.eval()(x[test]).argmax(1) == y[test]).float().mean().item()

    loop = PlainLoop(
        batches, loss, score, lambda learning: torch.optim.Adam(learning, lr=0.005), epochs=100, patience=8
    )
    ledger = Grower(
        model,
        fit=loop.fit,
        score=loop.score,
        max_dendrites=2,
        tries=3,
    ).run()
    print(ledger.table())
    print(f"accuracy on test images {accuracy():.3f}, with {parameters(model)}")
    result = prune(model, score, tolerance=0.002)
    print(
        f"pruned {result.dropped} of {result.dropped + result.kept} dendrites: score {result.score_after:.4f}"
    )
    print(f"accuracy on test images {accuracy():.3f}, with {parameters(model)}")


if __name__ == "__main__":
    main()
