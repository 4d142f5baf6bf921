import os
import signal
import subprocess
import sys
import time

import click
import pytest

import giantkiller
from giantkiller.cli.main import with_flags


def run(*arguments, **options):
    settings = {"capture_output": True, "text": True, "check": False} | options
    done = subprocess.run([sys.executable, "-m", "giantkiller", *map(str, arguments)], **settings)
    return done.returncode, done.stdout, done.stderr


def shell(script, **options):
    """Run a script of the shell, in which "$GK" is the command."""
    environment = {**os.environ, "GK": f"{sys.executable} -m giantkiller"}
    return subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, check=False, **options
    )


def test_the_package_runs_as_a_module():
    assert run("--version") == (0, f"giantkiller, version {giantkiller.__version__}\n", "")


def test_what_a_user_can_mend_is_one_sentence():
    code, out, error = run("score", "--model", "no-such-folder/", "hello")
    assert (code, out) == (1, "")
    assert error.startswith("giantkiller: ")
    assert error.count("\n") == 1


def test_every_exit_status_is_in_the_help():
    from giantkiller import cli

    _, out, _ = run("--help")
    for status in (0, cli.FAILED, 2, cli.ROWS_FAILED, cli.INTERRUPTED, cli.READER_GONE):
        assert str(status) in out.split()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["scroe", "hi"], "Did you mean 'score'?"),
        (["score", "--thraeds", "1", "hi"], "--threads"),
        (["explain", "--attribute", "insul", "hi"], "Did you mean 'insult'?"),
    ],
)
def test_did_you_mean(arguments, meant):
    code, _, error = run(*arguments)
    assert code == 2
    assert meant in error


def test_nothing_quoted_from_outside_drives_the_terminal():
    for arguments in (["score", "-m", "\x1b[2J", "hi"], ["\x1b[2J"], ["score", "--\x1b[2J"]):
        code, _, error = run(*arguments)
        assert code in (1, 2)
        assert "\x1b" not in error
        assert r"\x1b[2J" in error


def test_parameters_in_errors_become_flags():
    @click.group()
    def group():
        pass

    @group.command()
    @click.argument("source", metavar="IN")
    @click.option("-x", "--text-column")
    def command(source, text_column):
        pass

    said = "`source` has no column `text_column`; `unknown` stays"
    assert with_flags(said, command) == "IN has no column --text-column; `unknown` stays"
    assert with_flags(said, group) == "IN has no column --text-column; `unknown` stays"


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
class TestStandardStreams:
    def test_a_reader_who_leaves(self, tiny_bundle):
        ended = shell(f"{{ yes hi | head -20000 | $GK score -m {tiny_bundle}; echo $? >&2; }} | head -1")
        assert ended.stdout.startswith("   toxic")
        assert ended.stderr == "141\n"

    def test_a_full_disk(self, tiny_bundle):
        ended = shell(f"$GK score -m {tiny_bundle} hi > /dev/full")
        assert ended.returncode == 1
        assert "No space left" in ended.stderr
        assert ended.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        "command",
        [
            "--version",
            "screen in.csv -o out.csv",
            *(pytest.param(each, marks=pytest.mark.slow) for each in ("score --help", "info", "explain hi")),
        ],
    )
    def test_what_nobody_can_read(self, tiny_bundle, tmp_path, command):
        """A closed output and a full disk are errors; a reader who left ends it quietly, as `yes | true`."""
        (tmp_path / "in.csv").write_text("text\nhi\n")
        name, *rest = command.split()
        if name in ("score", "explain", "screen") and "--help" not in rest:
            rest += ["-m", str(tiny_bundle)]
        elif name == "info":
            rest.append(str(tiny_bundle))
        called = " ".join(["$GK", name, *rest])
        left = f"{{ sleep 0.3; {called}; echo $? >&2; }} | true"
        codes = {}
        for how, script in {"closed": f"{called} >&-", "full": f"{called} > /dev/full", "left": left}.items():
            ended = shell(script, cwd=tmp_path)
            codes[how] = ended.returncode
            if how == "left":
                assert ended.stderr.endswith("141\n")
                assert "giantkiller:" not in ended.stderr
            else:
                assert ended.stderr.count("giantkiller: ") == 1
            assert "Traceback" not in ended.stderr
        assert codes == {"closed": 1, "full": 1, "left": 0}

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_closed_streams(self, tiny_bundle, closed):
        ended = shell(f"$GK score -m {tiny_bundle} hi {closed}")
        assert "Traceback" not in ended.stdout + ended.stderr
        assert ended.returncode == (1 if ">&-" in closed.replace("2>&-", "") else 0)

    def test_standard_input_that_is_closed_but_needed(self, tiny_bundle):
        ended = shell(f"$GK score -m {tiny_bundle} <&-")
        assert ended.returncode == 1
        assert ended.stderr.startswith("giantkiller: standard input is closed")

    @pytest.mark.parametrize("command", ["score", "explain"])
    def test_an_output_that_is_not_utf8(self, tiny_bundle, command):
        environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
        code, out, _ = run(command, "-m", tiny_bundle, "idiot \N{GRINNING FACE}", env=environment)
        assert code == 0
        assert r"\U0001f600" in out


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("seconds", [0.08, 0.15, 0.3, 0.6])
def test_an_early_interrupt_is_no_traceback(tiny_bundle, seconds):
    """Imports take about so long; Python itself needs the first hundredths of a second."""
    program = "import giantkiller.__main__ as m; print('in', flush=True); m.main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "score", "-m", str(tiny_bundle)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "in\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in error
