"""How much memory a model needs: `python -m giantkiller.evaluation.opponents.memory MODEL` prints bytes."""

import subprocess
import sys
from pathlib import Path


def peak_memory(name: str) -> int | None:
    """Measure the peak memory, in bytes, of a fresh process that loads a model and scores 64 comments.

    Returns:
        None where the model can't be loaded by its name alone, or the system doesn't tell.
    """
    done = subprocess.run([sys.executable, "-m", __name__, name], capture_output=True, text=True, check=False)
    return None if done.returncode else int(done.stdout.split()[-1])


def _main(name: str) -> None:
    from giantkiller.evaluation.opponents import load

    load(name).score(["One comment of a usual length, to be scored."] * 64)
    # Linux: the high-water mark of this very program; ru_maxrss would count its parent's memory, too.
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    sys.stdout.write(f"{int(kilobytes) * 1024}\n")


if __name__ == "__main__":
    _main(sys.argv[1])
