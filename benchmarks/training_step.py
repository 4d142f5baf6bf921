"""What a training step costs with the last layer computed for the first token alone, and for all tokens.

    python benchmarks/training_step.py [CHECKPOINT] [--rounds 40] [--tokens 2048] [--threads 1]

The shipped bundle, rebuilt, or a checkpoint learns from situations that train: forward, backward and the
optimizer's step. Both run in each round on one batch, in turn; the ratio is the median of the rounds' own.
"""

import argparse
import copy
import json
import statistics
import time

import numpy as np
import torch

from giantkiller.data.situations import read_situations
from giantkiller.models import masked_loss
from giantkiller.models.first_token import first_token
from giantkiller.models.inference import tokenize
from giantkiller.models.loading import load_checkpoint
from giantkiller.training.batches import plan_batches


def whole(model, ids, mask):
    return model(input_ids=ids, attention_mask=mask).logits


def first(model, ids, mask):
    return first_token(model, ids, mask).logits


def step(logits_of, model, optimizer, ids, mask, targets):
    began = time.perf_counter()
    masked_loss(logits_of(model, ids, mask), targets).backward()
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", nargs="?", default="default")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=2048, help="padded tokens a batch")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    classifier = load_checkpoint(arguments.checkpoint)
    situations = read_situations("train")
    tokens = tokenize(classifier.encoder(), [each.text for each in situations], clean=True)
    targets = np.array([each.targets for each in situations], np.float32)
    ways = {}
    for logits_of in (whole, first):
        model = copy.deepcopy(classifier.model).train()
        ways[logits_of] = model, torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    seconds = {logits_of: [] for logits_of in ways}
    counts = []
    for number, rows in enumerate(
        plan_batches(tokens.lengths, 32, arguments.tokens, 0)[: arguments.rounds + 2]
    ):
        ids, mask = tokens.batch(rows)
        for logits_of in sorted(ways, key=lambda way: (way is first) == bool(number % 2)):
            spent = step(logits_of, *ways[logits_of], ids, mask, torch.from_numpy(targets[rows]))
            if number >= 2:
                seconds[logits_of].append(spent)
        counts.append(int(mask.sum()))
    ratio = statistics.median(a / b for a, b in zip(seconds[whole], seconds[first], strict=True))
    result = {"ratio": round(ratio, 2)}
    for logits_of, spent in seconds.items():
        middle = statistics.median(spent)
        rate = sum(counts[2:]) / sum(spent)
        result[logits_of.__name__] = {"ms": round(1000 * middle, 1), "tokens_a_second": round(rate)}
        print(f"{logits_of.__name__:<6} {1000 * middle:8.1f} ms a step, {rate:8,.0f} tokens a second")
    print(f"all tokens take {ratio:.2f} times as long as the first alone")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
