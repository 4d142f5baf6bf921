"""Write beside the target, then rename: under its own name there is only ever a whole file or folder."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from giantkiller.errors import UserError


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Replace a file by what the body writes to a temporary file beside it; on an error nothing changes.

    A link is followed and stays a link; an existing file keeps its mode; missing folders are made.

    Args:
        path: The file to write or replace.

    Yields:
        The temporary file: empty, in the target's folder, to be opened by name.

    Raises:
        UserError: The target is a folder, a device or a pipe, is write-protected, or can't be written.
    """
    target = resolve_file(path)
    temporary = _beside(target, "partial")
    with _explained(target, temporary):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Nobody may read in the meantime what the old file's mode hides.
            mode = 0o600 if target.exists() else 0o666
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            yield temporary
            publish(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: str | Path, belongs: Collection[str] = ()) -> Iterator[Path]:
    """Replace a folder by what the body writes to a temporary folder beside it; on an error nothing changes.

    A link is followed and stays a link; an existing folder keeps its mode, and whatever is in it besides
    `belongs` and the names that the body writes.

    Args:
        path: The folder to write or replace.
        belongs: Names in the old folder that are part of what is replaced: they go, written anew or not.

    Yields:
        The temporary folder, empty.

    Raises:
        UserError: The target is no folder, or can't be written.
    """
    target = _resolve(path)
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file where a folder belongs; name another")
    temporary = _beside(target, "partial")
    with _explained(target, temporary):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield temporary
            for written in temporary.rglob("*"):
                if written.is_file():
                    _sync(written)
            _swap(temporary, target, belongs)
            _sync(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def resolve_file(path: str | Path) -> Path:
    """Return the file that a path leads to, links followed, if it is one that can be replaced.

    Raises:
        UserError: It is a folder, a device or a pipe, is write-protected, or can't be reached.
    """
    target = _resolve(path)
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        raise UserError(f"can't write {path}: {error.strerror or error}") from error
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device or a pipe, not a file; name a file")
    if not os.access(target, os.W_OK):
        raise UserError(f"{path} is write-protected; name another file")
    return target


def publish(temporary: Path, target: Path) -> None:
    """Put a finished file, on the disk by then, under the target's name; the target's mode stays."""
    if target.exists():
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    _sync(temporary)
    temporary.replace(target)
    _sync(target.parent)


def _resolve(path: str | Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as error:  # a NUL byte in the name
        raise UserError(f"{path} is no name for a file or folder: {error}") from error


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name[:40]}.{os.urandom(4).hex()}.{ending}")


@contextmanager
def _explained(target: Path, temporary: Path) -> Iterator[None]:
    """Name the target, not the temporary, in what the system has to complain of."""
    try:
        yield
    except OSError as error:
        named = str(error.filename or temporary)
        if not named.startswith((str(temporary), str(target))) and not str(target).startswith(named):
            raise
        raise UserError(f"can't write {target}: {error.strerror or error}") from error


def _swap(fresh: Path, target: Path, belongs: Collection[str]) -> None:
    """Put a folder in the place of another, which comes back whole if that fails."""
    if not target.exists():
        fresh.rename(target)
        return
    replaced = {*belongs, *(entry.name for entry in fresh.iterdir())}
    others = [entry.name for entry in target.iterdir() if entry.name not in replaced]
    moved = []
    # A folder cannot be renamed over a full one: the old one steps aside, and back on failure.
    old = _beside(target, "old")
    try:
        for name in others:
            (target / name).rename(fresh / name)
            moved.append(name)
        target.rename(old)
        fresh.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        for name in moved:
            (fresh / name).rename(target / name)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems can't; a disk that is full or broken is another matter.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
