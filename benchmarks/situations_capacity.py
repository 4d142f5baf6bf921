"""What the last layer can learn of situations: trained on, with dendrites, or wider by as many numbers.

Everything below the last layer stays as shipped. The last layer, for the first token, and what follows it
lose their dendrites and learn the situations that train, and nothing else. After `--epochs` passes, arms
part: no change, dendrites by either rule on the last layer or on the head alone, or more units in the
feed-forward part, as many numbers as the dendrites of the last layer have; then all train for as many passes
again. Judged on the validation split.

    python benchmarks/situations_capacity.py --seeds 5
"""

import argparse
import copy
import json
import math
import random
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional

from giantkiller.adapt.compose import load_model
from giantkiller.bundle import read_bundle
from giantkiller.data.situations import Situation, read_situations
from giantkiller.dendrites import (
    CorrelationRule,
    Errors,
    GradientRule,
    dendritic_layers,
    parameters,
    perforate,
)
from giantkiller.encoding import Encoder
from giantkiller.models.inference import tokenize

BATCH = 64
STRENGTH_RATE = 10  # dendrites' strengths start at zero, so that nothing reaches them before these move
HEAD = r"^(pooler|classifier)$"
LAST = r"^(attended|wide|narrow|pooler|classifier)$"


@dataclass
class States:
    """What the last layer reads of n texts, and what raters would say."""

    values: list[torch.Tensor]  # n of (tokens, hidden), float16
    targets: torch.Tensor  # (n, 7)
    harmful: np.ndarray  # (n,) bool

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each (n,)."""
        return np.array([len(each) for each in self.values])

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad some: states (b, t, hidden) and mask (b, t)."""
        picked = [self.values[row] for row in rows]
        states = nn.utils.rnn.pad_sequence(picked, batch_first=True).float()
        lengths = torch.tensor([len(each) for each in picked])
        return states, torch.arange(states.shape[1])[None] < lengths[:, None]


