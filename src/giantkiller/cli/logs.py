"""Log records of the workshop on a terminal, escaped: they quote names of models, recipes and files.

A module of its own, so that commands that log nothing don't import `logging`.
"""

import logging
import sys
from types import TracebackType

from giantkiller.cli.terminal import printable


class _OneLine(logging.Formatter):
    """Formats a message as one line, whatever it quotes; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        return printable(line, len(line))

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        lines = super().formatException(ei).split("\n")
        return "\n".join(printable(line, len(line)) for line in lines)


def log_to_stderr(pattern: str = "giantkiller: %(message)s") -> None:
    """Send warnings of all loggers to standard error, unless something handles log records already.

    Args:
        pattern: Of a line, as `logging.Formatter` takes it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(pattern))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
