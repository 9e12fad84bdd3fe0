"""The load generator of the bench: it counts what it sends, and keeps its rate."""

import asyncio
import time
from collections import Counter

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.generator import Generator, reading, request

BODY = b'{"n": 1}'


class Target:
    """Answers POSTs after `delay` seconds, and counts them by what they brought."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.seen: Counter[tuple[str, bytes]] = Counter()

    async def answer(self, asked: web.Request) -> web.Response:
        self.seen[asked.headers["Authorization"], await asked.read()] += 1
        await asyncio.sleep(self.delay)
        return web.Response(status=201, body=b"x" * 70_000)  # comes in several pieces


async def run(target: Target, *, seconds: float, rate: float | None) -> tuple[Generator, float]:
    app = web.Application()
    app.router.add_post("/there", target.answer)
    async with TestServer(app) as server:
        url = str(server.make_url("/there"))
        requests = [request(url, token, BODY) for token in ("a", "b")]
        generator = Generator(requests, connections=3, seconds=seconds, rate=rate)
        assert server.port is not None
        return generator, await generator.run("127.0.0.1", server.port)


async def test_every_connection_asks_again_as_soon_as_it_is_answered() -> None:
    target = Target()
    generator, seconds = await run(target, seconds=0.3, rate=None)
    assert 0.3 <= seconds < 5
    assert set(target.seen) == {("Bearer a", BODY), ("Bearer b", BODY)}
    assert generator.statuses == {201: target.seen.total()}
    assert len(generator.latencies) == target.seen.total() > 3


async def test_a_rate_is_kept_and_waiting_counts_as_latency() -> None:
    target = Target(delay=0.05)
    began = time.perf_counter()
    generator, _ = await run(target, seconds=0.5, rate=100)
    assert generator.statuses == {201: 50}
    assert target.seen.total() == 50
    # 3 connections answer 60 a second: the last requests waited for a free one.
    assert time.perf_counter() - began >= 50 / 60
    assert max(generator.latencies) > 0.2


async def test_a_lost_connection_is_counted_as_no_answer() -> None:
    async def drop(asked: web.Request) -> web.Response:
        assert asked.transport is not None
        asked.transport.close()
        return web.Response()

    target = Target()
    target.answer = drop  # type: ignore[method-assign]
    generator, _ = await run(target, seconds=0.1, rate=None)
    assert generator.statuses == {0: 3}


@pytest.mark.parametrize("path", ["/there", "/there/below"])
def test_a_request_is_whole(path: str) -> None:
    assert request(f"http://127.0.0.1:8080{path}", "t", BODY) == (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer t\r\n"
        "Content-Type: application/json\r\nContent-Length: 8\r\n\r\n".encode()
        + BODY
    )


def test_a_reading_keeps_its_query() -> None:
    assert reading("http://127.0.0.1:8080/there?a=1&b=2", "t") == (
        b"GET /there?a=1&b=2 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer t\r\n\r\n"
    )
