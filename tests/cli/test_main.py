import subprocess
import sys

import giantkiller


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "giantkiller", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_package_runs_as_a_module():
    assert run("--version") == (0, f"giantkiller, version {giantkiller.__version__}\n", "")


def test_what_a_user_can_mend_is_one_sentence():
    code, out, error = run("score", "--model", "no-such-folder/", "hello")
    assert (code, out) == (1, "")
    assert error.startswith("giantkiller: ")
    assert error.count("\n") == 1
