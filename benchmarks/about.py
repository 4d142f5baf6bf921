"""What was measured on what, by which command: for the pages that benchmarks write."""

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path


def machine():
    name = platform.processor() or platform.machine()
    flags = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        lines = {key.strip(): value.strip() for key, value in lines.items()}
        name, flags = lines.get("model name", name), lines.get("flags", "")
    vector = [
        flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if flag in flags.split()
    ]
    packages = ("giantkiller", "onnxruntime", "torch", "transformers", "tokenizers", "scikit-learn", "numpy")
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "instructions": vector,
        "python": platform.python_version(),
        "packages": {package: version(package) for package in packages},
    }


def installed(folder):
    """The environment in which a program starts as one that pip installed: what Python compiles is kept.

    Many containers tell Python to keep nothing, and each start would compile our sources anew.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder)}


def command_line(program):
    """The command that runs, folders of this machine written as DIR and files without theirs."""
    return " ".join(["python", program, *map(_without_folder, sys.argv[1:])])


def _without_folder(given):
    path = Path(given)
    if path.is_absolute():
        return path.name if path.suffix else "DIR"
    return json.dumps(given) if " " in given else given
