"""`giantkiller screen`: a file of comments in, the same file with scores and actions out."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli import ROWS_FAILED
from giantkiller.cli.options import json_option, model_option, policy_option, threads_option
from giantkiller.cli.score import SHORT
from giantkiller.cli.terminal import printable, shorten
from giantkiller.errors import UserError
from giantkiller.files.formats import FORMATS
from giantkiller.policy import ACTIONS, Policy

if TYPE_CHECKING:
    from giantkiller.files import ScreenSummary
    from giantkiller.files.summary import ScreenedRow

WIDTH = 120  # of the table where there is no terminal
_STREAM = Path("-")


@click.command(name="screen")
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT", required=True,
              help="Where the scored rows go, in the format of IN; - is standard output.")  # fmt: skip
@click.option("--text-column", metavar="NAME", help="The column with the comments, if not a usual one.")
@click.option("--prefix", default="", metavar="TEXT", help="Put before the names of the ten new columns.")
@click.option("--format", "file_format", type=click.Choice(list(FORMATS)),
              help="The format of IN and OUT, where no ending says it.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@model_option
@policy_option
@threads_option
@click.option("--show", type=click.IntRange(1, 10_000), is_flag=False, flag_value=25, metavar="[N]",
              help="Print the first rows as a table; 25 if no number is given.")  # fmt: skip
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
              help="ray screens many files, on all cores of a cluster.")  # fmt: skip
@click.option("--address", metavar="HOST:PORT|auto",
              help="With --engine ray: a running cluster.  [default: one on this machine]")  # fmt: skip
@click.option("--workers", metavar="N", type=click.IntRange(min=1),
              help="With --engine ray: cores to use.  [default: all of the cluster]")  # fmt: skip
@json_option("Print the summary as JSON.")
def command(
    source: str,
    output: str,
    text_column: str | None,
    prefix: str,
    file_format: str | None,
    resume: bool,
    model: str,
    policy: Policy | str | None,
    threads: int | None,
    show: int | None,
    engine: str,
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Screen the comments in IN, a CSV, TSV, JSON Lines (all also .gz) or Parquet file; - is standard input.

    OUT has the same rows in the same order, with their columns, the seven scores, the action (allow,
    monitor, review or remove), the attribute that called for it and, where a row could not be screened, an
    error; then the exit status is 3. The comments are looked for in a column called text, comment_text,
    comment, body or content.

    With --engine ray, IN is a file, a folder, a glob or a URL such as s3://bucket/comments, and OUT a folder
    or a URL, where each file of IN has one of the same name; the same command again does what is missing.

    Examples:

    \b
      giantkiller screen comments.csv -o screened.csv --show
      zcat comments.jsonl.gz | giantkiller screen - -o - --format jsonl > screened.jsonl
      giantkiller screen 's3://inbox/2026-*/*.parquet' -o s3://screened --engine ray --address auto
    """
    if engine == "ray":
        _refuse_others("ray", {"format": file_format, "threads": threads, "show": show})
        from giantkiller.cli.sharded import screen_shards

        screen_shards(
            source, output, model, address=address, workers=workers, policy=policy, text_column=text_column,
            prefix=prefix, as_json=as_json,
        )  # fmt: skip
        return
    _refuse_others("local", {"address": address, "workers": workers})
    _screen_file(
        Path(source),
        Path(output),
        (model, policy, threads),
        text_column=text_column,
        prefix=prefix,
        file_format=file_format,
        resume=resume,
        show=show or 0,
        as_json=as_json,
    )


def _refuse_others(engine: str, options: dict[str, object]) -> None:
    for name, value in options.items():
        if value is not None:
            raise click.UsageError(f"--{name} doesn't go with --engine {engine}; leave one of them out")


