"""Answers in chunks: sent as they are made, broken off and never ended falsely, closed when nobody reads them."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
import structlog

import web.server
from models.errors import DatabaseUnavailable
from tests.support.load import until
from tests.support.web import Client, bearer, make_settings, serve, token
from web.problems import MEDIA_TYPE
from web.routes import NDJSON, Answer, Call, Reply, Route

ORIGIN = "https://app.example"
LARGE = b"x" * 1_000_000
Made = AsyncGenerator[bytes, None]
Lines = list[MutableMapping[str, Any]]


class Stream:
    """A route whose answer comes in chunks, made by `make`; remembers whether these were closed."""

    def __init__(self, make: Callable[[], Made], media: str = NDJSON) -> None:
        self._make = make
        self._media = media
        self.made = 0
        self.closed = 0

    async def _chunks(self) -> Made:
        try:
            async for chunk in self._make():
                self.made += 1
                yield chunk
        finally:
            await asyncio.sleep(0)  # as who gives a connection back
            self.closed += 1

    async def _answer(self, _: Call[None, None]) -> Reply:
        return Reply(200, headers={"Vary": "Accept"}, media=self._media, chunks=self._chunks())

    @asynccontextmanager
    async def served(self, **values: Any) -> AsyncIterator[tuple[Client, Lines]]:
        """A client of a server with this route at /stream, and the lines that are logged meanwhile."""
        route = Route(
            method="GET",
            path="/stream",
            handler=self._answer,
            operation_id="stream",
            summary="",
            tag="Things",
            answers={200: Answer("")},
            hint="Read it instead.",
        )
        settings = make_settings(**{"cors_origins": ORIGIN} | values)
        with structlog.testing.capture_logs() as lines:
            async with serve((route,), settings=settings) as client:
                yield client, lines


async def access(lines: Lines) -> MutableMapping[str, Any]:
    """The access log's line, once the request is over."""

    def found() -> bool:
        return any(line["event"] == "request" for line in lines)

    await until(found, 10, "the request is logged")
    (line,) = [line for line in lines if line["event"] == "request"]
    return line


