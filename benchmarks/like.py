"""Which map from our scores to another service's: by quantiles, or isotonic regression?

    python benchmarks/like.py --data DIR [--halves 5]

Nobody publishes the old scores of a service, so the share of raters who said yes stands in for them: the
rows of DIR/civil_train.parquet that have one for every attribute. The shipped model was trained on these
rows, so the error is smaller than a user's will be, and shares of raters are coarser than scores (most are 0,
which is nearly all of the KS distance); what is compared is two maps on the same rows. Each is fitted on one
half and measured on the other, several times, where `giantkiller calibrate --like` does it once. Prints the
mean error, the Kolmogorov-Smirnov distance, and by what part of theirs the number of comments at 0.7, 0.8 and
0.9 or beyond is off: means over the attributes that have ten such comments, and over the halves.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.calibration import follow
from giantkiller.data.labelled import read_labelled
from giantkiller.evaluation.like import CUTS, fit_curve, ks_distance

LEAST = 10


def quantiles(ours, theirs, new):
    return follow(fit_curve(ours, theirs), new)


def isotonic(ours, theirs, new):
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(ours, theirs).predict(new)


METHODS = {"as they are": lambda ours, theirs, new: new, "quantiles": quantiles, "isotonic": isotonic}


def measure(scores, theirs):
    figures = {"error": float(np.abs(scores - theirs).mean()), "ks": ks_distance(scores, theirs)}
    for cut in CUTS:
        wanted = (theirs >= cut).sum()
        if wanted >= LEAST:
            figures[f"off at {cut}"] = float(abs((scores >= cut).sum() / wanted - 1))
    return figures


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--halves", type=int, default=5)
    arguments = parser.parse_args()
    rows = read_labelled(arguments.data / "civil_train.parquet")
    rows = rows.take([i for i, kind in enumerate(rows.kinds) if kind == "fraction"])
    scores = Screener().scores(rows.texts).astype(np.float64)
    found = {method: {} for method in METHODS}
    for half in range(arguments.halves):
        fitted = np.random.default_rng(half).permutation(len(rows)) < len(rows) // 2
        for column in range(len(ATTRIBUTES)):
            ours, theirs = scores[:, column], rows.targets[:, column].astype(np.float64)
            for method, apply in METHODS.items():
                new = apply(ours[fitted], theirs[fitted], ours[~fitted])
                for name, value in measure(new, theirs[~fitted]).items():
                    found[method].setdefault(name, []).append(value)
    means = {method: {name: float(np.mean(v)) for name, v in each.items()} for method, each in found.items()}
    names = list(means["quantiles"])
    print(f"{len(rows):,} rows, {arguments.halves} halves")
    print(f"{'':12}" + "".join(f"{name:>13}" for name in names))
    for method, each in means.items():
        print(f"{method:12}" + "".join(f"{each[name]:13.3f}" for name in names))
    print(json.dumps({"rows": len(rows), "halves": arguments.halves, "methods": means}))


if __name__ == "__main__":
    main()
