"""How well do models of all sizes find toxic comments? Ours, its teachers, simpler things, a giant.

Each model scores the validation file, that choices were made by, and the test files, that judge. Two
simple models are trained in place on the same labelled rows: TF-IDF with logistic regression, and a
fastText-style mean of word and word-pair vectors of about the bundle's size. Models that are given:

    python benchmarks/quality.py --data DIR \\
      --model "giantkiller=default" --model "teachers averaged=runs/teacher+runs/teacher-2" \\
      --runs runs/student runs/release -o docs/results

A model is what `giantkiller evaluate` takes; several joined by + are averaged by logits. Of --runs, the
validation figures are read from what `giantkiller train` recorded, and their recipes are compared with the
first one's. Writes quality.json and, from it, quality.md.
"""

import argparse
import functools
import json
import math
import sys
from pathlib import Path

import numpy as np
from about import command_line
from sklearn.metrics import average_precision_score, roc_auc_score

from giantkiller.attributes import ATTRIBUTES, POSITIVE
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import read_labelled
from giantkiller.evaluation import identities, opponents
from giantkiller.evaluation.compare import paired
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.identity_aucs import auc_by_identity
from giantkiller.evaluation.suites import run_suite

HELD_OUT = 0.1  # as the recipes have it
GIANT = "toxic_bert_score"
VALIDATION, CIVIL, WIKI = "civil_val", "civil_test", "wiki_test"
BIAS = ("subgroup_auc", "bpsn_auc", "bnsp_auc")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the labelled files")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=MODEL")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="folders that `train` wrote")
    parser.add_argument("--no-simple", action="store_true", help="leave the two simple models out")
    parser.add_argument("-o", "--output", type=Path, help="folder for quality.json and quality.md")
    options = parser.parse_args()
    files = {name: read_labelled(options.data / f"{name}.parquet") for name in (VALIDATION, CIVIL, WIKI)}
    rows = []
    for given in options.model:
        name, _, source = given.partition("=")
        score, about = given_model(source)
        rows.append(row(name, score, about, files) | {"bias": by_identity(score, files[CIVIL], options.data)})
    if not options.no_simple:
        texts, targets = training_rows(options.data, files)
        rows.append(row("TF-IDF + logistic regression", *linear(texts, targets), files))
        rows.append(row("mean of word and pair vectors", *bag_of_vectors(texts, targets, files), files))
    if GIANT in files[CIVIL].extra:
        scores = np.asarray(files[CIVIL].extra[GIANT], dtype=np.float64)
        about = {"parameters": 109_500_000, "bytes": 438_000_000}
        rows.append({"name": "unitary/toxic-bert", **about, CIVIL: figures(scores, files[CIVIL])})
    result = {"models": rows, "runs": [run(folder) for folder in options.runs]}
    text = report(result, command_line("benchmarks/quality.py"))
    print(text)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "quality.json").write_text(json.dumps(result, indent=1) + "\n")
        (options.output / "quality.md").write_text(text)
    print(json.dumps(result))


def given_model(source):
    """Scores of toxicity by one model, or by several averaged, and their size."""
    parts = source.split("+")

    def score(texts):
        chances = np.stack([toxicity(part, tuple(texts)) for part in parts]).clip(1e-7, 1 - 1e-7)
        return np.log(chances / (1 - chances)).mean(axis=0)

    about = [model(part).about for part in parts]
    return score, {
        "parameters": sum(each.get("parameters") or 0 for each in about),
        "bytes": sum(each.get("disk") or 0 for each in about),
        "tokens": max(each["max_length"] for each in about),
    }


@functools.cache
def model(name):
    return opponents.load(name)


@functools.cache
def toxicity(name, texts):
    return model(name).scores(texts)[:, 0].astype(np.float64)


def training_rows(folder, files):
    """Every text rated for toxicity that neither validation nor the held-out share has."""
    known = {merge_key(text) for text in files[VALIDATION].texts}
    texts, targets = [], []
    for name in ("civil_train", "wiki_train"):
        labelled = read_labelled(folder / f"{name}.parquet")
        for text, target in zip(labelled.texts, labelled.targets[:, 0], strict=True):
            key = merge_key(text)
            if not math.isnan(target) and key not in known and not is_held_out(key, HELD_OUT):
                texts.append(text)
                targets.append(target)
    return texts, np.array(targets, np.float32)


