"""How long does it take until something has happened? Imports and the first score, in fresh processes.

The commands are run both ways that users have: `python -m giantkiller`, and the script that pip installs.

Example: python benchmarks/startup.py
The candidates take turns, so their ratios hold on a busy machine. A table, then one JSON line.
"""

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from about import installed

PYTHON, SCRIPT = sys.executable, str(Path(sysconfig.get_path("scripts")) / "giantkiller")
CANDIDATES = {
    "python": [PYTHON, "-c", "pass"],
    "import numpy": [PYTHON, "-c", "import numpy"],
    "import giantkiller": [PYTHON, "-c", "import giantkiller"],
    "python -m giantkiller --help": [PYTHON, "-m", "giantkiller", "--help"],
    "giantkiller --help": [SCRIPT, "--help"],
    "python -m giantkiller score hi": [PYTHON, "-m", "giantkiller", "score", "hi"],
    "giantkiller score hi": [SCRIPT, "score", "hi"],
}


def run(arguments, environment):
    began = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, env=environment)
    return 1000 * (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    taken = {name: [] for name in CANDIDATES}
    with tempfile.TemporaryDirectory() as folder:
        environment = installed(folder)
        for arguments in CANDIDATES.values():  # files into the cache, bytecode written
            run(arguments, environment)
        for _ in range(rounds):
            for name, arguments in CANDIDATES.items():
                taken[name].append(run(arguments, environment))
    result = {name: round(statistics.median(times), 1) for name, times in taken.items()}
    print(f"{'':<32}{'median ms':>12}{'best ms':>10}")
    for name, times in taken.items():
        print(f"{name:<32}{result[name]:>12.1f}{min(times):>10.1f}")
    result = {
        "median_ms": result,
        "best_ms": {name: round(min(times), 1) for name, times in taken.items()},
        "first score / import numpy": round(result["giantkiller score hi"] / result["import numpy"], 2),
        "import giantkiller itself, ms": round(result["import giantkiller"] - result["python"], 1),
        "rounds": rounds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
