"""How fast models are on this machine: text in, seven scores out."""

import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from giantkiller.cleaning import clean_text
from giantkiller.encoding import length
from giantkiller.errors import UserError
from giantkiller.loading import load_screener
from giantkiller.screener import Screener

# Sentences of ours; shuffled together they have the lengths of real comments (median 35 tokens).
_SENTENCES = (
    "I disagree with the mayor about the bus lanes.",
    "You clearly did not read the article.",
    "Thanks for the link, that explains a lot!",
    "What a stupid idea, and what a waste of our taxes.",
    "My grandmother has lived in this street since 1962 and never saw anything like it.",
    "Oh please.",
    "The numbers in the third paragraph don't add up: 40% of 2,300 is not 1,150.",
    "Only an idiot would believe that.",
    "We had the same problem at our school, and the council did nothing for three years.",
    "lol, sure",
    "It's not about left or right, it's about who pays for the bridge.",
    "Damn, that goal was beautiful.",
    "Has anybody asked the people who actually work there?",
    "Shut up already.",
    "I respectfully think that both of you are wrong, and here is why.",
    "The Muslim community centre has opened its kitchen to everybody this winter.",
    "He lied in 2014, he lied in 2016, and he is lying now.",
    "Best comment so far :)",
    "If the company can't keep its promises, it should at least say so before the next election.",
    "These clowns couldn't run a lemonade stand...",
)


@dataclass(frozen=True)
class Speed:
    """What was measured of one model.

    Attributes:
        model: As it was named.
        bundle_bytes: Size of what scoring reads.
        comments: Comments scored in a round.
        tokens: Their tokens.
        threads: Cores used.
        comments_per_second: In bulk, the median of the rounds.
        tokens_per_second: Likewise.
        p50_ms: For one comment at a time, milliseconds in the median.
        p95_ms: At the 95th percentile.
        p99_ms: At the 99th.
        cleaning_us: Step by step on one core, microseconds a comment.
        tokenizing_us: Likewise.
        batching_us: Likewise.
        model_us: Likewise.
        resident_mb: Memory of the process after the rounds, with all the models that took part.
        resident_before_mb: Memory before they were loaded.
    """

    model: str
    bundle_bytes: int
    comments: int
    tokens: int
    threads: int
    comments_per_second: int
    tokens_per_second: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cleaning_us: float
    tokenizing_us: float
    batching_us: float
    model_us: float
    resident_mb: int
    resident_before_mb: int


def measure(
    models: Sequence[str], texts: list[str], *, threads: int | None = None, rounds: int = 5
) -> list[Speed]:
    """Time models in turn, so that their ratios hold on a busy machine.

    Args:
        models: As for `load_screener`.
        texts: Comments, at least 100; repeated ones count once.
        threads: Cores to use; all if None.
        rounds: How often each model scores all comments.
    """
    before = _resident()
    screeners = [load_screener(model, threads=threads) for model in models]
    for screener in screeners:
        screener.scores(texts[:512])
    seconds: list[list[float]] = [[] for _ in screeners]
    for _ in tqdm(range(rounds), desc="rounds", file=sys.stderr, leave=False, disable=None):
        for screener, taken in zip(screeners, seconds, strict=True):
            began = time.perf_counter()
            screener.scores(texts)
            taken.append(time.perf_counter() - began)
    after = _resident()
    speeds = []
    for model, screener, taken in zip(models, screeners, seconds, strict=True):
        tokens = sum(map(length, screener.encoder.encode(texts)))
        median = statistics.median(taken)
        speed = Speed(
            model=model,
            bundle_bytes=screener.bundle.bytes,
            comments=len(texts),
            tokens=tokens,
            threads=screener.threads,
            comments_per_second=round(len(texts) / median),
            tokens_per_second=round(tokens / median),
            resident_mb=round(after / 1e6),
            resident_before_mb=round(before / 1e6),
            **_latency(screener, texts),
            **_steps(screener, texts),
        )
        speeds.append(speed)
    return speeds


def read_comments(path: Path, column: str | None, count: int) -> list[str]:
    """Read up to `count` different comments of a CSV, TSV, JSON Lines or Parquet file.

    Args:
        path: The file.
        column: Where the comments are; looked for if None.
        count: How many are wanted.

    Raises:
        UserError: The file can't be read, or has too few comments to time anything.
    """
    from giantkiller.files.tables import read_texts

    texts: dict[str, None] = {}
    for text in read_texts(path, text_column=column):
        texts[text] = None
        if len(texts) >= count:
            break
    if len(texts) < 100:
        raise UserError(f"{path} has {len(texts)} different comments; a measurement needs at least 100")
    return list(texts)


def made_up(count: int) -> list[str]:
    """Return made-up comments of one to twelve sentences, all different; the same ones every time."""
    dice = random.Random(0)
    made: dict[str, None] = {}
    while len(made) < count:
        sentences = dice.choices(_SENTENCES, k=min(12, 1 + int(dice.expovariate(0.4))))
        made[f"{' '.join(sentences)} {dice.choice(('No', 'Page', 'Line'))} {dice.randrange(10_000)}."] = None
    return list(made)


def _latency(screener: Screener, texts: list[str]) -> dict[str, float]:
    """Time one comment at a time; each is new to the screener's memory of words as a whole."""
    taken = []
    for text in texts[:1000]:
        began = time.perf_counter()
        screener.scores([text])
        taken.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(taken, n=100)
    return {"p50_ms": round(cuts[49], 3), "p95_ms": round(cuts[94], 3), "p99_ms": round(cuts[98], 3)}


def _steps(screener: Screener, texts: list[str]) -> dict[str, float]:
    """Time the steps one after the other on one core, in microseconds a comment."""
    clock = [time.perf_counter()]
    cleaned = [clean_text(text) for text in texts]
    clock.append(time.perf_counter())
    rows = screener.encoder.encode_cleaned(cleaned)
    clock.append(time.perf_counter())
    rows = list(dict.fromkeys(rows))
    batches = [[rows[i] for i in batch] for batch in screener.plan(rows)]
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
    """Return this process's memory in bytes: resident now where the system says so, else at its peak."""
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
