"""`giantkiller screen --engine ray`: many files in, the same files with scores and actions out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from giantkiller.cli import FAILED, ROWS_FAILED
from giantkiller.cli._extras import need_extra
from giantkiller.cli.screen import report
from giantkiller.cli.terminal import printable

if TYPE_CHECKING:
    from giantkiller.cluster import ClusterSummary
    from giantkiller.policy import Policy

_MOST = 10  # failures that are told


def screen_shards(
    source: str,
    output: str,
    model: str,
    *,
    address: str | None,
    workers: int | None,
    policy: "Policy | str | None",
    text_column: str | None,
    prefix: str,
    as_json: bool,
) -> None:
    """Screen many files on a Ray cluster, and print what became of them."""
    need_extra("ray", "ray", "fsspec", "pyarrow")
    from giantkiller.cluster import screen

    with _progress() as progress:
        summary = screen(
            source,
            output,
            model,
            address=address,
            workers=workers,
            policy=policy,
            text_column=text_column,
            prefix=prefix,
            progress=progress,
        )
    report(summary, as_json=as_json, err=False)
    if not as_json:
        click.echo(_shards(summary))
    for reason in list(summary.failed.values())[:_MOST]:
        click.echo(f"giantkiller: {printable(reason)}", err=True)
    if summary.failed:
        counts = f"{len(summary.failed):,} of {summary.shards:,}"
        click.echo(f"{counts} files have no output; the same command tries them again", err=True)
        raise click.exceptions.Exit(FAILED)
    if summary.errors:
        raise click.exceptions.Exit(ROWS_FAILED)


def _shards(summary: "ClusterSummary") -> str:
    parts = [f"{summary.done:,} of {summary.shards:,} files screened"]
    if summary.kept:
        parts.append(f"{summary.kept:,} by an earlier run")
    if summary.done:
        parts.append(f"workers started in {summary.starting:.2g} s")
    if ", " in summary.text_column:
        parts.append(f"comments in the columns {printable(summary.text_column)}")
    return ", ".join(parts)


@contextmanager
def _progress() -> Iterator[Callable[["ClusterSummary"], None]]:
    """Show a bar of files; say what is left to do when the run is interrupted."""
    from tqdm import tqdm

    with tqdm(unit="file", delay=1, disable=None, leave=False) as bar:

        def progress(summary: "ClusterSummary") -> None:
            bar.total = summary.shards
            bar.set_postfix_str(f"{summary.rows:,} rows", refresh=False)
            bar.update(summary.kept + summary.done + len(summary.failed) - bar.n)

        try:
            yield progress
        except KeyboardInterrupt:
            click.echo("the files done so far are kept: the same command goes on", err=True)
            raise
