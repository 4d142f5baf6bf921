import json
import os
import subprocess
import sys

import pytest
from bundles import build
from click.testing import CliRunner

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.main import giantkiller
from giantkiller.errors import UserError
from giantkiller.policy import Policy

PROGRAM = "from giantkiller.cli.main import main; main()"
SHORT = ["toxic", "severe", "obscene", "threat", "insult", "identity", "sexual"]


def run(*args, given=None):
    return CliRunner().invoke(giantkiller, [*map(str, args)], input=given)


def test_a_table_for_people(tiny_bundle):
    result = run("score", "--model", tiny_bundle, "You are an idiot", "Thanks")
    assert result.exit_code == 0
    head, first, second = result.output.splitlines()
    assert head.split() == [*SHORT, "action", "comment"]
    assert first.split()[:8] == ["0.881", "0.018", "0.018", "0.018", "0.924", "0.018", "0.018", "review"]
    assert first.endswith("You are an idiot")
    assert second.split()[7:] == ["allow", "Thanks"]


def test_json_lines_of_standard_input(tiny_bundle):
    result = run(
        "score", "--model", tiny_bundle, "--json", given="idiot\r\n\nthanks\u2028x\n".encode() + b"\xff\n"
    )
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["text"] for row in rows] == ["idiot", "", "thanks\u2028x", "\ufffd"]
    assert list(rows[0]) == ["text", *ATTRIBUTES, "action", "label"]
    assert rows[0]["action"] == "review"
    assert rows[0]["insult"] == 0.924142


def test_a_line_of_megabytes_is_one_comment(tiny_bundle):
    result = run("score", "--model", tiny_bundle, "--json", given=b"idiot " * 1_000_000 + b"\nthanks\n")
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert len(rows) == 2
    assert rows[1]["text"] == "thanks"


def test_no_comment_drives_the_terminal(tiny_bundle):
    result = run("score", "--model", tiny_bundle, "\x1b[2Jidiot\x07\u202e" + "x" * 200)
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert len(result.output.splitlines()) == 2


def test_nothing_in_nothing_out(tiny_bundle):
    assert run("score", "--model", tiny_bundle, "--json", given="").output == ""


def test_a_missing_model_is_one_sentence(tmp_path):
    result = run("score", "--model", tmp_path / "none", "a")
    assert isinstance(result.exception, UserError)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "score", "--model", "./none", "-"],
        capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("giantkiller: there is no model at none")
    assert "Traceback" not in ended.stderr


def test_explain(tiny_bundle):
    text = "You id\u200biot, thanks"
    result = run("explain", "--model", tiny_bundle, "--json", text)
    answer = json.loads(result.output)
    assert answer["attribute"] == "toxicity"
    words = {word["text"]: word for word in answer["words"]}
    assert words["id\u200biot"]["contribution"] > 0.2
    assert words["thanks"]["contribution"] < 0
    assert text[words["thanks"]["begin"] : words["thanks"]["end"]] == "thanks"
    shown = run("explain", "--model", tiny_bundle, "--attribute", "insult", "You are an idiot\x1b[2J")
    assert shown.output.startswith("insult 0.924\n")
    assert "idiot" in shown.output
    assert "\x1b" not in shown.output


def test_bench(tiny_bundle, tmp_path):
    result = CliRunner().invoke(
        giantkiller, ["bench", str(tiny_bundle), "--comments", "200", "--rounds", "2", "--json"]
    )
    assert result.exit_code == 0, result.output
    measured = json.loads(result.output.splitlines()[-1])
    (model,) = measured["models"]
    assert model["comments"] == 200
    assert model["tokens"] > 200
    assert model["comments_per_second"] > 0
    assert 0 < model["p50_ms"] <= model["p95_ms"] <= model["p99_ms"]
    assert all(model[step] > 0 for step in ("cleaning_us", "tokenizing_us", "batching_us", "model_us"))
    few = tmp_path / "few.csv"
    few.write_text("text\na\nb\n")
    refused = run("bench", tiny_bundle, "--data", few)
    assert isinstance(refused.exception, UserError)
    many = tmp_path / "many.csv"
    many.write_text("toxicity,comment\n" + "".join(f"0,comment number {i}\n" for i in range(300)))
    measured = run("bench", tiny_bundle, "--data", many, "--rounds", "1")
    assert measured.output.startswith("300 comments"), measured.output


def test_another_policy(tmp_path, tiny_bundle):
    policy = tmp_path / "strict.json"
    policy.write_text('{"insult": {"remove": 0.5}}')
    for given, action in ((policy, "remove"), ("default", "review")):
        row = json.loads(run("score", "-m", tiny_bundle, "-p", given, "-j", "idiot").output)
        assert row["action"] == action
    family = build(tmp_path / "b", policies={"family": Policy({"toxicity": {"monitor": 0.1}})})
    assert json.loads(run("score", "-m", family, "-p", "family", "-j", "idiot").output)["action"] == "monitor"
    refused = run("score", "-m", family, "-p", "adults", "idiot")
    assert "no policy 'adults'; --policy may be default, family" in str(refused.exception)


def test_bold_from_the_bundles_threshold(tmp_path):
    """The score that the model calls positive stands out, wherever its threshold is."""
    folder = build(tmp_path / "b", threshold={"toxicity": 0.9, "insult": 0.9})
    row = (
        CliRunner()
        .invoke(giantkiller, ["score", "-m", str(folder), "idiot"], color=True)
        .output.splitlines()[1]
    )
    assert "\x1b[1m   0.924" in row
    assert "\x1b[1m   0.881" not in row


@pytest.mark.parametrize("command", ["score", "explain", "bench", "info"])
def test_help_shows_an_example(command):
    result = run(command, "--help")
    assert f"  giantkiller {command} " in result.output
