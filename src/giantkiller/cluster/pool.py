"""Workers of a Ray cluster, of which any may die: what one leaves undone, another does."""

import contextlib
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from giantkiller.cluster.manifest import ShardRecord
from giantkiller.cluster.places import Shard
from giantkiller.cluster.worker import Job, Worker
from giantkiller.errors import UserError

ATTEMPTS = 3
"""A shard that so many workers died of is given up; and so is a run in which so many in turn can't start."""


class Pool:
    """Workers with one core each that take one shard at a time.

    Ray can restart an actor itself and repeat its call, but the call then waits for that actor, for ever
    where its machine is gone for good. Here a shard goes back to the others.

    Args:
        job: What all shards have in common.
        bundle: The content of the bundle's files, by name; put into Ray's object store once.
        size: Workers at the same time.
    """

    def __init__(self, job: Job, bundle: Mapping[str, bytes], size: int) -> None:
        self._shared = ray.put(job), ray.put(dict(bundle))
        self._kind: Any = ray.remote(Worker).options(num_cpus=1, max_restarts=0)
        self._size = size
        self._starting: dict[Any, Any] = {}  # workers by the reference of what they find wrong
        self._busy: dict[Any, tuple[Any, Shard]] = {}
        self._waiting: deque[Shard] = deque()
        self._deaths: Counter[Shard] = Counter()
        self._vain = 0  # starts in turn that came to nothing

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[Shard, ShardRecord | str] | None]:
        """Have shards screened, the first ones first.

        Yields:
            Each shard with its record, or with why there is none, as they are done; None when the first
            worker is ready.

        Raises:
            UserError: A worker finds something wrong before its first shard, or none can be started.
        """
        self._waiting.extend(shards)
        ready = False
        try:
            while self._waiting or self._busy:
                self._fill()
                done, _ = ray.wait([*self._starting, *self._busy])
                for reference in done:
                    if reference in self._starting:
                        if self._started(reference) and not ready:
                            ready = True
                            yield None
                    elif (found := self._finished(reference)) is not None:
                        yield found
        finally:
            for worker in [*self._starting.values(), *(worker for worker, _ in self._busy.values())]:
                _kill(worker)

    def _fill(self) -> None:
        """Start as many workers as there are shards for."""
        wanted = min(self._size, len(self._waiting) + len(self._busy))
        while len(self._starting) + len(self._busy) < wanted:
            worker = self._kind.remote()
            self._starting[worker.prepare.remote(*self._shared)] = worker

    def _started(self, reference: Any) -> bool:
        worker = self._starting.pop(reference)
        try:
            wrong = ray.get(reference)
        except RayError as error:
            _kill(worker)
            self._vain += 1
            if self._vain >= ATTEMPTS and not self._busy:
                raise UserError(
                    f"no worker could be started ({_reason(error)}); "
                    "giantkiller must be installed on every machine of the cluster"
                ) from error
            return False
        if wrong is not None:
            raise UserError(wrong)
        self._vain = 0
        self._next(worker)
        return True

    def _finished(self, reference: Any) -> tuple[Shard, ShardRecord | str] | None:
        """Return a shard and what became of it; None if its worker died and another is to try."""
        worker, shard = self._busy.pop(reference)
        try:
            result: ShardRecord | str = ray.get(reference)
        except RayTaskError:
            raise
        except RayError as error:  # the worker, its machine or the way to it is gone
            _kill(worker)
            self._deaths[shard] += 1
            if self._deaths[shard] < ATTEMPTS:
                self._waiting.appendleft(shard)
                return None
            return shard, (
                f"{ATTEMPTS} workers died of it ({_reason(error)}); "
                "it may take more memory than they have: split it, or give them more"
            )
        self._next(worker)
        return shard, result

    def _next(self, worker: Any) -> None:
        if self._waiting:
            shard = self._waiting.popleft()
            self._busy[worker.screen.remote(shard)] = (worker, shard)
        else:
            _kill(worker)


def _kill(worker: Any) -> None:
    with contextlib.suppress(RayError):
        ray.kill(worker)


def _reason(error: Exception) -> str:
    """Return the line of Ray's message that says most: the last of a traceback, or else the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return (raised or lines or [type(error).__name__])[-1 if raised else 0][:300]
