"""The training guide says what the code does."""

import csv
import re
from pathlib import Path

import pytest

from giantkiller.training.recipe import read_recipe

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.S)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_recipe_in_the_guide_is_valid(block, tmp_path):
    text = block if "name =" in block else f'name = "a"\n{block}'
    if "[data]" not in block and "[[data.sources]]" not in block:
        text += '[data]\nsources = [{ file = "x.csv" }]\n'
    (tmp_path / "r.toml").write_text(text)
    assert read_recipe(tmp_path / "r.toml").data.sources


def test_guide_and_smoke_recipe_count_the_comments():
    with (ROOT / "examples" / "labelled.csv").open(newline="") as file:
        rows = sum(1 for _ in csv.DictReader(file))
    assert f"on {rows} made-up comments" in GUIDE
    assert f"on {rows} made-up comments" in (ROOT / "recipes" / "smoke.toml").read_text(encoding="utf-8")


def test_every_recipe_is_in_the_guide():
    for path in (ROOT / "recipes").glob("*.toml"):
        assert f"`{path.name}`" in GUIDE
