"""Structured logs: one JSON object a line on standard error, without comment text, keys or query strings."""

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any

log = logging.getLogger("giantkiller.serve")


class _Json(logging.Formatter):
    """Write a record as JSON: time, level, event, and the fields given as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        return json.dumps(line, ensure_ascii=True, default=str)


def set_up(level: str) -> None:
    """Send our log and uvicorn's to standard error."""
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
