"""What the whole network can learn of situations and of sentences about groups: trained on, with dendrites on
every linear layer, wider by as many numbers, or with a third layer.

The shipped network without its phrases and dendrites learns some of the situations and sentences that train;
then arms part, and each learns situations drawn anew and the same sentences about other groups, once: no
change, dendrites by either rule everywhere, wider feed-forward parts, a third layer that says nothing at
first, and the same network robbed of its embeddings of pairs of tokens. The shipped network has learned from
all of these texts. Judged on the validation split of the situations, and on sentences about groups by the two
writers who train nothing.

    python benchmarks/whole_capacity.py --seeds 5
"""

import argparse
import copy
import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t
from situations_capacity import grow, learn, logits_of, size
from sklearn.metrics import roc_auc_score
from torch import nn

from giantkiller.adapt.compose import load_model
from giantkiller.bundle import read_bundle
from giantkiller.data.augment.groups import sentences_about_groups
from giantkiller.data.situations import read_situations
from giantkiller.dendrites import dendritic_layers, perforate
from giantkiller.encoding import Encoder
from giantkiller.models.first_token import first_token
from giantkiller.models.inference import Tokens, tokenize


@dataclass
class Texts:
    """Texts, what raters would say, and how much each counts where they judge."""

    tokens: Tokens
    targets: torch.Tensor  # (n, 7)
    harmful: np.ndarray  # (n,) bool
    weights: np.ndarray  # (n,)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each (n,)."""
        return self.tokens.lengths

    def batch(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad some: ids and mask, each (b, t)."""
        return self.tokens.batch(rows)


class Whole(nn.Module):
    """The network from ids to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return logits (b, 7) of ids and mask (b, t)."""
        return first_token(self.model, ids, mask).logits


def plain(model: nn.Module) -> Whole:
    """Take phrases and dendrites away, and let every linear layer grow."""
    model.bert.phrases = None
    for layer in dendritic_layers(model).values():
        layer.clear_dendrites("tanh")
    perforate(model, lambda name, module: type(module) is nn.Linear, activation="tanh")
    return Whole(model)


def widen(network: Whole, numbers: int) -> None:
    """Add units to the feed-forward parts, about as many numbers; at first they say nothing."""
    layers = network.model.bert.encoder.layer
    for layer in layers:
        old_wide, old_narrow = layer.intermediate.dense, layer.output.dense
        hidden, old = old_wide.in_features, old_wide.out_features
        units = old + round(numbers / len(layers) / (2 * hidden + 1))
        wide, narrow = nn.Linear(hidden, units), nn.Linear(units, hidden)
        with torch.no_grad():
            wide.weight[:old], wide.bias[:old] = old_wide.weight, old_wide.bias
            narrow.weight.zero_()
            narrow.weight[:, :old], narrow.bias[:] = old_narrow.weight, old_narrow.bias
        layer.intermediate.dense, layer.output.dense = wide, narrow


def deepen(network: Whole) -> None:
    """Put a layer between the two: the first one's weights, without normalization, adding nothing yet."""
    layers = network.model.bert.encoder.layer
    third = copy.deepcopy(layers[0])
    for part in (third.attention.output, third.output):
        part.LayerNorm = nn.Identity()
        nn.init.zeros_(part.dense.weight)
        nn.init.zeros_(part.dense.bias)
    layers.insert(1, third)


def rob(network: Whole) -> None:
    """Take the embeddings of pairs of tokens away."""
    network.model.bert.pairs = None


def arms(network: Whole, texts: Texts, seed: int) -> dict[str, Whole]:
    """Return copies of a trained network, changed as each arm says."""
    torch.manual_seed(seed)
    names = [
        "no change",
        "dendrites by gradient",
        "dendrites by correlation",
        "wider",
        "third layer",
        "no pairs",
    ]
    made = {name: copy.deepcopy(network) for name in names}
    before = size(network)
    for rule in ("gradient", "correlation"):
        grow(made[f"dendrites by {rule}"], "", rule, texts, seed)
    widen(made["wider"], size(made["dendrites by gradient"]) - before)
    deepen(made["third layer"])
    rob(made["no pairs"])
    return made


def taught(encoder: Encoder, situations: int, sentences: int, seed: int) -> Texts:
    """Draw what one phase learns."""
    drawn = random.Random(seed).sample(read_situations("train"), situations)
    groups = sentences_about_groups(sentences, seed)
    texts = [each.text for each in drawn] + groups.texts
    targets = np.concatenate([[each.targets for each in drawn], groups.targets]).astype(np.float32)
    return Texts(
        tokenize(encoder, texts, clean=True),
        torch.from_numpy(targets),
        targets[:, 0] >= 0.5,
        np.ones(len(texts)),
    )


def held_out(encoder: Encoder) -> tuple[Texts, Texts]:
    """Return the validation split, and the sentences of writers who train nothing."""
    situations = read_situations("validation")
    groups = sentences_about_groups(3000, 0, held_back=True)
    return (
        Texts(
            tokenize(encoder, [each.text for each in situations], clean=True),
            torch.empty(0),
            np.array([each.harmful for each in situations]),
            np.ones(len(situations)),
        ),
        Texts(
            tokenize(encoder, groups.texts, clean=True),
            torch.empty(0),
            np.array([frame.hateful for frame in groups.frames]),
            groups.repeat,
        ),
    )


def against_no_change(rows: dict[str, list[list[float]]]) -> None:
    """Print each arm's mean difference over seeds, with the 95 % interval of a paired t-test."""
    plain = np.array(rows["no change"])
    print("\n| network, less no change | situations | interval | groups | interval |")
    print("|---|---|---|---|---|")
    for name, judged in rows.items():
        if len(judged) == len(plain) and name != "no change":
            gains = np.array(judged) - plain
            half = t.ppf(0.975, len(plain) - 1) * gains.std(axis=0, ddof=1) / np.sqrt(len(plain))
            cells = " | ".join(
                f"{a:+.4f} | {b:.4f} each way" for a, b in zip(gains.mean(axis=0), half, strict=True)
            )
            print(f"| {name} | {cells} |")


def main() -> None:
    """Train, part, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", help="bundle to start from; default: the shipped one")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--situations", type=int, default=40_000, help="drawn for each phase")
    parser.add_argument("--sentences", type=int, default=20_000, help="about groups, for each phase")
    parser.add_argument("--rate", type=float, default=3e-4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bundle = read_bundle(args.bundle)
        start = plain(load_model(bundle, Path(folder) / "checkpoint"))
    encoder = Encoder(bundle.tokenizer, bundle.max_length)
    judges = held_out(encoder)

    def judge(network: nn.Module) -> list[float]:
        return [
            float(roc_auc_score(each.harmful, logits_of(network, each), sample_weight=each.weights))
            for each in judges
        ]

    rows: dict[str, list[list[float]]] = {"without phrases and dendrites": [judge(start)]}
    sizes = {"without phrases and dendrites": size(start)}
    for seed in range(args.seeds):
        began = time.monotonic()
        network = copy.deepcopy(start)
        learn(network, taught(encoder, args.situations, args.sentences, seed), 1, args.rate, seed)
        others = taught(encoder, args.situations, args.sentences, seed + 1000)
        found = {"trained on": network, **arms(network, others, seed)}
        for name, arm in found.items():
            if name != "trained on":
                learn(arm, others, 1, args.rate, seed + 1000)
            rows.setdefault(name, []).append(judge(arm))
            sizes[name] = size(arm)
            print(f"seed {seed} {name}: {rows[name][-1][0]:.4f} {rows[name][-1][1]:.4f}", flush=True)
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
    print("\n| network | numbers | situations | standard deviation | groups | standard deviation |")
    print("|---|---|---|---|---|---|")
    for name, judged in rows.items():
        mean = np.mean(judged, axis=0)
        spread = [f"{value:.4f}" for value in np.std(judged, axis=0, ddof=1)] if len(judged) > 1 else ["", ""]
        cells = " | ".join(f"{a:.4f} | {b}" for a, b in zip(mean, spread, strict=True))
        print(f"| {name} | {sizes[name]:,} | {cells} |")
    if args.seeds > 1:
        against_no_change(rows)
    print(json.dumps({name: {"numbers": sizes[name], "judged": judged} for name, judged in rows.items()}))


if __name__ == "__main__":
    main()