def linear(texts, targets):
    from opponents import fit_words

    pipeline = fit_words(texts, targets >= POSITIVE)
    vectors, regression = pipeline[0], pipeline[1]
    words = sum(len(word.encode()) for word in vectors.vocabulary_)
    return pipeline.decision_function, {
        "parameters": int(regression.coef_.size) + 1,
        "bytes": words + 4 * (int(regression.coef_.size) + len(vectors.idf_)),
    }


def bag_of_vectors(texts, targets, files, width=80, pairs=1 << 15, epochs=6):
    """Joulin et al. 2016, "Bag of tricks for efficient text classification", on BERT's word pieces.

    Trained on the same rows; the epoch is chosen by validation. Its size counts one byte a weight.
    """
    import torch
    from tokenizers import Tokenizer

    from giantkiller.bundle import find_bundle

    tokenizer = Tokenizer.from_file(str(find_bundle() / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.no_padding()
    words = tokenizer.get_vocab_size()

    def features(some):
        bags = []
        for encoding in tokenizer.encode_batch_fast(some):
            ids = np.array(encoding.ids)
            bags.append(np.concatenate([ids, words + (ids[:-1] * 1_000_003 + ids[1:]) % pairs]))
        starts = np.cumsum([0, *(len(bag) for bag in bags[:-1])])
        return torch.from_numpy(np.concatenate(bags)), torch.from_numpy(starts)

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = torch.nn.ModuleList(
        [torch.nn.EmbeddingBag(words + pairs, width, mode="mean"), torch.nn.Linear(width, 1)]
    )
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)

    def logits(some):
        bags, head = network
        return head(bags(*features(some)))[:, 0]

    def score(some):
        with torch.no_grad():
            return np.concatenate(
                [logits(some[begin : begin + 1024]).numpy() for begin in range(0, len(some), 1024)]
            )

    best, kept = -1.0, {}
    for _ in range(epochs):
        order = rng.permutation(len(texts))
        for begin in range(0, len(order), 256):
            chosen = order[begin : begin + 256]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits([texts[i] for i in chosen]), torch.from_numpy(targets[chosen])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = figures(score(files[VALIDATION].texts), files[VALIDATION])["average_precision"]
        if found > best:
            best, kept = found, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    weights = sum(parameter.numel() for parameter in network.parameters())
    return score, {"parameters": weights, "bytes": weights, "tokens": 256}


def figures(scores, file):
    known = ~np.isnan(file.targets[:, 0])
    truth = file.targets[known, 0] >= POSITIVE
    return {
        "average_precision": float(average_precision_score(truth, scores[known])),
        "roc_auc": float(roc_auc_score(truth, scores[known])),
    }


def by_identity(score, civil, folder):
    """Figures of toxicity where identities are mentioned: generalized means over them, and the suites."""

    def scorer(texts):
        every = np.full((len(texts), len(ATTRIBUTES)), np.nan)
        every[:, 0] = 1 / (1 + np.exp(-score(texts)))
        return every

    known = ~np.isnan(civil.targets[:, 0])
    texts = [text for text, there in zip(civil.texts, known, strict=True) if there]
    masks = identities.find(texts, {}).masks
    config = EvaluationConfig(samples=0)
    terms = run_suite("madlibs", folder, scorer, config)
    hate = run_suite("hatecheck", folder, scorer, config)
    found = {
        CIVIL: auc_by_identity(
            scorer(texts)[:, 0], civil.targets[known, 0] >= POSITIVE, masks, samples=0
        ).means,
        "madlibs": terms.terms.means,
    }  # fmt: skip
    return {
        **{file: {kind: getattr(means, kind).value for kind in BIAS} for file, means in found.items()},
        "madlibs_auc": terms.toxicity.roc_auc.value,
        "hatecheck_auc": hate.by["toxicity"].roc_auc.value,
    }


def row(name, score, about, files):
    result = {"name": name, **about}
    for file, labelled in files.items():
        scores = np.asarray(score(labelled.texts), dtype=np.float64)
        result[file] = figures(scores, labelled)
        if file == CIVIL and GIANT in labelled.extra:
            # Ranks are all that these figures see; the squashing keeps them.
            chances = 1 / (1 + np.exp(-scores))
            giant = np.asarray(labelled.extra[GIANT], dtype=np.float64)
            gaps = paired(chances, giant, labelled.targets[:, 0]).figures
            result["over_giant"] = {
                figure: list(gaps[figure].difference) for figure in ("average_precision", "roc_auc")
            }
    print(f"{name}: {json.dumps(result)}", file=sys.stderr)
    return result


def run(folder):
    record = json.loads((folder / "training" / "record.json").read_text())
    log = [json.loads(line) for line in (folder / "training" / "log.jsonl").read_text().splitlines()]
    return {
        "folder": folder.name,
        "recipe": record["recipe"],
        "texts": record["texts"],
        "tokens": record["tokens"],
        "parameters": record["parameters"],
        # A resumed run's record times its last process alone; the log goes on counting.
        "seconds": sum({each["phase"]: each["seconds"] for each in log}.values()),
        "validation": record["validation"],
        "phases": {
            phase: max((each for each in log if each["phase"] == phase), key=lambda each: each["ap_toxicity"])
            for phase in dict.fromkeys(each["phase"] for each in log)
        },
    }


def flat(settings, prefix=""):
    for key, value in settings.items():
        if isinstance(value, dict) and key != "limit":
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def differences(recipe, first):
    """Settings that differ from the first run's, as `key = value`."""
    before, skipped = dict(flat(first)), ("name", "checkpoint_seconds")
    return [
        f"{key} = {json.dumps(value)}"
        for key, value in flat(recipe)
        if key not in skipped and value != before.get(key)
    ]


def report(result, command):
    lines = [
        "# Quality",
        "",
        f"Written by `{command}`.",
        "",
        "Toxicity, found by models from 5 MB to 438 MB. `civil_val` (1,997 comments, 8.8 % toxic) is what "
        "choices were made by; `civil_test` (2,498, 7.25 %) and `wiki_test` (5,000, 9.7 %) judge. "
        "The gain is average precision on `civil_test` less that of unitary/toxic-bert, with a 95 % "
        "interval from a paired bootstrap. AP: average precision; AUC: area under the ROC curve.",
        "",
        "| model | parameters | MB | tokens | val AP | val AUC | test AUC | test AP | wiki AUC | gain |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in result["models"]:
        cells = [each["name"], f"{each['parameters']:,}", f"{each['bytes'] / 1e6:.1f}"]
        cells.append(str(each.get("tokens", "all" if VALIDATION in each else "")))
        for file, figure in (
            (VALIDATION, "average_precision"), (VALIDATION, "roc_auc"), (CIVIL, "roc_auc"),
            (CIVIL, "average_precision"), (WIKI, "roc_auc"),
        ):  # fmt: skip
            cells.append(f"{each[file][figure]:.4f}" if file in each else "")
        if "over_giant" in each:
            value, low, high = each["over_giant"]["average_precision"]
            cells.append(f"{value:+.3f} [{low:+.3f}, {high:+.3f}]")
        else:
            cells.append("")
        lines.append("| " + " | ".join(cells) + " |")
    judged = [each for each in result["models"] if "bias" in each]
    if judged:
        lines += [
            "",
            "## Where identities are mentioned",
            "",
            "ROC-AUC of toxicity: within the comments that mention an identity (subgroup), of toxic ones "
            "without against harmless ones with it (BPSN: low where harmless mentions are called toxic), and "
            "the reverse (BNSP); generalized means over identities, power -5, as in the Jigsaw competition. "
            "On `civil_test` identities are found by words, in few comments each.",
            "",
            "| model | civil_test subgroup | BPSN | BNSP | madlibs | subgroup | BPSN | BNSP | HateCheck |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for each in judged:
            bias = each["bias"]
            cells = [bias[CIVIL][kind] for kind in BIAS] + [bias["madlibs_auc"]]
            cells += [bias["madlibs"][kind] for kind in BIAS] + [bias["hatecheck_auc"]]
            lines.append(f"| {each['name']} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    if result["runs"]:
        first = result["runs"][0]
        lines += [
            "",
            "## Runs",
            "",
            "What `giantkiller train` recorded, on `civil_val`. Settings are those that differ from "
            f"{first['folder']}'s.",
            "",
            "| run | settings | texts | tokens | minutes | phase | AP | AUC |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for each in result["runs"]:
            settings = "; ".join(differences(each["recipe"], first["recipe"])) or "as they are"
            settings = settings.replace("|", "\\|")
            for place, (phase, record) in enumerate(each["phases"].items()):
                head = (
                    f"{each['folder']} | {settings} | {each['texts']:,} | {each['tokens']:,} | "
                    f"{each['seconds'] / 60:.0f}"
                )
                lines.append(
                    f"| {head if not place else ' |  |  |  | '} | {phase} | {record['ap_toxicity']:.4f} | "
                    f"{record['auc_toxicity']:.4f} |"
                )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
