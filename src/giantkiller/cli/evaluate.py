"""`giantkiller evaluate`: judge a model on labelled comments."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from giantkiller.cli import _models


@click.command(name="evaluate", epilog=_models.HELP)
@click.argument("model")
@click.option("--data", "data_path", type=click.Path(path_type=Path), help="Labelled comments.")
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--max-length", type=click.IntRange(min=8), help="Cut comments here (checkpoints only).")
@click.option("--samples", type=click.IntRange(0, 100_000), default=1000, show_default=True,
              help="Bootstrap samples; 0 prints values without intervals.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    model: str,
    data_path: Path | None,
    text_column: str | None,
    max_length: int | None,
    samples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Judge MODEL on labelled comments: every figure with its 95 % interval.

    Example: giantkiller evaluate default --data comments.csv
    """
    from giantkiller.data.sources import read_labelled
    from giantkiller.judging import metrics

    if data_path is None:
        raise click.UsageError("name the labelled comments with --data FILE")
    data = read_labelled(data_path, text_column=text_column)
    quiet = not sys.stderr.isatty()
    loaded = _models.load(model, data, max_length=max_length)
    scores = loaded.scores(data.texts)
    thresholds = {loaded.kind: loaded.thresholds} if loaded.thresholds else None

    def progress(attribute: str) -> None:
        if not quiet:
            click.echo(f"judging {attribute}", err=True)

    report = metrics.judge(
        scores, data.targets, thresholds=thresholds, samples=samples, seed=seed, progress=progress
    )
    report = {
        "model": loaded.name,
        "kind": loaded.kind,
        "data": data_path.name,
        "about": loaded.about,
    } | report
    if as_json:
        click.echo(json.dumps(metrics.as_json(report), indent=2))
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    click.echo(f"{report['model']} on {report['data']}: {report['rows']:,} rows")
    for attribute, block in report["attributes"].items():
        click.echo(f"\n{attribute}: {block['rows']:,} labelled, {block['positives']:,} positive")
        for name in ("roc_auc", "average_precision", "best_f1", "best_f1_threshold", "recall_at_fpr_1",
                     "recall_at_fpr_5", "brier", "ece"):  # fmt: skip
            click.echo(f"  {name.replace('_', ' '):<22}{figure(block[name])}")
        for label, at in block["at"].items():
            named = "" if label == f"{at['threshold']:g}" else f" ({label})"
            click.echo(f"  at threshold {at['threshold']:.4g}{named}")
            for name in ("accuracy", "precision", "recall", "f1", "f1_macro", "f1_weighted"):
                click.echo(f"    {name.replace('_', ' '):<20}{figure(at[name])}")
            click.echo("    confusion           " + "  ".join(
                f"{name} {count(at[name])}" for name in ("tn", "fp", "fn", "tp")
            ))  # fmt: skip
    for attribute, reason in report["skipped"].items():
        click.echo(f"\n{attribute}: not judged: {reason}")


def figure(value: Any) -> str:
    """Format a figure with its interval."""
    text = f"{value.value:.4f}"
    return text if np.isnan(value.low) else f"{text}  [{value.low:.4f}, {value.high:.4f}]"


def count(value: Any) -> str:
    """Format a count with its interval."""
    text = f"{value.value:,.0f}"
    return text if np.isnan(value.low) else f"{text} [{value.low:,.0f}, {value.high:,.0f}]"
