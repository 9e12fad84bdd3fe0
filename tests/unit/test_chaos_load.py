"""Clients of the fault harness: the same choices from the same seed, and honest records of what they were told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chaos.history import content_digest
from chaos.load import PATH, ROUTES, Load, Request, create
from tests.support.load import until

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    """`await serve(handler)` answers every request by it; returns the address."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


async def created(_: web.Request) -> web.Response:
    return web.json_response({}, status=201, headers={"ETag": '"1"', "Location": f"{PATH}/{uuid4()}"})


async def test_the_same_seed_asks_for_the_same(serve: Callable[[Handler], Awaitable[str]]) -> None:
    bodies: list[bytes] = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return await created(request)

    url = await serve(keep)
    for seed in ("7", "7", "8"):
        async with Load(lambda: [url], seed).client("one") as client:
            for _ in range(5):
                await create(client)
    assert bodies[:5] == bodies[5:10] != bodies[10:]


@pytest.mark.parametrize(("status", "outcome"), [(201, "ok"), (422, "failed"), (503, "unknown")])
async def test_an_answer_is_recorded_for_what_it_says(
    serve: Callable[[Handler], Awaitable[str]], status: int, outcome: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["X-Request-Id"] == "chaos.one.1"
        return web.json_response({}, status=status)

    url = await serve(answer)
    load = Load(lambda: [url], "1")
    async with load.client("one") as client:
        body = client.body()
        call = await client.once(Request("create", "POST", PATH, body))
    assert (call.outcome, call.status, call.digest) == (outcome, status, content_digest(body))
    assert load.history.calls == [call]


async def test_half_an_answer_is_unknown_and_a_key_is_asked_again(serve: Callable[[Handler], Awaitable[str]]) -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers["Idempotency-Key"], request.headers["X-Request-Id"], await request.read()))
        if len(seen) < 3:
            half = web.StreamResponse(status=201, headers={"Content-Length": "100", "ETag": '"1"'})
            await half.prepare(request)
            await half.write(b"{")
            assert request.transport is not None
            request.transport.abort()
            return half
        return await created(request)

    url = await serve(answer)
    load = Load(lambda: [url], "1")
    async with load.client("one") as client:
        await client.ask(Request("create", "POST", PATH, client.body(), key="the key"))
    assert [call.outcome for call in load.history] == ["unknown", "unknown", "ok"]
    assert {(key, body) for key, _, body in seen} == {(seen[0][0], seen[0][2])}
    assert len({request_id for _, request_id, _ in seen}) == 3


async def test_what_may_not_be_repeated_is_not(serve: Callable[[Handler], Awaitable[str]]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({}, status=503)

    url = await serve(answer)
    load = Load(lambda: [url], "1")
    async with load.client("one") as client:
        await client.ask(Request("create", "POST", PATH, client.body()))
    assert len(load.history) == 1


async def test_nobody_there_is_unknown() -> None:
    load = Load(list, "1")
    async with load.client("one") as client:
        call = await client.once(Request("create", "POST", PATH, client.body()))
    assert (call.outcome, call.status) == ("unknown", 0)


async def test_every_route_is_taken_by_the_load(serve: Callable[[Handler], Awaitable[str]]) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.method == "DELETE":
            return web.Response(status=204)
        return await created(request)

    url = await serve(answer)
    load = Load(lambda: [url], "1", rate=400.0)
    async with load:
        everything = {route.name for route in ROUTES}
        await until(lambda: {call.kind for call in load.history} == everything, 20, "each route was taken")
    assert {call.client for call in load.history} <= {f"c{number}" for number in range(6)}
