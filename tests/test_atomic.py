import os
import stat
from pathlib import Path

import pytest

from giantkiller.atomic import replace_file, replace_folder
from giantkiller.errors import UserError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, text="new"):
    with replace_file(path) as temporary:
        temporary.write_text(text)


def test_a_file_is_written_beside_and_renamed(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with replace_file(target) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == target.parent
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["file.txt"]


def test_an_error_leaves_the_old_file_and_no_temporary(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replace_file(target) as temporary:
        raise ZeroDivisionError(temporary.write_text("half"))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_mode_and_link_stay(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with replace_file(link) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    mask = os.umask(0o022)
    try:
        write(tmp_path / "fresh.txt")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh.txt").stat().st_mode) == 0o644


@pytest.mark.skipif(os.name == "nt", reason="no such files there")
def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    link = tmp_path / "loop"
    link.symlink_to(link)
    for target in ("/dev/null", tmp_path / "pipe", tmp_path, link, "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(UserError):
            write(target)
    assert Path("/dev/null").is_char_device()


def test_the_systems_complaint_names_the_target(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"can't write .*file"):
        write(tmp_path / "file" / "below.txt")
    with (
        pytest.raises(UserError, match=r"can't write .*out\.txt: No space"),
        replace_file(tmp_path / "out.txt"),
    ):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError, match="elsewhere"), replace_file(tmp_path / "out.txt"):
        Path("elsewhere").read_text()


def old_folder(tmp_path):
    target = tmp_path / "folder"
    (target / "notes").mkdir(parents=True)
    (target / "notes" / "mine.txt").write_text("mine")
    (target / "a").write_text("old a")
    (target / "b").write_text("old b")
    return target


def contents(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_only_what_belongs_is_replaced(tmp_path):
    target = old_folder(tmp_path)
    with replace_folder(target, {"a", "b"}) as fresh:
        (fresh / "a").write_text("new a")
        (fresh / "c").write_text("new c")
    assert contents(target) == {"a": "new a", "c": "new c", str(Path("notes") / "mine.txt"): "mine"}
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_failed_swap_restores_the_old_folder(tmp_path, monkeypatch, failing):
    """The renames are: what does not belong into the new folder, the old one aside, the new one in place."""
    target = old_folder(tmp_path)
    before = contents(target)
    rename, calls = Path.rename, []

    def failing_rename(self, other):
        calls.append(other)
        if len(calls) == failing:
            raise OSError(16, "Device or resource busy")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", failing_rename)
    with pytest.raises(UserError, match="busy"), replace_folder(target, {"a", "b"}) as fresh:
        (fresh / "a").write_text("new a")
    assert contents(target) == before
    assert names(tmp_path) == ["folder"]


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_a_link_to_a_folder_stays_a_link(tmp_path):
    target = old_folder(tmp_path)
    target.chmod(0o750)
    link = tmp_path / "link"
    link.symlink_to(target, target_is_directory=True)
    with replace_folder(link) as fresh:
        (fresh / "a").write_text("new a")
    assert link.is_symlink()
    assert (target / "a").read_text() == "new a"
    assert stat.S_IMODE(target.stat().st_mode) == 0o750


def test_a_file_where_a_folder_belongs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"), replace_folder(tmp_path / "file"):
        pass
