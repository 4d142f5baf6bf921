import http.server
import json
import os
import subprocess
import sys
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cli.data import command
from giantkiller.data.civil_comments import fetch
from giantkiller.errors import UserError


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    """The files of the data set as somebody would download them by hand."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "civil_comments"
    (folder / "data").mkdir(parents=True)
    for split, rows in [("train", 40), ("validation", 20), ("test", 20)]:
        columns = {name: pa.array([0.1] * rows, pa.float32()) for name in reversed(ATTRIBUTES)}
        table = pa.table({**columns, "text": [f"{split} comment {row}" for row in range(rows)]})
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.mark.parametrize(("limit", "rows"), [((), [40, 20, 20]), (("--limit", "30"), [30, 20, 20])])
def test_civil_comments_from_a_folder(tmp_path, hub_folder, limit, rows):
    result = run("civil-comments", "--from", hub_folder, "-o", tmp_path / "out", *limit)
    assert result.exit_code == 0
    files = [tmp_path / "out" / f"{name}.parquet" for name in ("civil_train", "civil_val", "civil_test")]
    assert [pq.read_table(file).num_rows for file in files] == rows
    assert pq.read_schema(files[0]).names == ["text", *ATTRIBUTES]
    assert result.stdout.splitlines()[-1] == f"{files[2]}: 20 rows"


def test_civil_comments_from_folders_that_are_something_else(tmp_path, hub_folder):
    with pytest.raises(UserError, match="is no folder"):
        fetch(tmp_path / "out", source=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="does not hold the data set"):
        fetch(tmp_path / "out", source=tmp_path / "empty")
    (hub_folder / "data" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match="no split 'test'"):
        fetch(tmp_path / "out", source=hub_folder)


class Refuse(http.server.BaseHTTPRequestHandler):
    def refuse(self):
        self.send_error(403)

    do_GET = do_HEAD = do_POST = refuse

    def log_message(self, *arguments):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("how", ["offline", "refused"])
def test_a_network_that_refuses_is_said_in_one_sentence(tmp_path, how):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
    if how == "offline":
        environment["HF_HUB_OFFLINE"] = "1"
    else:
        environment["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
    command_line = ["data", "civil-comments", "-o", str(tmp_path / "out")]
    code = "from giantkiller.cli.main import main; main()"
    try:
        result = subprocess.run(
            [sys.executable, "-c", code, *command_line],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert result.returncode == 1
    assert result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    assert "google/civil_comments can't be fetched here" in sentence
    assert "(--from)" in sentence
    assert not (tmp_path / "out").exists()


def test_convert_and_describe(tmp_path):
    source = tmp_path / "train.csv"
    source.write_text(
        "id,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate\n1,You fool,1,0,0,0,1,0\n"
    )
    target = tmp_path / "train.parquet"
    result = run("convert", source, "-o", target)
    assert (result.exit_code, result.stdout) == (0, f"{target}: 1 rows\n")
    result = run("describe", target)
    assert "toxicity" in result.stdout
    assert "100.00%" in result.stdout
    found = json.loads(run("describe", target, "--json").stdout)
    assert found["rows"] == 1
    assert found["attributes"]["insult"]["positive"] == 1
    with pytest.raises(UserError, match="is the input itself"):
        run("convert", target, "-o", target)


def test_names_from_the_file_do_not_reach_the_terminal_raw(tmp_path):
    (tmp_path / "in.csv").write_text("text,label_kind,\x1b[31mred\na,\x07bell,1\n")
    assert "\x1b" not in (shown := run("describe", tmp_path / "in.csv").stdout)
    assert "\\x1b[31mred" in shown
    assert "\x07" not in shown
