"""`giantkiller adapt`: a site's decisions become a better bundle, or none."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller.cli import NOT_BETTER
from giantkiller.cli._extras import need_extra
from giantkiller.cli.grouped import GroupedCommand
from giantkiller.cli.logs import log_to_stderr
from giantkiller.cli.options import PATH, json_option
from giantkiller.cli.terminal import printable, table

if TYPE_CHECKING:
    from giantkiller.adapt import Adaptation

GROUPS = {
    "Decisions": ("text_column", "held_out"),
    "Learning": ("base", "unlabelled", "elsewhere", "method", "rank", "epochs", "seed"),
    "Judging": ("tolerance", "samples"),
    "Output": ("output", "name", "delta", "report", "examples", "as_json"),
}


@click.command(name="adapt", cls=GroupedCommand, groups=GROUPS)
@click.argument("decisions", type=PATH)
@click.option(
    "--output", "-o", type=PATH, required=True, help="The bundle's folder; written only if it is better."
)
@click.option("--from", "base", default="default", show_default=True, metavar="BUNDLE",
              help="What is adapted: default, a bundle folder, or a hub id.")  # fmt: skip
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--unlabelled", type=PATH,
              help="Comments that nobody decided, whose scores shall stay as they are.")  # fmt: skip
@click.option("--elsewhere", type=PATH, multiple=True,
              help="Labelled comments of other places that must not get worse; repeatable.")  # fmt: skip
@click.option("--method", type=click.Choice(["logistic", "low-rank", "head", "dendrites"]),
              default="logistic", show_default=True,
              help="What learns while the rest stays as it is.")  # fmt: skip
@click.option("--rank", type=click.IntRange(1, 64), default=48, show_default=True,
              help="Of the low-rank update.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1, 1000), default=6, show_default=True,
              help="Most passes over the decisions.")  # fmt: skip
@click.option("--held-out", type=click.FloatRange(0.1, 0.9), default=0.3, show_default=True,
              help="Share of the decisions that judge what the others teach.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.005, show_default=True,
              help="Average precision that may be lost elsewhere.")  # fmt: skip
@click.option("--samples", type=click.IntRange(100, 100_000), default=1000, show_default=True,
              help="Bootstrap samples.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True,
              help="Of every random draw.")  # fmt: skip
@click.option("--name", help="The bundle's name.  [default: the old one's with -adapted]")
@click.option("--delta", type=PATH, help="Write what was learned alone into this file, too.")
@click.option(
    "--report", type=PATH, help="Write report.html and report.json into this folder, whatever comes out."
)
@click.option("--examples", type=click.IntRange(0, 1000), default=20, show_default=True,
              help="Comments of each kind that the report quotes; 0 for one without comments.")  # fmt: skip
@json_option("Print the report as JSON.")
def command(
    decisions: Path,
    output: Path,
    base: str,
    text_column: str | None,
    unlabelled: Path | None,
    elsewhere: tuple[Path, ...],
    name: str | None,
    delta: Path | None,
    report: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Learn from DECISIONS: the desk's export (`giantkiller desk labels`), or any labelled file.

    Most decisions teach, the rest judge. The bundle is written only if it is better on those, with an
    interval that excludes zero, and no worse elsewhere than --tolerance. Exit status 4: it is not better,
    and nothing was written but the report.

    Example: giantkiller adapt decisions.jsonl -o ours --delta ours.delta --report report
    """
    need_extra(
        "train", "torch", "transformers", "onnx", "jinja2", "pyarrow", "scipy", "safetensors", "sklearn"
    )
    log_to_stderr()
    from giantkiller.adapt import Adapter, Settings, read_decisions
    from giantkiller.adapt.decisions import read_texts
    from giantkiller.adapt.report import write_report
    from giantkiller.atomic import replace_file
    from giantkiller.bundle import check_place
    from giantkiller.files.paths import refuse_inputs

    check_place(output)
    if delta is not None:
        refuse_inputs(delta, filter(None, (decisions, unlabelled, *elsewhere)), "delta")
    place = output.resolve()
    progress = place.with_name(f".{place.name}.learned")
    adapter = Adapter(base, Settings(**options))
    found = adapter.adapt(
        read_decisions(decisions, text_column=text_column),
        elsewhere={
            name: read_decisions(path, text_column=text_column) for name, path in _named(elsewhere).items()
        },
        unlabelled=read_texts(unlabelled, text_column=text_column) if unlabelled else (),
        name=name,
        progress=progress,
    )
    if report is not None:
        write_report(found.report, report)
    if found.better:
        with contextlib.ExitStack() as stack:  # the delta appears once the bundle is there
            if delta is not None:
                stack.enter_context(replace_file(delta)).write_bytes(found.delta.content())
            found.write(output)
    progress.unlink(missing_ok=True)
    click.echo(found.report.to_json() if as_json else _shown(found, output))
    if not found.better:
        click.echo(f"giantkiller: not better: {printable('; '.join(found.judgement.reasons))}", err=True)
        raise click.exceptions.Exit(NOT_BETTER)


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Call files by their names, and those that share one by their paths: a report travels."""
    names = [path.name for path in paths]
    return {path.name if names.count(path.name) == 1 else str(path): path for path in paths}


def _shown(found: "Adaptation", output: Path) -> str:
    from giantkiller.adapt.judging import signed
    from giantkiller.adapt.report import site_rows

    judged = {site_rows(found.report.decisions.split_by): found.judgement.site, **found.judgement.elsewhere}
    rows = [
        [
            name,
            f"{part.rows:,}",
            f"{part.average_precision.second.value:.3f}",
            f"{part.average_precision.first.value:.3f}",
            signed(part.average_precision.difference),
        ]
        for name, part in judged.items()
    ]
    lines = [table(rows, ("toxicity on", "comments", "AP before", "after", "change, 95 % interval"))]
    for what, flips in (("flagged", found.judgement.flagged), ("passed", found.judgement.passed)):
        lines.append(f"{what} now and not before: {flips.right} rightly, {flips.wrong} wrongly")
    lines.append(f"{found.report.learned.share:.0%} of the change is kept")
    if found.better:
        lines.append(printable(f"wrote {output} in {found.report.seconds:.0f} s"))
    return "\n".join(lines)
