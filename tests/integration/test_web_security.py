"""What hostile clients send: smuggled requests, broken heads, slow ones; and the headers that browsers obey."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import pytest
import structlog
from aiohttp import web
from pydantic import BaseModel

from runtime.web import Runner
from tests.support.web import Client, bearer, make_settings, serve, token
from web import auth
from web.auth import fetch_from
from web.problems import KINDS, MEDIA_TYPE, ProblemDocument
from web.routes import Answer, Call, Reply, Route

HEAD = (
    b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    + f"Authorization: Bearer {token()}\r\n".encode()
)
SMUGGLED = b"GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
NO_CHUNKS = b"0\r\n\r\n"
LARGE = b" " * 8_000_000


class Thing(BaseModel):
    """A body."""

    name: str = ""


async def _make(call: Call[Thing, None]) -> Reply:
    return Reply(201, call.body.model_dump_json().encode())


async def _open(_: Call[None, None]) -> Reply:
    return Reply(200, b'{"open":true}')


async def _large(_: Call[None, None]) -> Reply:
    return Reply(200, LARGE)


def _route(method: str, path: str, handler: Any, **more: Any) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        operation_id=path,
        summary="",
        tag="Things",
        answers={200: Answer("")},
        **more,
    )


TABLE = (
    _route("POST", "/things", _make, body=Thing),
    _route("GET", "/open", _open, auth=False),
    _route("GET", "/large", _large, auth=False),
)


@dataclass
class Answered:
    """What came back over one connection, until the server closed it."""

    raw: bytes
    lines: list[dict[str, Any]]  # of the log

    @property
    def statuses(self) -> list[int]:
        """Status of each answer, in order."""
        return [int(part[2:5]) for part in self.raw.split(b"HTTP/1.")[1:]]

    @property
    def problem(self) -> dict[str, Any]:
        """The document of the only answer, whose head names the same request."""
        head, _, body = self.raw.partition(b"\r\n\r\n")
        document: dict[str, Any] = json.loads(body)
        ProblemDocument.model_validate(document)
        assert f"Content-Type: {MEDIA_TYPE}".encode() in head
        assert f"X-Request-Id: {document['request_id']}".encode() in head
        assert b"Server: training-service\r\n" in head
        assert document["type"] in {kind.uri for kind in KINDS}
        return document


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with serve(TABLE) as client:
        yield client


async def _send(client: Client, *parts: bytes) -> Answered:
    """Send bytes as they are, and read until the server closes the connection, as it does after all that is refused."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        raw = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await writer.wait_closed()
    return Answered(raw, cast("list[dict[str, Any]]", lines))


def _connections(client: Client) -> int:
    """How many connections the server holds."""
    server = cast("Runner", cast("Any", client.server).runner).server
    assert server is not None
    return len(server.connections)


