"""`giantkiller compare`: two models on the same rows and the same clock."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from giantkiller.cli._extras import need_extra
from giantkiller.cli.grouped import GroupedCommand
from giantkiller.cli.options import PATH, json_option
from giantkiller.cli.terminal import printable, table
from giantkiller.evaluation import opponents

if TYPE_CHECKING:
    from giantkiller.evaluation.compare import ComparedModel, ComparisonReport

SHOWN = ("roc_auc", "average_precision", "recall_at_fpr_1", "recall_at_fpr_5", "best_f1", "f1", "accuracy",
         "brier", "ece")  # fmt: skip
GROUPS = {
    "What is judged": ("data", "text_column", "max_length"),
    "Figures": ("samples", "seed"),
    "Timing": ("rounds", "batch"),
    "Output": ("as_json",),
}


@click.command(name="compare", cls=GroupedCommand, groups=GROUPS, epilog=opponents.HELP)
@click.argument("model")
@click.argument("giant")
@click.option("--data", "-d", required=True, type=PATH,
              help="Labelled comments.")  # fmt: skip
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--max-length", type=click.IntRange(min=8), help="Cut comments here (checkpoints only).")
@click.option("--samples", type=click.IntRange(0, 100_000), default=1000, show_default=True,
              help="Paired bootstrap samples.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
              help="Of the bootstrap.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(0, 1000), default=5, show_default=True,
              help="Rounds of timing; 0 leaves it out.")  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=256, show_default=True,
              help="Comments in one round of timing.")  # fmt: skip
@json_option("Print the comparison as JSON.")
def command(
    model: str,
    giant: str,
    data: Path,
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
    from giantkiller.data.labelled import read_labelled
    from giantkiller.evaluation.compare import compare_models
    from giantkiller.evaluation.figures import to_json

    rows = read_labelled(data, text_column=text_column)
    first, second = (opponents.load(name, rows, max_length=max_length) for name in (model, giant))
    report = compare_models(
        first,
        second,
        rows,
        file=data.name,
        samples=samples,
        seed=seed,
        rounds=rounds,
        batch=batch,
    )
    click.echo(json.dumps(to_json(report), indent=2) if as_json else _as_text(report))


def _as_text(report: "ComparisonReport") -> str:
    from giantkiller.evaluation.metrics import NAMES

    toxicity = report.toxicity
    rows = _about(report.models)
    for name in SHOWN:
        figure = toxicity.figures[name]
        cells = (f"{figure.first.value:.3f}", f"{figure.second.value:.3f}")
        rows.append((NAMES[name], *cells, _signed(*figure.difference)))
    if report.speed:
        ours, theirs = report.speed.models.values()
        ratio = theirs.times_slower
        times = f"{ratio.value:.3g} x ({ratio.low:.3g} to {ratio.high:.3g})" if ratio else ""
        speeds = (f"{each.comments_per_second:,.0f}" for each in (ours, theirs))
        rows.append(("comments a second", *speeds, times))
        rows.append(("one comment", *(f"{each.single_ms:.2f} ms" for each in (ours, theirs)), ""))
    return "\n\n".join(
        (
            printable(f"{report.data}: {toxicity.rows:,} rows, {toxicity.positives:,} positive"),
            table(rows, ("", *(model.name for model in report.models), "difference (95 %)")),
            f"DeLong's test of the two AUCs: z = {toxicity.delong.z:.2f}, p = {toxicity.delong.p:.2g}\n"
            + printable(report.verdict),
        )
    )


def _about(models: "tuple[ComparedModel, ComparedModel]") -> list[tuple[str, ...]]:
    """Lay out what is known of the two models."""
    tuned = {True: "yes", False: "no: random head", None: "not known"}
    return [
        ("parameters", *("-" if m.parameters is None else f"{m.parameters:,}" for m in models), ""),
        ("size on disk", *(_megabytes(m.disk) for m in models), ""),
        ("memory, at its peak", *(_megabytes(m.memory) for m in models), ""),
        ("fine-tuned", *(tuned[m.fine_tuned] for m in models), ""),
        ("trained on", *((m.trained_on or "not known")[:40] for m in models), ""),
        ("threshold", *(f"{m.threshold:.3f}" for m in models), ""),
    ]


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:,.1f} MB"


def _signed(value: float, low: float, high: float) -> str:
    return f"{value:+.3f}" if low != low else f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
