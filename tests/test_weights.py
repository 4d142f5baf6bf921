import csv
import json
from pathlib import Path

import numpy as np
import pytest

from giantkiller import Screener, load_screener
from giantkiller.bundle.finding import DEFAULT

pytest.importorskip("torch")
ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "weights" / "giantkiller-tiny"


def test_they_are_the_shipped_models():
    with (ROOT / "examples" / "comments.csv").open(newline="", encoding="utf-8") as file:
        texts = [row["comment"] for row in csv.DictReader(file)]
    ours, shipped = load_screener(str(WEIGHTS)).scores(texts), Screener().scores(texts)
    assert np.ptp(shipped[:, 0]) > 0.8
    for a, b in zip(ours.T, shipped.T, strict=True):  # calibration shifts and stretches logits, no more
        assert np.corrcoef(np.log(a / (1 - a)), np.log(b / (1 - b)))[0, 1] > 0.999


def test_their_card_names_what_trained_them():
    training = json.loads((DEFAULT / "bundle.json").read_text("utf-8"))["provenance"]["training"]
    card = (WEIGHTS / "README.md").read_text("utf-8")
    for file in training["data"]:
        assert file in card
