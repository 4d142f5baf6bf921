"""What dendrites cost: a BERT-Tiny with one dendrite on every linear layer against the plain model.

    python benchmarks/dendrite_cost.py [--rounds 60] [--threads 2] [--clock cpu]

All variants run in each round, in an order of its own, so that a busy machine and what the one before left
in the caches slow them alike; times are medians and ratios medians of the rounds' own ratios. On a machine
that others use as well, take --clock cpu with --threads 1: it counts the processor time of this process.
Variants:
  plain      no dendrites
  gradient   one relu dendrite on each neuron of all 14 linear layers, everything learns
  correlation the same, input weights frozen and detached, as CorrelationRule leaves them
  tanh       gradient with tanh in place of relu
  products   both products and nothing between them: what gradient cannot go below
  joined     gradient, computed as one wider product of the joined weights instead of one a dendrite
  pruned N   gradient with N % of the dendrites left, in sparse layers
"""

import argparse
import copy
import functools
import json
import random
import statistics
import time

import torch
import torch.nn.functional as F
from transformers import BertConfig, BertForSequenceClassification

from giantkiller.dendrites import DendriticLinear, compact, dendritic_layers, parameters, perforate


class Joined(DendriticLinear):
    """The dendrites of a layer and its plain part in one product."""

    def forward(self, input):
        wide = F.linear(
            input, torch.cat((self.weight, self.dendrite_weight)), torch.cat((self.bias, self.dendrite_bias))
        )
        y, net = wide.split(self.neurons, -1)
        return torch.addcmul(y, self.dendrite_strength[0], torch.relu(net))


class Products(DendriticLinear):
    """The product of the dendrites is computed and thrown away."""

    def forward(self, input):
        y = F.linear(input, self.weight, self.bias)
        F.linear(input, self.dendrite_weight, self.dendrite_bias)
        return y


def variants():
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, num_labels=7
    )
    config.problem_type = "multi_label_classification"
    plain = BertForSequenceClassification(config)
    gradient = copy.deepcopy(plain)
    perforate(gradient, r"encoder|pooler|classifier")
    for layer in dendritic_layers(gradient).values():
        layer.grow()
        with torch.no_grad():
            layer.dendrite_strength.uniform_(-0.1, 0.1)
    correlation = copy.deepcopy(gradient)
    for layer in dendritic_layers(correlation).values():
        layer.freeze_dendrites(True)
    tanh, products, joined = (copy.deepcopy(gradient) for _ in range(3))
    for layer in dendritic_layers(tanh).values():
        layer.activation = "tanh"
    for model, kind in ((products, Products), (joined, Joined)):
        for layer in dendritic_layers(model).values():
            layer.__class__ = kind
    found = {
        "plain": plain,
        "gradient": gradient,
        "correlation": correlation,
        "tanh": tanh,
        "products": products,
        "joined": joined,
    }
    for share in (50, 10):
        pruned = copy.deepcopy(gradient)
        for layer in dendritic_layers(pruned).values():
            with torch.no_grad():
                layer.dendrite_strength *= torch.rand_like(layer.dendrite_strength) < share / 100
        compact(pruned)
        found[f"pruned {share}"] = pruned
    return found


def forward(model, ids, mask):
    with torch.inference_mode():
        model(input_ids=ids, attention_mask=mask)


def step(model, optimizer, ids, mask, targets):
    loss = model(input_ids=ids, attention_mask=mask, labels=targets).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def timed(work, rounds, clock):
    """Seconds of each piece of work in each round, in each round's own order."""
    for run in work.values():
        run(), run()
    seconds = {name: [] for name in work}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(sorted(work), len(work)):
            began = clock()
            work[name]()
            seconds[name].append(clock() - began)
    return seconds


def table(title, seconds, models):
    print(f"\n{title}\n{'':<12} {'ms':>9} {'ratio':>7} {'parameters':>12}")
    ratios = {}
    for name, times in seconds.items():
        ratios[name] = statistics.median(t / p for t, p in zip(times, seconds["plain"], strict=True))
        size = parameters(models[name]).total
        print(
            f"{name:<12} {1000 * statistics.median(times):>9.2f} {ratios[name]:>7.2f} {size:>12,}", flush=True
        )
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    options = parser.parse_args()
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    torch.set_num_threads(options.threads)
    models = variants()
    result = {"threads": options.threads, "clock": options.clock, "rounds": options.rounds}
    shapes = ((1, 128), (32, 128))
    for batch, tokens in shapes:
        ids = torch.randint(1000, 30000, (batch, tokens))
        mask = torch.ones_like(ids)
        for model in models.values():
            model.eval()
        rounds = options.rounds * 5 if batch == 1 else max(1, options.rounds // 4)
        work = {name: functools.partial(forward, model, ids, mask) for name, model in models.items()}
        result[f"forward_{batch}x{tokens}"] = table(
            f"forward, {batch} x {tokens} tokens", timed(work, rounds, clock), models
        )
    for batch, tokens in shapes:
        ids = torch.randint(1000, 30000, (batch, tokens))
        mask, targets = torch.ones_like(ids), torch.rand(batch, 7)
        work = {}
        for name, model in models.items():
            model.train()
            learning = [p for p in model.parameters() if p.requires_grad]
            optimizer = torch.optim.AdamW(learning, lr=1e-5)
            work[name] = functools.partial(step, model, optimizer, ids, mask, targets)
        rounds = options.rounds if batch == 1 else max(1, options.rounds // 4)
        result[f"train_{batch}x{tokens}"] = table(
            f"training step, {batch} x {tokens} tokens", timed(work, rounds, clock), models
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
