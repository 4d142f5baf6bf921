"""Growth in one of two processes that train on half of the data each: RANK FOLDER."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from giantkiller.dendrites import CorrelationRule, Errors, GradientRule, Grower, perforate


def task():
    draw = torch.Generator().manual_seed(4)
    x = torch.randn(32, 8, generator=draw, dtype=torch.float64)
    return x, torch.sin(3 * x[:, :2])


def train(model, rows, steps=12):
    """Full-batch training on some of the rows; across processes, their joint batch."""
    x, y = task()
    joint = dist.is_initialized()
    learner = DistributedDataParallel(model) if joint else model
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        (learner(x[rows]) - y[rows]).square().mean().backward()
        optimizer.step()


def grown(rule, rows, folder=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    perforate(model)
    x, y = task()
    parts = Errors([(x[rows], y[rows])], lambda model, b: (model(b[0]) - b[1]).square().sum(1).mean())
    ledger = Grower(
        model,
        fit=lambda model: train(model, rows),
        score=lambda model: -(model(x) - y).square().mean().item(),
        rule=rule,
        errors=parts,
        max_dendrites=2,
        folder=folder,
    ).run()
    return model, [(a.grown, round(a.score, 9), a.kept) for a in ledger.attempts]


RULES = [GradientRule(), CorrelationRule(candidates=2, passes=3)]


def process(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.set_num_threads(1)
    try:
        told = []
        for number, rule in enumerate(RULES):
            model, ledger = grown(rule, slice(rank, None, 2), folder / f"run{number}")
            told.append((model.state_dict(), ledger))
        torch.save(told, folder / f"rank{rank}.pt")
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    process(int(sys.argv[1]), Path(sys.argv[2]))
