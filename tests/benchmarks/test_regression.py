import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location(
    "regression", Path(__file__).parents[2] / "benchmarks" / "regression.py"
)
regression = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(regression)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

# A package that answers like ours and writes down whose turn it was.
PACKAGE = """
from pathlib import Path


class Screener:
    def __init__(self, threads):
        self.threads = threads

    def scores(self, texts):
        if texts == ["hi"]:
            with Path({turns!r}).open("a") as file:
                file.write(f"{name} {{self.threads}}\\n")
        {then}
        return [[0.0] * 7 for _ in texts]
"""


def git(folder, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path):
    """Three tagged commits, the last of which can't screen."""
    folder = tmp_path / "repository"
    (folder / "src" / "giantkiller").mkdir(parents=True)
    git(folder.parent, "init", "--quiet", str(folder))
    for name, then in (
        ("one", "pass"),
        ("two", "pass"),
        ("broken", "raise ValueError('first line\\nit has no model')"),
    ):
        code = PACKAGE.format(turns=str(tmp_path / "turns"), name=name, then=then)
        (folder / "src" / "giantkiller" / "__init__.py").write_text(code)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", name)
        git(folder, "tag", name)
    return folder


def run(repository, *arguments):
    with pytest.raises(SystemExit) as ended:
        regression.main(["--repository", str(repository), "--comments", "100", "--rounds", "2", *arguments])
    return ended.value.code


def worktrees(repository):
    return git(repository, "worktree", "list").splitlines()


def test_each_commit_runs_its_own_code_in_turn(repository, tmp_path, capsys):
    assert run(repository, "one", "two", "--threads", "3", "--least", "0") == 0
    turns = (tmp_path / "turns").read_text().split("\n")
    # The round that is not counted, and two that are.
    assert turns == ["two 3", "one 3", "one 3", "two 3", "two 3", "one 3", ""]
    out = capsys.readouterr().out.splitlines()
    result = json.loads(out[-1])
    assert result["old"] == git(repository, "rev-parse", "one").strip()[:12]
    assert (result["comments"], result["threads"], result["rounds"]) == (100, 3, 2)
    for key, label in regression.LABELS.items():
        assert result[key]["lowest"] <= result[key]["ratio"] <= result[key]["highest"]
        assert sum(line.startswith(label) for line in out) == 1
    assert len(worktrees(repository)) == 1


def rounds(*rates):
    return [{"comments_per_second": rate, "p50_ms": 1.0, "startup_ms": 100.0} for rate in rates]


def test_the_ratio_is_the_median_of_each_rounds_own():
    # A machine that slows down from round to round leaves the ratios alone.
    result = regression.summary(rounds(1000, 400, 100), rounds(900, 380, 60), least=0.9)
    assert result["comments_per_second"] == {
        "old": 400, "new": 380, "ratio": 0.9, "lowest": 0.6, "highest": 0.95,
    }  # fmt: skip
    assert result["p50_ms"]["ratio"] == 1
    assert result["passed"]
    assert not regression.summary(rounds(1000, 400, 100), rounds(899, 380, 60), least=0.9)["passed"]


def test_too_slow_fails(repository, capsys):
    assert run(repository, "one", "two", "--least", "1e9") == 1
    out = capsys.readouterr().out.splitlines()
    assert "too slow" in out[-2]
    assert json.loads(out[-1])["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one", "nowhere"], "has no commit 'nowhere'"),
        (["one", "HEAD:src"], "has no commit 'HEAD:src'"),
        (["one", "broken"], "could not screen: it has no model"),
        (["one", "two", "--rounds", "0"], "--rounds is 0; it must be at least 1"),
        (["one", "two", "--least", "nan"], "--least is nan"),
        (["one", "two", "--data", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(repository, capsys, arguments, said):
    assert run(repository, *arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err.splitlines()[-1]
    assert captured.out == ""
    assert len(worktrees(repository)) == 1


def test_code_from_elsewhere_is_noticed(repository, tmp_path, capsys):
    """A commit without the package would measure whatever else is installed."""
    git(repository, "rm", "--quiet", "-r", "src")
    git(repository, "commit", "--quiet", "-m", "empty")
    assert run(repository, "HEAD", "one") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "Python imported" in error or "could not screen" in error


def test_no_repository(tmp_path, capsys):
    assert run(tmp_path, "one", "two") == 2
    assert "git rev-parse failed" in capsys.readouterr().err


def test_checkouts_go_when_something_fails(repository, tmp_path):
    def fail():
        with regression.checkouts(repository, {"old": "one", "new": "two"}, tmp_path) as trees:
            assert len(worktrees(repository)) == 3
            assert (trees["new"] / "src" / "giantkiller" / "__init__.py").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert len(worktrees(repository)) == 1
    assert not (tmp_path / "old").exists()
