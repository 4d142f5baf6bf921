"""A candidate's scores for a share of the traffic, beside the answers and never in their way.

What may be scored waits in a short queue that drops what doesn't fit; one thread takes from it while the
answers' model rests, and lets go of what it could not score in time. Texts stay in memory until then.
"""

import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from giantkiller.policy import Policy
from giantkiller.screener import Screener
from giantkiller.serve.comparison import Pair, Tally, keep, tally
from giantkiller.serve.logs import log, where
from giantkiller.store import Store, StoreBusyError, utc_now

KEEP_SECONDS = 2.0
"""How often what was found goes to the database."""

PATIENCE = 0.5
"""Seconds to wait for a moment in which the model of the answers rests."""

_TOGETHER = 8  # comments scored at a time: a call so small ends soon, should a request come
_WAITING = 256  # comments that may wait
_REST = 0.005  # seconds between two looks

Thresholds = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class _Seen:
    """A comment that was answered: its text, scores, whose they are, and what the desk knows of it."""

    text: str
    row: NDArray[np.float32]
    screener: Screener
    item: str | None
    thresholds: Thresholds | None


class Shadow:
    """Compares a candidate with what scores; one in each process.

    Args:
        store: Where counts go.
        share: Of the comments, from 0 to 1.
        busy: Tells whether the model of the answers works or has work.
    """

    def __init__(self, store: Store, share: float, busy: Callable[[], bool]) -> None:
        self._store = store
        self._share = share
        self._busy = busy
        self._line: queue.Queue[_Seen | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._missed = 0
        self._sums: dict[Pair, Tally] = {}
        self._changed: dict[Pair, list[tuple[str, str, str]]] = {}
        self.candidate: Screener | None = None

    @property
    def digest(self) -> str | None:
        """The candidate's digest, or None without one."""
        return None if self.candidate is None else self.candidate.bundle.digest

    def follow(self, candidate: Screener | None) -> None:
        """Compare with another candidate from now on, or with none."""
        self.candidate = candidate
        if candidate is not None and self._thread is None and self._share > 0:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def offer(
        self,
        texts: Sequence[str],
        rows: NDArray[np.float32],
        screener: Screener,
        items: Sequence[str | None] | None = None,
        thresholds: Sequence[Thresholds | None] | None = None,
    ) -> None:
        """Offer comments that were answered; a share of them is scored later, if there is time.

        Args:
            texts: The comments.
            rows: Their scores, shape (n, 7).
            screener: Whose scores these are.
            items: The desk's ids.
            thresholds: Of the desk's communities, where they replace the bundles' own.
        """
        if self.candidate is None or self.candidate is screener:
            return
        for i, text in enumerate(texts):
            if random.random() >= self._share:
                continue
            item = items[i] if items else None
            seen = _Seen(text, rows[i], screener, item, thresholds[i] if thresholds else None)
            try:
                self._line.put_nowait(seen)
            except queue.Full:
                self._missed += 1

    def close(self) -> None:
        """Keep what was found and end."""
        self.candidate = None
        if self._thread is not None:
            with suppress(queue.Full):
                self._line.put(None, timeout=5)
            self._thread.join(10)
            self._thread = None

    def _run(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        due = time.monotonic() + KEEP_SECONDS
        while True:
            some, ended = self._take(max(0.01, due - time.monotonic()))
            try:
                self._score(some)
            except Exception as error:  # a candidate may fail at anything: the answers don't
                log.error(
                    "shadow failed", extra={"fields": {"error": type(error).__name__, "at": where(error)}}
                )
            if ended or time.monotonic() >= due:
                self._keep()
                due = time.monotonic() + KEEP_SECONDS
            if ended:
                return

    def _take(self, seconds: float) -> tuple[list[_Seen], bool]:
        """Return what waits, up to a call's worth, and whether it ends here."""
        some: list[_Seen] = []
        with suppress(queue.Empty):
            one = self._line.get(timeout=seconds)
            while one is not None:
                some.append(one)
                if len(some) == _TOGETHER:
                    return some, False
                one = self._line.get_nowait()
            return some, True
        return some, False

    def _score(self, some: list[_Seen]) -> None:
        candidate = self.candidate
        if not some or candidate is None:
            return
        until = time.monotonic() + PATIENCE
        while self._busy():
            if time.monotonic() > until:
                self._missed += len(some)
                return
            time.sleep(_REST)
        after = candidate.scores([seen.text for seen in some])
        alike: dict[tuple[int, int], list[int]] = {}
        for i, seen in enumerate(some):
            alike.setdefault((id(seen.screener), id(seen.thresholds)), []).append(i)
        for places in alike.values():
            self._add([some[i] for i in places], after[places], candidate)

    def _add(self, some: list[_Seen], after: NDArray[np.float32], candidate: Screener) -> None:
        """Add comments that one screener scored and one policy judges."""
        screener, thresholds = some[0].screener, some[0].thresholds
        pair = Pair(screener.bundle.digest, candidate.bundle.digest)
        sums = self._sums.setdefault(pair, {})
        missed, self._missed = self._missed, 0
        sums["", "missed", 0] = sums.get(("", "missed", 0), 0.0) + missed
        own = None if thresholds is None else Policy(thresholds)
        policies = (own or screener.policy, own or candidate.policy)
        both = tally(sums, np.stack([seen.row for seen in some]), after, policies)
        changed = self._changed.setdefault(pair, [])
        changed += [
            (seen.item, one, other)
            for seen, (one, other) in zip(some, both, strict=True)
            if one != other and seen.item is not None
        ]

    def _keep(self) -> None:
        if not self._sums:
            return
        try:
            with self._store.write() as connection:
                for pair, sums in self._sums.items():
                    keep(connection, pair, sums, self._changed.get(pair, []), now=utc_now())
        except (SQLAlchemyError, StoreBusyError):
            return  # kept in memory until the database is back
        self._sums, self._changed = {}, {}
