import json

import pytest
from click.testing import CliRunner

from giantkiller.cli.grow_report import command
from giantkiller.dendrites import Attempt, DendriteError, Ledger, read_ledger
from giantkiller.dendrites.report import plot
from giantkiller.errors import UserError


def ledger():
    first = Attempt(0, {}, None, 0.5, True, 100, 0, 0.0, 2.0, curve=[(1.0, 0.4), (2.0, 0.5)])
    kept = Attempt(
        1, {"a": 1, "b": 1}, 0.5, 0.625, True, 140, 40, 1.0, 2.0, {"a": 0.25, "b": 0.5}, [(1.5, 0.6)]
    )
    lost = Attempt(2, {"a": 2, "b": 2}, 0.625, 0.5, False, 180, 80, 1.0, 2.5, {"a": 0.1, "b": 0.2})
    return Ledger({"rule": "some"}, [first, kept, lost], "1 attempts in a row did not add 0 to the score")


def test_a_ledger_reads_as_it_was_written(tmp_path):
    ledger().save(tmp_path)
    assert read_ledger(tmp_path) == ledger()
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.json"]


def test_the_table_tells_every_attempt():
    lines = ledger().table().splitlines()
    assert lines[2].split() == ["1", "2", "layers", "(1)", "0.6250", "+0.1250", "yes", "140", "40", "3.0"]
    assert lines[3].split() == ["2", "2", "layers", "(2)", "0.5000", "-0.1250", "no", "180", "80", "3.5"]
    assert lines[4] == ledger().reason


def test_best_and_failures_are_those_of_the_attempts():
    record = ledger()
    assert record.best.number == 1
    assert record.failures == 1
    assert Ledger().best is None
    assert Ledger().failures == 0


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_plot_is_drawn(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"growth.{suffix}"
    plot(ledger(), path)
    drawn = path.read_bytes()
    assert drawn.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")
    if suffix == "svg":
        record = ledger()
        plot(Ledger({}, record.attempts[:1]), path)
        assert len(path.read_bytes()) < len(drawn), "without |S| there is one panel"


def test_the_command_prints_the_table_or_the_ledger(tmp_path):
    ledger().save(tmp_path)
    run = CliRunner().invoke(command, [str(tmp_path)])
    assert run.output == ledger().table() + "\n"
    run = CliRunner().invoke(command, [str(tmp_path), "--json", "--plot", str(tmp_path / "growth.png")])
    assert json.loads(run.output) == json.loads(json.dumps(ledger().to_dict()))
    assert (tmp_path / "growth.png").stat().st_size > 1000


def damaged(change):
    told = ledger().to_dict()
    change(told)
    return json.dumps(told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no growth ledger at"),
        ("{", "is damaged"),
        ("[]", "not a growth ledger of format 1"),
        (damaged(lambda told: told.update(format=2)), "not a growth ledger of format 1"),
        (damaged(lambda told: told.pop("attempts")), "is damaged: KeyError"),
        (damaged(lambda told: told["attempts"][0].pop("score")), "is damaged: KeyError 'score'"),
        (damaged(lambda told: told["attempts"][0].update(score="high")), "is damaged: ValueError"),
        (damaged(lambda told: told["attempts"][0].update(kept="yes")), "is damaged: ValueError"),
        (damaged(lambda told: told["attempts"][0].update(grown=[1])), "is damaged: AttributeError"),
        (damaged(lambda told: told.update(attempts=7)), "is damaged: TypeError"),
    ],
)
def test_a_bad_ledger_is_said_in_a_sentence(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(DendriteError, match=sentence):
        read_ledger(tmp_path)
    run = CliRunner().invoke(command, [str(tmp_path)])
    assert isinstance(run.exception, UserError)
    assert run.output == ""


def test_bad_plots_are_said_in_a_sentence(tmp_path):
    with pytest.raises(DendriteError, match="no finished attempt"):
        plot(Ledger(), tmp_path / "growth.png")
    with pytest.raises(DendriteError, match="cannot draw"):
        plot(ledger(), tmp_path / "growth.docx")
    ledger().save(tmp_path)
    run = CliRunner().invoke(command, [str(tmp_path), "--plot", str(tmp_path / "none" / "growth.png")])
    assert isinstance(run.exception, UserError)
