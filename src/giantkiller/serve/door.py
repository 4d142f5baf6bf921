"""Who comes in when there is too much: said from a request's head, before anything is done for it.

The queue in front of the model knows only what has reached it. In a burst, most of a request's wait is for
the event loop: heads are read one after the other, and only then the requests begin. The door counts those
that are on their way from one to the other and how long that takes now, and refuses as soon as a request
that comes now would wait too long for both. A refusal costs a small part of an answer.
"""

import asyncio
import time
from collections.abc import Callable

from giantkiller.serve.batching import Batcher
from giantkiller.serve.errors import overloaded
from giantkiller.serve.ids import REQUEST_ID, RequestIds
from giantkiller.serve.logs import tell
from giantkiller.serve.metrics import Metrics

DOOR = "giantkiller.door"
"""The key of the door in the state that the application gives to the server's protocol."""

ADMITTED = "giantkiller.admitted"
"""The key in the scope of a request that the door let in: when its head was read."""

ANALYZE = b"/v1alpha1/comments:analyze"

ROUTES = {
    ANALYZE: "analyze",
    b"/v1/score": "score",
    b"/v1/judge": "judge",
}
"""Addresses before which the door stands, and their names in the metrics."""

SMALL_BODY = 8192
"""Bytes of a body up to which the door decides; a larger one is no single comment, or one that can wait."""

MANY = b'"texts"'
"""What the body of a request with several comments holds: they may wait longer, and the queue decides."""

_CROWD = 8  # requests that begin together, from which on the time this took says something about the load
_JUST_NOW = 0.01  # seconds
_TELL_SECONDS = 1.0
_MOST_IDS = 100  # in one line of the log

_ERROR = overloaded(1)
_BODY = _ERROR.body()
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
    b"x-content-type-options: nosniff\r\nretry-after: %b\r\ncontent-length: %d\r\n%b: %%b\r\n%%b\r\n%b"
    % (_ERROR.headers["Retry-After"].encode(), len(_BODY), REQUEST_ID.encode(), _BODY)
)
"""What a refused client gets, but for the request's id and, where it belongs, `Connection: close`."""


class Door:
    """Lets requests for scores in, or refuses them. Lives in one event loop.

    Args:
        queue: Returns the queue in front of the model.
        metrics: Where refusals are counted.
        ids: Names requests.
    """

    def __init__(self, queue: Callable[[], Batcher | None], metrics: Metrics, ids: RequestIds) -> None:
        self._queue = queue
        self._metrics = metrics
        self._ids = ids
        self._coming = 0
        self._first = 0.0  # when the first of those who are coming came
        self._crowd = 0
        self._took = 0.0  # seconds that the last crowd took to begin
        self._ended = 0.0
        self._refused = 0
        self._names: list[str] = []  # of the first ones refused

    def refuses(self) -> bool:
        """Return whether a request for one comment's scores that comes now must be refused."""
        queue = self._queue()
        return queue is not None and queue.refuses(self._coming, self._lag(time.perf_counter()))

    def refusal(self, path: bytes, given: str, more: bytes = b"") -> bytes:
        """Return what a refused client gets, and count the refusal.

        Args:
            path: What was asked for, one of `ROUTES`.
            given: The id that the request brought along, or nothing.
            more: Further header lines.
        """
        self._metrics.request(ROUTES[path], 503, None)
        if queue := self._queue():
            queue.small_came()
        self._metrics.refused("load")
        if not self._refused:
            asyncio.get_running_loop().call_later(_TELL_SECONDS, self._tell)
        self._refused += 1
        name = self._ids.name(given)
        if len(self._names) < _MOST_IDS:
            self._names.append(name)
        return REFUSAL % (name.encode(), more)

    def enter(self) -> float:
        """Count a request that is let in; returns the time of now."""
        now = time.perf_counter()
        if not self._coming:
            self._first, self._crowd = now, 0
        self._coming += 1
        self._crowd += 1
        return now

    def begun(self) -> None:
        """Count a request that was let in and that runs now: the queue knows the rest."""
        self._coming -= 1
        if not self._coming:
            self._ended = time.perf_counter()
            self._took = self._ended - self._first if self._crowd >= _CROWD else 0.0

    def _lag(self, now: float) -> float:
        """Return how many seconds the event loop is behind: this crowd, and the one before it."""
        lag = now - self._first if self._coming else 0.0
        return lag + (self._took if now - self._ended < _JUST_NOW + lag else 0.0)

    def _tell(self) -> None:
        """Log what was refused of late in one line: a line for each would cost more than the refusals."""
        tell("refused for load", {"requests": self._refused, "request_ids": self._names})
        self._refused, self._names = 0, []
