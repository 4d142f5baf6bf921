"""How well does a student follow its teachers, on texts that it learned from and on others?

    python benchmarks/fidelity.py --soft-labels runs/teacher/civil.parquet runs/teacher-2/civil.parquet \\
      --model runs/student runs/release

The mean squared error and the correlation of toxicity logits, against the mean of the teachers', on texts
that recipes hold out and on as many others. Both large: the student wants capacity or time. Small on the
others alone: it knows them by heart, and wants more texts. Prints a table and one JSON line.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.evaluation import opponents
from giantkiller.training.soft_labels import read_soft_labels

HELD_OUT = 0.1  # as the recipes have it
TOXICITY = ATTRIBUTES.index("toxicity")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--soft-labels", type=Path, nargs="+", required=True, help="of the same texts")
    parser.add_argument("--model", nargs="+", required=True)
    parser.add_argument("--texts", type=int, default=2000, help="of each kind")
    options = parser.parse_args()
    read = [read_soft_labels(path) for path in options.soft_labels]
    texts = read[0][0]
    if any(each[0] != texts for each in read):
        parser.error("the files have different texts")
    taught = np.mean([logits[:, TOXICITY] for _, logits in read], axis=0)
    held = np.array([is_held_out(merge_key(text), HELD_OUT) for text in texts])
    rng = np.random.default_rng(0)
    chosen = {
        name: rng.permutation(np.flatnonzero(mask))[: options.texts]
        for name, mask in (("held out", held), ("learned from", ~held))
    }
    result = {}
    print(f"{'model':<28}{'texts':<14}{'squared error':>14}{'correlation':>13}")
    for model in options.model:
        score = opponents.load(model).score
        result[model] = {}
        for name, rows in chosen.items():
            chances = score([texts[row] for row in rows])[:, TOXICITY].astype(np.float64)
            chances = chances.clip(1e-7, 1 - 1e-7)
            logits = np.log(chances / (1 - chances))
            error = float(((logits - taught[rows]) ** 2).mean())
            correlation = float(np.corrcoef(logits, taught[rows])[0, 1])
            result[model][name] = {"squared_error": round(error, 4), "correlation": round(correlation, 4)}
            print(f"{model:<28}{name:<14}{error:>14.3f}{correlation:>13.4f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
