"""Two models on situations, kind by kind: the share treated rightly, as a picture and a table.

    python benchmarks/situations.py BEFORE [AFTER] [-o docs/images/situations.png]

BEFORE and AFTER (default: the shipped bundle) are bundles, each judged at its own policy on the test split:
harmless comments should pass, harmful ones go to review or be removed. Earlier bundles are in the history:
`git log --oneline src/giantkiller/default`, then `git archive COMMIT src/giantkiller/default | tar x -C DIR`.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from giantkiller import Screener
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.suites import run_suite


def judge(model):
    """Return a bundle's name and what the suite says of it."""
    screener = Screener(None if model == "default" else model)
    bundle = screener.bundle
    config = EvaluationConfig(
        thresholds={"bundle": dict(bundle.threshold)}, policy=bundle.policy.to_dict(), samples=0
    )
    return f"bundle {bundle.version}", run_suite("situations", None, screener.scores, config)


def draw(path, names, tables):
    """Draw two bars a kind, harmless kinds above, harmful ones below."""
    kinds = list(tables[0])
    figure, axes = plt.subplots(figsize=(7.5, 8))
    for place, (name, table) in enumerate(zip(names, tables, strict=True)):
        heights = [i + 0.38 * place - 0.19 for i in range(len(kinds))]
        shares = [100 * table[kind] for kind in kinds]
        axes.barh(heights, shares, 0.38, label=name, color=("#b9c2cc", "#1f6f8b")[place])
    axes.set_yticks(range(len(kinds)), kinds, fontsize=8)
    axes.set_ylim(len(kinds) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% treated rightly: harmless ones pass, harmful ones go to review or are removed")
    axes.grid(axis="x", alpha=0.3)
    # Above the bars, which reach every corner.
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", help="a bundle")
    parser.add_argument("after", nargs="?", default="default", help="another")
    parser.add_argument("-o", "--output", type=Path, help="where the picture goes")
    options = parser.parse_args()
    names, results = zip(*map(judge, (options.before, options.after)), strict=True)
    tables = [
        {f"{key} {kind.name}": kind.treated_rightly.value for key, kind in result.kinds.items()}
        for result in results
    ]
    print(f"{'treated rightly':34}{names[0]:>16}{names[1]:>16}")
    for kind in tables[0]:
        print(f"{kind:34}" + "".join(f"{table[kind]:16.0%}" for table in tables))
    if options.output:
        draw(options.output, names, tables)
    print(json.dumps(dict(zip(names, tables, strict=True))))


if __name__ == "__main__":
    main()
