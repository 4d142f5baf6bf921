"""uvicorn's HTTP protocol with bounds on headers: their size, their number, and the time they may take."""

import asyncio
from types import SimpleNamespace
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from giantkiller.serve.door import ADMITTED, ANALYZE, DOOR, MANY, ROUTES, SMALL_BODY, Door
from giantkiller.serve.errors import ApiError
from giantkiller.serve.ids import REQUEST_ID

MAX_HEAD = 64 << 10
"""Bytes of the request line and headers together."""

MAX_HEADERS = 128

HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""

UNREAD_SECONDS = 30.0
"""How long a client may leave an answer unread that no longer fits the buffers."""

LEAST_READ = 16 << 10
"""Bytes that it must have read after that time, to go on."""

WHOLE = "giantkiller.whole"
"""The key in a request's scope that is there once all of its body has arrived."""


class _Transport:
    """A transport that sends the head of a response together with its body, which costs half as much.

    Only a head that announces the length of its body is held back: then the body is about to come.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data, after a head that was held back, or hold it back as one."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and b"\r\ncontent-length: " in data:
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that no body followed."""
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)

    def close(self) -> None:
        """Close, when everything is sent."""
        self.flush()
        self._transport.close()


class _Answered:
    """Stands for a request that got its answer from the door: what still comes of it is dropped."""

    response_complete = True
    message_event = SimpleNamespace(set=lambda: None)


_ANSWERED: Any = _Answered()


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _head_size = 0
    _reading_head = True
    _arrived = b""
    _looked = 0

    def connection_made(self, transport: Any) -> None:
        """Start the clock of the first head."""
        super().connection_made(_Transport(transport))  # type: ignore[arg-type]
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives of a head before it is parsed."""
        if self._reading_head:
            self._head_size += len(data)
        self._arrived, self._looked = data, 0
        super().data_received(data)
        self._arrived = b""
        if self._reading_head and self._head_size:
            if self._head_size > MAX_HEAD:
                self._refuse(431, "The request's headers are too large.", "HEADERS_TOO_LARGE")
            elif self._head_timer is None and not self.transport.is_closing():
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        if not self._reading_head:
            self._rearm()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._reading_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those beyond the bound are dropped, and the request refused at the end."""
        if len(self.headers) <= MAX_HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._reading_head = False
        self._head_size = 0
        self._stop_timer()
        if len(self.headers) > MAX_HEADERS:
            self._refuse(431, "The request has too many headers.", "TOO_MANY_HEADERS")
            return
        door: Door | None = None
        # A request behind another one of its connection begins only when that is answered, if ever.
        if self.cycle is None or self.cycle.response_complete:
            path = self.url.partition(b"?")[0]
            door = self.app_state.get(DOOR) if path in ROUTES else None
            paused = self.flow.write_paused  # who doesn't read answers gets no more of them from here
            if door is not None and not paused and door.refuses() and self._is_one_comment(path):
                self._turn_away(door, path)
                return
        super().on_headers_complete()
        if door is not None:
            self.scope[ADMITTED] = door.enter()  # type: ignore[literal-required]

    def _is_one_comment(self, path: bytes) -> bool:
        """Return whether a small body comes with a request's head, or right after it, with one comment in it.

        Of our own routes' bodies only what came in one piece with the head is looked at, and they hold one
        comment if they don't name several. Where this can't be seen the request comes in, and the queue
        decides when it has been read.
        """
        length = self._header(b"content-length")
        if not length.isdigit() or len(length) > len(str(SMALL_BODY)):
            return False
        size = int(length)
        if size > SMALL_BODY or self.expect_100_continue or self.parser.get_method() != b"POST":
            return False
        begin = self._arrived.find(b"\r\n\r\n", self._looked) + 4
        body = self._arrived[begin : begin + size]
        self._looked = begin + size  # where the next request begins, if it has come along, too
        return path == ANALYZE or (begin > 3 and len(body) == size and MANY not in body)

    def _header(self, name: bytes) -> bytes:
        """Return a header's value, the last one's if it came twice, or nothing."""
        return next((value for found, value in reversed(self.headers) if found == name), b"")

    def _turn_away(self, door: Door, path: bytes) -> None:
        """Refuse a request of which the head has come; its body, which is small, is dropped."""
        self.cycle = _ANSWERED
        stays = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        given = self._header(REQUEST_ID.encode()).decode("latin-1")
        self.transport.write(door.refusal(path, given, b"" if stays else b"connection: close\r\n"))
        if not stays:
            self.transport.close()
        self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless the request was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next head; only its arrival starts the clock again."""
        self.scope[WHOLE] = True  # type: ignore[literal-required]
        if not self.transport.is_closing():
            super().on_message_complete()
        self._rearm()
        self._reading_head = True
        self._head_size = 0

    def _rearm(self) -> None:
        """Start the clock that ends an idle connection again: what came of an answered request stopped it."""
        answered = self.cycle is not None and self.cycle.response_complete
        if answered and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def pause_writing(self) -> None:
        """Start the clock of a client that doesn't read its answer."""
        super().pause_writing()
        self._stop_unread_timer()
        self._watch_unread()

    def resume_writing(self) -> None:
        """Stop it: most has been read."""
        self._stop_unread_timer()
        super().resume_writing()

    def _watch_unread(self) -> None:
        before = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._check_unread, before)

    def _check_unread(self, before: int) -> None:
        """Abort a client that reads nothing: what it is owed takes memory, and the request its place."""
        if before - self.transport.get_write_buffer_size() < LEAST_READ:
            self._unread_timer = None
            self.transport.abort()
        else:
            self._watch_unread()

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def on_response_complete(self) -> None:
        """End a response; one to HEAD has no body."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer, in our own shape, that what came is no HTTP."""
        self._refuse(400, msg, "HTTP_INVALID")

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self._head_size:  # nothing was ever asked
            self.transport.close()
        else:
            self._refuse(408, "The request came too slowly.", "TOO_SLOW")

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, code: int, message: str, reason: str) -> None:
        if self.transport.is_closing():
            return
        body = ApiError(code, message, reason).body()
        self.transport.write(
            b"HTTP/1.1 %d Refused\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (code, len(body), body)
        )
        self.transport.close()
