"""One writer at a time: a lock file that says who writes."""

import contextlib
import errno
import os
import socket
import sys
from pathlib import Path

from giantkiller.errors import UserError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_BEYOND = 1 << 20  # the byte that Windows locks: it may not be read, what is said before it may


class Lock:
    """A lock on a file that is about to be written; it goes when it is released or its process ends.

    Args:
        path: The lock file.
        target: What is written, for the message.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self._path = path
        self._target = target
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            UserError: Somebody else has it.
            OSError: The lock file can't be written.
        """
        while True:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(self._path, flags, 0o600)
            try:
                _lock(descriptor)
                # The file that was locked may have been removed by its former owner in the meantime.
                if not self._is_current(descriptor):
                    os.close(descriptor)
                    continue
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
            except OSError as error:
                held = error.errno in _HELD
                owner = _owner(descriptor) if held else ""
                os.close(descriptor)
                if held:
                    raise UserError(
                        f"{self._target} is being written by {owner or 'another process'}; "
                        "wait for it, or name another output"
                    ) from error
                raise
            self._descriptor = descriptor
            return

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let others write."""
        if self._descriptor is None:
            return
        if os.name != "nt":
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = None
        if os.name == "nt":
            with contextlib.suppress(OSError):
                self._path.unlink()


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        os.lseek(descriptor, _BEYOND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise  # a file system without locks is written without


def _owner(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return os.read(descriptor, 200).decode(errors="replace")
    return ""
