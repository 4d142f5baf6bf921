"""What a site's decisions teach the shipped model, by what learns: a study of simulated sites.

    python benchmarks/adapt.py run --data DIR -o tuning.jsonl --tuning --seeds 2
    python benchmarks/adapt.py run --data DIR -o results.jsonl --tuned tuning.jsonl
    python benchmarks/adapt.py report results.jsonl
    python benchmarks/adapt.py promise --data DIR -o promise.jsonl
    python benchmarks/adapt.py frontier --data DIR -o frontier.jsonl
    python benchmarks/adapt.py ask --data DIR -o ask.jsonl

Runs resume: what is in the file isn't run again. A site is one source of hate_train.parquet with a rule of
its own: an attack on a group counts, swearing does not. Its decisions are 200 or 1,000 of its comments, and
1,000 with 20 % of their labels flipped; 600 other comments, labels as they are, judge it. Elsewhere is
judged on civil_val and on the situations of the validation split. All arms have the same steps, rehearsal
and choice of the pass, except the two that fit no network: Platt's line, which keeps the order, and
logistic regression on the frozen pooled features. Of about one size are `low-rank` (20,003 numbers) and one
dendrite a neuron on one layer (16,640), which learn by gradient, or grow by correlation with 128 strengths
that learn afterwards.

`promise` runs the command itself, `frontier` finds its defaults, `ask` says which decisions are worth a
second look: adapt_promise.py, adapt_frontier.py, adapt_ask.py.

docs/results/adapt.md says what counts as dendrites winning; it was written before this ran.
"""

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adapt_ask
import adapt_frontier
import adapt_promise
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from adapt_ask import pooled
from dendrite_study import interval, p_value, read_rows
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch.nn import functional

from giantkiller.adapt import Decisions, Settings
from giantkiller.adapt.compose import load_model
from giantkiller.adapt.learning import Part, chosen_of, fit, make_part
from giantkiller.adapt.methods import Learning, attach
from giantkiller.adapt.rehearsal import to_judge, to_learn
from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import read_bundle
from giantkiller.calibration import Calibrator
from giantkiller.data.labelled import read_labelled
from giantkiller.dendrites import CorrelationRule, Errors, perforate
from giantkiller.encoding import Encoder
from giantkiller.models.inference import Tokens, predict, tokenize

SITES = ("gab_hate", "cad", "stormfront")
TUNING = ("implicit_hate", "hatexplain")
CASES = ((200, 0.0), (1000, 0.0), (1000, 0.2))
JUDGING = 600
LAYER = "bert.encoder.layer.0.attention.output.dense"
DENDRITIC = ("dendrites", "dendrites on one layer", "dendrites by correlation")
FITTED = ("platt", "logistic")
ARMS = (*FITTED, "head", "bias", "low-rank", *DENDRITIC, "full")
FACTORS = (0.3, 1.0, 3.0)
"""Of the learning rates, for tuning."""
EQUAL = ("low-rank",)
"""Arms without dendrites that are about as large as dendrites on one layer."""


class Bench:
    """The shipped model, the site's comments, and what is judged elsewhere."""

    def __init__(self, data: Path) -> None:
        self.bundle = read_bundle()
        self.folder = tempfile.TemporaryDirectory()
        self.model = load_model(self.bundle, Path(self.folder.name) / "base")
        self.encoder = Encoder(self.bundle.tokenizer, self.bundle.max_length)
        table = pq.read_table(data / "hate_train.parquet", columns=["text", "identity_attack", "source"])
        self.table = table.filter(pc.is_valid(pc.if_else(pc.is_nan(table["identity_attack"]), None, 1)))
        rehearsal = to_learn()
        self.rehearsed = make_part(self.model, self.bundle, rehearsal.texts, rehearsal.targets, share=0.5)
        self.elsewhere = {}
        civil, situations = read_labelled(data / "civil_val.parquet"), to_judge()["situations"]
        for name, part in (("civil", civil), ("situations", situations)):
            known = ~np.isnan(part.targets[:, 0])
            texts = [text for text, kept in zip(part.texts, known, strict=True) if kept]
            labels = part.targets[known, 0] >= 0.5
            tokens = self.tokens(texts)
            self.elsewhere[name] = (tokens, labels, average_precision(predict(self.model, tokens), labels))

    def tokens(self, texts: list[str]) -> Tokens:
        return tokenize(self.encoder, texts, clean=True)

    def site(self, source: str, count: int, noise: float, seed: int) -> tuple[Decisions, Tokens, np.ndarray]:
        """Draw a site's decisions and its judging comments, which share no text."""
        rows = self.table.filter(pc.equal(self.table["source"], source))
        rng = np.random.default_rng([seed, len(source), count])
        drawn = rows.take(rng.permutation(rows.num_rows)[: count + JUDGING])
        texts = drawn["text"].to_pylist()
        labels = drawn["identity_attack"].to_numpy() >= 0.5
        told = labels[:count] ^ (rng.random(count) < noise)
        targets = np.full((count, len(ATTRIBUTES)), np.nan, np.float32)
        targets[:, 0] = told
        units = np.arange(count)
        decisions = Decisions(texts[:count], targets, np.ones(count), units, None, count, 0, source)
        return decisions, self.tokens(texts[count:]), labels[count:]


