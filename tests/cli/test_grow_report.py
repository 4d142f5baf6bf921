import json

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

from giantkiller.cli.grow_report import command
from giantkiller.dendrites import Attempt, Ledger
from giantkiller.errors import UserError


def ledger():
    first = Attempt(0, {}, None, 0.5, True, 100, 0, 0.0, 2.0, curve=[(1.0, 0.4), (2.0, 0.5)])
    kept = Attempt(
        1, {"a": 1, "b": 1}, 0.5, 0.625, True, 140, 40, 1.0, 2.0, {"a": 0.25, "b": 0.5}, [(1.5, 0.6)]
    )
    lost = Attempt(2, {"a": 2, "b": 2}, 0.625, 0.5, False, 180, 80, 1.0, 2.5, {"a": 0.1, "b": 0.2})
    return Ledger({"rule": "some"}, [first, kept, lost], "1 attempts in a row did not add 0 to the score")


def test_the_command_prints_the_table_or_the_ledger(tmp_path):
    ledger().save(tmp_path)
    run = CliRunner().invoke(command, [str(tmp_path)])
    assert run.output == ledger().table() + "\n"
    run = CliRunner().invoke(command, [str(tmp_path), "--json", "--plot", str(tmp_path / "growth.png")])
    assert json.loads(run.output) == json.loads(json.dumps(ledger().to_dict()))
    assert (tmp_path / "growth.png").stat().st_size > 1000


def test_a_missing_ledger_is_said_in_a_sentence(tmp_path):
    run = CliRunner().invoke(command, [str(tmp_path)])
    assert isinstance(run.exception, UserError)
    assert "no growth ledger at" in str(run.exception)
    assert run.output == ""


def test_a_plot_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    pytest.importorskip("matplotlib")
    ledger().save(tmp_path)
    run = CliRunner().invoke(command, [str(tmp_path), "--plot", str(tmp_path / "none" / "growth.png")])
    assert isinstance(run.exception, UserError)
    assert "cannot write" in str(run.exception)
