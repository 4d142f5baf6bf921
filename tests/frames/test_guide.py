"""Every line of Python in the guide runs, and what the README has of it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "frames.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_guide_runs():
    for package in ("narwhals", "pandas", "polars", "pyarrow", "duckdb", "datasets", "sklearn"):
        pytest.importorskip(package)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE, flags=re.S):
        exec(block, names)
    assert names["classify"]("You are an idiot")[0]["label"] == "toxicity"
    assert names["model"].predict(["You are an idiot", "Thanks, that helped"]).tolist() == [1, 0]


def test_the_readmes_lines_run(monkeypatch):
    for package in ("narwhals", "pandas"):
        pytest.importorskip(package)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", readme, flags=re.S) if ".frames" in b)
    *_, line = block.strip().splitlines()
    monkeypatch.chdir(ROOT)
    names = {}
    exec(block.replace(line, f"scored = {line}"), names)
    assert len(names["scored"]) == 24
    assert names["scored"]["toxicity"].dtype == "float32"