def average_precision(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(average_precision_score(labels, logits[:, 0]))


def learner(arm: str, part: Part, bundle: Any, settings: Settings) -> Callable[[Any], Learning]:
    """Return what makes of a model one in which an arm's parameters learn."""
    if arm not in DENDRITIC[1:]:
        return lambda model: attach(model, settings)

    def grow(model: Any) -> Learning:
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        perforate(model, lambda name, _: name == LAYER, activation=model.config.dendrite_activation)
        layer = model.get_submodule(LAYER)
        if arm == "dendrites on one layer":
            layer.grow(generator=torch.Generator().manual_seed(settings.seed))
            learns = ("weight", "bias", "strength")
        else:
            for parameter in model.parameters():
                parameter.requires_grad_(True)  # the rule watches gradients
            rule = CorrelationRule(candidates=4, passes=8)
            rule.grow(model, [LAYER], errors=errors_of(part, bundle), seed=settings.seed)
            for parameter in model.parameters():
                parameter.requires_grad_(False)
            learns = ("strength",)
        found = {f"{LAYER}.dendrite_{name}": getattr(layer, f"dendrite_{name}") for name in learns}
        for parameter in found.values():
            parameter.requires_grad_(True)
        return Learning(found)

    return grow


def errors_of(part: Part, bundle: Any) -> Errors:
    """Show the rule the site's decisions in batches of like lengths."""
    line = Calibrator(bundle.calibration)
    slopes, intercepts = (torch.tensor(each, dtype=torch.float32) for each in (line.slopes, line.intercepts))
    order = np.argsort(part.tokens.lengths, kind="stable")
    batches = [part.batch(order[begin : begin + 64]) for begin in range(0, len(order), 64)]

    def loss(model: Any, batch: Any) -> torch.Tensor:
        ids, mask, targets, weights = batch
        logits = model(input_ids=ids, attention_mask=mask).logits * slopes + intercepts
        each = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (each * weights).sum() / weights.sum()

    return Errors(batches, loss, mask=lambda batch: batch[1].bool())


def scorer_of(bench: Bench, arm: str, decisions: Decisions, settings: Settings) -> tuple[Any, dict[str, Any]]:
    """Let an arm learn; return its function from tokens to logits, and what is known of it."""
    if arm == "platt":  # a line with a positive slope changes no order
        return lambda tokens: predict(bench.model, tokens), {"parameters": 2}
    if arm == "logistic":
        own = bench.tokens(decisions.texts)
        regression = LogisticRegression(C=0.1, max_iter=500)
        regression.fit(pooled(bench.model, own), decisions.targets[:, 0] >= 0.5)
        return (
            lambda tokens: regression.decision_function(pooled(bench.model, tokens))[:, None],
            {"parameters": bench.model.config.hidden_size + 1},
        )
    part = make_part(bench.model, bench.bundle, decisions.texts, decisions.targets, unasked=settings.unasked)
    model = copy.deepcopy(bench.model)
    learning = learner(arm, part, bench.bundle, settings)(model)
    learned = fit(model, learning, bench.bundle, (part, bench.rehearsed), chosen_of(decisions), settings)
    size = sum(parameter.numel() for parameter in learning.parameters.values())
    return lambda tokens: predict(model, tokens), {"parameters": size, "kept": learned.best}


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    bench = Bench(options.data)
    keys = ("arm", "site", "decisions", "noise", "seed", "factor")
    done = {tuple(row[key] for key in keys) for row in read_rows(options.output)}
    sites, cases = (TUNING, ((1000, 0.0),)) if options.tuning else (options.sites, CASES)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for count, noise in cases:
            for source in sites:
                decisions, tokens, labels = bench.site(source, count, noise, seed)
                before = average_precision(predict(bench.model, tokens), labels)
                for arm in options.arms:
                    for factor in FACTORS if options.tuning and arm not in FITTED else (1.0,):
                        key = (arm, source, count, noise, seed, factor)
                        if key in done:
                            continue
                        row = dict(zip(keys, key, strict=True)) | cell(
                            bench, arm, decisions, (tokens, labels, before), seed, factor, options.tuned
                        )
                        with options.output.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                        print(json.dumps(row), flush=True)


def cell(
    bench: Bench,
    arm: str,
    decisions: Decisions,
    judging: tuple[Tokens, np.ndarray, float],
    seed: int,
    factor: float,
    tuned: Path | None,
) -> dict[str, Any]:
    """Let one arm learn one site, and judge it."""
    method = "dendrites" if arm in DENDRITIC or arm in FITTED else arm
    rate = Settings(method=method).rate * (best_factor(tuned, arm) if tuned else factor)
    settings = Settings(method=method, learning_rate=rate, seed=seed)
    began = time.process_time()
    score, known = scorer_of(bench, arm, decisions, settings)
    seconds = time.process_time() - began
    tokens, labels, before = judging
    losses = {
        name: round(old - average_precision(score(some), truth), 4)
        for name, (some, truth, old) in bench.elsewhere.items()
    }
    gain = average_precision(score(tokens), labels) - before
    return {
        "before": round(before, 4),
        "gain": round(gain, 4),
        "loss": losses,
        "seconds": round(seconds, 1),
        "positives": int(labels.sum()),
        "rate": rate,
        **known,
    }


def best_factor(tuned: Path, arm: str) -> float:
    """Return the factor of the learning rate with the largest mean of gain less loss on the tuning sites."""
    found: dict[float, list[float]] = {}
    for row in read_rows(tuned):
        if row["arm"] == arm:
            found.setdefault(row["factor"], []).append(row["gain"] - max(0.0, *row["loss"].values()))
    return max(found, key=lambda factor: float(np.mean(found[factor]))) if found else 1.0


def report(options: argparse.Namespace) -> None:
    rows = read_rows(options.results)
    for count, noise in CASES:
        some = [row for row in rows if (row["decisions"], row["noise"]) == (count, noise)]
        if some:
            print(f"\n### {count} decisions, {noise:.0%} of the labels flipped\n")
            print("| arm | learning | site | seeds | AP before | gain | civil | situations | CPU s |")
            print("|---|---|---|---|---|---|---|---|---|")
        for arm in ARMS:
            for site in SITES:
                cells = [row for row in some if (row["arm"], row["site"]) == (arm, site)]
                if cells:
                    print(f"| {arm} | {cells[0]['parameters']:,} | {site} | {len(cells)} | {line(cells)} |")
    print()
    print(json.dumps({"cells": len(rows), "sites": {site: compared(rows, site) for site in SITES}}))


def line(cells: list[dict[str, Any]]) -> str:
    mean, low, high = interval(np.array([row["gain"] for row in cells]))
    gain = f"{mean:+.3f}" + ("" if np.isnan(low) else f" ({low:+.3f} to {high:+.3f})")
    lost = [float(np.mean([row["loss"][name] for row in cells])) for name in ("civil", "situations")]
    before, seconds = (float(np.mean([row[name] for row in cells])) for name in ("before", "seconds"))
    return f"{before:.3f} | {gain} | {lost[0]:+.3f} | {lost[1]:+.3f} | {seconds:.0f}"


def compared(rows: list[dict[str, Any]], site: str) -> dict[str, Any]:
    """Compare the arms of equal size on a site: 1,000 decisions, no noise, paired by seed."""
    gains: dict[str, dict[int, float]] = {}
    losses: dict[str, list[float]] = {}
    for row in rows:
        if (row["site"], row["decisions"], row["noise"]) == (site, 1000, 0.0):
            gains.setdefault(row["arm"], {})[row["seed"]] = row["gain"]
            losses.setdefault(row["arm"], []).append(max(row["loss"].values()))
    found: dict[str, Any] = {"admissible": [arm for arm in losses if np.mean(losses[arm]) <= 0.005]}
    for arm in DENDRITIC[1:]:
        for other in EQUAL:
            seeds = sorted(gains.get(arm, {}).keys() & gains.get(other, {}).keys())
            gaps = np.array([gains[arm][seed] - gains[other][seed] for seed in seeds])
            if len(gaps):
                mean, low, high = (round(value, 4) for value in interval(gaps))
                p = p_value(gaps) if len(gaps) > 1 else float("nan")
                told = [None if np.isnan(value) else value for value in (low, high, p)]
                found[f"{arm} less {other}"] = [mean, *told, len(gaps)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--data", type=Path, required=True, help="folder with hate_train and civil_val")
    runs.add_argument("--seeds", type=int, default=8)
    runs.add_argument("--first-seed", type=int, default=1)
    runs.add_argument("--sites", nargs="+", choices=SITES, default=list(SITES))
    runs.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    runs.add_argument(
        "--tuning", action="store_true", help="the tuning sites, at three learning rates an arm"
    )
    runs.add_argument("--tuned", type=Path, help="what --tuning wrote: its best rates are used")
    runs.add_argument("--threads", type=int, default=1)
    runs.add_argument("-o", "--output", type=Path, required=True)
    runs.set_defaults(do=run)
    adapt_promise.add_to(commands)
    adapt_frontier.add_to(commands)
    adapt_ask.add_to(commands)
    reports = commands.add_parser("report")
    reports.add_argument("results", type=Path)
    reports.set_defaults(do=report)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