class Tail(nn.Module):
    """The last layer for the first token, the pooler and the classifier, of a shipped model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        layer = model.bert.encoder.layer[-1]
        own = layer.attention.self
        self.query, self.key, self.value = own.query, own.key, own.value
        self.heads = model.config.num_attention_heads
        self.attended, self.norm = layer.attention.output.dense, layer.attention.output.LayerNorm
        self.wide, self.narrow = layer.intermediate.dense, layer.output.dense
        self.last_norm = layer.output.LayerNorm
        self.pooler, self.classifier = model.bert.pooler.dense, model.classifier

    def without_dendrites(self) -> "Tail":
        """Return a copy in which every layer may grow and none has."""
        tail = copy.deepcopy(self)
        for layer in dendritic_layers(tail).values():
            layer.clear_dendrites("tanh")
        perforate(tail, lambda name, module: type(module) is nn.Linear, activation="tanh")
        return tail

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return logits (b, 7) of states (b, t, hidden)."""
        first = states[:, 0]
        q, k, v = (
            x.view(len(states), -1, self.heads, x.shape[-1] // self.heads).transpose(1, 2)
            for x in (self.query(first), self.key(states), self.value(states))
        )
        read = functional.scaled_dot_product_attention(q, k, v, mask[:, None, None])  # (b, heads, 1, d)
        x = self.norm(self.attended(read.transpose(1, 2).flatten(1)) + first)
        x = self.last_norm(self.narrow(functional.gelu(self.wide(x))) + x)
        return self.classifier(torch.tanh(self.pooler(x)))


def states_of(model: nn.Module, encoder: Encoder, situations: list[Situation]) -> States:
    """Run everything below the last layer."""
    tokens = tokenize(encoder, [each.text for each in situations], clean=True)
    values: list[torch.Tensor] = [torch.empty(0)] * len(situations)
    order = np.argsort(tokens.lengths, kind="stable")
    with torch.no_grad():
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            ids, mask = tokens.batch(rows)
            hidden = model.bert(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            for row, each, length in zip(rows, hidden[-2].half(), tokens.lengths[rows], strict=True):
                values[row] = each[:length].clone()
    targets = torch.tensor([each.targets for each in situations], dtype=torch.float32)
    return States(values, targets, np.array([each.harmful for each in situations]))


def logits_of(tail: nn.Module, states: States) -> np.ndarray:
    """Return toxicity's logits (n,)."""
    found = np.empty(len(states.harmful), np.float32)
    order = np.argsort(states.lengths, kind="stable")
    with torch.no_grad():
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            found[rows] = tail(*states.batch(rows))[:, 0].numpy()
    return found


def loss_of(tail: nn.Module, states: States, rows: np.ndarray) -> torch.Tensor:
    """Return the mean cross-entropy of some rows."""
    return functional.binary_cross_entropy_with_logits(tail(*states.batch(rows)), states.targets[rows])


def batches(states: States, rng: np.random.Generator) -> list[np.ndarray]:
    """Cut one pass into batches of like lengths, in random order."""
    lengths = states.lengths
    order = np.argsort(lengths + rng.random(len(lengths)), kind="stable")
    cut = [order[begin : begin + BATCH] for begin in range(0, len(order), BATCH)]
    return [cut[i] for i in rng.permutation(len(cut))]


def learn(tail: nn.Module, states: States, epochs: int, rate: float, seed: int) -> None:
    """Train everything that may, by AdamW with a rate that falls to zero."""
    rng = np.random.default_rng(seed)
    named = [(name, weight) for name, weight in tail.named_parameters() if weight.requires_grad]
    strengths = [weight for name, weight in named if name.endswith("strength")]
    rest = [weight for name, weight in named if not name.endswith("strength")]
    groups = [{"params": rest}, {"params": strengths, "lr": rate * STRENGTH_RATE, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([each for each in groups if each["params"]], rate, weight_decay=0.01)
    steps = epochs * math.ceil(len(states.harmful) / BATCH)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1, i / 50) * (1 - i / steps))
    for _ in range(epochs):
        for rows in batches(states, rng):
            optimizer.zero_grad()
            loss_of(tail, states, rows).backward()
            optimizer.step()
            falling.step()


def widen(tail: Tail, numbers: int) -> None:
    """Add units to the feed-forward part, about as many numbers; at first they say nothing."""
    hidden, old = tail.wide.in_features, tail.wide.out_features
    more = round(numbers / (2 * hidden + 1))
    wide, narrow = nn.Linear(hidden, old + more), nn.Linear(old + more, hidden)
    with torch.no_grad():
        wide.weight[:old], wide.bias[:old] = tail.wide.weight, tail.wide.bias
        narrow.weight.zero_()
        narrow.weight[:, :old], narrow.bias[:] = tail.narrow.weight, tail.narrow.bias
    tail.wide, tail.narrow = wide, narrow


def grow(tail: nn.Module, where: str, rule: str, states: States, seed: int) -> None:
    """Give each neuron of some layers one dendrite."""
    names = [name for name in dendritic_layers(tail) if re.search(where, name)]
    if rule == "gradient":
        GradientRule().grow(tail, names, seed=seed)
        return
    rng = np.random.default_rng(seed)
    shown = batches(states, rng)[:100]
    errors = Errors(lambda: iter(shown), lambda model, rows: loss_of(model, states, rows))
    CorrelationRule(candidates=4, passes=8).grow(tail, names, errors=errors, seed=seed)


def arms(tail: Tail, train: States, numbers: int, seed: int) -> dict[str, Tail]:
    """Return copies of a trained tail, changed as each arm says."""
    torch.manual_seed(seed)
    made = {"no change": copy.deepcopy(tail)}
    for place, where in (("last layer", LAST), ("head", HEAD)):
        for rule in ("gradient", "correlation"):
            made[f"dendrites by {rule}, {place}"] = copy.deepcopy(tail)
            grow(made[f"dendrites by {rule}, {place}"], where, rule, train, seed)
    made["wider"] = copy.deepcopy(tail)
    widen(made["wider"], numbers)
    return made


def size(tail: nn.Module) -> int:
    """Count numbers."""
    return parameters(tail).total


def main() -> None:
    """Train, grow, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", help="bundle to start from; default: the shipped one")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="passes before arms part, and after")
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--limit", type=int, help="texts to learn from, drawn; default: all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bundle = read_bundle(args.bundle)
        model = load_model(bundle, Path(folder) / "checkpoint")
    encoder = Encoder(bundle.tokenizer, bundle.max_length)
    taught = read_situations("train")
    random.Random(0).shuffle(taught)
    train = states_of(model, encoder, taught[: args.limit])
    validation = states_of(model, encoder, read_situations("validation"))
    start = Tail(model)

    def judge(tail: nn.Module) -> tuple[float, float]:
        return tuple(
            float(roc_auc_score(each.harmful, logits_of(tail, each))) for each in (validation, train)
        )

    rows: dict[str, list[tuple[float, float]]] = {"as shipped, phrases apart": [judge(start)]}
    sizes = {"as shipped, phrases apart": size(start)}
    start = start.without_dendrites()
    grown = copy.deepcopy(start)
    grow(grown, LAST, "gradient", train, 0)
    for seed in range(args.seeds):
        began = time.monotonic()
        tail = copy.deepcopy(start)
        learn(tail, train, args.epochs, args.rate, seed)
        found = {"trained on": tail, **arms(tail, train, size(grown) - size(start), seed)}
        for name, arm in found.items():
            if name != "trained on":
                learn(arm, train, args.epochs, args.rate / 2, seed + 1000)
            rows.setdefault(name, []).append(judge(arm))
            sizes[name] = size(arm)
            print(f"seed {seed} {name}: {rows[name][-1][0]:.4f} {rows[name][-1][1]:.4f}", flush=True)
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
    print("\n| last layer | numbers | ROC-AUC, validation | standard deviation | ROC-AUC, trained on |")
    print("|---|---|---|---|---|")
    for name, judged in rows.items():
        held, own = np.array(judged).T
        spread = f"{held.std(ddof=1):.4f}" if len(held) > 1 else ""
        print(f"| {name} | {sizes[name]:,} | {held.mean():.4f} | {spread} | {own.mean():.4f} |")
    print(json.dumps({name: {"numbers": sizes[name], "judged": judged} for name, judged in rows.items()}))


if __name__ == "__main__":
    main()