# Each would be two requests to a proxy and one to us, or the other way round. RFC 9112, 2.2, 5.1, 5.2, 6.1–6.3, 7.1.
AMBIGUOUS = {
    "both lengths": (b"Content-Length: 5\r\nTransfer-Encoding: chunked", NO_CHUNKS),
    "both lengths, the other way": (b"Transfer-Encoding: chunked\r\nContent-Length: 5", NO_CHUNKS),
    "two lengths that differ": (b"Content-Length: 2\r\nContent-Length: 4", b"{}"),
    "two lengths that agree": (b"Content-Length: 2\r\nContent-Length: 2", b"{}"),
    "a list of lengths": (b"Content-Length: 2, 2", b"{}"),
    "a length with a sign": (b"Content-Length: +2", b"{}"),
    "a negative length": (b"Content-Length: -1", b"{}"),
    "a hexadecimal length": (b"Content-Length: 0x2", b"{}"),
    "a length as Python writes it": (b"Content-Length: 2_0", b"{}"),
    "a length beyond 64 bits": (b"Content-Length: 99999999999999999999999", b"{}"),
    "an empty length": (b"Content-Length:", b"{}"),
    "an unknown coding": (b"Transfer-Encoding: xchunked", NO_CHUNKS),
    "identity": (b"Transfer-Encoding: identity", NO_CHUNKS),
    "chunked, but not last": (b"Transfer-Encoding: chunked, identity", NO_CHUNKS),
    "chunked twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", NO_CHUNKS),
    "a space before the colon": (b"Transfer-Encoding : chunked", NO_CHUNKS),
    "a vertical tab": (b"Transfer-Encoding:\x0bchunked", NO_CHUNKS),
    "a folded line": (b"X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 2", b"{}"),
    "a folded value": (b"Transfer-Encoding:\r\n chunked", NO_CHUNKS),
    "a bare LF": (b"X-A: b\nTransfer-Encoding: chunked", NO_CHUNKS),
    "a bare CR": (b"X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 2", b"{}"),
    "a NUL": (b"X-A: b\x00c\r\nContent-Length: 2", b"{}"),
    "an extension that ends in a bare LF": (b"Transfer-Encoding: chunked", b"2;\n{}\r\n" + NO_CHUNKS),
    "an extension with a bare CR": (b"Transfer-Encoding: chunked", b"2;a\rb\r\n{}\r\n" + NO_CHUNKS),
    "a chunk's size with a prefix": (b"Transfer-Encoding: chunked", b"0x2\r\n{}\r\n" + NO_CHUNKS),
    "a chunk's size with a sign": (b"Transfer-Encoding: chunked", b"+2\r\n{}\r\n" + NO_CHUNKS),
    "a chunk's size beyond 64 bits": (b"Transfer-Encoding: chunked", b"fffffffffffffffff\r\n{}\r\n" + NO_CHUNKS),
    "chunks that end in a bare LF": (b"Transfer-Encoding: chunked", b"2\n{}\n0\n\n"),
    "a chunk that is longer than its size": (b"Transfer-Encoding: chunked", b"2\r\n{}XX\r\n" + NO_CHUNKS),
    "a length in the trailer": (b"Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n"),
    "two hosts": (b"Host: y\r\nContent-Length: 2", b"{}"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_another_server_may_read_otherwise_is_refused_whole(client: Client, name: str) -> None:
    lines, body = AMBIGUOUS[name]
    answered = await _send(client, HEAD + lines + b"\r\n\r\n" + body + SMUGGLED)
    assert answered.statuses == [400]
    assert answered.problem["type"] == "/problems#malformed-request"
    assert "/open" not in {line["route"] for line in answered.lines}


async def test_chunks_to_an_old_protocol_are_refused(client: Client) -> None:
    head = HEAD.replace(b"HTTP/1.1", b"HTTP/1.0")
    answered = await _send(client, head + b"Transfer-Encoding: chunked\r\n\r\n" + NO_CHUNKS + SMUGGLED)
    assert answered.statuses == [400]


@pytest.mark.parametrize("extension", [b"", b";a", b";a=b", b';a="b"', b";" + b"a" * 50_000])
async def test_a_chunk_and_its_extensions_end_where_they_say(client: Client, extension: bytes) -> None:
    chunks = b"2" + extension + b"\r\n{}\r\n" + NO_CHUNKS
    answered = await _send(client, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + SMUGGLED)
    assert answered.statuses == [201, 200]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: a\r\n" % i for i in range(500)) + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 9_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000, 431),  # and no end
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a" * 9_000 + b": b\r\n\r\n", 431),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * 9_000 + b"\r\n\r\n", 431),
    ],
)
async def test_a_broken_head_is_a_problem_of_one_line_in_the_log(client: Client, raw: bytes, status: int) -> None:
    answered = await _send(client, raw)
    assert answered.statuses == [status]
    assert answered.problem["status"] == status
    (line,) = answered.lines
    assert (line["event"], line["route"], line["status"]) == ("request", "unknown", status)
    assert line["request_id"] == answered.problem["request_id"]
    assert "exc_info" not in line


