"""A report with everything in it, for the tests of what is made of one."""

import dataclasses

import numpy as np

from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.facts import ModelFacts
from giantkiller.evaluation.figures import Figure
from giantkiller.evaluation.report import ModelInfo, evaluate
from giantkiller.evaluation.suites.attacks import Attacked, AttacksReport
from giantkiller.evaluation.suites.hatecheck import Functionality, HateCheckReport, Target, View
from giantkiller.evaluation.suites.paradetox import ParaDetoxReport

SCRIPT = "<script>alert(1)</script> you fool"
MODEL = ModelInfo("small <model>", "scores", ModelFacts(max_length=32))


def made(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.full((rows, 7), np.nan)
    scores = np.full((rows, 7), np.nan)
    for column in (0, 4):
        targets[:, column] = rng.random(rows) < 0.3
        scores[:, column] = 1 / (1 + np.exp(-rng.normal(2.5 * targets[:, column] - 1.5, 1)))
    who = ["a man", "a woman", "a Muslim", "nobody"]
    texts = [f"{who[n % 4]} said something, number {n}" for n in range(rows)]
    # The model misses this one by far, so that it must turn up among the errors.
    texts[0], targets[0, 0], scores[0, 0] = SCRIPT, 1, 0.001
    return texts, targets, scores


def scorer(texts):
    scores = np.full((len(texts), 7), np.nan)
    scores[:, 0] = [0.2 + 0.1 * ("muslim" in text.lower()) for text in texts]
    return scores


CONFIG = EvaluationConfig(
    thresholds={"bundle": {"toxicity": 0.4, "insult": 0.4}},
    policy={"toxicity": {"monitor": 0.2, "review": 0.4, "remove": 0.85}},
    samples=50,
    errors=3,
)
HALF = Figure(0.8, 0.7, 0.9)


def suites():
    """A report of three suites."""
    cases = {"slur_h": Functionality(5, True, HALF), "ident_nh": Functionality(5, False, HALF)}
    view = View(0.4, HALF, HALF, cases, {"women": Target(5, HALF, HALF, HALF)})
    attacks = {
        name: Attacked(HALF, HALF, kept, HALF, HALF) for name, kept in (("none", 1.0), ("leetspeak", 0.875))
    }
    return {
        "hatecheck": HateCheckReport("h.csv", 10, {"toxicity": view}),
        "paradetox": ParaDetoxReport("p.csv", 10, 0.4, HALF, HALF, HALF, HALF),
        "spelling-attacks": AttacksReport("c.csv", 10, 0.4, attacks),
    }


def whole_report():
    """Everything that a report can have, but for what was fitted on validation rows."""
    texts, targets, scores = made()
    report = evaluate(
        texts, targets, scores, CONFIG, model=MODEL, file="made.csv", scorer=scorer,
        explain=lambda text: [(26, 29, 0.2), (30, 34, -0.1)],
    )  # fmt: skip
    return dataclasses.replace(report, suites=suites())
