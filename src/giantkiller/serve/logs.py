"""Structured logs: one JSON object a line on standard error, without comment text, keys or query strings."""

import asyncio
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any, TextIO

import msgspec

log = logging.getLogger("giantkiller.serve")

_MOMENT = 0.05  # seconds
_MOST_LINES = 256


class _Json(logging.Formatter):
    """Write a record as JSON: time, level, event, and the fields given as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        return msgspec.json.encode(line).decode()


class _Together(logging.StreamHandler[Any]):
    """Write the lines of a moment together: a line for each request would cost it much of its time."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._due = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; what is worse than usual is written at once."""
        try:
            self._lines.append(self.format(record))
            if record.levelno > logging.INFO or len(self._lines) >= _MOST_LINES:
                self.flush()
            elif not self._due:
                loop = asyncio.get_running_loop()
                self._due = True
                loop.call_later(_MOMENT, self.flush)
        except RuntimeError:  # no loop runs here that could do it later
            self.flush()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write the lines."""
        self.acquire()
        try:
            lines, self._lines, self._due = self._lines, [], False
            if lines:
                self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()
        finally:
            self.release()


def set_up(level: str) -> None:
    """Send our log and uvicorn's to standard error."""
    # What our lines don't hold needn't be found out for each of them.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = _Together(sys.stderr)
    handler.setFormatter(_Json())
    for name in ("giantkiller.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    log.setLevel(level.upper())
    # uvicorn tells at "info" what we tell ourselves; of a failure it would write the text of the exception.
    logging.getLogger("uvicorn.error").setLevel("ERROR")
    logging.getLogger("uvicorn.access").disabled = True


def where(error: BaseException) -> list[str]:
    """Return where an exception was raised, innermost last, without its message, which may hold a comment."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{frame.filename.rsplit('giantkiller/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
