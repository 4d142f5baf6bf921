"""The README shows what the shipped model says, but for the last digit: processors round apart."""

import csv
import re
from pathlib import Path

import pytest

from giantkiller import Screener

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_lines():
    screener = Screener(threads=1)
    ((text, score),) = re.findall(r'predict\("(.*)"\)\["toxicity"\]  # (\S+)', README)
    assert screener.predict(text)["toxicity"] == pytest.approx(float(score), abs=0.002)
    ((text, action, label),) = re.findall(
        r'judge\("(.*)"\)  # Verdict\(action=\'(\w+)\', label=\'(\w+)\'', README
    )
    verdict = screener.judge(text)
    assert (verdict.action, verdict.label) == (action, label)


def test_the_screened_rows():
    with (ROOT / "examples/comments.csv").open(encoding="utf-8", newline="") as file:
        comments = [row["comment"] for row in csv.DictReader(file)]
    screener = Screener(threads=1)
    shown = re.findall(r"^(.+?) {2,}(\d\.\d\d)  (allow|monitor|review|remove)\b", README, flags=re.M)
    assert len(shown) == 8
    for text, score, action in shown:
        (whole,) = (each for each in comments if each.startswith(text))
        assert screener.predict(whole)["toxicity"] == pytest.approx(float(score), abs=0.015), text
        assert screener.judge(whole).action == action, text
