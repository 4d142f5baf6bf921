import os
import subprocess
import sys

import pytest

from giantkiller.errors import UserError
from giantkiller.files.lock import Lock

HOLD = """
import sys
from pathlib import Path
from giantkiller.files.lock import Lock
lock = Lock(Path(sys.argv[1]), Path("out.csv"))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_at_a_time_and_who_it_is(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"out.csv is being written by process {holder.pid} on "):
        Lock(path, tmp_path / "out.csv").acquire()
    # A lock goes with its process, however that ends.
    holder.kill()
    holder.communicate()
    lock = Lock(path, tmp_path / "out.csv")
    lock.acquire()
    assert path.read_text().startswith(f"process {os.getpid()} on ")
    lock.release()
    assert not path.exists()


def test_a_lock_file_that_was_removed_is_no_lock(tmp_path):
    path = tmp_path / "lock"
    first, second = Lock(path, tmp_path / "a"), Lock(path, tmp_path / "a")
    first.acquire()
    path.unlink()
    second.acquire()
    second.release()
    first.release()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError):
        Lock(tmp_path / "lock", tmp_path / "a").acquire()
    assert (tmp_path / "victim").read_text() == "mine"
