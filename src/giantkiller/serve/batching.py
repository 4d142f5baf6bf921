"""Concurrent requests into few calls of the model, without ever blocking the event loop.

Requests wait in two lanes, small ones and large ones, so that one comment never waits for a thousand. When a
runner (a thread) is free it takes as much of what waits as one call may hold: an idle service answers at
once, and the busier it gets, the larger its calls.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from giantkiller.attributes import ATTRIBUTES
from giantkiller.screener import Screener

T = TypeVar("T")
Observer = Callable[[NDArray[np.float32], float], None]
Offer = Callable[[Sequence[str], NDArray[np.float32], Screener], None]

SMALL = 8
"""Comments up to which a request goes in the lane of small ones."""

LARGE_WAIT = 30
"""How many times as long as a small request a large one may wait: it takes long in any case."""

_LARGE_SHARE = 4  # one comment in so many of a call is kept for the lane of large requests
_SMALLEST_PIECE = 4  # comments below which splitting a request over runners doesn't pay
_WORTH_A_RUNNER = 4  # comments for which a second runner is set to work, if the first ends soon
_BASE_WORK = 150  # characters' worth of work in a comment, whatever its length
_TYPICAL_WORK = _BASE_WORK + 250  # of a comment of which nothing is known
_MOST_WORK = 1200  # characters after which a comment makes no more work
_SHORT_WORK = 32 * _TYPICAL_WORK  # a call of so little ends soon
# While small requests come, what of large ones goes into one call takes no longer than this part of the
# longest wait of a small one. Larger calls are quicker for each comment, but make small requests wait.
_LARGE_BESIDE_SMALL = 0.5
_LATELY = 0.5  # seconds after which no small requests come any more


class OverloadedError(Exception):
    """Too much waits already. `retry_after` says in how many seconds to come back."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many comments are waiting")
        self.retry_after = retry_after


@dataclass(eq=False, slots=True)
class _Job:
    """The texts of one request: how many are taken, and how many still have no scores."""

    texts: Sequence[str]
    future: "asyncio.Future[NDArray[np.float32]]"
    deadline: float
    work: float
    small: bool
    taken: int = 0
    left: int = 0
    rows: NDArray[np.float32] | None = None


_Piece = tuple[_Job, int, int]  # a job, and which of its texts: [begin, end)


