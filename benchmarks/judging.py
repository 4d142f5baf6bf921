"""How long does judging take, and how much memory? 100,000 rows, seven attributes, 1,000 bootstrap samples.

Run: python benchmarks/judging.py [--rows N] [--samples N]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.evaluation import compare, identity_aucs, metrics


def peak_mb():
    """High-water mark of this process's memory (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, default=100_000)
parser.add_argument("--samples", type=int, default=1000)
args = parser.parse_args()

rng = np.random.default_rng(0)
targets = (rng.random((args.rows, len(ATTRIBUTES))) < 0.08).astype(np.float32)
scores = (1 / (1 + np.exp(-rng.normal(2 * targets - 2, 1)))).astype(np.float32)
masks = {f"identity {n}": rng.random(args.rows) < 0.02 for n in range(13)}
thresholds = {"bundle": dict.fromkeys(ATTRIBUTES, 0.3)}
truth = targets[:, 0] >= 0.5

steps = {
    "figures of seven attributes": lambda: metrics.measure_attributes(
        scores, targets, thresholds=thresholds, samples=args.samples
    ),
    "bias AUCs of 13 identities": lambda: identity_aucs.auc_by_identity(
        scores[:, 0], truth, masks, samples=args.samples
    ),
    "paired comparison of two models": lambda: compare.paired(
        scores[:, 0], scores[:, 1], targets[:, 0], samples=args.samples
    ),
}
result = {"rows": args.rows, "samples": args.samples, "seconds": {}}
for name, step in steps.items():
    begin = time.perf_counter()
    step()
    result["seconds"][name] = round(time.perf_counter() - begin, 2)
    print(f"{name:<36}{result['seconds'][name]:>8.2f} s")
result["peak_mb"] = round(peak_mb(), 1)
print(f"{'peak memory':<36}{result['peak_mb']:>8.1f} MB")
print(json.dumps(result))
