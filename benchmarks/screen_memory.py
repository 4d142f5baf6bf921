"""How much memory does screening a file take, and does its cost grow in step with the file?

Writes synthetic files, screens each in a process of its own and reads that process's peak memory.

    python benchmarks/screen_memory.py [--model BUNDLE] [--rows 200000] [--formats csv jsonl parquet]

For Parquet it also says what pyarrow alone takes over `import numpy`: imported, and copying the larger file.
Prints a table, then one JSON line. Exits with 1 if a run took more than the limit.
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_MB = 400
WORDS = """
the of and to in a is that for it was on are as with they be at this have from or one had by but not
what all were we when your can said there use an each which she do how their if will up other about
out many then them these so some her would make like him into time has look two more write go see
number no way could people my than first water been call who oil its now find long down day did get
come made may part idiot stupid damn brilliant mayor school library neighbour rent council recipe
article vote bus report
"""


def texts(rows, seed=0):
    """Comments of the length of real ones (median about 155 characters), all different."""
    rng, words = random.Random(seed), WORDS.split()
    for _ in range(rows):
        yield " ".join(rng.choices(words, k=max(3, int(rng.lognormvariate(3.4, 0.9)))))


def write(path, rows):
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
        with pq.ParquetWriter(path, schema) as writer:
            made = enumerate(texts(rows))
            # One row group, as data frames are saved.
            writer.write_table(pa.Table.from_pylist([{"id": i, "text": text} for i, text in made], schema))
        return
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == ".csv":
            file.write("id,text\n")
        for i, text in enumerate(texts(rows)):
            file.write(
                f"{i},{text}\n" if path.suffix == ".csv" else json.dumps({"id": i, "text": text}) + "\n"
            )


def screen(path, model):
    """Screen one file in a fresh process: its summary, peak memory in MB and processor seconds."""
    target = path.with_name(f"screened-{path.name}")
    code = "from giantkiller.cli.main import main; main()"
    command = [sys.executable, "-c", code, "screen", path, "-o", target, "--model", model, "--json"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"screening {path.name} failed")
    target.unlink()
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return json.loads(out), peak, usage.ru_utime + usage.ru_stime


IMPORT_NUMPY = "import numpy, sys"
IMPORT_PARQUET = f"{IMPORT_NUMPY}, pyarrow.parquet"
COPY_PARQUET = """
import sys, numpy, pyarrow.parquet as pq
with pq.ParquetFile(sys.argv[1], pre_buffer=False, buffer_size=1 << 20) as file:
    with pq.ParquetWriter(sys.argv[2], file.schema_arrow, compression="zstd") as out:
        for batch in file.iter_batches(8192, use_threads=False):
            out.write_batch(batch)
"""


def peak_of(code, *arguments):
    """The peak memory, in MB, of a program in a fresh process."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--formats", nargs="+", default=["csv", "jsonl", "parquet"])
    options = parser.parse_args()
    runs = []
    print(
        f"{'format':<8} {'rows':>9} {'MB':>6} {'seconds':>8} {'cpu s':>7} {'comments/s':>11} {'peak MB':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.formats:
            for rows in (options.rows // 8, options.rows):
                path = Path(folder) / f"{rows}.{kind}"
                if not path.exists():
                    # In a process of its own: what a process once used would count for its children.
                    writer = multiprocessing.get_context("spawn").Process(target=write, args=(path, rows))
                    writer.start()
                    writer.join()
                summary, peak, seconds = screen(path, options.model)
                assert summary["rows"] == rows
                run = {
                    "format": kind,
                    "rows": rows,
                    "input_mb": round(path.stat().st_size / 1e6, 1),
                    "seconds": summary["seconds"],
                    "cpu_seconds": round(seconds, 2),
                    "comments_per_second": summary["comments_per_second"],
                    "peak_mb": round(peak),
                }
                runs.append(run)
                print(
                    f"{kind:<8} {rows:>9,} {run['input_mb']:>6} {run['seconds']:>8.1f} {seconds:>7.1f} "
                    f"{run['comments_per_second']:>11,.0f} {run['peak_mb']:>8}",
                    flush=True,
                )
        import_mb = pyarrow_mb = None
        if "parquet" in options.formats:
            path = Path(folder) / f"{options.rows}.parquet"
            base = peak_of(IMPORT_NUMPY)
            import_mb = round(peak_of(IMPORT_PARQUET) - base)
            pyarrow_mb = round(peak_of(COPY_PARQUET, path, f"{path}.copy") - base)
            print(f"pyarrow alone, over numpy: imported {import_mb} MB, copying {path.name} {pyarrow_mb} MB")
    growth = {}
    for kind in options.formats:
        cost = {run["rows"]: run["cpu_seconds"] / run["rows"] for run in runs if run["format"] == kind}
        # Processor time, not the clock: other work on the machine does not count.
        growth[kind] = round(cost[options.rows] / cost[options.rows // 8], 3)
    highest = max(run["peak_mb"] for run in runs)
    print(f"processor seconds a comment, large file against one of an eighth: {growth}")
    print(f"highest peak: {highest} MB (limit {LIMIT_MB})")
    result = {"limit_mb": LIMIT_MB, "peak_mb": highest, "import_mb": import_mb, "pyarrow_mb": pyarrow_mb}
    print(json.dumps({**result, "cost_ratio": growth, "runs": runs}))
    return int(highest > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