def _screen_file(
    source: Path,
    output: Path,
    judge: "tuple[str, Policy | str | None, int | None]",
    *,
    text_column: str | None,
    prefix: str,
    file_format: str | None,
    resume: bool,
    show: int,
    as_json: bool,
) -> None:
    """Screen one file on this machine."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow's own allocator keeps 20 MB more

    from giantkiller.files import judge_with, screen_file
    from giantkiller.files.verdicts import describe_model
    from giantkiller.loading import load_screener

    model, policy, threads = judge
    screener = load_screener(model, threads=threads, policy=policy)
    with _progress(source, output) as progress:
        summary = screen_file(
            _stream(sys.stdin, "input") if source == _STREAM else source,
            _stream(sys.stdout, "output") if output == _STREAM else output,
            judge_with(screener),
            text_column=text_column,
            prefix=prefix,
            file_format=file_format,
            resume=resume,
            model=describe_model(screener.bundle),
            policy=screener.policy.to_dict(),
            preview=show,
            progress=progress,
        )
    report(summary, as_json=as_json, err=output == _STREAM)
    if summary.errors:
        raise click.exceptions.Exit(ROWS_FAILED)


def _stream(stream: IO[str] | None, name: str) -> IO[bytes]:
    buffer: IO[bytes] | None = getattr(stream, "buffer", None)
    if buffer is None:
        raise UserError(f"standard {name} is closed; name a file")
    return buffer


@contextmanager
def _progress(source: Path, output: Path) -> Iterator[Callable[[int, float], None]]:
    """Show a bar; say what is left to do when the run is interrupted."""
    from tqdm import tqdm

    size = source.stat().st_size if source.is_file() else None
    with tqdm(total=size, unit="B", unit_scale=True, delay=1, disable=None, leave=False) as bar:

        def progress(rows: int, share: float) -> None:
            bar.set_postfix_str(f"{rows:,} rows", refresh=False)
            bar.update(0 if size is None else share * size - bar.n)

        try:
            yield progress
        except KeyboardInterrupt:
            if _STREAM not in (source, output):
                click.echo("the rows done so far are kept: the same command with --resume goes on", err=True)
            raise


def report(summary: "ScreenSummary", *, as_json: bool, err: bool) -> None:
    """Print a summary to standard output, or to standard error where the rows go to the former."""
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=2), err=err)
        return
    if summary.preview:
        click.echo(
            table(summary.preview, width=shutil.get_terminal_size((WIDTH, 24)).columns) + "\n", err=err
        )
    all_of_them = f"{summary.screened:,} of {summary.rows:,}" if summary.errors else f"{summary.rows:,}"
    resumed = f", {summary.resumed:,} rows by an earlier run" if summary.resumed else ""
    speed = f" in {summary.seconds:.2g} s, {summary.rate:,.0f} comments/s" if summary.scored else ""
    click.echo(f"{all_of_them} comments screened{resumed}{speed}", err=err)
    counts = {**summary.actions, "error": summary.errors}
    click.echo(", ".join(f"{name} {count:,}" for name, count in counts.items()), err=err)
    click.echo(f"{printable(summary.input)} -> {printable(summary.output)}", err=err)
    if summary.errors:
        click.echo(f"not screened: {summary.errors:,}, for the reasons in the column 'error'", err=True)


def table(rows: Sequence["ScreenedRow"], width: int) -> str:
    """Lay rows out for people: text cut to fit, scores, action; what is not printable escaped.

    Args:
        rows: The rows.
        width: Terminal cells of a line.
    """
    names = [SHORT[attribute] for attribute in ATTRIBUTES]
    numbers = "".join(f"{name:>{len(name) + 2}}" for name in names)
    text_width = max(20, width - len(numbers) - max(map(len, ACTIONS)) - 3)
    lines = [f"{'comment':<{text_width}}{numbers}  action"]
    for row in rows:
        text = shorten(row.text, text_width - 1, pad=True) + " "
        if row.scores is None:
            lines.append(f"{text}  error: {printable(row.error or '')}")
        else:
            scores = "".join(
                f"{score:>{len(name) + 2}.2f}" for name, score in zip(names, row.scores, strict=True)
            )
            lines.append(f"{text}{scores}  {row.action}")
    return "\n".join(lines)
