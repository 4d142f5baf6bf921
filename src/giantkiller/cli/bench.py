"""`giantkiller bench`: speed and memory on this machine."""

import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from giantkiller.cli._comments import made_up, read_comments
from giantkiller.cli.options import PATH, json_option, threads_option
from giantkiller.cli.terminal import fit, table

if TYPE_CHECKING:
    from giantkiller.screener import Screener


@click.command(
    epilog="""Examples:

\b
  giantkiller bench
  giantkiller bench default ./my-bundle --data comments.csv --json | tail -1
"""
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("-d", "--data", type=PATH, metavar="FILE", help="Real comments: CSV, TSV, JSON Lines, Parquet.")
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
    """Measure the speed of bundles on this machine: text in, seven scores out.

    MODEL is `default` (the shipped bundle), a bundle folder or a hub id; several take turns, so that their
    ratios hold on a busy machine. Repeated comments count once.
    """
    from tqdm import tqdm

    from giantkiller.encoding import length
    from giantkiller.screener import Screener

    texts = read_comments(data, text_column, comments) if data else made_up(comments)
    before = _resident()
    names = models or ("default",)
    screeners = [Screener(name, threads=threads) for name in names]
    results: list[dict[str, Any]] = [
        {"model": name, "bundle_bytes": s.bundle.bytes} for name, s in zip(names, screeners, strict=True)
    ]
    seconds: list[list[float]] = [[] for _ in screeners]
    for screener in screeners:
        screener.scores(texts[:512])
    for _ in tqdm(range(rounds), desc="rounds", file=sys.stderr, leave=False, disable=None):
        for screener, taken in zip(screeners, seconds, strict=True):
            began = time.perf_counter()
            screener.scores(texts)
            taken.append(time.perf_counter() - began)
    bulk = _resident()
    for screener, taken, result in zip(screeners, seconds, results, strict=True):
        rows = screener.encoder.encode(texts)
        tokens = sum(map(length, rows))
        median = statistics.median(taken)
        result |= {
            "comments": len(texts),
            "tokens": tokens,
            "threads": screener.threads,
            "comments_per_second": round(len(texts) / median),
            "tokens_per_second": round(tokens / median),
        }
        result |= _latency(screener, texts)
        result |= _split(screener, texts)
        result |= {"resident_mb": round(bulk / 1e6), "resident_before_mb": round(before / 1e6)}
    _print(results)
    if as_json:
        import onnxruntime

        about = {
            "machine": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "texts": str(data) if data else "built in",
        }
        click.echo(json.dumps({**about, "rounds": rounds, "models": results}))


def _latency(screener: "Screener", texts: list[str]) -> dict[str, float]:
    """Time one comment at a time; each is new to the screener's memory of words as a whole."""
    taken = []
    for text in texts[:1000]:
        began = time.perf_counter()
        screener.scores([text])
        taken.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(taken, n=100)
    return {"p50_ms": round(cuts[49], 3), "p95_ms": round(cuts[94], 3), "p99_ms": round(cuts[98], 3)}


def _split(screener: "Screener", texts: list[str]) -> dict[str, float]:
    """Time the steps one after the other on one core, in microseconds a comment."""
    from giantkiller.batching import plan
    from giantkiller.cleaning import clean_text
    from giantkiller.encoding import length

    clock = [time.perf_counter()]
    cleaned = [clean_text(text) for text in texts]
    clock.append(time.perf_counter())
    rows = screener.encoder.encode_cleaned(cleaned)
    clock.append(time.perf_counter())
    rows = list(dict.fromkeys(rows))
    batches = [[rows[i] for i in batch] for batch in plan(list(map(length, rows)), screener.batch_tokens)]
    clock.append(time.perf_counter())
    for batch in batches:
        screener.run(batch)
    clock.append(time.perf_counter())
    steps = ("cleaning_us", "tokenizing_us", "batching_us", "model_us")
    return {
        step: round(1e6 * (after - before) / len(texts), 2)
        for step, before, after in zip(steps, clock, clock[1:], strict=False)
    }


def _resident() -> int:
    """Give this process's memory, in bytes: resident now where the system tells, else at its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        import resource

        return pages * resource.getpagesize()
    except (OSError, ImportError):
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _print(results: list[dict[str, Any]]) -> None:
    first = results[0]
    click.echo(f"{first['comments']:,} comments, {first['tokens']:,} tokens, {first['threads']} threads")
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
        "bundle_bytes": "bundle, bytes",
    }
    names = [fit(Path(result["model"]).name, 22) for result in results]
    rows = [[label, *(f"{result[key]:,}" for result in results)] for key, label in labels.items()]
    click.echo(table(rows, ("", *names)))
