import json

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

from dendritic import ledger

from giantkiller.cli.grow_report import command
from giantkiller.errors import UserError


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
