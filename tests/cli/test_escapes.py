"""What strangers name - bundles, recipes, ledgers, files - reaches a terminal escaped, whatever prints it."""

import io
import json
import logging
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import build
from click.testing import CliRunner

from giantkiller.attributes import ATTRIBUTES
from giantkiller.bundle import MODEL, read_bundle
from giantkiller.cli.logs import log_to_stderr
from giantkiller.cli.main import giantkiller

EVIL = "a\x1b[2J\x9b31m\u202eb\rc"
SHOWN = r"a\x1b[2J\x9b31m\u202eb\rc"


def run(*arguments):
    """Run a command, and see that nothing of what it printed would be obeyed or hidden."""
    done = CliRunner().invoke(giantkiller, list(map(str, arguments)))
    assert done.exit_code == 0, (done.output, done.exception)
    for line in (*done.stdout.split("\n"), *done.stderr.split("\n")):
        assert line.isprintable(), line
    return done


@contextmanager
def nobody_logs():
    """Let commands set up logging as they do outside of tests, where nothing handles records yet."""
    level, handlers, logging.root.handlers = logging.root.level, logging.root.handlers, []
    try:
        yield
    finally:
        logging.root.setLevel(level)
        logging.root.handlers = handlers
        logging.getLogger("giantkiller").setLevel(logging.NOTSET)


def test_log_records_are_escaped_lines(capsys):
    log = logging.getLogger("giantkiller.somewhere")
    with nobody_logs():
        log_to_stderr()
        log.warning("%s is odd\ngiantkiller: and so is that", EVIL)
        try:
            raise ValueError(EVIL)
        except ValueError:
            log.exception("not done")
    first, second, *traceback = capsys.readouterr().err.rstrip("\n").split("\n")
    assert first == f"giantkiller: {SHOWN} is odd" + r"\ngiantkiller: and so is that"
    assert second == "giantkiller: not done"
    assert traceback[0] == "Traceback (most recent call last):"
    assert all(line.isprintable() for line in traceback)
    assert traceback[-1] == f"ValueError: {SHOWN}"


def test_a_bundles_name_and_place(dendritic_bert, tmp_path, monkeypatch):
    done = run("export", dendritic_bert, "-o", tmp_path / EVIL, "--name", EVIL, "--quantize", "none")
    assert f"{SHOWN}: {SHOWN} " in done.stdout
    done = run("export", dendritic_bert, "-o", tmp_path / f"h{EVIL}", "--format", "huggingface")
    assert f"h{SHOWN}" in done.stdout
    # Without the page itself, which needs Node to be built.
    monkeypatch.setattr("giantkiller.export.web.export_web", lambda bundle, place, **_: Path(bundle, MODEL))
    done = run("export", tmp_path / EVIL, "-o", tmp_path / "page.html", "--format", "web")
    assert f"{SHOWN}/{MODEL}: " in done.stdout


def test_what_is_merged(tiny_bundle, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    named = replace(read_bundle(tiny_bundle), name=EVIL, version=EVIL)
    monkeypatch.setattr("giantkiller.adapt.merge", lambda *_, **__: named)
    done = run("merge", tiny_bundle, tmp_path / "d", "-o", tmp_path / EVIL)
    assert f"{SHOWN}: {SHOWN} {SHOWN}, " in done.stdout


def test_a_recipes_name_in_the_log(tiny, tmp_path):
    recipe = (tiny / "recipe.toml").read_text().replace("epochs = 6", "epochs = 1")
    recipe = recipe.replace('name = "tiny"', f"name = {json.dumps(EVIL)}")
    (tmp_path / "evil.toml").write_text(recipe)
    with nobody_logs():
        done = run("train", tmp_path / "evil.toml", "-d", tiny, "-o", tmp_path / EVIL)
    assert f"{SHOWN}: validation AP" in done.stderr


def test_the_reason_in_a_ledger(tmp_path):
    pytest.importorskip("torch")
    from dendritic import ledger

    replace(ledger(), reason=EVIL).save(tmp_path)
    assert SHOWN in run("grow-report", tmp_path).stdout


def test_a_file_of_soft_labels(toxic_bert, tmp_path):
    (tmp_path / "c.csv").write_text("text\nyou are stupid\n")
    done = run("soft-labels", toxic_bert, "-d", tmp_path / "c.csv", "-o", tmp_path / f"{EVIL}.jsonl")
    assert f"{SHOWN}.jsonl" in done.stdout


def test_a_report_and_its_place(folder, tmp_path, monkeypatch):
    data = tmp_path / f"{EVIL}.csv"
    data.write_text((folder / "test.csv").read_text().replace("comment number", f"{EVIL[:-2]} number"))
    # The pictures take seconds.
    monkeypatch.setattr("giantkiller.evaluation.page.write_report", lambda _, place: [place / "report.json"])
    command = ("evaluate", "column:theirs", "-d", data, "--samples", 0, "-o", tmp_path / EVIL)
    done = run(*command, "--json")
    assert f"{SHOWN}/report.json" in done.stderr
    assert f"{EVIL[:-2]} number" in json.loads(done.stdout)["errors"][0]["text"]
    assert f"{SHOWN}.csv: 300 rows" in run(*command).stdout


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_of_a_strangers_model(tmp_path, monkeypatch):
    from giantkiller.evaluation import opponents
    from giantkiller.evaluation.opponents import scoring

    build(tmp_path / "bundle", name=EVIL)
    monkeypatch.setattr(scoring, "CHUNK", 1)
    monkeypatch.setattr(sys, "stderr", Terminal())
    scores = opponents.load(str(tmp_path / "bundle")).scores(["you", "are"])
    assert np.asarray(scores).shape == (2, len(ATTRIBUTES))
    assert SHOWN in sys.stderr.getvalue()
    assert not any(sign in sys.stderr.getvalue() for sign in ("\x1b[2J", "\x9b", "\u202e"))
