"""What Prometheus reads: requests, latencies, calls of the model, the queue, actions, drift."""

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from giantkiller.policy import ACTIONS, Policy
from giantkiller.serve.drift import Drift

if TYPE_CHECKING:
    from giantkiller.serve.batching import Batcher

LATENCIES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder in which several processes add up; read when this is imported."""


_TOGETHER = 256  # rows of scores that are counted at once, or what came in the moment since the last time
_MOMENT = 0.25  # seconds
_SETTLING = 1.0  # seconds after which even the last rows are counted


class Metrics:
    """The counters of one process."""

    def __init__(self, policy: Policy, drift: Drift) -> None:
        self.registry = CollectorRegistry()
        self._policy = policy
        self._drift = drift
        r = self.registry
        self._requests = Counter(
            "giantkiller_requests", "Requests answered.", ["route", "status"], registry=r
        )
        self._latency = Histogram(
            "giantkiller_request_seconds",
            "Time to answer what was not refused by its head.",
            ["route"],
            buckets=LATENCIES,
            registry=r,
        )
        self._calls = Histogram(
            "giantkiller_batch_comments", "Comments in one call of the model.", buckets=SIZES, registry=r
        )
        self._model = Histogram(
            "giantkiller_model_seconds", "Time of one call of the model.", buckets=LATENCIES, registry=r
        )
        self._actions = Counter(
            "giantkiller_actions", "Scored texts by the action the policy calls for.", ["action"], registry=r
        )
        self._shed = Counter("giantkiller_refused", "Requests refused, by reason.", ["reason"], registry=r)
        self._feedback = Counter("giantkiller_feedback", "Feedback kept.", registry=r)
        self._queue = Gauge(
            "giantkiller_queue_comments", "Comments waiting.", registry=r, multiprocess_mode="livesum"
        )
        self._wait = Gauge(
            "giantkiller_queue_seconds", "Expected wait.", registry=r, multiprocess_mode="livemax"
        )
        self._score_drift = Gauge(
            "giantkiller_score_drift",
            "Population stability index of the scores against their reference; above 0.25 is a shift.",
            ["attribute"],
            registry=r,
            multiprocess_mode="livemax",
        )
        self._by_action = [self._actions.labels(action) for action in ACTIONS]
        self._by_status: dict[tuple[str, int], Counter] = {}
        self._by_route: dict[str, Histogram] = {}
        self._lock = threading.Lock()
        self._scores: list[NDArray[np.float32]] = []
        self._rows = 0
        self._settled = 0.0
        self.comments = 0
        """Texts this process has scored."""
        self.answered = 0
        """Requests this process has answered."""

    def follow(self, policy: Policy, drift: Drift) -> None:
        """Count by the policy of another bundle from now on."""
        self.settle()
        self._policy, self._drift = policy, drift

    def request(self, route: str, status: int, seconds: float | None) -> None:
        """Count an answered request.

        Args:
            route: What answered.
            status: The answer's HTTP status.
            seconds: How long it took; None for a refusal by the head, whose wait, before anything of it was
                read, nobody knows. As 0 it would hide how long the others wait.
        """
        counter = self._by_status.get((route, status))
        if counter is None:
            counter = self._by_status[route, status] = self._requests.labels(route, str(status))
            self._by_route.setdefault(route, self._latency.labels(route))
        counter.inc()
        if seconds is not None:
            self._by_route[route].observe(seconds)
        self.answered += 1

    def refused(self, reason: str) -> None:
        """Count a request that was refused for load or rate."""
        self._shed.labels(reason).inc()

    def kept(self) -> None:
        """Count feedback."""
        self._feedback.inc()

    def model_call(self, scores: NDArray[np.float32], seconds: float) -> None:
        """Count one call of the model; called from the runners' threads."""
        self._calls.observe(len(scores))
        self._model.observe(seconds)
        with self._lock:
            self.comments += len(scores)
            self._scores.append(scores)
            self._rows += len(scores)
            settle = self._rows >= _TOGETHER or time.monotonic() - self._settled > _MOMENT
        if settle:
            self.settle()

    def settle(self) -> None:
        """Count actions and drift of the scores seen, together: numpy takes as long for one as for many."""
        with self._lock:
            waiting, self._scores, self._rows = self._scores, [], 0
            self._settled = time.monotonic()
        if not waiting:
            return
        scores = np.concatenate(waiting)
        self._drift.add(scores)
        actions = self._policy.actions(scores)
        for counter, action in zip(self._by_action, ACTIONS, strict=True):
            if count := int((actions == action).sum()):
                counter.inc(count)

    async def keep_settled(self) -> None:
        """Count the last scores before a silence, too, for as long as the service runs."""
        while True:
            await asyncio.sleep(_SETTLING)
            self.settle()

    def text(self, batcher: "Batcher | None") -> bytes:
        """Return the exposition of all processes."""
        self.refresh(batcher)
        if FOLDER in os.environ:
            together = CollectorRegistry()
            multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            return generate_latest(together)
        return generate_latest(self.registry)

    def refresh(self, batcher: "Batcher | None") -> None:
        """Bring the gauges up to date."""
        self.settle()
        if batcher is not None:
            self._queue.set(batcher.waiting)
            self._wait.set(batcher.expected_wait)
        for attribute, value in (self._drift.index() or {}).items():
            self._score_drift.labels(attribute).set(value)

    @staticmethod
    def content_type() -> str:
        """Return the media type of `text`."""
        return "text/plain; version=0.0.4; charset=utf-8"
