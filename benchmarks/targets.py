"""What the shipped bundle promises, in one table: quality, calibration, robustness, size.

    python benchmarks/targets.py --data DIR [--model default] [-o docs/results]

DIR has civil_test, wiki_test, civil_val, the training files, of which only rows that no run has trained on
are scored, and the suites' files. Prints the table and one JSON line; with -o writes targets.md.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from about import command_line

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import read_labelled
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.metrics import measure
from giantkiller.evaluation.suites import run_suite
from giantkiller.export.calibration_rows import first_labels

HELD_OUT = 0.1  # as the recipes have it
NAMED = ("leetspeak", "spaces between", "dots between", "zero-width inside", "look-alike letters")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the labelled files")
    parser.add_argument("--model", default="default", help="a bundle")
    parser.add_argument("-o", "--output", type=Path, help="folder for targets.md")
    options = parser.parse_args()
    screener = Screener(None if options.model == "default" else options.model)
    bundle = screener.bundle
    config = EvaluationConfig(
        thresholds={"bundle": dict(bundle.threshold)}, policy=bundle.policy.to_dict(), samples=0
    )

    def suite(name):
        return run_suite(name, options.data, screener.scores, config)

    def toxicity(name):
        file = read_labelled(options.data / f"{name}.parquet")
        return measure(screener.scores(file.texts)[:, 0], file.targets[:, 0], samples=0, name=name)

    civil, wiki, validation = map(toxicity, ("civil_test", "wiki_test", "civil_val"))
    others = held_out_aucs(screener, options.data)
    hate, pairs, attacks = suite("hatecheck").by, suite("paradetox"), suite("spelling-attacks").attacks
    situations = suite("situations")
    staged = situations.all
    attacked = [attacks[each].average_precision_kept for each in attacks if each != "none"]
    table = {
        "situations (test): ROC-AUC by toxicity": staged.roc_auc.value,
        "situations: twins ranked rightly": staged.twins_ranked.value,
        "situations: harmless ones that pass": staged.harmless_passing.value,
        "situations: harmless ones removed": staged.harmless_removed.value,
        "situations: harmful ones flagged": staged.harmful_flagged.value,
        "situations: worst kind, share treated rightly": situations.worst.treated_rightly.value,
        "ROC-AUC, toxicity, civil_test": civil.roc_auc.value,
        "average precision, toxicity, civil_test": civil.average_precision.value,
        "ROC-AUC, toxicity, wiki_test": wiki.roc_auc.value,
        "mean ROC-AUC of the six others, held-out training rows": float(np.mean(list(others.values()))),
        **{f"ROC-AUC, {name}, held-out training rows": value for name, value in others.items()},
        "calibration error (ECE, 15 bins), civil_val, which calibration was fitted on": validation.ece.value,
        "calibration error (ECE, 15 bins), civil_test": civil.ece.value,
        "ROC-AUC, HateCheck by toxicity": hate["toxicity"].roc_auc.value,
        "ROC-AUC, HateCheck by identity_attack": hate["identity_attack"].roc_auc.value,
        "ROC-AUC, madlibs": suite("madlibs").toxicity.roc_auc.value,
        "ParaDetox: toxic above its rewrite": pairs.ranked_rightly.value,
        "average precision kept, mean of all spelling attacks": float(np.mean(attacked)),
        **{
            f"average precision kept, {name}": attacks[name].average_precision_kept
            for name in (*NAMED, *(each for each in attacks if each not in (*NAMED, "none")))
        },
    }
    sizes = {"parameters": bundle.provenance["parameters"], "bytes of the bundle": bundle.bytes}
    lines = ["| | |", "|---|---|", *(f"| {name} | {value:.4f} |" for name, value in table.items())]
    lines += [f"| {name} | {value:,} |" for name, value in sizes.items()]
    print("\n".join(lines))
    if options.output:
        head = f"# The shipped bundle in figures\n\nWritten by `{command_line('benchmarks/targets.py')}`.\n\n"
        (options.output / "targets.md").write_text(head + "\n".join(lines) + "\n")
    print(json.dumps(table | sizes))


def held_out_aucs(screener, folder):
    """ROC-AUC of each other attribute, on the first training file whose held-out rows label it enough."""
    parts = {}
    for name in ("civil_train", "wiki_train"):
        file = read_labelled(folder / f"{name}.parquet")
        parts[name] = file.take(np.array([is_held_out(merge_key(text), HELD_OUT) for text in file.texts]))
    targets, origin = first_labels(parts)
    scores = screener.scores([text for part in parts.values() for text in part.texts])
    found = {}
    for name in ATTRIBUTES[1:]:
        place = ATTRIBUTES.index(name)
        known = ~np.isnan(targets[:, place])
        if name in origin:
            measured = measure(scores[known, place], targets[known, place], samples=0, name=name)
            found[name] = measured.roc_auc.value
    return found


if __name__ == "__main__":
    main()