class Batcher:
    """The queue in front of a screener. Lives in one event loop.

    Whoever asks for scores and needs to know the screener that gave them holds on to one queue: the service
    changes to another bundle by another queue, and an old one answers for as long as somebody holds it.

    Args:
        screener: Made with `threads=1`: each runner calls it by itself.
        runners: Threads that call it at the same time.
        max_batch: Most comments in one call.
        max_queue: Comments that may wait.
        max_wait: Seconds; a small request that would wait longer is refused, a large one (more than `SMALL`
            comments) that would wait `LARGE_WAIT` times as long.
        window: Seconds to wait for more comments before a call, while a runner is free.
        timeout: Seconds after which a request that still waits is given up.
        observe: Called in a runner's thread with the scores and the seconds of each call.
        offer: Called with texts, their scores and the screener once a request has them; must take no time.
    """

    def __init__(
        self,
        screener: Screener,
        *,
        runners: int = 1,
        max_batch: int = 128,
        max_queue: int = 4096,
        max_wait: float = 0.03,
        window: float = 0.0,
        timeout: float = 10.0,
        observe: Observer | None = None,
        offer: Offer | None = None,
    ) -> None:
        self.screener = screener
        self.runners = runners
        self.max_batch = max_batch
        self.max_queue = max_queue
        self.max_wait = max_wait
        self.window = window
        self.timeout = timeout
        self._observe = observe
        self._offer = offer
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(runners, "model")
        self._idle = runners
        self._small: deque[_Job] = deque()
        self._large: deque[_Job] = deque()
        self._room: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.Handle | None = None
        self._small_work = 0.0
        self._large_work = 0.0
        self._running_work = 0.0
        self._running_large = 0.0  # the part of it that large requests have
        self._small_came = float("-inf")
        self._aside_work = 0.0  # of functions that call the model by themselves
        self._asides = 0
        self._rate = 200_000.0  # characters' worth a second and runner, until it is measured
        self._measured = 0
        self.waiting = 0
        """Comments that no runner has taken yet."""

    async def scores(
        self, texts: Sequence[str], *, patient: bool = False, offered: bool = True
    ) -> NDArray[np.float32]:
        """Score texts, together with those of other requests.

        Args:
            texts: Any number of str.
            patient: Wait for room in the queue instead of being refused: for streams, which can.
            offered: Call `offer` with them; False where the caller knows more and does it.

        Returns:
            Shape (n, 7), what the screener gives for each text alone.

        Raises:
            OverloadedError: If too much waits already, or the request waited longer than `timeout`.
        """
        if not texts:
            return np.empty((0, len(ATTRIBUTES)), np.float32)
        work = float(sum([min(len(text), _MOST_WORK) for text in texts]) + _BASE_WORK * len(texts))
        small = len(texts) <= SMALL and not patient
        while patient and self._refuses(len(texts), small):
            room = self._loop.create_future()
            self._room.append(room)
            await room
        self._admit(len(texts), small)
        deadline = float("inf") if patient else time.monotonic() + self.timeout
        job = _Job(texts, self._loop.create_future(), deadline, work, small, left=len(texts))
        (self._small if small else self._large).append(job)
        self.waiting += len(texts)
        self._add_work(job, work)
        if self._timer is None and self._idle:
            # Not at once: requests that arrived in the same breath of the loop go together.
            self._timer = (
                self._loop.call_later(self.window, self._dispatch)
                if self.window
                else self._loop.call_soon(self._dispatch)
            )
        rows = await job.future
        if offered and self._offer is not None:
            self._offer(texts, rows, self.screener)
        return rows

    def check(self) -> None:
        """Refuse while even one comment would be refused: before anything is read of it.

        Raises:
            OverloadedError: If too much waits already.
        """
        if self.refuses():
            raise OverloadedError(self.expected_wait)

    def refuses(self, coming: int = 0, late: float = 0.0) -> bool:
        """Return whether one more comment would be refused by the time it is here.

        Args:
            coming: Comments that are on their way and not yet counted here.
            late: Seconds that it has waited and will wait elsewhere.
        """
        wait = self.expected_small_wait + coming * _TYPICAL_WORK / (self._rate * self.runners) + late
        before = self.waiting + coming
        return wait > self.max_wait or (before > 0 and before >= self.max_queue)

    async def run(self, function: Callable[[], T], work: int = SMALL) -> T:
        """Run a function that calls the model by itself (an explanation) on a runner.

        Args:
            function: What to run.
            work: To how many comments it comes.

        Raises:
            OverloadedError: If too much waits already.
        """
        self._admit(work, work <= SMALL)
        load = float(work * (_BASE_WORK + 100))
        self._aside_work += load
        self._asides += 1
        try:
            return await self._loop.run_in_executor(self._pool, function)
        finally:
            self._asides -= 1
            self._aside_work = self._aside_work - load if self._asides else 0.0
            self._dispatch()

    def successor(self, screener: Screener) -> "Batcher":
        """Return a queue with the same bounds in front of another screener."""
        after = Batcher(
            screener,
            runners=self.runners,
            max_batch=self.max_batch,
            max_queue=self.max_queue,
            max_wait=self.max_wait,
            window=self.window,
            timeout=self.timeout,
            observe=self._observe,
            offer=self._offer,
        )
        after._rate, after._measured = self._rate, self._measured
        return after

    async def close(self) -> None:
        """Finish what was accepted, then stop the runners."""
        while self.waiting or self._idle < self.runners:
            await asyncio.sleep(0.005)
        self._pool.shutdown()

    @property
    def busy(self) -> bool:
        """Whether a runner works, or a comment waits for one."""
        # Not 0: sums of fractions leave a rest.
        return self._running_work >= 1 or self._asides > 0 or self.waiting > 0

    @property
    def expected_wait(self) -> float:
        """Seconds until all that is here now will be done, by the speed of late."""
        work = self._small_work + self._large_work + self._running_work + self._aside_work
        return work / (self._rate * self.runners)

    @property
    def expected_small_wait(self) -> float:
        """The same for a small request, which goes ahead of the large ones and past an explanation.

        Of a call of large requests that runs already only so much is counted as calls beside small ones have:
        who comes first after a while waits for its end, and is not refused for it.
        """
        large = min(self._running_large, self._rate * self.runners * self.max_wait * _LARGE_BESIDE_SMALL)
        work = self._small_work + self._running_work - self._running_large + large
        if free := max(0, self.runners - self._asides):
            return work / (self._rate * free)
        return (work + self._aside_work) / (self._rate * self.runners)

    def _refuses(self, count: int, small: bool) -> bool:
        if small:
            late = self.expected_small_wait > self.max_wait
        else:
            late = self.expected_wait > self.max_wait * LARGE_WAIT
        # With nothing in front of it, a request of any size is taken.
        return late or (self.waiting > 0 and self.waiting + count > self.max_queue)

    def small_came(self) -> None:
        """Take note of a small request, refused or not: what follows makes room for small ones."""
        self._small_came = time.monotonic()

    def _admit(self, count: int, small: bool) -> None:
        if small:
            self.small_came()
        if self._refuses(count, small):
            raise OverloadedError(self.expected_wait)

    def _add_work(self, job: _Job, work: float) -> None:
        """Count work that waits, or with a negative number, that no longer does."""
        if job.small:
            self._small_work = max(0.0, self._small_work + work) if self._small else 0.0
        else:
            self._large_work = max(0.0, self._large_work + work) if self._large else 0.0

    def _dispatch(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._idle and self.waiting:
            if (
                self._idle < self.runners
                and self.waiting < _WORTH_A_RUNNER
                and self._running_work < _SHORT_WORK
            ):
                break  # the call under way ends soon: what waits goes together then, and costs less
            pieces = self._take(now)
            if not pieces:
                break
            self._idle -= 1
            work = large = 0.0
            for job, begin, end in pieces:
                share = job.work * (end - begin) / len(job.texts)
                self._add_work(job, -share)
                work += share
                large += 0.0 if job.small else share
            self._running_work += work
            self._running_large += large
            self._pool.submit(self._call, pieces, (work, large))
        while self._room and not self._refuses(1, False):
            room = self._room.popleft()
            if not room.done():
                room.set_result(None)
                break

    def _take(self, now: float) -> list[_Piece]:
        """Take the pieces of one call: small requests first, but always something of the large ones."""
        size = self.max_batch
        if self._idle > 1:  # share what waits among the idle runners
            size = min(size, max(_SMALLEST_PIECE, -(-self.waiting // self._idle)))
        pieces: list[_Piece] = []
        room = size - (max(1, size // _LARGE_SHARE) if self._large else 0)
        # Small requests count on a runner within `max_wait`, however much of the large ones there is.
        large = float("inf")
        if now - self._small_came < _LATELY:
            large = self._rate * self.max_wait * _LARGE_BESIDE_SMALL
        least = 1  # comment of them, however slow the machine
        for lane, limit in ((self._small, room), (self._large, size), (self._small, size)):
            taken = sum(end - begin for _, begin, end in pieces)
            while lane and taken < limit:
                job = lane[0]
                if not job.taken and (now > job.deadline or job.future.done()):
                    lane.popleft()
                    self.waiting -= len(job.texts)
                    self._add_work(job, -job.work)
                    if not job.future.done():
                        job.future.set_exception(OverloadedError(self.expected_wait))
                    continue
                end = min(len(job.texts), job.taken + limit - taken)
                if not job.small:
                    each = job.work / len(job.texts)
                    most = max(least, large / each)
                    if most < 1:
                        break
                    end = int(min(end, job.taken + most))
                    large, least = large - (end - job.taken) * each, 0
                pieces.append((job, job.taken, end))
                taken += end - job.taken
                self.waiting -= end - job.taken
                job.taken = end
                if end == len(job.texts):
                    lane.popleft()
        return pieces

    def _call(self, pieces: list[_Piece], work: tuple[float, float]) -> None:
        """Score the texts of some pieces; runs in a runner's thread."""
        began = time.perf_counter()
        rows: NDArray[np.float32] | BaseException
        try:
            rows = self.screener.scores([text for job, begin, end in pieces for text in job.texts[begin:end]])
        except BaseException as error:
            rows = error
        seconds = time.perf_counter() - began
        self._loop.call_soon_threadsafe(self._done, pieces, work, rows, seconds)
        if self._observe is not None and not isinstance(rows, BaseException):
            self._observe(rows, seconds)

    def _done(self, pieces: list[_Piece], works: tuple[float, float], rows: Any, seconds: float) -> None:
        work, large = works
        self._idle += 1
        self._running_work -= work
        self._running_large -= large
        if isinstance(rows, BaseException):
            for job, _, _ in pieces:
                if not job.future.done():
                    job.future.set_exception(rows)
        else:
            self._measured += 1
            self._rate += (work / max(seconds, 1e-6) - self._rate) * max(0.1, 1 / (1 + self._measured))
            at = 0
            for job, begin, end in pieces:
                part = rows[at : at + end - begin]
                at += end - begin
                job.left -= end - begin
                if not job.left and job.rows is None:
                    job.rows = part
                else:
                    if job.rows is None:
                        job.rows = np.empty((len(job.texts), len(ATTRIBUTES)), np.float32)
                    job.rows[begin:end] = part
                if not job.left and not job.future.done():
                    job.future.set_result(job.rows)
        self._dispatch()
