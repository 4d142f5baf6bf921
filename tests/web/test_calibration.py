"""Curves in the browser's package are those of Python; needs Node, but no packages."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from giantkiller.calibration import Calibration
from giantkiller.evaluation.like import fit_curve

WEB = Path(__file__).parents[2] / "web"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node here")

PROGRAM = """
import { isCurve, probability } from "./src/calibration.js";
let text = "";
for await (const part of process.stdin) text += part;
const { line, logits, curves } = JSON.parse(text);
console.log(JSON.stringify({ scores: logits.map((l) => probability(line, l)), curves: curves.map(isCurve) }));
"""


def in_node(**given):
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", PROGRAM],
        cwd=WEB, input=json.dumps(given), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_scores_along_a_curve():
    rng = np.random.default_rng(0)
    curve = fit_curve(rng.beta(0.4, 2, 1000), rng.beta(1, 3, 1000))
    logits = [
        *rng.normal(0, 4, 2000),
        -800.0,
        800.0,
        0.0,
        *(np.log(x) - np.log1p(-x) for x, _ in curve[1:-1]),
    ]
    for line in (Calibration(1.3, -0.4, curve), Calibration(1.0, 0.0)):
        given = {"slope": line.slope, "intercept": line.intercept} | (
            {"curve": line.curve} if line.curve else {}
        )
        found = in_node(line=given, logits=logits, curves=[])["scores"]
        np.testing.assert_allclose(found, line.apply(logits), rtol=0, atol=1e-12)


def test_what_is_no_curve():
    good = [[], [[0, 0], [1, 1]], [[0, 0], [0.2, 0.9], [1, 1]]]
    bad = [
        [[0, 0]], [[0, 0], [0.5, 0.5]], [[0.1, 0], [1, 1]], [[0, 0], [0.5, 0.7], [0.6, 0.7], [1, 1]], 3, None,
        [[0, 0], [0.5], [1, 1]], [[0, 0], ["0.5", 0.5], [1, 1]], [[i / 2000, i / 2000] for i in range(2001)],
    ]  # fmt: skip
    found = in_node(line={"slope": 1, "intercept": 0}, logits=[], curves=[*good, *bad])["curves"]
    assert found == [True] * len(good) + [False] * len(bad)
