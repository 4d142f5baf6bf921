"""Sends HTTP requests over kept connections and times the answers; a process of `benchmarks/serve.py`.

Reads one JSON object a line from standard input, writes one for each to standard output. Each job names a
file of requests (a JSON list of paths and bodies, and the bodies expected), and either a number of
connections that each ask again as soon as they are answered (`rate` null), or a rate at which requests are
due, come what may. Latencies run from the moment a request was due.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from pathlib import Path

import uvloop


class Connection(asyncio.Protocol):
    """One kept connection with at most one request under way."""

    def __init__(self, job):
        self.job = job
        self.buffer = b""
        self.due = 0.0
        self.index = -1

    def connection_made(self, transport):
        self.transport = transport

    def ask(self, index, due):
        self.index, self.due = index, due
        self.transport.write(self.job.requests[index])

    def data_received(self, data):
        data = self.buffer + data if self.buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.buffer = data
            return
        at = data.find(b"content-length: ") + 16
        length = int(data[at : data.find(b"\r\n", at)]) if at >= 16 else 0
        if len(data) < end + 4 + length:
            self.buffer = data
            return
        self.buffer = b""
        self.job.answered(self, data[9:12], data[:end], data[end + 4 :])

    def connection_lost(self, exc):
        self.job.lost(self)


class Job:
    """One run of requests against one server."""

    def __init__(self, order):
        content = json.loads(Path(order["file"]).read_text())
        self.port = order["port"]
        self.requests = [
            (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
            ).encode()
            for path, body in content["requests"]
        ]
        self.expected = [body.encode() for body in content.get("expected", ())]
        self.connections, self.rate, self.seconds = order["connections"], order["rate"], order["seconds"]
        self.most = order.get("requests") or float("inf")
        self.free = deque()
        self.late = deque()
        self.open = set()
        self.waits = {}
        self.statuses = Counter()
        self.sent = self.wrong = self.without_retry = self.unsent = self.broken = 0
        self.ended = asyncio.get_running_loop().create_future()
        self.over = False

    async def run(self):
        loop = asyncio.get_running_loop()
        for _ in range(self.connections):
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
            self.open.add(connection)
        self.began = time.perf_counter()
        self.until = self.began + self.seconds
        if self.rate is None:
            for connection in list(self.open):
                self.next(connection)
        else:
            self.free.extend(self.open)
            await self.keep_pace()
        await asyncio.wait([self.ended], timeout=self.seconds + 30)
        seconds = max(getattr(self, "last", 0) - self.began, 1e-9)
        self.over = True
        for connection in self.open:
            connection.transport.abort()
        return self.result(seconds)

    def next(self, connection):
        """Ask again at once, or end."""
        now = time.perf_counter()
        if now >= self.until or self.sent >= self.most:
            self.free.append(connection)
            if len(self.free) == len(self.open) and not self.ended.done():
                self.ended.set_result(None)
            return
        self.send(connection, now)

    def send(self, connection, due):
        connection.ask(self.sent % len(self.requests), due)
        self.sent += 1

    async def keep_pace(self):
        """Send what is due; with no connection free, `late` ones wait as long as there are few."""
        scheduled = 0
        while (now := time.perf_counter()) < self.until:
            due = int((now - self.began) * self.rate)
            for number in range(scheduled, due):
                moment = self.began + number / self.rate
                if self.free:
                    self.send(self.free.popleft(), moment)
                elif len(self.late) < self.connections:
                    self.late.append(moment)
                else:
                    self.unsent += 1
            scheduled = due
            await asyncio.sleep(0.0005)
        self.unsent += len(self.late)
        self.late.clear()
        self.over = True
        if len(self.free) == len(self.open) and not self.ended.done():
            self.ended.set_result(None)

    def answered(self, connection, status, head, body):
        self.last = time.perf_counter()
        self.statuses[status] += 1
        self.waits.setdefault(status, []).append(self.last - connection.due)
        if status == b"200":
            if self.expected and body != self.expected[connection.index]:
                self.wrong += 1
        elif b"retry-after: " not in head:
            self.without_retry += 1
        if self.rate is None:
            self.next(connection)
        elif self.late:
            self.send(connection, self.late.popleft())
        else:
            self.free.append(connection)
            if self.over and len(self.free) == len(self.open) and not self.ended.done():
                self.ended.set_result(None)

    def lost(self, connection):
        if not self.over:
            self.broken += 1
        self.open.discard(connection)
        if not self.open and not self.ended.done():
            self.ended.set_result(None)

    def result(self, seconds):
        good = self.waits.get(b"200", [])
        refused = [wait for status, waits in self.waits.items() if status != b"200" for wait in waits]
        return {
            "seconds": seconds,
            "sent": self.sent,
            "answered": len(good),
            "per_second": len(good) / seconds,
            "p50_ms": percentile(good, 0.5),
            "p99_ms": percentile(good, 0.99),
            "statuses": {status.decode(): count for status, count in sorted(self.statuses.items())},
            "refused": len(refused),
            "refused_p50_ms": percentile(refused, 0.5),
            "refused_p99_ms": percentile(refused, 0.99),
            "refused_without_retry_after": self.without_retry,
            "wrong": self.wrong,
            "unsent": self.unsent,
            "broken": self.broken,
        }


def percentile(values, share):
    return round(1000 * sorted(values)[min(int(len(values) * share), len(values) - 1)], 2) if values else None


async def work(order):
    return await Job(order).run()


def main():
    for line in sys.stdin:
        print(json.dumps(uvloop.run(work(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
