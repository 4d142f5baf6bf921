"""`giantkiller calibrate`: our scores on another service's scale; what a service's drift is measured by."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller.cli._extras import need_extra
from giantkiller.cli.options import PATH, json_option, threads_option
from giantkiller.cli.terminal import printable, table
from giantkiller.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from giantkiller.bundle import Bundle
    from giantkiller.data.labelled import Labelled
    from giantkiller.evaluation.like import Cut, Likeness
    from giantkiller.screener import Screener

_EXAMPLES = """Examples:

\b
  giantkiller calibrate --like scores.csv
  giantkiller calibrate --like scores.csv -o like-before
  giantkiller calibrate --reference comments.csv -o my-bundle
"""


@click.command(name="calibrate", epilog=_EXAMPLES)
@click.option("--like", type=PATH, metavar="FILE",
              help="Comments with the scores of another service, in columns called as Perspective calls the "
              "attributes, or as we do.")  # fmt: skip
@click.option("--reference", type=PATH, metavar="FILE",
              help="Comments as they come, without scores: what the drift of a service's scores is measured "
              "by. --like sets it, too.")  # fmt: skip
@click.option(
    "--output", "-o", type=PATH, metavar="BUNDLE", help="Write a copy of the bundle, calibrated so."
)
@click.option("-m", "--model", "--from", "model", default="default", show_default=True, metavar="MODEL",
              help="The bundle; without --output a checkpoint will do.")  # fmt: skip
@click.option("--scores", multiple=True, metavar="COLUMN=ATTRIBUTE",
              help="Scores in a column with another name; no others count then. Repeatable.")  # fmt: skip
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option(
    "--name", help="The new bundle's name.  [default: the bundle's, with -like where --like is given]"
)
@threads_option
@json_option("Print the report as JSON.")
def command(
    like: Path | None,
    reference: Path | None,
    output: Path | None,
    model: str,
    scores: tuple[str, ...],
    text_column: str | None,
    name: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Compare our scores with another service's on the same comments, and bring them to its scale.

    Shows for each attribute which threshold of ours sends as many comments on as 0.7, 0.8 and 0.9 of theirs
    did. With --output, writes a bundle whose scores follow theirs, so that thresholds can stay as they are:
    its own thresholds and policies are moved along and call for the same actions as before. Files may be
    CSV, TSV, JSON Lines (also .gz) or Parquet.
    """
    if (like is None) == (reference is None):
        raise click.UsageError("name a file with --like or with --reference")
    if reference and not output:
        raise click.UsageError("--reference needs --output: the reference is written into a bundle")
    need_extra("parquet", "pyarrow")
    if like and output:
        need_extra("judge", "jinja2")  # of the card
    from giantkiller.bundle import is_bundle
    from giantkiller.evaluation.like import compare_scores, report_of, with_curves, with_distribution
    from giantkiller.loading import load_screener

    if output and not is_bundle(model):
        raise UserError(f"{model} is a checkpoint; make a bundle of it first (giantkiller export {model})")
    file = like or reference
    assert file is not None
    log = _log(file, text_column, scores)
    screener = load_screener(model, threads=threads)
    bundle = screener.bundle
    ours = _scores(screener, log.texts)
    if like is None:
        new = with_distribution(bundle, ours, file.name)
        report: dict[str, Any] = {"reference": file.name, "rows": len(ours)}
        text = f"{printable(file.name)}: {len(ours):,} comments are the reference for drift"
    else:
        found = compare_scores(ours, log, model=f"{bundle.name} {bundle.version}", file=file.name)
        report, text = report_of(found), _as_text(found)
        new = with_curves(bundle, found, ours, name=f"{bundle.name}-like") if output else bundle
    if output:
        folder = _write(replace(new, name=name or new.name), bundle, output)
        report["output"] = str(folder)
        text += f"\n\nwrote {printable(str(folder))}"
    click.echo(json.dumps(report, indent=2) if as_json else text)


def _log(file: Path, text_column: str | None, scores: tuple[str, ...]) -> "Labelled":
    """Read the comments, with the other service's scores from the named columns."""
    from giantkiller.data.labelled import read_labelled
    from giantkiller.evaluation.like import with_scores

    log = read_labelled(file, text_column=text_column)
    columns = dict(each.rpartition("=")[::2] for each in scores)
    if "" in columns:
        raise click.UsageError("--scores takes COLUMN=ATTRIBUTE, such as tox_score=toxicity")
    if columns:
        log = with_scores(log, columns, file=str(file))
    log = log.take([i for i, text in enumerate(log.texts) if text.strip()])
    if not len(log):
        raise UserError(f"{file} has no comments, only empty texts; name their column (`text_column`)")
    return log


def _scores(screener: "Screener", texts: list[str]) -> "NDArray[np.float32]":
    from tqdm import tqdm

    shown = tqdm(texts, unit=" comments", disable=not sys.stderr.isatty(), leave=False)
    return screener.scores(shown)


def _write(new: "Bundle", old: "Bundle", output: Path) -> Path:
    """Write a bundle with the files of the one that it was made of; a card of its own if scores changed."""
    if new.calibration != old.calibration:
        from giantkiller.export.card import update_card

        return update_card(new, output).folder
    from giantkiller.bundle import write_bundle

    return write_bundle(output, new, {name: old.folder / name for name in old.files}).folder


def _as_text(found: "Likeness") -> str:
    head = f"{printable(found.model)} on {printable(found.file)}: {found.rows:,} comments"
    distances = [
        (
            name,
            f"{each.rows:,}",
            f"{each.rank_correlation:.3f}",
            f"{each.before.mean_absolute_error:.3f}",
            f"{each.after.mean_absolute_error:.3f}",
            f"{each.before.ks:.3f}",
            f"{each.after.ks:.3f}",
        )
        for name, each in found.attributes.items()
    ]
    cuts = [(name, *_cells(cut)) for name, each in found.attributes.items() for cut in each.cuts]
    parts = [
        head,
        table(distances, ("", "scored", "rank corr.", "error", "after", "KS distance", "after")),
        table(cuts, ("", "from", "theirs flag", "ours", "after", "instead, ours from", "flags the same")),
        "error: mean distance from their scores; after: along a curve that the other comments made",
    ]
    if found.skipped:
        parts.append("left out:\n" + table(list(found.skipped.items()), left=(0, 1)))
    return "\n\n".join(parts)


def _cells(cut: "Cut") -> tuple[str, ...]:
    return (
        f"{cut.threshold:g}",
        *(f"{share:.2%}" for share in (cut.theirs, cut.before, cut.after)),
        "-" if cut.ours is None else f"{cut.ours:.3f}",
        "-" if cut.same is None else f"{cut.same:.0%}",
    )
