"""The load generator, in a process of its own: requests over keep-alive connections, as cheaply as Python can.

Requests are bytes made beforehand and answers are read no further than their status and length, so that the generator
takes little of the processors that it measures; what it takes is reported with the result.
"""

import argparse
import asyncio
import json
import math
import resource
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import cast
from urllib.parse import urlsplit

import uvloop

_WAIT = 30.0  # seconds for the last answers


class _Connection(asyncio.Protocol):
    """One request at a time; `done(connection, status)` is called with each answer."""

    def __init__(self, done: Callable[["_Connection", int], None]) -> None:
        self._done = done
        self._received = b""
        self.asked_at = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : (head + b"\r\n").index(b"\r\n", at)])
        if len(self._received) >= end + 4 + length:
            status = int(head[9:12])
            self._received = b""
            self._done(self, status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name for it
        self._done(self, 0)


class Generator:
    """Sends `requests` in turn over `connections`, for `seconds`.

    Without a `rate` each connection asks again as soon as it is answered. With one, requests are begun `rate` times a
    second however long answers take, and latency counts from when a request was due.
    """

    def __init__(self, requests: Sequence[bytes], *, connections: int, seconds: float, rate: float | None) -> None:
        self._requests = cycle(requests)
        self._count = connections
        self._seconds = seconds
        self._rate = rate
        self._idle: deque[_Connection] = deque()
        self._due: deque[float] = deque()
        self._ending = False
        self._ended = asyncio.Event()
        self._connections: set[_Connection] = set()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    async def run(self, host: str, port: int) -> float:
        """Run; returns the seconds from the first request to the last answer."""
        loop = asyncio.get_running_loop()
        for _ in range(self._count):
            _, connection = await loop.create_connection(lambda: _Connection(self._done), host, port)
            self._connections.add(connection)
        began = time.perf_counter()
        if self._rate is None:
            for connection in self._connections:
                self._ask(connection, time.perf_counter())
            await asyncio.sleep(self._seconds)
        else:
            self._idle.extend(self._connections)
            for number in range(math.ceil(self._rate * self._seconds)):
                due = began + number / self._rate
                await asyncio.sleep(due - time.perf_counter())
                if self._idle:
                    self._ask(self._idle.popleft(), due)
                else:
                    self._due.append(due)
        self._ending = True
        self._stop_idle()
        try:
            async with asyncio.timeout(_WAIT):
                await self._ended.wait()
        except TimeoutError:
            sys.exit(f"{len(self._due)} requests wait still, {len(self._connections)} have no answer")
        return time.perf_counter() - began

    def _ask(self, connection: _Connection, due: float) -> None:
        connection.asked_at = due
        connection.transport.write(next(self._requests))

    def _done(self, connection: _Connection, status: int) -> None:
        if connection not in self._connections:
            return
        now = time.perf_counter()
        self.statuses[status] += 1
        self.latencies.append(now - connection.asked_at)
        if status == 0:
            self._leave(connection)
        elif self._due:
            self._ask(connection, self._due.popleft())
        elif self._rate is None and not self._ending:
            self._ask(connection, now)
        else:
            self._idle.append(connection)
            self._stop_idle()

    def _stop_idle(self) -> None:
        while self._ending and self._idle:
            self._leave(self._idle.popleft())

    def _leave(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        connection.transport.close()
        if not self._connections:
            self._ended.set()


def request(url: str, token: str, body: bytes) -> bytes:
    """A whole POST to `url`, as bytes."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def reading(url: str, token: str) -> bytes:
    """A whole GET of `url`, as bytes."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def main() -> None:
    """Read what to ask for as JSON from standard input, run, write the result as JSON to standard output.

    To POST: `{url, tokens, bodies}`; to GET: `{reads: [[url, token], …]}`, all of one server.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float)
    args = parser.parse_args()
    given = json.load(sys.stdin)
    if "reads" in given:
        requests = [reading(url, token) for url, token in given["reads"]]
        parts = urlsplit(given["reads"][0][0])
    else:
        # Users by turns, each with every body in the end: the two counts have no common divisor.
        pairs = zip(cycle(given["tokens"]), given["bodies"] * len(given["tokens"]), strict=False)
        requests = [request(given["url"], token, body.encode()) for token, body in pairs]
        parts = urlsplit(given["url"])
    generator = Generator(requests, connections=args.connections, seconds=args.seconds, rate=args.rate)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = uvloop.run(generator.run(str(parts.hostname), int(parts.port or 80)))
    after = resource.getrusage(resource.RUSAGE_SELF)
    json.dump(
        {
            "seconds": seconds,
            "statuses": generator.statuses,
            "latencies": generator.latencies,
            "processor_seconds": after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
