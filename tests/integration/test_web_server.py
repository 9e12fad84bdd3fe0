"""The server with a small table of its own: checks, errors, CORS, headers, log and timing, as clients see them."""

import datetime as dt
import gzip
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import jwt
import pytest
import structlog
from aiohttp import ClientResponse, web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from multidict import CIMultiDict
from pydantic import BaseModel, ConfigDict, Field

from models.errors import PreconditionFailed, StatusConflict
from tests.support.web import NOWHERE, USER, Client, bearer, make_settings, serve, token
from web.problems import MEDIA_TYPE, ProblemDocument
from web.routes import Answer, Call, Reply, Route

ORIGIN = "https://app.example"
OTHER = UUID("0193f1a0-0000-7000-8000-000000000002")


class Thing(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    size: Annotated[int, Field(ge=0)] = 0


class Range(BaseModel):
    """Query parameters."""

    model_config = ConfigDict(extra="forbid")

    first: Annotated[dt.date | None, Field(alias="from")] = None
    limit: Annotated[int, Field(ge=1, le=10)] = 5


async def _make(call: Call[Thing, None]) -> Reply:
    return Reply(201, call.body.model_dump_json().encode(), {"Location": "/things/1", "ETag": '"1"'})


async def _find(call: Call[None, Range]) -> Reply:
    return Reply(200, f'{{"limit":{call.query.limit},"from":"{call.query.first}"}}'.encode())


async def _show(call: Call[None, None]) -> Reply:
    match str(call.path["id"])[-1]:
        case "1":
            raise StatusConflict("It is COMPLETED.")
        case "2":
            raise PreconditionFailed(4)
        case "3":
            raise RuntimeError("hunter2")
        case "4":
            await call.services.database.one("SELECT 1")
    return Reply(200, json.dumps({"id": str(call.path["id"]), "user": str(call.caller.user_id)}).encode())


async def _own(call: Call[None, None]) -> Reply:
    return Reply(200, b'{"own":true}')


async def _named(call: Call[None, None]) -> Reply:
    return Reply(200, json.dumps([*call.names.items(), [*call.path]]).encode())


async def _open(call: Call[None, None]) -> Reply:
    return Reply(200, b'{"open":true}')


def _route(method: str, path: str, handler: Any, **more: Any) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        operation_id=handler.__name__,
        summary="",
        tag="Things",
        answers={200: Answer("")},
        **more,
    )


TABLE = (
    _route("POST", "/things", _make, body=Thing),
    _route("GET", "/things", _find, query=Range),
    _route("GET", "/things/{id}", _show),
    _route("GET", "/users/{userId}/things", _own),
    _route("GET", "/named/{name}/{id}", _named, texts=frozenset({"name"})),
    _route("GET", "/restricted", _open, role="admin"),
    _route("GET", "/open", _open, auth=False),
    _route("GET", "/probe", _open, auth=False, probe=True),
)
THING = "/things/0193f1a0-0000-7000-8000-00000000000"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with serve(TABLE, settings=make_settings(cors_origins=ORIGIN, max_body_bytes=1024)) as client:
        yield client


