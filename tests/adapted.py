"""A site whose rule a small bundle does not know."""

import csv

import checkpoints
import numpy as np
from bundles import vocabulary

from giantkiller.export.bundling import export_bundle

WORDS = [word for word in vocabulary() if word.isalpha() and len(word) > 1]
RUDE = "stupid"


def build_base(folder):
    """Write the bundle of a dendritic checkpoint with random weights, and return its folder."""
    checkpoints.write_checkpoint(folder / "checkpoint", dendrites={"classifier": 1})
    export_bundle(folder / "checkpoint", folder / "bundle", name="small")
    return folder / "bundle"


def site_rows(count=300, seed=0):
    """Comments that the site calls toxic for one word, whatever a model thinks of it."""
    rng = np.random.default_rng(seed)
    texts = {" ".join(rng.choice([*WORDS, *"abcdefgh"], rng.integers(4, 9))) for _ in range(count)}
    return [(text, int(RUDE in text)) for text in sorted(texts)]


def write_rows(path, rows, names=("text", "toxicity")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path
