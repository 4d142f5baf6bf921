"""`giantkiller compare`: two models on the same rows and the same clock."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from giantkiller.cli._extras import need_extra
from giantkiller.evaluation import opponents


@click.command(name="compare", epilog=opponents.HELP)
@click.argument("model")
@click.argument("giant")
@click.option(
    "--data", "data_path", required=True, type=click.Path(path_type=Path), help="Labelled comments."
)
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--max-length", type=click.IntRange(min=8), help="Cut comments here (checkpoints only).")
@click.option("--samples", type=click.IntRange(0, 100_000), default=1000, show_default=True,
              help="Paired bootstrap samples.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--rounds", type=click.IntRange(0, 1000), default=5, show_default=True,
              help="Rounds of timing; 0 leaves it out.")  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=256, show_default=True,
              help="Comments in one round of timing.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(
    model: str,
    giant: str,
    data_path: Path,
    text_column: str | None,
    max_length: int | None,
    samples: int,
    seed: int,
    rounds: int,
    batch: int,
    as_json: bool,
) -> None:
    """Compare MODEL with GIANT: quality with paired tests, size, speed in turns.

    Stored scores can be compared by quality but not by speed.

    Example: giantkiller compare default unitary/toxic-bert --data comments.csv
    """
    need_extra("judge", "scipy", "pyarrow")
    from giantkiller.data.sources import read_labelled
    from giantkiller.evaluation import compare, metrics

    data = read_labelled(data_path, text_column=text_column)
    models = [opponents.load(each, data, max_length=max_length) for each in (model, giant)]
    if models[0].name == models[1].name:
        models[1].name += " (2)"
    scores = [each.scores(data.texts) for each in models]
    thresholds = tuple(each.thresholds.get("toxicity", 0.5) for each in models)
    report: dict[str, Any] = {"data": data_path.name, "models": []}
    for each, asked, at in zip(models, (model, giant), thresholds, strict=True):
        known = {key: each.about.get(key) for key in ("parameters", "disk", "fine_tuned", "trained_on")}
        memory = opponents.weigh(asked) if each.kind in ("bundle", "checkpoint") else None
        report["models"].append(
            {"name": each.name, "kind": each.kind, "threshold": at, "memory": memory} | known
        )
    report |= compare.paired(
        scores[0][:, 0],
        scores[1][:, 0],
        data.targets[:, 0],
        thresholds=(thresholds[0], thresholds[1]),
        samples=samples,
        seed=seed,
    )
    if rounds and all(each.kind != "scores" for each in models):
        report["speed"] = compare.race(
            {each.name: each.score for each in models}, data.texts, rounds=rounds, batch=batch
        )
    report["verdict"] = compare.verdict(
        report,
        models[0].name,
        models[1].name,
        speed=report.get("speed"),
        fine_tuned=models[1].about.get("fine_tuned"),
    )
    if as_json:
        click.echo(json.dumps(metrics.as_json(report), indent=2))
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    names = [each["name"] for each in report["models"]]
    width = max(24, *(len(name) + 2 for name in names))

    def line(label: str, *cells: str) -> None:
        click.echo(f"{label:<24}" + "".join(f"{cell:>{width}}" for cell in cells))

    def size(entry: dict[str, Any], key: str) -> str:
        value = entry.get(key)
        if value is None:
            return "-"
        return f"{value / 1e6:,.1f} MB" if key != "parameters" else f"{value:,}"

    click.echo(f"{report['data']}: {report['rows']:,} rows, {report['positives']:,} positive\n")
    line("", *names, "difference")
    for key, label in (
        ("parameters", "parameters"),
        ("disk", "size on disk"),
        ("memory", "memory, at its peak"),
    ):
        line(label, *(size(each, key) for each in report["models"]))
    tuned = {True: "yes", False: "no: random head", None: "not known"}
    line("fine-tuned", *(tuned[each.get("fine_tuned")] for each in report["models"]))
    line(
        "trained on", *(str(each.get("trained_on") or "not known")[: width - 2] for each in report["models"])
    )
    line("threshold", *(f"{each['threshold']:.3f}" for each in report["models"]))
    for name in ("f1", "best_f1", "accuracy", "roc_auc", "average_precision", "brier"):
        cells = report["figures"][name]
        gap = cells["difference"]
        ends = "" if np.isnan(gap.low) else f" [{gap.low:+.3f}, {gap.high:+.3f}]"
        line(
            name.replace("_", " "),
            f"{cells['first'].value:.3f}",
            f"{cells['second'].value:.3f}",
            f"{gap.value:+.3f}{ends}",
        )
    if "speed" in report:
        speed = [report["speed"]["models"][name] for name in names]
        ratio = speed[1]["times_slower"]
        line(
            "comments a second",
            *(f"{each['comments_per_second']:,.0f}" for each in speed),
            f"{ratio.value:.3g} x [{ratio.low:.3g}, {ratio.high:.3g}]",
        )
        line("one comment", *(f"{each['single_ms']:.2f} ms" for each in speed))
    test = report["delong"]
    click.echo(f"\nDeLong's test of the two AUCs: z = {test['z']:.2f}, p = {test['p']:.2g}")
    click.echo(report["verdict"])
