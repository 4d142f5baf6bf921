"""What does Ray cost over the local engine, does a second worker double the rate, and what would a billion
comments take?

Screens the same synthetic shards in turn: by the local engine, file after file, with one thread and with
two, and by one and by two workers of a Ray on this machine, whose start counts apart. Then a calculation on
paper from what was measured. A table, then one JSON line. Exits with 1 if two workers have less than 0.8 of
the local engine's rate with two threads.

    python benchmarks/cluster.py [--model BUNDLE] [--rows 1000000] [--shards 16] [--rounds 1] [--format csv]
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from screen_memory import texts, write

from giantkiller import Screener
from giantkiller.cluster import screen
from giantkiller.cluster.connection import connected
from giantkiller.files import judge_with, screen_file

LEAST = 0.8
BILLION = 1_000_000_000


def make(folder, rows, shards, ending):
    for i in range(shards):
        write(folder / f"{i:04}.{ending}", rows // shards)
    return sum(path.stat().st_size for path in folder.iterdir())


def local(source, target, model, threads):
    """Seconds of the local engine for all files, the model loaded before."""
    judge = judge_with(Screener(model, threads=threads))
    begin = time.perf_counter()
    for path in sorted(source.iterdir()):
        screen_file(path, target / path.name, judge)
    return time.perf_counter() - begin


class Peak(threading.Thread):
    """The most memory, in MB, that one worker and all of Ray's processes together had to themselves."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worker = self.all = 0.0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(2):
            worker = total = 0.0
            for process in psutil.Process().children(recursive=True):
                try:
                    memory = process.memory_full_info().uss / 1e6
                    if "ray::Worker" in " ".join(process.cmdline()):
                        worker = max(worker, memory)
                except psutil.Error:
                    continue
                total += memory
            self.worker, self.all = max(self.worker, worker), max(self.all, total)


def clustered(source, target, model, workers):
    """The summary of a run of so many workers, and the seconds that it took to start and end Ray."""
    peak = Peak()
    begin = time.perf_counter()
    with connected(None, workers):
        peak.start()
        summary = screen(source, target, model, workers=workers)
        peak.stopped.set()
    return summary, time.perf_counter() - begin - summary.seconds, peak


def seconds_a_shard(model, folder, count=40):
    """What a shard costs besides its rows: the time of many with one row each, on one worker."""
    (folder / "small").mkdir()
    for i, text in enumerate(texts(count)):
        (folder / "small" / f"{i}.csv").write_text(f"text\n{text}\n")
    with connected(None, 1):
        return screen(folder / "small", folder / "small-out", model, workers=1).seconds / count


def paper(rate, bytes_in, bytes_out, shard, euros):
    """A billion comments from measured constants."""
    shards = BILLION / 1_000_000
    core_hours = (BILLION / rate + shards * shard) / 3600
    print(
        f"\non paper, {BILLION:,} comments of {bytes_in:.0f} bytes, each core as fast as one of two workers "
        f"here ({rate:,.0f} comments/s), {shards:,.0f} shards of a million, {shard:.2f} s a shard besides:"
    )
    print(f"  {core_hours:,.0f} core hours; at {euros} euros a core hour {core_hours * euros:,.2f} euros")
    tail = 1_000_000 / rate / 3600
    hours = {cores: core_hours / cores + tail for cores in (16, 64, 256)}
    for cores, taken in hours.items():
        print(f"  {cores} cores: {taken:,.1f} hours, of which the last shard may take {tail:.2f}")
    moved = (bytes_in + bytes_out) * BILLION / 1e9
    print(f"  {moved:,.0f} GB moved: {bytes_in:.0f} bytes a comment in, {bytes_out:.0f} out, and the bundle")
    return {"core_hours": core_hours, "euros": core_hours * euros, "hours": hours, "gb_moved": moved}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--format", default="csv", choices=["csv", "jsonl", "parquet"])
    parser.add_argument("--euros", type=float, default=0.04, help="a core hour: assumed, not measured")
    options = parser.parse_args()
    rows = options.rows // options.shards * options.shards
    taken = {name: [] for name in ("local, 1 thread", "ray, 1 worker", "local, 2 threads", "ray, 2 workers")}
    starts, worker_mb, ray_mb = [], 0.0, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        size = make(folder / "in", rows, options.shards, options.format)
        for round_ in range(options.rounds):
            for number in (1, 2):
                out = folder / f"local-{round_}-{number}"
                unit = "thread" if number == 1 else "threads"
                taken[f"local, {number} {unit}"].append(local(folder / "in", out, options.model, number))
                out = folder / f"ray-{round_}-{number}"
                summary, start, peak = clustered(folder / "in", out, options.model, number)
                assert (summary.rows, summary.failed) == (rows, {})
                unit = "worker" if number == 1 else "workers"
                taken[f"ray, {number} {unit}"].append(summary.seconds)
                starts.append(start)
                worker_mb, ray_mb = max(worker_mb, peak.worker), max(ray_mb, peak.all)
                last = {kind: round(times[-1], 1) for kind, times in taken.items() if len(times) > round_}
                print(f"round {round_ + 1}: {last} seconds", file=sys.stderr)
        written = sum(path.stat().st_size for path in out.glob(f"*.{options.format}"))
        shard = seconds_a_shard(options.model, folder)
    median = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{rows:,} comments in {options.shards} {options.format} files, {options.rounds} rounds")
    print(f"{'':<18}{'seconds':>9}{'comments/s':>12}")
    for name, seconds in median.items():
        print(f"{name:<18}{seconds:>9.1f}{rows / seconds:>12,.0f}")
    ratios = {
        "ray to local, 1 core": median["local, 1 thread"] / median["ray, 1 worker"],
        "ray to local, 2 cores": median["local, 2 threads"] / median["ray, 2 workers"],
        "2 workers to 2 times 1": median["ray, 1 worker"] / median["ray, 2 workers"] / 2,
    }
    for name, ratio in ratios.items():
        print(f"{name:<24}{ratio:>6.2f}")
    print(f"start and end of Ray and its workers: {statistics.median(starts):.1f} s")
    print(f"memory of its own: a worker {worker_mb:.0f} MB, Ray and its workers {ray_mb:.0f} MB")
    rate = rows / median["ray, 2 workers"] / 2
    calculated = paper(rate, size / rows, written / rows, shard, options.euros)
    result = {
        "rows": rows,
        "shards": options.shards,
        "format": options.format,
        "seconds": median,
        "ratios": ratios,
        "start_seconds": statistics.median(starts),
        "shard_seconds": shard,
        "worker_mb": worker_mb,
        "ray_mb": ray_mb,
        "billion": calculated,
    }
    print(json.dumps(result))
    return int(ratios["ray to local, 2 cores"] < LEAST)


if __name__ == "__main__":
    sys.exit(main())
