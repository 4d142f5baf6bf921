import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli import ROWS_FAILED
from giantkiller.cli.screen import command, table
from giantkiller.errors import UserError
from giantkiller.files.summary import ScreenedRow

MAIN = "from giantkiller.cli.main import main; main()"
TEXTS = ["You are stupid, idiot", "Thanks, that helped", "That was stupid", "damn", ""]


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def comments(tmp_path):
    with (tmp_path / "in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "body"], *enumerate(TEXTS)])
    return tmp_path / "in.csv"


def test_scores_and_actions_are_those_of_the_screener(tmp_path, comments, tiny_bundle):
    result = run(comments, "-o", tmp_path / "out.csv", "--model", tiny_bundle)
    assert result.exit_code == ROWS_FAILED
    screener = Screener(tiny_bundle)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["body"] for row in rows] == TEXTS
    expected = screener.scores(TEXTS[:4])
    for row, scores, text in zip(rows, expected, TEXTS, strict=False):
        assert [float(row[name]) for name in ATTRIBUTES] == pytest.approx(scores.tolist(), abs=1e-6)
        verdict = screener.judge(text)
        assert row["action"] == verdict.action
        assert row["attribute"] == ("" if verdict.action == "allow" else verdict.attribute)
    assert [row["action"] for row in rows] == ["remove", "allow", "review", "allow", ""]
    assert rows[4]["error"] == "no text"
    assert "4 of 5 comments screened" in result.stdout
    assert "allow 2, monitor 0, review 1, remove 1, error 1" in result.stdout
    assert "not screened: 1" in result.stderr


def test_json_summary_is_all_that_standard_output_has(tmp_path, comments, tiny_bundle):
    result = run(comments, "-o", tmp_path / "out.csv", "--model", tiny_bundle, "--json", "--show", "2")
    found = json.loads(result.stdout)
    assert (found["rows"], found["errors"], found["resumed"], found["text_column"]) == (5, 1, 0, "body")
    assert found["actions"] == {"allow": 2, "monitor": 0, "review": 1, "remove": 1}
    assert [row["text"] for row in found["preview"]] == TEXTS[:2]