async def raw(client: Client, version: bytes = b"1.1") -> bytes:
    """All that the server sends over a connection until it closes or breaks it."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"GET /stream HTTP/" + version + b"\r\nHost: x\r\nConnection: close\r\n"
        b"Authorization: Bearer " + token().encode() + b"\r\n\r\n"
    )
    received = b""
    with suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65536), 20):
            received += part
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return received


async def test_chunks_are_sent_as_they_are_made() -> None:
    go_on = asyncio.Event()

    async def make() -> Made:
        yield b'{"n":1}\n'
        await go_on.wait()
        yield b'{"n":2}\n'

    stream = Stream(make)
    async with (
        stream.served() as (client, lines),
        client.get("/stream", headers=bearer() | {"Origin": ORIGIN, "X-Request-Id": "mine"}) as response,
    ):
        assert await response.content.readany() == b'{"n":1}\n'
        assert not any(line["event"] == "request" for line in lines)
        assert response.status == 200
        assert response.content_type == NDJSON
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.headers["X-Request-Id"] == "mine"
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers.getall("Vary") == ["Accept", "Origin"]
        await asyncio.sleep(0.05)
        go_on.set()
        assert await response.read() == b'{"n":2}\n'
        line = await access(lines)
        assert (line["status"], line["route"], line.get("broken")) == (200, "/stream", None)
        assert line["ms"] >= 50
    assert stream.closed == 1


async def test_nothing_is_a_whole_answer_too_and_the_connection_serves_the_next() -> None:
    async def make() -> Made:
        for _ in range(0):
            yield b""

    async with Stream(make).served() as (client, _):
        for _ in range(3):
            async with client.get("/stream", headers=bearer()) as response:
                assert (response.status, await response.read()) == (200, b"")
        server: Any = client.server
        assert len(server.runner.server.connections) == 1


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [(DatabaseUnavailable("Too many."), 503, "unavailable"), (RuntimeError("hunter2"), 500, "internal")],
)
async def test_what_fails_before_the_first_chunk_is_a_problem(error: Exception, status: int, kind: str) -> None:
    async def make() -> Made:
        raise error
        yield b""

    stream = Stream(make)
    async with stream.served() as (client, lines):
        response = await client.get("/stream", headers=bearer())
        document = json.loads(await response.text())
        assert (response.status, response.content_type) == (status, MEDIA_TYPE)
        assert document["type"] == f"/problems#{kind}"
        assert document["request_id"] == response.headers["X-Request-Id"]
        assert "hunter2" not in document["detail"]
        assert ("Retry-After" in response.headers) == (status == 503)
        assert (await access(lines))["status"] == status
    assert stream.closed == 1


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_what_fails_later_breaks_the_connection_off(version: bytes) -> None:
    async def make() -> Made:
        yield b"begun"
        await asyncio.sleep(0.05)
        raise RuntimeError("hunter2")

    stream = Stream(make)
    async with stream.served() as (client, lines):
        received = await raw(client, version)
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/" + version + b" 200")
        assert body == (b"5\r\nbegun\r\n" if version == b"1.1" else b"begun")  # and no last chunk
        assert b"hunter2" not in received
        line = await access(lines)
        assert (line["status"], line["broken"]) == (200, "error")
        (error,) = [line for line in lines if line["log_level"] == "error"]
        assert "hunter2" in str(error["exc_info"])
        with pytest.raises(aiohttp.ClientError):
            async with client.get("/stream", headers=bearer()) as response:
                await response.read()
        await until(lambda: broken_off(client, "error") == 2, 10, "both are counted")
    assert stream.closed == 2


def broken_off(client: Client, reason: str) -> float:
    """How many answers were broken off for this reason."""
    app: Any = client.app
    measures = app.middlewares[0].__self__._services.measures
    value: float | None = measures.registry.get_sample_value(
        "training_http_broken_answers_total", {"route": "/stream", "reason": reason}
    )
    return value or 0


async def test_head_makes_one_chunk_and_sends_none() -> None:
    async def make() -> Made:
        while True:
            yield b"x"

    stream = Stream(make)
    async with stream.served() as (client, lines):
        response = await client.head("/stream", headers=bearer())
        assert (response.status, await response.read()) == (200, b"")
        assert response.content_type == NDJSON
        assert (await access(lines)).get("broken") is None
    assert (stream.made, stream.closed) == (1, 1)


async def test_a_client_that_goes_away_ends_the_making_at_once() -> None:
    ended = asyncio.Event()

    async def make() -> Made:
        yield b"begun"
        try:
            await asyncio.sleep(3600)  # a statement that takes long
        finally:
            ended.set()

    stream = Stream(make)
    async with stream.served() as (client, lines):
        async with client.get("/stream", headers=bearer()) as response:
            assert await response.content.readany() == b"begun"
            response.close()
        await asyncio.wait_for(ended.wait(), 10)
        assert (await access(lines))["broken"] == "client"
        assert broken_off(client, "client") == 1
        assert stream.closed == 1


async def stalled(client: Client) -> asyncio.StreamWriter:
    """A client that asks and reads nothing."""
    _, writer = await asyncio.open_connection(client.host, client.port, limit=1024)
    transport: Any = writer.transport
    transport.pause_reading()
    writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token().encode() + b"\r\n\r\n")
    return writer


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async def make() -> Made:
        while True:
            yield LARGE

    stream = Stream(make)
    async with stream.served(web_patience=0.5) as (client, lines):
        writer = await stalled(client)
        assert (await access(lines))["broken"] == "slow"
        assert stream.closed == 1
        assert stream.made < 30  # what sockets hold, and no more
        assert broken_off(client, "slow") == 1
        writer.close()


async def test_an_answer_takes_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.server, "_STREAM_PATIENCES", 2)

    async def make() -> Made:
        while True:
            yield b"drip"
            await asyncio.sleep(0.05)

    stream = Stream(make)
    async with stream.served(web_patience=0.5) as (client, lines):
        received = await raw(client)
        assert not received.endswith(b"0\r\n\r\n")
        assert (await access(lines))["broken"] == "slow"
    assert stream.closed == 1


async def test_a_large_answer_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the client takes it at a pace: a whole table over a slow line."""
    monkeypatch.setattr(web.server, "_STREAM_PATIENCES", 0.1)
    monkeypatch.setattr(web.server, "_STREAM_PACE", 1)

    async def make() -> Made:
        for _ in range(10):
            yield b"some bytes"
            await asyncio.sleep(0.1)

    stream = Stream(make)
    async with stream.served(web_patience=5) as (client, lines):
        assert (await raw(client)).endswith(b"0\r\n\r\n")
        assert (await access(lines)).get("broken") is None
    assert stream.closed == 1


async def test_a_server_that_stops_closes_what_is_under_way() -> None:
    async def make() -> Made:
        yield b"begun"
        await asyncio.sleep(3600)

    stream = Stream(make)
    reading: Awaitable[bytes]
    async with stream.served() as (client, _):
        reading = asyncio.create_task(raw(client))
        await until(lambda: stream.made == 1, 10, "it began")
        await asyncio.sleep(0.05)
        runner: Any = client.server
        runner.runner._shutdown_timeout = 0.1
    assert (await reading).endswith(b"5\r\nbegun\r\n")
    assert stream.closed == 1


async def test_another_method_is_told_what_to_do_instead() -> None:
    async def make() -> Made:
        yield b""

    async with Stream(make).served() as (client, _):
        response = await client.put("/stream", headers=bearer())
        document = json.loads(await response.text())
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
        assert document["detail"] == "PUT is not possible here. Read it instead."
