"""The output of a run: a partial file and a record of how far it is good, or a stream.

Both lie beside the target, hidden, until the end. A run that was stopped in any way can go on from there;
under the target's own name there is only ever a whole file.
"""

import contextlib
import gzip
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from giantkiller.atomic import publish
from giantkiller.errors import UserError
from giantkiller.files.chunks import Table
from giantkiller.files.lock import Lock
from giantkiller.files.summary import ScreenSummary


class UnfinishedError(UserError):
    """An error after which the partial file is still of use."""


def partial_path(target: Path) -> Path:
    """Return the file that a target's rows are gathered in."""
    return target.with_name(f".{target.name}.partial")


class Output(Protocol):
    """Where the encoded rows go."""

    def begin(self, resume: bool) -> ScreenSummary:
        """Open it; return what an earlier run has done."""

    def append(self, data: bytes, summary: ScreenSummary) -> None:
        """Add encoded rows."""

    def finish(self, table: Table) -> None:
        """Make it whole."""

    def discard(self) -> None:
        """Remove what was written, where that is possible."""

    def close(self) -> None:
        """Close it."""


class FileOutput:
    """A file that comes into being at the end.

    Args:
        target: The file, links followed.
        settings: What a resumed run must find again.
        gzipped: Whether it is compressed with gzip.
    """

    def __init__(self, target: Path, settings: dict[str, Any], gzipped: bool) -> None:
        self._target = target
        self._settings = settings
        self._gzipped = gzipped
        self._partial = partial_path(target)
        self._record = target.with_name(f".{target.name}.progress")
        self._lock = Lock(target.with_name(f".{target.name}.lock"), target)
        self._file: IO[bytes] | None = None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            kept = ""
            if self._file is not None and self._record.exists():
                kept = "; the rows done so far are kept, and `resume` goes on from there"
            raise UnfinishedError(f"{self._target} can't be written: {reason}{kept}") from error

    def begin(self, resume: bool) -> ScreenSummary:
        """Open the partial file, at its start or after the rows that are good.

        Raises:
            UserError: Another run has the same target, or the one to be resumed was another.
        """
        with self._writing():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        done = self._resumed() if resume else None
        with self._writing():
            if done is None:
                self._record.unlink(missing_ok=True)
                self._file = self._open(os.O_TRUNC)
                return ScreenSummary()
            size, summary = done
            self._file = self._open(0)
            self._file.truncate(size)
            self._file.seek(size)
            return summary

    def _open(self, flags: int) -> IO[bytes]:
        """Open the partial file; what an old output's mode hides, this hides, too."""
        mode = stat.S_IMODE(self._target.stat().st_mode) if self._target.exists() else 0o666
        flags |= os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(self._partial, flags, mode), "r+b")

    def _resumed(self) -> tuple[int, ScreenSummary] | None:
        if not self._record.exists() or not self._partial.exists():
            return None
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            size, settings = int(record["bytes"]), record["settings"]
            summary = ScreenSummary.of_record(record)
            good = isinstance(settings, dict) and 0 <= size <= self._partial.stat().st_size
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise UnfinishedError(f"{self._record} is damaged; to start anew, leave out `resume`")
        if settings != self._settings:
            what = next(
                (name for name in self._settings if settings.get(name) != self._settings[name]), "format"
            )
            raise UnfinishedError(
                f"{self._target}: the interrupted run had another {what}; to start anew, leave out `resume`"
            )
        return size, summary

    def append(self, data: bytes, summary: ScreenSummary) -> None:
        """Add encoded rows, then the record that they are good."""
        assert self._file is not None
        with self._writing():
            # Zipped files are made of members, one a chunk: they can be cut and continued like others.
            self._file.write(gzip.compress(data, 6, mtime=0) if self._gzipped and data else data)
            self._file.flush()
            if not summary.rows:
                return
            record = {"settings": self._settings, "bytes": self._file.tell(), **summary.to_record()}
            fresh = self._record.with_name(self._record.name + ".new")
            fresh.write_text(json.dumps(record), encoding="utf-8")
            fresh.replace(self._record)

    def finish(self, table: Table) -> None:
        """Put the finished file under the target's name."""
        assert self._file is not None
        finished = self._target.with_name(f".{self._target.name}.finished")
        with self._writing():
            self._file.flush()
            try:
                if table.finish(self._partial, finished):
                    publish(finished, self._target)
                else:
                    self._file.close()
                    publish(self._partial, self._target)
            finally:
                finished.unlink(missing_ok=True)
        self.discard()

    def discard(self) -> None:
        """Remove the partial file and its record."""
        if self._file is None:
            return
        self._close_file()
        for path in (self._partial, self._record):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the partial file; without a single good row it is removed."""
        if self._file is not None:
            self._close_file()
            if not self._record.exists():
                with contextlib.suppress(OSError):
                    self._partial.unlink(missing_ok=True)
        self._lock.release()

    def _close_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


class StreamOutput:
    """A binary stream, such as standard output: rows go out as they are done, and nothing can be resumed.

    Args:
        stream: The stream; it stays open.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def begin(self, resume: bool) -> ScreenSummary:
        """Begin.

        Raises:
            UserError: A run is to be resumed.
        """
        if resume:
            raise UserError("a run that writes to a stream leaves nothing to go on from; leave out `resume`")
        return ScreenSummary()

    def append(self, data: bytes, summary: ScreenSummary) -> None:
        """Write encoded rows."""
        self._stream.write(data)
        self._stream.flush()

    def finish(self, table: Table) -> None:
        """All is written already."""

    def discard(self) -> None:
        """What is written is written."""

    def close(self) -> None:
        """The stream belongs to the caller."""