async def _problem(response: ClientResponse, status: int, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(await response.text())
    assert response.status == status, document
    assert response.content_type == MEDIA_TYPE
    assert document["type"] == f"/problems#{name}"
    assert document["status"] == status
    assert document["request_id"] == response.headers["X-Request-Id"]
    ProblemDocument.model_validate(document)
    return document


async def test_a_request_that_is_fine(client: Client) -> None:
    response = await client.post("/things", json={"name": "x"}, headers=bearer())
    assert response.status == 201
    assert await response.json() == {"name": "x", "size": 0}
    assert response.headers["Location"] == "/things/1"
    assert response.headers["ETag"] == '"1"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert "aiohttp" not in response.headers["Server"]


async def test_an_unknown_route(client: Client) -> None:
    await _problem(await client.get("/nothing"), 404, "not-found")
    await _problem(await client.get("/things/"), 404, "not-found")
    await _problem(await client.options("/nothing"), 404, "not-found")


async def test_a_wrong_method(client: Client) -> None:
    response = await client.delete("/things", headers=bearer())
    await _problem(response, 405, "method-not-allowed")
    assert response.headers["Allow"] == "GET, HEAD, POST"
    await _problem(await client.patch("/things"), 405, "method-not-allowed")


async def test_head_is_get_without_a_body(client: Client) -> None:
    response = await client.head("/open")
    assert response.status == 200
    assert response.headers["Content-Length"] == "13"
    assert await response.read() == b""


async def test_options_names_the_methods(client: Client) -> None:
    response = await client.options("/things")
    assert response.status == 204
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_without_a_token(client: Client) -> None:
    response = await client.get(f"{THING}0")
    await _problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="training"'


async def test_a_bad_token(client: Client) -> None:
    response = await client.get(f"{THING}0", headers={"Authorization": "Bearer x.y.z"})
    await _problem(response, 401, "unauthorized")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


async def test_a_token_is_judged_before_all_else(client: Client) -> None:
    await _problem(await client.post("/things", data=b"{"), 401, "unauthorized")
    await _problem(await client.get("/things/x?y=z"), 401, "unauthorized")


@pytest.mark.parametrize(
    "id_", ["x", "1", "0193f1a000007000800000000000000a", "{0193f1a0-0000-7000-8000-00000000000a}"]
)
async def test_an_id_that_is_none(client: Client, id_: str) -> None:
    await _problem(await client.get(f"/things/{id_}", headers=bearer()), 404, "not-found")


async def test_another_users_path(client: Client) -> None:
    assert (await client.get(f"/users/{USER}/things", headers=bearer())).status == 200
    await _problem(await client.get(f"/users/{OTHER}/things", headers=bearer()), 404, "not-found")
    await _problem(await client.get(f"/users/{USER}/things", headers=bearer(OTHER)), 404, "not-found")


async def test_query_parameters(client: Client) -> None:
    response = await client.get("/things?from=2026-01-05&limit=7", headers=bearer())
    assert await response.json() == {"limit": 7, "from": "2026-01-05"}


@pytest.mark.parametrize(
    ("query", "parameter", "message"),
    [
        ("limit=x", "limit", "must be a whole number"),
        ("limit=", "limit", "must be a whole number"),
        ("limit=11", "limit", "must be at most 10"),
        ("from=yesterday", "from", "must be a date, like 2026-01-05"),
        ("from=2026-02-30", "from", "must be a date, like 2026-01-05"),
        ("form=2026-01-05", "form", "is not known here"),
        ("limit=1&limit=2", "limit", "is given more than once"),
    ],
)
async def test_wrong_query_parameters(client: Client, query: str, parameter: str, message: str) -> None:
    document = await _problem(await client.get(f"/things?{query}", headers=bearer()), 422, "validation")
    assert document["errors"] == [{"parameter": parameter, "message": message}]


async def test_a_route_without_query_parameters_refuses_them(client: Client) -> None:
    document = await _problem(await client.get(f"{THING}0?x=1", headers=bearer()), 422, "validation")
    assert document["errors"] == [{"parameter": "x", "message": "is not known here"}]


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
async def test_a_wrong_content_type(client: Client, type_: str) -> None:
    response = await client.post("/things", data=b'{"name":"x"}', headers=bearer() | {"Content-Type": type_})
    await _problem(response, 415, "unsupported-media-type")
    assert response.headers["Accept"] == "application/json"


@pytest.mark.parametrize("raw", [b"", b"{", b'{"name": NaN}x', b"\xff\xfe"])
async def test_a_body_that_is_no_json(client: Client, raw: bytes) -> None:
    response = await client.post("/things", data=raw, headers=bearer() | {"Content-Type": "application/json"})
    document = await _problem(response, 400, "malformed-request")
    assert "line 1 column" in document["detail"]


async def test_a_body_that_is_not_valid(client: Client) -> None:
    response = await client.post("/things", json={"size": -1, "colour": "red"}, headers=bearer())
    document = await _problem(response, 422, "validation")
    assert {error["pointer"]: error["message"] for error in document["errors"]} == {
        "/name": "is required",
        "/size": "must be at least 0",
        "/colour": "is not known here",
    }


async def test_a_body_that_is_too_large(client: Client) -> None:
    json_type = bearer() | {"Content-Type": "application/json"}
    await _problem(await client.post("/things", data=b" " * 1025, headers=json_type), 413, "too-large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 512

    await _problem(await client.post("/things", data=chunks(), headers=json_type), 413, "too-large")
    packed = gzip.compress(b" " * 1_000_000)
    response = await client.post("/things", data=packed, headers=json_type | {"Content-Encoding": "gzip"})
    await _problem(response, 413, "too-large")


async def test_a_packed_body(client: Client) -> None:
    headers = bearer() | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await client.post("/things", data=gzip.compress(b'{"name":"x"}'), headers=headers)).status == 201
    await _problem(await client.post("/things", data=b'{"name":"x"}', headers=headers), 400, "malformed-request")


async def test_errors_of_the_service(client: Client) -> None:
    await _problem(await client.get(f"{THING}1", headers=bearer()), 409, "status-conflict")
    response = await client.get(f"{THING}2", headers=bearer())
    assert (await _problem(response, 412, "precondition-failed"))["version"] == 4
    assert response.headers["ETag"] == '"4"'


async def test_an_error_that_nobody_foresaw(client: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await client.get(f"{THING}3", headers=bearer())
    await _problem(response, 500, "internal")
    assert "hunter2" not in await response.text()
    (failure,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert "hunter2" in str(failure["exc_info"])


async def test_the_database_away(client: Client) -> None:
    response = await client.get(f"{THING}4", headers=bearer())
    await _problem(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0


async def test_the_request_id_is_the_clients_or_a_new_one(client: Client) -> None:
    assert (await client.get("/open", headers={"X-Request-Id": "my-1"})).headers["X-Request-Id"] == "my-1"
    first, second = [(await client.get("/open")).headers["X-Request-Id"] for _ in range(2)]
    assert first != second
    for bad in ("a b", "x" * 129, "", "a\tb", "<script>"):
        answered = (await client.get("/open", headers={"X-Request-Id": bad})).headers["X-Request-Id"]
        assert answered != bad
        assert len(answered) == 32


async def test_cors_of_an_origin_on_the_list(client: Client) -> None:
    for path, status in (("/open", 200), ("/nothing", 404), (f"{THING}3", 500), (f"{THING}4", 503)):
        response = await client.get(path, headers=bearer() | {"Origin": ORIGIN})
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert response.headers["Vary"] == "Origin"
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Link", "Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed"} <= set(exposed)
        assert {"RateLimit", "RateLimit-Policy"} <= set(exposed)


async def test_cors_of_another_origin(client: Client) -> None:
    for origin in ("https://evil.example", f"{ORIGIN}.evil.example", "null"):
        response = await client.get("/open", headers={"Origin": origin})
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Vary"] == "Origin"


async def test_a_preflight(client: Client) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "if-match"}
    response = await client.options("/things", headers=headers)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in response.headers["Access-Control-Allow-Methods"].split(", ")
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    expected = {"authorization", "content-type", "if-match", "if-none-match", "idempotency-key", "traceparent"}
    assert expected <= set(allowed)
    refused = await client.options("/things", headers=headers | {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in refused.headers


async def test_without_a_list_no_origin_is_allowed() -> None:
    async with serve(TABLE) as client:
        response = await client.get("/open", headers={"Origin": ORIGIN})
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Vary" not in response.headers


async def test_the_log_of_requests(client: Client) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        response = await client.get(f"{THING}0", headers=bearer() | {"X-Request-Id": "my-1"})
        assert response.status == 200
        await client.get("/nothing?token=secret")
        await client.get("/probe")
    first, second, third = logs
    assert first.pop("ms") > 0
    assert first == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/things/{id}",
        "status": 200,
        "user": str(USER),
        "request_id": "my-1",
    }
    assert (second["route"], second["status"], second["user"]) == ("unknown", 404, None)
    assert "secret" not in str(second)
    assert (third["route"], third["log_level"]) == ("/probe", "debug")


async def test_what_one_request_bound_is_gone_for_the_next(client: Client) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await client.get(f"{THING}0", headers=bearer())
        await client.get("/open")
    assert logs[1]["user"] is None
    assert logs[0]["request_id"] != logs[1]["request_id"]


async def test_the_log_names_the_trace_of_the_request_and_of_no_other(client: Client) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    good = f"00-{trace}-b7ad6b7169203331-01"
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        for values in ([good], [], [good.upper()], [good, good], [good]):
            headers = CIMultiDict([("traceparent", value) for value in values])
            assert (await client.get("/open", headers=headers)).status == 200
    assert [line.get("trace_id") for line in logs] == [trace, None, None, None, trace]


async def test_a_key_set_that_is_rotated() -> None:
    old, new = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    keys = {"old": old}

    async def answer(_: web.Request) -> web.Response:
        published = [json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": kid} for kid, key in keys.items()]
        return web.json_response({"keys": published})

    app = web.Application()
    app.router.add_get("/jwks", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]

    def headers(kid: str, key: Any) -> dict[str, str]:
        claims = {"userId": str(USER), "exp": dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)}
        return {"Authorization": f"Bearer {jwt.encode(claims, key, 'ES256', headers={'kid': kid})}"}

    settings = make_settings(jwt_secret=None, jwks_url=f"http://{host}:{port}/jwks", database_url=NOWHERE)
    async with serve(TABLE, settings=settings) as client:
        assert (await client.get(f"{THING}0", headers=headers("old", old))).status == 200
        await _problem(await client.get(f"{THING}0", headers=headers("old", new)), 401, "unauthorized")
        await _problem(await client.get(f"{THING}0", headers=bearer()), 401, "unauthorized")
        await runner.cleanup()
        assert (await client.get(f"{THING}0", headers=headers("old", old))).status == 200
    async with serve(TABLE, settings=settings) as client:  # the address is away from the start
        await _problem(await client.get(f"{THING}0", headers=headers("old", old)), 503, "unavailable")


async def test_a_name_in_the_address(client: Client) -> None:
    id_ = THING.removeprefix("/things/") + "9"
    answer = await client.get(f"/named/Bench%20Press%20%2F%20%C3%BCber%20%7Ba%7D/{id_}", headers=bearer())
    assert await answer.json() == [["name", "Bench Press / über {a}"], ["id"]]
    for name in ("%00", "x" * 201):
        answer = await client.get(f"/named/{name}/{id_}", headers=bearer())
        assert answer.status == 404, name


async def test_a_role_that_the_token_lacks(client: Client) -> None:
    answer = await client.get("/restricted", headers=bearer())
    assert (answer.status, (await answer.json())["type"]) == (403, "/problems#forbidden")
    headers = {"Authorization": f"Bearer {token(roles=['admin'])}"}
    assert (await client.get("/restricted", headers=headers)).status == 200
