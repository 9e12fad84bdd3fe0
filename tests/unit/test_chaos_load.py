"""Clients of the fault harness: the same choices from the same seed, and honest records of what they were told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chaos.history import content_digest
from chaos.load import Load
from chaos.routes import COACHES_ROUTES, LEAVERS_ROUTES, ROUTES
from chaos.routes.trainings import PATH, batch, body, create, creation
from chaos.watch import MEMORY, PYARROW, memory_of
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
        said = body(client.random)
        call = await client.once(creation(said))
    assert (call.outcome, call.status, call.digest) == (outcome, status, content_digest(said))
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
        await client.ask(creation(body(client.random), key="the key"))
    assert [call.outcome for call in load.history] == ["unknown", "unknown", "ok"]
    assert {(key, body) for key, _, body in seen} == {(seen[0][0], seen[0][2])}
    assert len({request_id for _, request_id, _ in seen}) == 3


async def test_what_may_not_be_repeated_is_not(serve: Callable[[Handler], Awaitable[str]]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({}, status=503)

    url = await serve(answer)
    load = Load(lambda: [url], "1")
    async with load.client("one") as client:
        await client.ask(creation(body(client.random)))
    assert len(load.history) == 1


async def test_nobody_there_is_unknown() -> None:
    load = Load(list, "1")
    async with load.client("one") as client:
        call = await client.once(creation(body(client.random)))
    assert (call.outcome, call.status) == ("unknown", 0)


async def test_each_part_of_a_batch_is_a_call_with_its_own_outcome(
    serve: Callable[[Handler], Awaitable[str]],
) -> None:
    sent: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        first = not sent
        sent[:] = await request.json()
        if first:
            return web.json_response({}, status=503)
        refused = {"status": 422, "problem": {}}
        made = {"status": 201, "training": {"version": 1}}
        return web.json_response({"items": [refused, *[made] * (len(sent) - 1)]})

    url = await serve(answer)
    load = Load(lambda: [url], "1")
    async with load.client("one") as client:
        await batch(client)
        told = client.user.trainings
    ids = [item["id"] for item in sent]
    lost, rest = load.history.calls[: len(sent)], load.history.calls[len(sent) : 2 * len(sent)]
    assert [(call.id, call.outcome, call.version) for call in lost] == [(id_, "unknown", None) for id_ in ids]
    assert [(call.id, call.outcome) for call in rest] == [(ids[0], "failed"), *((id_, "ok") for id_ in ids[1:])]
    assert {call.request_id for call in rest} == {"chaos.one.2"}
    assert all(call.several and call.digest == content_digest(item) for call, item in zip(rest, sent, strict=True))
    assert told == dict.fromkeys(ids[1:], 1)


async def test_every_route_is_taken_by_the_load(serve: Callable[[Handler], Awaitable[str]]) -> None:
    users: list[str] = []
    result = {"outcome": "created", "workout_id": str(uuid4()), "training_id": str(uuid4())}

    async def answer(request: web.Request) -> web.Response:
        if request.method == "DELETE":
            return web.Response(status=204)
        if request.path.endswith("/batch"):
            made = {"status": 201, "training": {"version": 1}}
            return web.json_response({"items": [made] * len(await request.json())})
        if "/groups/" in request.path:
            return web.json_response({"items": [{**result, "user_id": user} for user in users]})
        return await created(request)

    url = await serve(answer)
    load = Load(lambda: [url], "1", rate=400.0)
    users += [user.id for user in load.users]
    async with load:
        everything = {route.name for route in (*ROUTES, *COACHES_ROUTES, *LEAVERS_ROUTES)}
        await until(lambda: {call.kind for call in load.history} == everything, 20, "each route was taken")
    assert {call.client for call in load.history} <= {"coach", "leaver", *(f"c{number}" for number in range(6))}


@pytest.mark.parametrize(
    ("held", "library", "limit"),
    [
        (MEMORY, "/venv/pyarrow/libarrow.so.2100", MEMORY),
        (MEMORY + 1, "/venv/pyarrow/libarrow.so.2100", MEMORY + PYARROW),
        (MEMORY + 1, "/lib/libc.so.6", MEMORY),
    ],
)
def test_who_has_read_an_archive_may_hold_more_memory(held: int, library: str, limit: int) -> None:
    worker: Any = SimpleNamespace(
        memory_info=lambda: SimpleNamespace(rss=held), memory_maps=lambda: [SimpleNamespace(path=library)]
    )
    assert memory_of(worker) == (held, limit)
