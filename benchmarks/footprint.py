"""What does installing the core bring, and does it work alone? Size by package, imports, the first score.

Makes a fresh environment in a temporary folder, installs this checkout into it without extras, and measures.

    python benchmarks/footprint.py [--limit-mb 200]

A table, then one JSON line. Exits with 1 if the install is larger than the limit or brings torch.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from pathlib import Path

BASE = {"pip", "setuptools", "wheel", "_distutils_hack", "pkg_resources", "distutils-precedence.pth"}


def sizes(site):
    """Bytes by top-level name in site-packages, and of bytecode; what the environment had before left out."""
    found, bytecode = Counter(), 0
    for path in site.rglob("*"):
        top = path.relative_to(site).parts[0]
        if path.is_file() and not path.is_symlink() and top.split("-")[0] not in BASE:
            if path.suffix == ".pyc":  # a cache that Python writes, at installing or later
                bytecode += path.stat().st_size
            else:
                found[top.split("-")[0].removesuffix(".libs").lower()] += path.stat().st_size
    return found, bytecode


def timed(python, arguments, rounds):
    """Median milliseconds and peak memory in MB of a fresh process."""
    taken, peak = [], 0
    for _ in range(rounds + 1):
        began = time.perf_counter()
        process = subprocess.Popen([python, *arguments], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        taken.append(1000 * (time.perf_counter() - began))
        if status:
            sys.exit(f"{' '.join(arguments)} failed in the fresh environment")
        peak = max(peak, usage.ru_maxrss / (1e6 / (1024 if sys.platform != "darwin" else 1)))
    return round(statistics.median(taken[1:]), 1), round(peak)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit-mb", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    checkout = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(checkout)],
            check=True,
        )
        site = next(Path(folder).glob("lib/python*/site-packages"))
        by_package, bytecode = sizes(site)
        result = {
            "install_mb": round(sum(by_package.values()) / 1e6, 1),
            "bytecode_mb": round(bytecode / 1e6, 1),
            "by_package_mb": {name: round(size / 1e6, 1) for name, size in by_package.most_common(8)},
            "torch": any(name.startswith("torch") for name in by_package),
        }
        score = ["-c", "from giantkiller.cli.main import main; main()", "score", "hi"]
        for name, arguments in {
            "python": ["-c", "pass"],
            "import numpy": ["-c", "import numpy"],
            "import giantkiller": ["-c", "import giantkiller"],
            "giantkiller score hi": score,
        }.items():
            result[f"{name}, ms"], result[f"{name}, peak MB"] = timed(python, arguments, options.rounds)
    for name, size in result["by_package_mb"].items():
        print(f"{name:<28}{size:>10.1f} MB")
    print(f"{'all packages':<28}{result['install_mb']:>10.1f} MB")
    print(f"{'bytecode cached for them':<28}{result['bytecode_mb']:>10.1f} MB")
    for name, value in result.items():
        if name.endswith((", ms", ", peak MB")):
            print(f"{name:<28}{value:>10}")
    print(json.dumps(result))
    sys.exit(result["install_mb"] > options.limit_mb or result["torch"])


if __name__ == "__main__":
    main()
