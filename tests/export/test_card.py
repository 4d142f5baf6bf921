import json
import re

import numpy as np
import pytest

from giantkiller.bundle import Bundle
from giantkiller.calibration import Calibration
from giantkiller.errors import UserError
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.facts import ModelFacts
from giantkiller.evaluation.figures import Figure
from giantkiller.evaluation.report import ModelInfo, Report, RunSettings, evaluate
from giantkiller.evaluation.suites.paradetox import ParaDetoxReport
from giantkiller.export import card
from giantkiller.policy import Policy

POLICY = Policy({"toxicity": {"monitor": 0.2, "review": 0.4, "remove": 0.85}, "insult": {"monitor": 0.3}})
NOTES = {
    "threat": "threat leads to no action: only 11 positive rows for threat: a policy needs at least 30",
    "insult": "nothing is removed by insult: its thresholds come from train.csv",
}
VALIDATION = {
    "file": "val.csv", "rows": 400, "positives": 30, "roc_auc": 0.91, "average_precision": 0.5,
    "average_precision_lost": 0.001,
}  # fmt: skip


def bundle(**changes):
    settings = {
        "name": "tiny", "version": "1", "max_length": 32, "policy": POLICY, "threshold": {"toxicity": 0.4},
        "calibration": {"toxicity": Calibration(0.9, 0.1)},
        "figures": {"validation": {"toxicity": VALIDATION}, "policy": NOTES},
        "provenance": {"parameters": 1234, "quantization": "static", "dendrites": {"pooler": 2},
                       "dendrite_activation": "tanh"},
    }  # fmt: skip
    return Bundle(**{**settings, **changes})


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    targets, scores = np.full((400, 7), np.nan), np.full((400, 7), np.nan)
    targets[:, 0] = rng.random(400) < 0.3
    scores[:, 0] = 1 / (1 + np.exp(-rng.normal(2.5 * targets[:, 0] - 1.5, 1)))
    texts = [f"{('a man', 'a woman')[n % 2]} said something, number {n}" for n in range(400)]
    config = EvaluationConfig({"bundle": {"toxicity": 0.4}}, dict(POLICY.to_dict()), samples=30)
    found = evaluate(
        texts, targets, scores, config, model=ModelInfo("tiny 1", "bundle", ModelFacts()), file="test.csv"
    )
    half = Figure(0.8, 0.7, 0.9)
    found.suites["paradetox"] = ParaDetoxReport("p.csv", 10, 0.4, half, half, half, half)
    return found


def metadata(text):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(text[4 : text.index("\n---\n", 4)])


def tables(text):
    return re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)


def test_the_card_of_an_export_says_what_was_fitted_and_why_something_was_not():
    text = card.render(bundle(), {"model.onnx": 1000, "tokenizer.json": 200})
    assert metadata(text)["license"] == "apache-2.0"
    assert "model-index" not in metadata(text)
    assert "| toxicity | rude" in text
    assert "| 0.400 | 0.200, 0.400, 0.850 |" in text
    assert "| 0.500 | 0.300, never, never |" in text
    for note in NOTES.values():
        assert f"- {note}\n" in text
    assert "| pooler | 2 |" in text
    assert "| toxicity | val.csv | 400 | 30 | 0.9100 |" in text
    assert "nothing has seen" not in text
    for table in tables(text):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_a_bundle_without_figures_says_that_it_is_not_calibrated():
    text = card.render(bundle(figures={}, provenance={}), {})
    assert "its scores are not calibrated" in text
    assert "recorded nothing about its training" in text


def test_the_figures_of_a_report_reach_manifest_card_and_metadata(report):
    judged = card.with_figures(bundle(), report)
    json.dumps(judged.figures, allow_nan=False)
    assert judged.figures["validation"] == {"toxicity": VALIDATION}
    test = judged.figures["test"]
    measured = report.attributes["toxicity"]
    assert test["attributes"]["toxicity"]["roc_auc"]["value"] == measured.roc_auc.value
    assert test["attributes"]["toxicity"]["at"]["threshold"] == 0.4
    text = card.render(judged, {"model.onnx": 1000})
    result = metadata(text)["model-index"][0]["results"][0]
    assert result["metrics"][0]["value"] == round(measured.roc_auc.value, 4)
    assert {"type", "name", "value"} <= result["metrics"][0].keys()
    assert f"{measured.average_precision.value:.3f} (" in text
    assert "| paradetox | 10 | 0.800 (0.700 to 0.900) of pairs ranked rightly |" in text
    assert "| female | 200 |" in text
    assert "| remove |" in text
    for table in tables(text):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_the_hubs_own_parser_takes_the_metadata(report):
    hub = pytest.importorskip("huggingface_hub")
    found = hub.ModelCard(card.render(card.with_figures(bundle(), report), {}))
    assert found.data.license == "apache-2.0"
    assert {each.metric_type for each in found.data.eval_results} >= {"roc_auc", "f1"}


def test_figures_of_no_file_or_of_another_calibration_are_refused(report):
    nothing = Report(ModelInfo("tiny", "bundle", ModelFacts()), RunSettings(0, 0))
    with pytest.raises(UserError, match="name `data`"):
        card.with_figures(bundle(), nothing)
