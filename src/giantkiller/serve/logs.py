"""Structured logs: one JSON object a line on standard error, without comment text, keys or query strings."""

import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any

import msgspec

log = logging.getLogger("giantkiller.serve")


class _Json(logging.Formatter):
    """Write a record as JSON: time, level, event, and the fields given as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        return msgspec.json.encode(line).decode()


def set_up(level: str) -> None:
    """Send our log and uvicorn's to standard error."""
    # What our lines don't hold needn't be found out for each of them.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
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
