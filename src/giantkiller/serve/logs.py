"""Structured logs: one JSON object a line on standard error, without comment text, keys or query strings."""

import asyncio
import contextlib
import logging
import sys
import time
import traceback
from datetime import datetime, timezone
from typing import Any, TextIO

import msgspec

log = logging.getLogger("giantkiller.serve")

_encode = msgspec.json.Encoder().encode
_MOMENT = 0.05  # seconds
_MOST_LINES = 256


def _line(seconds: float, level: str, event: str, fields: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(seconds, timezone.utc)
    return _encode({"time": when, "level": level, "event": event, **fields}).decode()


class _Json(logging.Formatter):
    """Write a record as JSON: time, level, event, and the fields given as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        return _line(record.created, record.levelname.lower(), record.getMessage(), fields)


class _Together(logging.StreamHandler[Any]):
    """Write the lines of a moment together: a line for each request would cost it much of its time."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._due = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; what is worse than usual is written at once."""
        try:
            self.add(self.format(record))
            if record.levelno > logging.INFO:
                self.flush()
        except Exception:
            self.handleError(record)

    def add(self, line: str) -> None:
        """Take a line that may wait."""
        self._lines.append(line)
        if len(self._lines) >= _MOST_LINES:
            self.flush()
        elif not self._due:
            try:
                asyncio.get_running_loop().call_later(_MOMENT, self.flush)
                self._due = True
            except RuntimeError:  # no loop runs here that could do it later
                self.flush()

    def flush(self) -> None:
        """Write the lines."""
        self.acquire()
        try:
            lines, self._lines, self._due = self._lines, [], False
            with contextlib.suppress(OSError, ValueError):  # full or closed: no reason not to serve
                if lines:
                    self.stream.write("\n".join(lines) + "\n")
                self.stream.flush()
        finally:
            self.release()


def tell(event: str, fields: dict[str, Any]) -> None:
    """Log at level "info" as `log.info` does, without a record where only our own handler would read it."""
    if not log.isEnabledFor(logging.INFO):
        return
    if len(log.handlers) == 1 and not log.propagate and isinstance(handler := log.handlers[0], _Together):
        handler.add(_line(time.time(), "info", event, fields))
    else:
        log.info(event, extra={"fields": fields})


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
