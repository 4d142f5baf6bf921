"""Every line of Python in the guide runs."""

import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "frames.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_guide_runs():
    for package in ("narwhals", "pandas", "polars", "pyarrow", "duckdb", "datasets", "sklearn"):
        pytest.importorskip(package)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE, flags=re.S):
        exec(block, names)
    assert names["classify"]("You are an idiot")[0]["label"] == "insult"
    assert names["model"].predict(["You are an idiot", "Thanks, that helped"]).tolist() == [1, 0]
