"""Values that no person types and every script passes one day: one sentence, no traceback."""

import subprocess
import sys

import pytest

from giantkiller.cli import FAILED
from giantkiller.cli.main import main

SEED = "1" * 25
RAW = "\udcff"  # how Python hands on the argument b"\xff"


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Run a command line in a folder with in.csv; return its status and what it said."""
    (tmp_path / "in.csv").write_text("text,toxicity\nhello,0\nyou idiot,1\n")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["giantkiller", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert said.out == ""
        return ended.value.code, said.err

    return call


@pytest.mark.parametrize("line", [
    f"screen in.csv -o out.csv -m BUNDLE --prefix {RAW}",
    f"screen in.csv -o out.csv -m BUNDLE --text-column {RAW}",
    f"screen {RAW}.csv -o out.csv -m BUNDLE",
    f"score -m {RAW} hello",
    f"score -m BUNDLE -p {RAW} hello",
    "score -m ~nouser hello",
    "score -m ~nouser/bundle hello",
    "score -m BUNDLE -p ~nouser.toml hello",
    "explain -m ~nouser hello",
    "info ~nouser",
    "screen ~nouser/in.csv -o out.csv -m BUNDLE",
    "bench ~nouser",
])  # fmt: skip
def test_an_odd_value_is_one_sentence(called, tiny_bundle, line):
    code, said = called(*line.replace("BUNDLE", str(tiny_bundle)).split())
    assert code == FAILED
    assert said.startswith("giantkiller: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("line", [
    "export ~nouser -o out -c in.csv",
    "evaluate ~nouser -d in.csv",
    "compare ~nouser default -d in.csv",
    "soft-labels ~nouser -d in.csv -o out.parquet",
    "soft-labels default -d in.csv -o ~nouser/out.parquet --max-length 8",
    "train ~nouser.toml -d . -o out",
    "adapt in.csv --from ~nouser -o out",
    "merge ~nouser in.csv -o out",
])  # fmt: skip
def test_nobodys_home_is_one_sentence_of_the_workshop(called, line):
    pytest.importorskip("transformers")
    code, said = called(*line.split())
    assert code == FAILED
    assert said.startswith("giantkiller: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("line", [
    "evaluate default -d in.csv",
    "compare default default -d in.csv",
    "soft-labels default -d in.csv -o out.parquet",
    "adapt in.csv -o out",
])  # fmt: skip
def test_a_seed_of_25_digits_is_out_of_range(called, line):
    pytest.importorskip("transformers")
    code, said = called(*line.split(), "--seed", SEED)
    assert code == 2
    assert said.splitlines()[-1].startswith("giantkiller: Invalid value for '--seed': 111")
    assert "Traceback" not in said


def test_raw_bytes_pass_through_a_real_command_line(tmp_path, tiny_bundle):
    (tmp_path / "in.csv").write_text("text\nhello\n")
    command = [
        sys.executable,
        "-m",
        "giantkiller",
        "screen",
        "in.csv",
        "-o",
        "out.csv",
        "-m",
        str(tiny_bundle),
    ]
    done = subprocess.run([*command, "--prefix", b"\xff"], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert b"--prefix" in done.stderr
    assert done.stderr.count(b"\n") == 1
