"""Check-ins over HTTP, on a real PostgreSQL."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from models.check_ins import CheckInDocument, CheckInPage, check_in_id
from storage.database import Database
from tests.support.web import USER, Client, bearer, make_settings, serve
from web.check_ins import ROUTES

ADDRESS = f"/api/v1/training/users/{USER}/check-ins"
MONDAY = f"{ADDRESS}/2026-01-05"
WELL = {"sleep": 2, "fatigue": 3, "stress": 2, "soreness": 4, "bodyweight_kg": 72.40, "resting_heart_rate": 52.0}
TOPIC = "r"


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, settings=make_settings(readiness_events_topic=TOPIC), database=db) as client:
        yield client


async def test_a_check_in_from_its_creation_to_its_end(db: Database, client: Client) -> None:
    made = await client.put(MONDAY, json=WELL, headers=bearer() | {"Idempotency-Key": "a"})
    document = await made.json()
    assert (made.status, made.headers["ETag"], made.headers["Location"]) == (201, '"1"', MONDAY)
    assert CheckInDocument.model_validate(document).id == check_in_id(USER, dt.date(2026, 1, 5))
    said = {name: value for name, value in document.items() if name not in {"created_at", "updated_at"}}
    ids = {"id": document["id"], "user_id": str(USER), "version": 1}
    assert said == ids | {"day": "2026-01-05", "scale": "hooper-7"} | WELL
    replayed = await client.put(MONDAY, json=WELL, headers=bearer() | {"Idempotency-Key": "a"})
    assert (replayed.status, await replayed.json()) == (201, document)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    other = await client.put(MONDAY, json={"sleep": 1}, headers=bearer() | {"Idempotency-Key": "a"})
    assert (other.status, (await other.json())["errors"][0]["header"]) == (422, "Idempotency-Key")

    same = await client.put(MONDAY, json=WELL, headers=bearer())
    assert (same.status, same.headers["ETag"], await same.json()) == (200, '"1"', document)
    read = await client.get(MONDAY, headers=bearer())
    assert (read.status, read.headers["ETag"], await read.json()) == (200, '"1"', document)
    assert (await client.get(MONDAY, headers=bearer() | {"If-None-Match": '"1"'})).status == 304

    # What GET answered may be sent back, changed.
    changed = await client.put(MONDAY, json=document | {"sleep": 5}, headers=bearer() | {"If-Match": '"1"'})
    assert (changed.status, changed.headers["ETag"], (await changed.json())["sleep"]) == (200, '"2"', 5)
    late = await client.put(MONDAY, json=WELL, headers=bearer() | {"If-Match": '"1"'})
    assert (late.status, late.headers["ETag"]) == (412, '"2"')
    assert (await client.delete(MONDAY, headers=bearer() | {"If-Match": '"1"'})).status == 412
    assert (await client.delete(MONDAY, headers=bearer())).status == 204
    for method in ("GET", "DELETE"):
        assert (await client.request(method, MONDAY, headers=bearer())).status == 404
    assert (await (await client.get(ADDRESS, headers=bearer())).json())["items"] == []
    again = await client.put(MONDAY, json=WELL, headers=bearer())
    assert (again.status, again.headers["ETag"]) == (200, '"4"')

    rows = await db.all(
        "SELECT topic, aggregate_type, aggregate_id::text, event_type, payload FROM outbox ORDER BY seq"
    )
    types = ["check_in_created", "check_in_updated", "check_in_deleted", "check_in_updated"]
    assert [row[:4] for row in rows] == [(TOPIC, "check_in", document["id"], f"{type_}") for type_ in types]
    told = orjson.loads(rows[3][4])["payload"]
    now = await (await client.get(MONDAY, headers=bearer())).json()
    assert (told.pop("check_in_id"), now.pop("id")) == (document["id"], document["id"])
    assert told == {name: value for name, value in now.items() if name not in {"created_at", "updated_at"}}


async def test_a_check_in_that_must_be_there_and_one_that_must_not(db: Database, client: Client) -> None:
    async def put(body: dict[str, Any], status: int, **headers: str) -> dict[str, Any]:
        answer = await client.put(MONDAY, json=body, headers=bearer() | headers)
        assert answer.status == status, await answer.text()
        document: dict[str, Any] = await answer.json()
        return document

    there, none = {"If-Match": "*"}, {"If-None-Match": "*"}
    for if_match in ("*", '"1"'):
        await put(WELL, 404, **{"If-Match": if_match})
    assert (await put(WELL, 201, **none))["version"] == 1
    for body in ({"sleep": 5}, WELL):
        for key in ({}, {"Idempotency-Key": "a"}):
            assert (await put(body, 412, **none, **key))["version"] == 1
    for _ in range(2):
        assert (await put({"sleep": 5}, 200, **there, **{"Idempotency-Key": "b"}))["version"] == 2
    assert (await client.delete(MONDAY, headers=bearer() | there)).status == 204
    await put(WELL, 404, **there)
    back = await put(WELL, 200, **none, **{"Idempotency-Key": "c"})
    assert (back["version"], await put(WELL, 200, **none, **{"Idempotency-Key": "c"})) == (4, back)
    for wrong in (none | there, {"If-None-Match": '"1"'}, {"If-None-Match": "1"}):
        problem = await put({"sleep": 6}, 422, **wrong)
        assert problem["errors"][0]["header"] == "If-None-Match"
    assert await db.one("SELECT count(*) FROM outbox") == (4,)


async def test_one_value_is_enough_and_quantities_are_kept_as_they_were_said(client: Client) -> None:
    body = b'{"hrv_rmssd_ms": 64.50, "sleep_hours": 8.0, "notes": "caf\xc3\xa9 \\u0007 \'; --"}'
    headers = bearer() | {"Content-Type": "application/json"}
    made = await client.put(MONDAY, data=body, headers=headers)
    assert made.status == 201, await made.text()
    text = await made.text()
    assert '"day":"2026-01-05","scale":"hooper-7","sleep_hours":8,"hrv_rmssd_ms":64.5,"notes":' in text
    assert orjson.loads(text)["notes"] == "café \x07 '; --"
    assert await (await client.get(MONDAY, headers=bearer())).text() == text


async def test_what_is_wrong_is_named(db: Database, client: Client) -> None:
    for body, pointer in (
        ({}, ""),
        ({"notes": "tired"}, ""),
        ({"sleep": 0}, "/sleep"),
        ({"fatigue": 8}, "/fatigue"),
        ({"stress": 2.5}, "/stress"),
        ({"soreness": "3"}, "/soreness"),
        ({"sleep_hours": 24.5}, "/sleep_hours"),
        ({"resting_heart_rate": 0}, "/resting_heart_rate"),
        ({"hrv_rmssd_ms": 0}, "/hrv_rmssd_ms"),
        ({"bodyweight_kg": 72.12345}, "/bodyweight_kg"),
        ({"sleep": 3, "scale": "hooper-5"}, "/scale"),
        ({"sleep": 3, "mood": 1}, "/mood"),
        ({"sleep": 3, "day": "2026-01-06"}, "/day"),
        ({"sleep": 3, "id": str(uuid4())}, "/id"),
    ):
        answer = await client.put(MONDAY, json=body, headers=bearer())
        problem = await answer.json()
        assert (answer.status, problem["errors"][0]["pointer"]) == (422, pointer), problem
    latest = dt.datetime.now(dt.UTC).date() + dt.timedelta(1)
    days = ("monday", "2026-1-5", "20260105", "2026-W02-1", "2026-02-30", "1900-12-31", f"{latest + dt.timedelta(2)}")
    for day in days:
        answer = await client.put(f"{ADDRESS}/{day}", json=WELL, headers=bearer())
        problem = await answer.json()
        assert (answer.status, problem["errors"][0]["parameter"]) == (422, "day"), day
    assert await db.one("SELECT (SELECT count(*) FROM check_ins), (SELECT count(*) FROM outbox)") == (0, 0)


async def test_tomorrow_in_utc_is_today_for_some(client: Client) -> None:
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(1)
    assert (await client.put(f"{ADDRESS}/{tomorrow}", json=WELL, headers=bearer())).status == 201


async def test_the_list_has_the_latest_day_first_and_is_paged(client: Client) -> None:
    for day in (7, 5, 9, 6, 8):
        assert (await client.put(f"{ADDRESS}/2026-01-0{day}", json={"sleep": 1}, headers=bearer())).status == 201
    assert (await client.delete(f"{ADDRESS}/2026-01-08", headers=bearer())).status == 204

    async def days(query: str) -> list[list[int]]:
        pages, address = [], f"{ADDRESS}?{query}"
        while address:
            answer = await client.get(address, headers=bearer())
            assert answer.status == 200, await answer.text()
            pages.append([item.day.day for item in CheckInPage.model_validate(await answer.json()).items])
            link = answer.headers.get("Link")
            address = link.split(">")[0].removeprefix("<") if link else ""
        return pages

    assert await days("") == [[9, 7, 6, 5]]
    assert await days("limit=2") == [[9, 7], [6, 5]]
    assert await days("from=2026-01-06&to=2026-01-08&limit=1") == [[7], [6]]
    for query, name in (("cursor=x", "cursor"), ("limit=0", "limit"), ("from=2026-01-06&to=2026-01-05", "to")):
        wrong = await client.get(f"{ADDRESS}?{query}", headers=bearer())
        assert (wrong.status, (await wrong.json())["errors"][0]["parameter"]) == (422, name)


async def test_another_users_check_ins_are_not_there(client: Client) -> None:
    stranger = uuid4()
    assert (await client.put(MONDAY, json=WELL, headers=bearer())).status == 201
    for method, body in (("PUT", WELL), ("GET", None), ("DELETE", None)):
        answer: Any = await client.request(method, MONDAY, json=body, headers=bearer(stranger))
        assert answer.status == 404
    own = f"/api/v1/training/users/{stranger}/check-ins"
    assert (await client.get(f"{own}/2026-01-05", headers=bearer(stranger))).status == 404
    assert (await (await client.get(own, headers=bearer(stranger))).json())["items"] == []
    assert (await client.put(f"{own}/2026-01-05", json={"sleep": 7}, headers=bearer(stranger))).status == 201
    assert (await (await client.get(MONDAY, headers=bearer())).json())["sleep"] == 2
