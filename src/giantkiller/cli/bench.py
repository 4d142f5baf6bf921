"""`giantkiller bench`: speed and memory on this machine."""

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from giantkiller.cli.options import PATH, json_option, threads_option
from giantkiller.cli.terminal import shorten, table
from giantkiller.files.formats import ENDINGS

if TYPE_CHECKING:
    from giantkiller.speed import Speed


@click.command(
    epilog="""Examples:

\b
  giantkiller bench
  giantkiller bench default ./my-bundle --data comments.csv --json | tail -1
"""
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("-d", "--data", type=PATH, metavar="FILE", help=f"Real comments: {ENDINGS}.")
@click.option("--text-column", help="The column that holds them.  [default: found by name]")
@click.option("--comments", type=click.IntRange(min=100), default=10_000, show_default=True, help="How many.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Medians of how many."
)
@threads_option
@json_option("One JSON line after the table.")
def command(
    models: tuple[str, ...],
    data: Path | None,
    text_column: str | None,
    comments: int,
    rounds: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure the speed of models on this machine: text in, seven scores out.

    MODEL is `default` (the shipped bundle), a bundle or checkpoint folder, a hub id of either; several take
    turns, so that their ratios hold on a busy machine. Repeated comments count once.
    """
    from giantkiller.runtime import onnxruntime
    from giantkiller.speed import made_up, measure, read_comments

    texts = read_comments(data, text_column, comments) if data else made_up(comments)
    speeds = measure(models or ("default",), texts, threads=threads, rounds=rounds)
    first = speeds[0]
    click.echo(f"{first.comments:,} comments, {first.tokens:,} tokens, {first.threads} threads")
    click.echo(_table(speeds))
    if as_json:
        about = {
            "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "texts": str(data) if data else "built in",
            "rounds": rounds,
        }
        click.echo(json.dumps({**about, "models": [asdict(speed) for speed in speeds]}))


def _table(speeds: list["Speed"]) -> str:
    labels = {
        "comments_per_second": "comments a second",
        "tokens_per_second": "tokens a second",
        "p50_ms": "one comment, p50 ms",
        "p95_ms": "one comment, p95 ms",
        "p99_ms": "one comment, p99 ms",
        "cleaning_us": "cleaning, us a comment",
        "tokenizing_us": "tokenizing, us a comment",
        "batching_us": "batching, us a comment",
        "model_us": "model on one core, us",
        "resident_mb": "resident memory, MB",
        "bundle_bytes": "on disk, bytes",
    }
    names = [shorten(Path(speed.model).name, 22) for speed in speeds]
    rows = [[label, *(f"{getattr(speed, key):,}" for speed in speeds)] for key, label in labels.items()]
    return table(rows, ("", *names))
