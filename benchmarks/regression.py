"""Is one commit slower than another? Both screen the same comments in turn; their ratio decides.

    python benchmarks/regression.py main HEAD
    python benchmarks/regression.py v0.1.0 HEAD --data comments.csv --least 0.95

Each commit is checked out into a temporary folder and runs its own code with its own shipped bundle, in a
fresh process each round, both with the packages that are installed here. Prints a table of medians and
ratios and one JSON line; exits with 1 where throughput's median ratio, new over old, is below --least, and
with 2 where nothing could be measured. A commit against itself shows the machine's noise.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LABELS = {
    "comments_per_second": "comments a second",
    "p50_ms": "one comment, p50 ms",
    "startup_ms": "process start to first score, ms",
}

# Runs in the fresh process. Its first line says that the first score is there, its second what was measured.
WORKER = """
import json, statistics, sys, time
import giantkiller
from giantkiller import Screener

screener = Screener(threads=int(sys.argv[2]))
screener.scores(["hi"])
print(giantkiller.__file__, flush=True)
with open(sys.argv[1], encoding="utf-8") as file:
    texts = json.load(file)
screener.scores(texts)
began = time.perf_counter()
screener.scores(texts)
rate = len(texts) / (time.perf_counter() - began)
taken = []
for text in texts[:300]:
    began = time.perf_counter()
    screener.scores([text])
    taken.append(1000 * (time.perf_counter() - began))
print(json.dumps({"comments_per_second": rate, "p50_ms": statistics.median(taken)}))
"""


class CannotMeasureError(Exception):
    """What stands between the user and a measurement, in one sentence."""


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", help="a commit, branch or tag")
    parser.add_argument("new", help="another; what is not committed is not measured")
    parser.add_argument(
        "--data", type=Path, help="real comments: CSV, TSV, JSON Lines, Parquet; else made up"
    )
    parser.add_argument("--comments", type=int, default=3000, help="how many of them")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for both")
    parser.add_argument(
        "--least", type=float, default=0.9, help="throughput, new over old, that is good enough"
    )
    parser.add_argument("--repository", type=Path, default=ROOT, help="where the commits are")
    options = parser.parse_args(arguments)
    for name, least in (("comments", 100), ("rounds", 1), ("threads", 1), ("least", 0)):
        if not getattr(options, name) >= least:
            parser.error(f"--{name} is {getattr(options, name)}; it must be at least {least}")
    try:
        result = compare(options)
    except CannotMeasureError as error:
        parser.exit(2, f"regression.py: {error}\n")
    report(result)
    sys.exit(not result["passed"])


def compare(options):
    commits = {side: resolve(options.repository, getattr(options, side)) for side in ("old", "new")}
    if git(options.repository, "status", "--porcelain", "--untracked-files=no").stdout:
        print("there are changes that are not committed; they are not measured", file=sys.stderr)
    texts = read(options.data, options.comments)
    rounds = {side: [] for side in commits}
    with tempfile.TemporaryDirectory(prefix="giantkiller-regression-") as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        with checkouts(options.repository, commits, Path(folder)) as trees:
            for number in range(options.rounds + 1):
                # Who goes first changes, so that neither always finds the machine as the other left it.
                for side in ("old", "new") if number % 2 else ("new", "old"):
                    measured = run(trees[side], file, options.threads, commits[side])
                    if number:  # the first one wrote bytecode and filled the system's cache
                        rounds[side].append(measured)
                print(f"round {number} of {options.rounds}", file=sys.stderr)
    return {
        **{side: commit[:12] for side, commit in commits.items()},
        "comments": len(texts),
        "threads": options.threads,
        "rounds": options.rounds,
        **summary(rounds["old"], rounds["new"], options.least),
    }


def summary(old, new, least):
    """Medians of both sides and of the ratio within each round, with its lowest and highest value."""
    result = {}
    for key in LABELS:
        ratios = [b[key] / a[key] for a, b in zip(old, new, strict=True)]
        result[key] = {
            "old": round(statistics.median(each[key] for each in old), 3),
            "new": round(statistics.median(each[key] for each in new), 3),
            "ratio": round(statistics.median(ratios), 4),
            "lowest": round(min(ratios), 4),
            "highest": round(max(ratios), 4),
        }
    result["least"] = least
    result["passed"] = result["comments_per_second"]["ratio"] >= least
    return result


def report(result):
    print(
        f"{result['old']} and {result['new']}: {result['comments']:,} comments, {result['threads']} threads, "
        f"{result['rounds']} rounds"
    )
    print(f"{'':<34}{'old':>12}{'new':>12}{'new/old':>10}{'lowest':>10}{'highest':>10}")
    for key, label in LABELS.items():
        row = result[key]
        print(
            f"{label:<34}{row['old']:>12,.2f}{row['new']:>12,.2f}"
            f"{row['ratio']:>10.3f}{row['lowest']:>10.3f}{row['highest']:>10.3f}"
        )
    verdict = "good enough" if result["passed"] else "too slow"
    print(f"throughput {verdict}: at least {result['least']} was asked for")
    print(json.dumps(result))


def git(repository, *arguments, check=True):
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=check
        )
    except FileNotFoundError:
        raise CannotMeasureError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CannotMeasureError(f"git {arguments[0]} failed in {repository}: {reason}") from None


def resolve(repository, name):
    """Return the full name of a commit."""
    git(repository, "rev-parse", "--git-dir")
    found = git(
        repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False
    )
    if found.returncode:
        raise CannotMeasureError(f"{repository} has no commit {name!r}; git log and git tag list what it has")
    return found.stdout.split()[-1]


@contextmanager
def checkouts(repository, commits, folder):
    """Check commits out beside each other; what was checked out is removed at the end, whatever happened."""
    trees = {side: folder / side for side in commits}
    try:
        for side, commit in commits.items():
            git(repository, "worktree", "add", "--quiet", "--detach", str(trees[side]), commit)
        yield trees
    finally:
        for tree in trees.values():
            git(repository, "worktree", "remove", "--force", str(tree), check=False)


def run(tree, file, threads, commit):
    """Screen once in a fresh process with the code and bundle of a checkout."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONPATH": str(tree / "src")}
    began = time.perf_counter()
    # Standard error goes to a file: a pipe that nobody reads would stop a process that complains a lot.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(file), str(threads)],
            stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment, cwd=file.parent,
        ) as process,
    ):  # fmt: skip
        try:
            source = process.stdout.readline().strip()
            startup = 1000 * (time.perf_counter() - began)
            measured = process.stdout.read()
        except BaseException:
            process.kill()
            raise
        if process.wait():
            complaints.seek(0)
            reason = (complaints.read().strip().splitlines() or ["it ended without a word"])[-1]
            raise CannotMeasureError(f"the code of {commit[:12]} could not screen: {reason[:300]}")
    if not Path(source).resolve().is_relative_to(tree.resolve()):
        raise CannotMeasureError(
            f"{commit[:12]} was not measured: Python imported {source} instead of its code"
        )
    return {**json.loads(measured), "startup_ms": startup}


def read(data, count):
    from giantkiller.errors import UserError
    from giantkiller.speed import made_up, read_comments

    try:
        return read_comments(data, None, count) if data else made_up(count)
    except UserError as error:
        raise CannotMeasureError(str(error)) from None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the checkouts are removed then, too
    main()
