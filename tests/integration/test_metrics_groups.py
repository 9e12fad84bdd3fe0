"""GET /groups/{group}/leaderboard and …/load: what a coach reads of all athletes at once, on a real PostgreSQL."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from models.group_reports import GroupLoad, Leaderboard, Metric
from storage.database import Database
from tests.support.bodies import squat
from tests.support.coaches import Person
from tests.support.reports import METRICS, settle
from tests.support.web import Client, serve
from web.api import ALL_ROUTES

GROUP = "/api/v1/training/groups/team"
TODAY = dt.datetime.now(dt.UTC)
MODELS = {"leaderboard": Leaderboard, "load": GroupLoad}


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
def coach(client: Client) -> Person:
    return Person(client, coach_of=["team", "other"], sub="the coach")


async def join(client: Client, count: int) -> list[Person]:
    """New athletes of the group, who let its coaches read, in the order of their ids."""
    people = sorted((Person(client, groups=["team", "other"]) for _ in range(count)), key=lambda one: one.user_id)
    for person in people:
        await person.admit("team", "read")
    return people


async def train(person: Person, *days_ago: int, **fields: Any) -> None:
    for days in days_ago:
        body = {"status": "COMPLETED", "date": (TODAY - dt.timedelta(days)).isoformat(), "exercises": [squat()]}
        await person.told("POST", "/api/v1/trainings", body | fields)


async def read(coach: Person, name: str, query: str = "") -> dict[str, Any]:
    """The report, which is exactly as its model says."""
    answer = await coach.ask("GET", f"{GROUP}/{name}{query}")
    assert answer.status == 200, await answer.text()
    MODELS[name].model_validate_json(await answer.read(), strict=True, extra="forbid")
    document: dict[str, Any] = await answer.json()
    return document


async def board(coach: Person, query: str = "") -> list[tuple[str, float | None]]:
    return [(item["user_id"], item.get("value")) for item in (await read(coach, "leaderboard", query))["items"]]


async def test_a_leaderboard_has_the_greatest_sum_first(db: Database, client: Client, coach: Person) -> None:
    one, two, three = await join(client, 3)
    await train(one, 5, 3)
    await train(two, 9, 3, 1, exercises=[squat(reps=2)])
    await settle(db)
    ids = [str(person.user_id) for person in (one, two, three)]
    assert await board(coach) == [(ids[1], 3), (ids[0], 2), (ids[2], 0)]
    assert await board(coach, "?metric=reps") == [(ids[0], 10), (ids[1], 6), (ids[2], 0)]
    day = (TODAY - dt.timedelta(4)).date()
    assert await board(coach, f"?metric=external_load_kg&from={day}") == [(ids[0], 500), (ids[1], 400), (ids[2], 0)]
    assert await board(coach, f"?metric=session_rpe_load&to={day}") == [(id_, None) for id_ in ids]  # nobody said it
    for metric in Metric:
        assert {user for user, _ in await board(coach, f"?metric={metric}")} == set(ids)
    # A page is of the athletes by their ids, and sorted in itself.
    first = await read(coach, "leaderboard", "?limit=2")
    assert [item["user_id"] for item in first["items"]] == [ids[1], ids[0]]
    assert await board(coach, f"?limit=2&cursor={first['next_cursor']}") == [(ids[2], 0)]


async def test_load_is_each_athletes_own_present_day(db: Database, client: Client, coach: Person) -> None:
    lately, rested, never = await join(client, 3)
    await train(lately, 40, 33, 20, 9, 2, session_rpe=7, duration_seconds=3600)
    await train(rested, 90, 80)
    await train(rested, 85, session_rpe=7, duration_seconds=3600)
    await settle(db)
    assert [item.get("measure") for item in (await read(coach, "load"))["items"]] == [
        "session_rpe",
        "external_load",
        None,
    ]
    for measure in ("", "?measure=external_load"):
        found = await read(coach, "load", measure)
        for person, item in zip((lately, rested), found["items"], strict=False):
            own = await person.told("GET", METRICS.format(person.user_id, f"load{measure}"))
            day = own["items"][-1]
            assert item["measure"] == own["measure"]
            assert item["latest"] == {name: day[name] for name in item["latest"]}
            assert ("reason" in day) == ("reason" in item["latest"])
        assert found["items"][0]["latest"]["band"] is not None
        assert found["items"][1]["latest"]["reason"] == "no_chronic_load"
        assert found["items"][2] == {"user_id": str(never.user_id)}
    assert found["method"]["name"] == "coupled"
    first = await read(coach, "load", "?limit=1")
    assert [item["user_id"] for item in first["items"]] == [str(lately.user_id)]
    rest = await read(coach, "load", f"?cursor={first['next_cursor']}")
    assert [item["user_id"] for item in rest["items"]] == [str(rested.user_id), str(never.user_id)]
    assert "next_cursor" not in rest


@pytest.mark.parametrize("name", ["leaderboard", "load"])
async def test_only_who_lets_the_group_read_is_read_and_each_is_told(
    db: Database, client: Client, coach: Person, name: str
) -> None:
    one, two, planned, gone, elsewhere = await join(client, 5)
    await planned.admit("team", "plan")
    await gone.revoke("team")
    await elsewhere.revoke("team")
    await elsewhere.admit("other", "read")
    for person in (one, two, planned, gone, elsewhere):
        await train(person, 2)
    await settle(db)
    before = db.statements
    found = await read(coach, name)
    assert db.statements == before + 1
    assert [item["user_id"] for item in found["items"]] == [str(one.user_id), str(two.user_id)]
    for person in (one, two):
        (access,) = await person.accesses()
        assert (access["actor"], access["coach_id"]) == ("the coach", str(coach.user_id))
        assert (access["group_external_id"], access["scope"]) == ("team", "read")
        assert access["operation"] == {"leaderboard": "readGroupLeaderboard", "load": "readGroupLoad"}[name]
    for person in (planned, gone, elsewhere):
        assert await person.accesses() == []
    # Of an athlete beyond the page nothing is read, and nothing told.
    await read(coach, name, "?limit=1")
    assert [len(await person.accesses()) for person in (one, two)] == [2, 1]
    # Nor where the group is not the caller's, or the request is refused.
    for stranger in (Person(client, coach_of=["else"]), Person(client, groups=["team"]), Person(client, uuid4())):
        assert (await stranger.ask("GET", f"{GROUP}/{name}")).status == 404
    assert (await coach.ask("GET", f"{GROUP}/{name}?limit=501")).status == 422
    backwards = await coach.ask("GET", f"{GROUP}/leaderboard?from=2026-01-02&to=2026-01-01")
    assert [fault["parameter"] for fault in (await backwards.json())["errors"]] == ["to"]
    assert [len(await person.accesses()) for person in (one, two)] == [2, 1]
    assert (await read(Person(client, coach_of=["nobody's", "team"]), name, f"?cursor={two.user_id}"))["items"] == []
