"""`giantkiller evaluate`."""

import json

import pytest
from click.testing import CliRunner

from giantkiller.cli.evaluate import command
from giantkiller.errors import UserError


def run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)


def test_a_table_of_scores_joined_by_id(folder):
    result = run(folder / "test_scores.csv", "--data", folder / "test.csv", "--samples", 30)
    assert result.exit_code == 0
    assert "toxicity: 300 labelled, 75 positive" in result.stdout
    assert "ROC-AUC" in result.stdout
    assert "false alarms" in result.stdout
    assert "not judged:" in result.stdout


def test_json_and_a_column_of_the_file(folder):
    result = run("column:theirs", "--data", folder / "test.csv", "--samples", 0, "--json")
    report = json.loads(result.stdout)
    assert report["attributes"]["toxicity"]["rows"] == 300
    assert report["attributes"]["toxicity"]["roc_auc"]["low"] is None
    assert report["model"]["name"] == "theirs"


def test_a_report_with_thresholds_chosen_on_validation(folder, tmp_path):
    result = run(
        "column:theirs", "--data", folder / "test.csv", "--validation", folder / "val.csv",
        "--choose", "recall=0.8", "--samples", 20, "-o", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["attributes"]["toxicity"]["at"]) == ["0.5", "validation", "recall=0.8"]
    assert report["validation"]["rows"] == 400
    assert report["policy"]["consequences"]["caught"]["value"] > 0.5
    assert report["policy"]["source"].startswith(
        "fitted on val.csv by aims: 90% of what is removed toxic, 70%"
    )
    assert "It is fitted on val.csv by aims" in (tmp_path / "out" / "report.html").read_text()
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("path", ["/score", "/v1alpha1/comments:analyze?key=k"])
def test_a_service_that_scores(folder, service, path):
    result = run(service + path, "--data", folder / "test.csv", "--samples", 0, "--json")
    assert json.loads(result.stdout)["attributes"]["toxicity"]["roc_auc"]["value"] == 1


def write(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ("toxicity\n0.5\n", "1 rows of scores for 300 comments"),
        ("id,toxicity\ntest0,0.5\ntest0,0.5\n", "the same id in two rows"),
        ("id,toxicity\ntest0,0.5\n", "no score for 299 of 300 ids"),
        ("id,likes\ntest0,3\n", "no column of scores"),
        ("id,toxicity\ntest0,high\n", "holds words"),
    ],
)
def test_stored_scores_that_do_not_fit(folder, tmp_path, scores, says):
    with pytest.raises(UserError, match=says):
        run(write(tmp_path, "s.csv", scores), "--data", folder / "test.csv")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["column:nothing", "--data", "test.csv"], "no column 'nothing'"),
        (["./nowhere", "--data", "test.csv"], "no model at nowhere"),
        (["default", "--data", "test.csv", "--suite", "hatecheck"], "has no hatecheck.parquet"),
        (["default", "--data", ".", "--suite", "hatechek"], "did you mean 'hatecheck'"),
        (["column:theirs", "--data", "test.csv", "--suite", "hatecheck"], "holds stored scores"),
        (["column:theirs", "--data", "none.csv"], "no such file"),
        ([".", "--data", "test.csv"], "neither a bundle"),
    ],
)
def test_what_evaluate_refuses(folder, args, says, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=says) as caught:
        run(*args)
    assert "\n" not in str(caught.value)


def test_choosing_without_validation_is_refused(folder):
    result = run("column:theirs", "--data", folder / "test.csv", "--choose", "recall=0.9")
    assert result.exit_code == 2
    assert "--choose needs --validation" in result.stderr


@pytest.mark.parametrize("args", [[], ["--data", "."], ["--data", ".", "--suite", "civil", "-o", "out"]])
def test_what_there_is_nothing_to_judge_with_is_refused(folder, args, monkeypatch):
    monkeypatch.chdir(folder)
    result = run("column:theirs", *args)
    assert result.exit_code == 2
    assert "name a labelled file with --data" in result.stderr


def test_a_suite_that_comes_with_the_package_needs_no_file(tiny_bundle):
    result = run(tiny_bundle, "--suite", "situations", "--samples", 10, "--split", "validation")
    assert result.exit_code == 0
    assert "twins ranked rightly" in result.stdout
    assert "b14 ordinary" in result.stdout
    with pytest.raises(UserError, match="the suite hatecheck needs `data`"):
        run(tiny_bundle, "--suite", "hatecheck")


@pytest.mark.slow
def test_another_policy_than_the_models_own(tiny_bundle, insults, tmp_path):
    (tmp_path / "lenient.json").write_text('{"toxicity": {"monitor": 0.999999}}')
    found = []
    for more in ((), ("--policy", tmp_path / "lenient.json")):
        result = run(
            tiny_bundle, "-d", insults, "--samples", 0, "-o", tmp_path / "out", "--errors", 0, "-j", *more
        )
        found.append(json.loads(result.stdout)["policy"]["consequences"]["caught"]["value"])
    assert found == [1.0, 0.0]
    with pytest.raises(UserError, match="has no policy 'strict'"):
        run(tiny_bundle, "-d", insults, "--policy", "strict")


def test_the_help_groups_its_options():
    text = run("--help").stdout
    assert text.index("What is judged:") < text.index("-d, --data") < text.index("Figures:")


def test_a_bundle_gets_its_figures_and_its_card_and_stays_valid(tmp_path, insults):
    pytest.importorskip("onnx")
    from bundles import build

    from giantkiller import Screener

    bundle = build(tmp_path / "bundle")
    before = Screener(bundle).predict("you are an idiot")
    result = run(bundle, "--data", insults, "--samples", 20, "--update-card")
    assert result.exit_code == 0
    assert "(bundle)" in result.stdout
    after = Screener(bundle)  # verifies the checksum of every file
    assert after.predict("you are an idiot") == before
    assert after.bundle.figures["test"]["attributes"]["toxicity"]["roc_auc"]["value"] == 1
    card = (bundle / "README.md").read_text()
    assert "| toxicity | 30 of 90 | 1.000 (1.000 to 1.000) |" in card
    (tmp_path / "strict.json").write_text('{"toxicity": {"remove": 0.1}}')
    for other in (("--validation", insults), ("--policy", tmp_path / "strict.json")):
        assert run(bundle, "--data", insults, *other, "--update-card").exit_code == 2