@pytest.mark.parametrize("path", ["/open", "/nothing"])
async def test_an_unknown_expectation(client: Client, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: my-1\r\nConnection: close\r\nExpect: <b>magic\r\n\r\n"
    answered = await _send(client, head.encode())
    assert answered.statuses == [417]
    assert answered.problem["type"] == "/problems#expectation-failed"
    assert answered.problem["request_id"] == "my-1"
    assert "magic" not in str(answered.problem)


async def test_a_body_is_asked_for_where_the_client_expects_it(client: Client) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(HEAD + b"Connection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def _connected(client: Client, sent: bytes = b"") -> AsyncIterator[socket.socket]:
    """A connection that has sent something and reads nothing."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(sock, (client.host, client.port))
        await loop.sock_sendall(sock, sent)
        yield sock


async def test_a_head_that_comes_slowly_is_given_up() -> None:
    async with serve(TABLE, settings=make_settings(web_patience=0.5)) as client:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(client.host, client.port)
        drip = asyncio.create_task(_drip(writer, b"GET /open HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n"))
        assert await asyncio.wait_for(reader.read(), 20) == b""
        assert time.monotonic() - began >= 0.5
        drip.cancel()
        writer.close()
        assert (await client.get("/open")).status == 200


async def _drip(writer: asyncio.StreamWriter, first: bytes, then: bytes) -> None:
    writer.write(first)
    while True:
        await asyncio.sleep(0.05)
        writer.write(then)


@pytest.mark.parametrize(
    ("lines", "first", "then"),
    [
        (b"Content-Length: 1000000", b"{", b" "),
        (b"Transfer-Encoding: chunked", b"", b"1\r\n \r\n"),
        (b"Transfer-Encoding: chunked", b"2;", b"a" * 100),  # an extension without end
    ],
)
async def test_a_body_that_comes_slowly_is_given_up(lines: bytes, first: bytes, then: bytes) -> None:
    async with serve(TABLE, settings=make_settings(web_patience=0.3)) as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        drip = asyncio.create_task(_drip(writer, HEAD + lines + b"\r\n\r\n" + first, then))
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 20)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"/problems#request-timeout" in answer
        drip.cancel()
        writer.close()


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async with serve(TABLE, settings=make_settings(web_patience=0.3)) as client:
        async with _connected(client, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"):
            await _until(lambda: _connections(client) == 1)
            await _until(lambda: _connections(client) == 0)
        assert len(await (await client.get("/large")).read()) == len(LARGE)


async def test_an_answer_that_is_read_byte_by_byte_is_given_up() -> None:
    request = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serve(TABLE, settings=make_settings(web_patience=0.5)) as client, _connected(client, request) as sock:
        await asyncio.get_running_loop().sock_recv(sock, 1)

        def read_one() -> bool:
            with suppress(BlockingIOError, ConnectionError):
                sock.recv(1)
            return _connections(client) == 0

        await _until(read_one)


async def test_an_idle_connection_is_closed() -> None:
    async with serve(TABLE, settings=make_settings(web_idle=0.3)) as client:
        for sent in (b"", b"GET /open HTTP/1.1\r\nHost: x\r\n\r\n"):
            async with _connected(client, sent):
                await _until(lambda: _connections(client) == 1)
                await _until(lambda: _connections(client) == 0)


async def test_too_many_connections_cost_the_one_that_is_idle_longest() -> None:
    async with serve(TABLE, settings=make_settings(web_connections=10)) as client:
        ends: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        for number in range(30):
            ends.append(await asyncio.open_connection(client.host, client.port))
            await _until(lambda number=number: _connections(client) == min(number + 1, 10))
        gone = [reader.at_eof() or await _ended(reader) for reader, _ in ends[:20]]
        assert all(gone)
        reader, writer = ends[20]  # the oldest that is left
        writer.write(SMUGGLED)
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 200 ")
        assert (await client.get("/open")).status == 200
        for _, writer in ends:
            writer.close()


async def test_requests_under_way_are_not_given_up_for_new_connections() -> None:
    async with serve(TABLE, settings=make_settings(web_connections=10)) as client:
        busy = []
        for _ in range(10):
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            busy.append((reader, writer))
        late, its_writer = await asyncio.open_connection(client.host, client.port)
        assert await _ended(late)
        its_writer.close()
        for reader, writer in busy:
            writer.write(b"{}")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 201 ")
            writer.close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 20) == b""
    except ConnectionError:
        return True


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("path", "status"), [("/open", 200), ("/nothing", 404), ("/things", 401)])
async def test_headers_of_every_answer(client: Client, path: str, status: int) -> None:
    response = await client.get(path) if path != "/things" else await client.post(path)
    assert response.status == status
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response.headers["Server"] == "training-service"
    assert "Strict-Transport-Security" not in response.headers


async def test_transport_security_is_promised_where_the_operator_says_that_there_is_tls() -> None:
    async with serve(TABLE, settings=make_settings(hsts_seconds=31_536_000)) as client:
        for path in ("/open", "/nothing"):
            response = await client.get(path)
            assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
        answered = await _send(client, b"GET\r\n\r\n")
        assert b"Strict-Transport-Security: max-age=31536000\r\n" in answered.raw


async def test_the_key_set_is_read_within_bounds_and_from_its_address_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    monkeypatch.setattr(auth, "KEYS_TIMEOUT", 0.3)
    app = web.Application()
    elsewhere: list[str] = []

    async def found(_: web.Request) -> web.Response:
        elsewhere.append("asked")
        return web.json_response({"keys": []})

    for path, handler in (("/moved", moved), ("/endless", endless), ("/silent", silent), ("/elsewhere", found)):
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    for path, error in (("moved", ValueError), ("endless", ValueError), ("silent", TimeoutError)):
        with pytest.raises(error):
            document = await fetch_from(f"http://{host}:{port}/{path}", client.session)()
            json.loads(document)
    assert elsewhere == []
    await runner.cleanup()


async def test_a_token_as_large_as_a_head_may_be_is_judged_quickly(client: Client) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    began = time.monotonic()
    for _ in range(50):
        writer.write(b"POST /things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"W" * 8_100 + b"\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 401 ")
    assert time.monotonic() - began < 10
    writer.close()


async def test_a_token_in_the_address_is_none(client: Client) -> None:
    response = await client.post(f"/things?access_token={token()}", json={})
    assert response.status == 401
    assert (await client.post("/things", json={}, headers=bearer())).status == 201