def test_standard_input_and_output(tmp_path, tiny_bundle):
    command_line = [sys.executable, "-c", MAIN, "screen", "-", "-o", "-", "--model", str(tiny_bundle)]
    content = "id;Text\n1;You are stupid, idiot\n2;\n"
    done = subprocess.run([*command_line, "--format", "csv"], input=content, capture_output=True, text=True)
    assert done.returncode == ROWS_FAILED
    rows = list(csv.DictReader(done.stdout.splitlines(), delimiter=";"))
    assert [(row["id"], row["action"], row["error"]) for row in rows] == [
        ("1", "remove", ""),
        ("2", "", "no text"),
    ]
    assert "1 of 2 comments screened" in done.stderr
    done = subprocess.run(command_line, input=content, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "name it (--format)" in done.stderr


def test_another_policy(tmp_path, comments, tiny_bundle):
    (tmp_path / "strict.json").write_text('{"insult": {"remove": 0.5}}')
    arguments = (comments, "-o", tmp_path / "out.csv", "--model", tiny_bundle)
    run(*arguments, "--policy", tmp_path / "strict.json", "--threads", "1")
    with (tmp_path / "out.csv").open(newline="") as file:
        found = [(row["action"], row["attribute"]) for row in csv.DictReader(file)]
    assert found == [("remove", "insult"), ("allow", ""), ("remove", "insult"), ("allow", ""), ("", "")]


def test_all_rows_failed_is_no_success(tmp_path, tiny_bundle):
    (tmp_path / "in.jsonl").write_text('{"text": 1}\n' * 5)
    result = run(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", "--model", tiny_bundle)
    assert result.exit_code == ROWS_FAILED
    assert "0 of 5 comments screened" in result.stdout


def test_names_of_files_and_columns_reach_the_terminal_escaped(tmp_path, tiny_bundle):
    source = tmp_path / "in\x1b[2J.csv"
    source.write_text("text\nhi\n")
    result = run(source, "-o", tmp_path / "out.csv", "--model", tiny_bundle)
    assert "\x1b" not in result.stdout
    source.write_text("\x1b[2J,b\nhi,1\n")
    command_line = [sys.executable, "-c", MAIN, "screen", str(source), "-o", str(tmp_path / "out.csv")]
    done = subprocess.run([*command_line, "--model", str(tiny_bundle)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert "\\x1b[2J, b" in done.stderr
    assert "(--text-column)" in done.stderr


def test_show_prints_the_first_rows(tmp_path, comments, tiny_bundle):
    shown = run(
        comments, "-o", tmp_path / "out.csv", "--model", tiny_bundle, "--show", "3"
    ).stdout.splitlines()
    assert shown[0].split() == [
        "comment", "toxic", "severe", "obscene", "threat", "insult", "identity", "sexual", "action"
    ]  # fmt: skip
    assert shown[1].endswith("remove")
    assert shown[3].endswith("review")
    assert shown[4] == ""
    everything = run(comments, "-o", tmp_path / "out.csv", "--model", tiny_bundle, "--show").stdout
    assert "error: no text" in everything


def test_hostile_text_reaches_the_terminal_escaped():
    hostile = "\x1b]0;owned\x07\x1b[31m\rred \u202egnp \u200b\x9b\ud800 " + "x" * 5000
    shown = table(
        [
            ScreenedRow(hostile, None, None, None, "\x1b[2J"),
            ScreenedRow(hostile, [0.5] * 7, "allow", None, None),
        ],
        width=120,
    )
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert "\\x1b]0;owned\\x07" in shown
    assert len({len(line) for line in shown.splitlines()[::2]}) <= 2
    assert max(map(len, shown.splitlines())) <= 121


@pytest.mark.parametrize("text", ["short", "x" * 300, "日本語" * 40, "\u0301" * 60, ""])
def test_the_columns_line_up(text):
    head, line = table([ScreenedRow(text, [0.25] * 7, "allow", None, None)], width=100).splitlines()
    wide = sum("\u2e80" < c < "\uffff" for c in line)
    assert len(line) + wide - len("allow") == len(head) - len("action")


def test_errors_of_users_are_one_sentence(tmp_path, comments, tiny_bundle):
    for arguments, sentence in [
        ((tmp_path / "nowhere.csv", "-o", tmp_path / "out.csv"), "no such file"),
        ((comments, "-o", comments), "is the input itself"),
        ((comments, "-o", tmp_path / "out.csv", "--text-column", "said"), "has no column 'said'"),
    ]:
        with pytest.raises(UserError, match=sentence):
            run(*arguments, "--model", tiny_bundle)
    command_line = [
        sys.executable,
        "-c",
        MAIN,
        "screen",
        str(tmp_path / "x.csv"),
        "-o",
        str(tmp_path / "y.csv"),
    ]
    result = subprocess.run([*command_line, "--model", str(tiny_bundle)], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"giantkiller: {tmp_path / 'x.csv'}: there is no such file\n"


def test_interrupt_and_resume(tmp_path, tiny_bundle):
    from bundles import build

    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *((i, f"you {i} " * 5) for i in range(16_000))])
    command_line = [
        sys.executable,
        "-c",
        MAIN,
        "screen",
        str(source),
        "-o",
        str(target),
        "--model",
        str(tiny_bundle),
    ]
    process = subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    record = tmp_path / ".out.csv.progress"
    while not record.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "the same command with --resume goes on" in err
    assert not target.exists()
    # Neither by another bundle, though of the same name and policy, nor by another policy.
    (tmp_path / "strict.json").write_text('{"insult": {"remove": 0.5}}')
    other = build(tmp_path / "other", max_length=31)
    with pytest.raises(UserError, match="another model"):
        run(source, "-o", target, "--model", other, "--resume")
    with pytest.raises(UserError, match="another policy"):
        run(source, "-o", target, "--model", tiny_bundle, "--policy", tmp_path / "strict.json", "--resume")
    found = json.loads(run(source, "-o", target, "--model", tiny_bundle, "--resume", "--json").stdout)
    assert 0 < found["resumed"] < found["rows"] == 16_000
    with target.open(newline="") as file:
        assert [int(row["id"]) for row in csv.DictReader(file)] == list(range(16_000))


def test_the_shipped_model_screens_the_sample_comments(tmp_path):
    samples = Path(__file__).parents[2] / "examples" / "comments.csv"
    found = json.loads(run(samples, "-o", tmp_path / "out.csv", "--json", "--show").stdout)
    assert (found["rows"], found["errors"]) == (24, 0)
    scores = {row["text"]: row["scores"][0] for row in found["preview"]}
    insult = next(text for text in scores if text.startswith("You are an idiot"))
    thanks = next(text for text in scores if text.startswith("Thanks for explaining"))
    assert scores[insult] > 0.5 > scores[thanks]
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
