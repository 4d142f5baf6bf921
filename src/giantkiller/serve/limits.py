"""How many comments a second a key may send, counted over all processes that share the port."""

import mmap
import struct
import time
from pathlib import Path

SLOTS = 65_536
"""Keys counted apart; more share a slot."""

BURST = 2.0
"""Seconds' worth of comments that may come at once."""

_MOMENT = struct.Struct("=d")


class RateLimiter:
    """The generic cell rate algorithm: for each key, the moment at which it will have used up its share.

    Args:
        path: A file that all processes map; None to count in this process alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = None
        if path is None:
            self._moments: bytearray | mmap.mmap = bytearray(SLOTS * _MOMENT.size)
        else:
            self._file = path.open("r+b")
            self._moments = mmap.mmap(self._file.fileno(), SLOTS * _MOMENT.size)

    def take(self, number: int, rate: float, count: int, now: float | None = None) -> float:
        """Count comments against a key's rate.

        A request larger than what is left passes while anything is left; the next ones wait for it.

        Args:
            number: The key's number.
            rate: Comments a second.
            count: Comments in this request.
            now: Seconds of the machine's steady clock.

        Returns:
            0 if the request may pass, else the seconds until the next one may.
        """
        now = time.monotonic() if now is None else now
        at = number % SLOTS * _MOMENT.size
        if self._file is not None:
            import fcntl

            fcntl.lockf(self._file, fcntl.LOCK_EX, _MOMENT.size, at)
        try:
            (moment,) = _MOMENT.unpack_from(self._moments, at)
            early = moment - now - BURST
            if early >= 0 and moment > 0:
                return float(max(early, 0.001))
            _MOMENT.pack_into(self._moments, at, max(moment, now) + count / rate)
            return 0.0
        finally:
            if self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _MOMENT.size, at)


def prepare_limits(path: Path) -> None:
    """Write the empty file that the processes share."""
    path.write_bytes(bytes(SLOTS * _MOMENT.size))
