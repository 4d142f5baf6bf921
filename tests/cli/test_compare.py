"""`giantkiller compare`."""

import json

import pytest
from click.testing import CliRunner

from giantkiller.cli.compare import command


def run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)


def test_compare_two_stored_scores(folder):
    result = run(
        folder / "test_scores.csv", "column:theirs", "--data", folder / "test.csv",
        "--samples", 30, "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["toxicity"]["figures"]["roc_auc"]["difference"]["value"] > 0.1
    assert report["speed"] is None
    assert "better ROC-AUC" in report["verdict"]
    shown = run(folder / "test_scores.csv", "column:theirs", "--data", folder / "test.csv")
    assert "DeLong's test" in shown.stdout


@pytest.mark.slow
def test_a_giant_that_nobody_fine_tuned_is_called_so(checkpoint, insults):
    result = run(
        checkpoint / "tuned", checkpoint / "untuned", "--data", insults, "--samples", 20,
        "--rounds", 1, "--batch", 8, "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["models"][1]["fine_tuned"] is False
    assert "was not fine-tuned" in report["verdict"]
    assert report["speed"]["models"][str(checkpoint / "untuned")]["times_slower"]["value"] > 0
    assert report["models"][0]["memory"] > 10_000_000


def test_the_help_groups_its_options():
    text = run("--help").stdout
    assert text.index("What is judged:") < text.index("-d, --data") < text.index("Figures:")
