"""What `make` says before it does anything, where something is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def make(folder, *arguments):
    if shutil.which("make") is None:
        pytest.skip("no make here")
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_release_names_its_data_first(checkout):
    done = make(checkout, "release-model")
    assert done.returncode != 0
    assert "make release-model DATA=DIR" in done.stderr
    assert sorted(path.name for path in checkout.iterdir()) == ["Makefile", "pyproject.toml"]


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", None])
def test_a_python_that_is_too_old_or_missing_leaves_nothing(checkout, script):
    old = checkout / "python3.9"
    if script:
        old.write_text(script)
        old.chmod(0o755)
    done = make(checkout, "demo", f"PYTHON={old}")
    assert done.returncode != 0
    assert f"{old} is missing or older than 3.10" in done.stderr
    assert not (checkout / ".venv").exists()
