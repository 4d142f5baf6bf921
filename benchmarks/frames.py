"""Does scoring a data frame cost more than scoring its texts?

Scores the same comments with `Screener.scores` and through each engine in turn, so that ratios hold on a
busy machine. A table, then one JSON line. Exits with 1 if an engine has less than 0.9 of the screener's rate.

    python benchmarks/frames.py [--model BUNDLE] [--rows 100000] [--rounds 3] [--engines duckdb ...]
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time

from screen_memory import texts

from giantkiller import Screener
from giantkiller.frames import pipeline, register, score

LEAST = 0.9


def engines(comments, screener):
    """Each engine's name, and what scores all seven attributes of the comments with it."""
    import pyarrow as pa

    table = pa.table({"text": comments})
    found = {
        "Screener.scores": lambda: screener.scores(comments),
        "pyarrow": lambda: score(table, model=screener),
    }
    if importlib.util.find_spec("pandas"):
        frame = table.to_pandas()
        found["pandas"] = lambda: score(frame, model=screener)
    if importlib.util.find_spec("polars"):
        import polars as pl

        eager = pl.from_arrow(table)
        found["polars"] = lambda: score(eager, model=screener)
        found["polars, lazy"] = lambda: score(eager.lazy(), model=screener).collect()
        found["polars, streaming"] = lambda: score(eager.lazy(), model=screener).collect(engine="streaming")
    if importlib.util.find_spec("duckdb"):
        import duckdb

        connection = duckdb.connect()
        connection.register("comments", table)
        register(connection, model=screener)
        query = "SELECT giantkiller_scores(text) AS scores FROM comments"
        found["duckdb"] = lambda: connection.sql(query).to_arrow_table()
    if importlib.util.find_spec("datasets"):
        import datasets

        datasets.disable_progress_bars()
        datasets.disable_caching()
        dataset = datasets.Dataset(table)
        found["datasets"] = lambda: score(dataset, model=screener)
    found["pipeline"] = lambda: pipeline(screener)(comments)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", help="only these; all that are installed otherwise")
    options = parser.parse_args()
    comments = list(texts(options.rows))
    screener = Screener(options.model)
    screener.scores(comments[:2000])
    found = engines(comments, screener)
    if options.engines:
        found = {name: found[name] for name in ("Screener.scores", *options.engines)}
    taken = {name: [] for name in found}
    for _ in range(options.rounds):
        for name, run in found.items():
            began = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - began)
    rates = {name: options.rows / statistics.median(times) for name, times in taken.items()}
    base = rates["Screener.scores"]
    # Against the screener's time in the same round: the machine's other work comes and goes.
    ratios = {
        name: statistics.median(b / t for b, t in zip(taken["Screener.scores"], times, strict=True))
        for name, times in taken.items()
    }
    print(f"{options.rows:,} comments, {options.rounds} rounds, {base:,.0f} comments/s with Screener.scores")
    print(f"{'':<20}{'comments/s':>12}{'ratio':>8}")
    for name, rate in rates.items():
        print(f"{name:<20}{rate:>12,.0f}{ratios[name]:>8.3f}")
    result = {
        "rows": options.rows,
        "rounds": options.rounds,
        "comments_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }
    print(json.dumps(result))
    return int(min(ratios.values()) < LEAST)


if __name__ == "__main__":
    sys.exit(main())
