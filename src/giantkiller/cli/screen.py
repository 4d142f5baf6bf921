"""`giantkiller screen`: screen a file of comments."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller.cli.terminal import fit, printable

if TYPE_CHECKING:
    from giantkiller.files import Summary
    from giantkiller.files.screening import Row, Screen

SHORT_NAMES = ("toxic", "severe", "obscene", "threat", "insult", "identity", "sexual")
"""Headings of the table, in the order of the attributes."""

ACTIONS = ("allow", "monitor", "review", "remove")
WIDTH = 120  # of the table where there is no terminal


@click.command(name="screen")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path, readable=False))
@click.option("-o", "--output", metavar="OUT", required=True, type=click.Path(path_type=Path, readable=False),
              help="Where the rows go with their scores; the format is that of IN.")  # fmt: skip
@click.option("--text-column", help="The column with the comments, if its name is unusual.")
@click.option("--prefix", default="", help="Put before the names of the nine new columns.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@click.option("--model", default="default", show_default=True, help="A bundle folder, or the shipped one.")
@click.option("--show", type=click.IntRange(1, 10_000), is_flag=False, flag_value=25, metavar="[N]",
              help="Print the first rows as a table; 25 if no number is given.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    source: Path,
    output: Path,
    text_column: str | None,
    prefix: str,
    resume: bool,
    model: str,
    show: int | None,
    as_json: bool,
) -> None:
    """Screen the comments in IN, a CSV, TSV, JSON Lines (all also .gz) or Parquet file.

    OUT has the same rows in the same order, with their columns, the seven scores, the action (allow,
    monitor, review or remove) and, where a row could not be screened, an error. The comments are looked for
    in a column called text, comment_text, comment, body or content.

    Example: giantkiller screen comments.csv -o screened.csv --show
    """
    from tqdm import tqdm

    from giantkiller.files import screen_file

    screen, name = load(model)
    size = source.stat().st_size if source.is_file() else 0
    with tqdm(total=size, unit="B", unit_scale=True, delay=1, disable=None, leave=False) as bar:

        def progress(rows: int, share: float) -> None:
            bar.set_postfix_str(f"{rows:,} rows", refresh=False)
            bar.update(share * size - bar.n)

        try:
            summary = screen_file(
                source,
                output,
                screen,
                text_column=text_column,
                prefix=prefix,
                resume=resume,
                model=name,
                preview=show or 0,
                progress=progress,
            )
        except KeyboardInterrupt:
            click.echo("the rows done so far are kept: the same command with --resume goes on", err=True)
            raise
    if as_json:
        click.echo(json.dumps(_as_json(source, output, name, summary), indent=2))
        return
    if summary.preview:
        click.echo(table(summary.preview, width=shutil.get_terminal_size((WIDTH, 24)).columns))
        click.echo()
    _print(source, output, summary)


def load(model: str) -> tuple["Screen", str]:
    """Load a model: the function that screens, and the name that a resumed run must find again."""
    from giantkiller.screener import Screener

    screener = Screener(model)
    bundle = screener.bundle

    def screen(texts: list[str]) -> tuple[Any, Sequence[str]]:
        scores = screener.scores(texts)
        return scores, bundle.policy.actions(scores).tolist()

    name = f"{bundle.name} {bundle.version} ({bundle.files['model.onnx'].sha256[:12]})"
    return screen, name


def _print(source: Path, output: Path, summary: "Summary") -> None:
    resumed = f", {summary.resumed:,} of them by an earlier run" if summary.resumed else ""
    speed = f" in {summary.seconds:.2g} s, {summary.rate:,.0f} comments/s" if summary.seconds else ""
    click.echo(f"{summary.rows:,} comments screened{resumed}{speed}")
    click.echo(", ".join(f"{name} {count:,}" for name, count in _counts(summary).items()))
    click.echo(f"{printable(str(source))} -> {printable(str(output))}")
    if summary.errors:
        click.echo(f"not screened: {summary.errors:,}, for the reasons in the column 'error'", err=True)


def _counts(summary: "Summary") -> dict[str, int]:
    names = dict.fromkeys([*ACTIONS, *summary.actions])
    return {name: summary.actions.get(name, 0) for name in names} | {"error": summary.errors}


def _as_json(source: Path, output: Path, model: str, summary: "Summary") -> dict[str, Any]:
    counts = _counts(summary)
    return {
        "input": str(source),
        "output": str(output),
        "model": model,
        "text_column": summary.text_column,
        "rows": summary.rows,
        "resumed": summary.resumed,
        "errors": counts.pop("error"),
        "actions": counts,
        "seconds": round(summary.seconds, 3),
        "comments_per_second": round(summary.rate, 1),
        "preview": [
            {"text": row.text, "scores": row.scores, "action": row.action, "error": row.error}
            for row in summary.preview
        ],
    }


def table(rows: Sequence["Row"], width: int) -> str:
    """Lay rows out for people: text cut to fit, scores, action; what is not printable escaped."""
    numbers = "".join(f"{name:>{len(name) + 2}}" for name in SHORT_NAMES)
    text_width = max(20, width - len(numbers) - len("  monitor") - 1)
    lines = [f"{'comment':<{text_width}}{numbers}  action"]
    for row in rows:
        text = fit(row.text, text_width - 1, pad=True) + " "
        if row.scores is None:
            lines.append(f"{text}  error: {printable(row.error or '')}")
        else:
            scores = "".join(
                f"{score:>{len(name) + 2}.2f}" for name, score in zip(SHORT_NAMES, row.scores, strict=True)
            )
            lines.append(f"{text}{scores}  {row.action}")
    return "\n".join(lines)
