"""What a coach may write, and a workout or a training for all athletes of a group at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from models.errors import DatabaseUnavailable
from models.groups import Outcome
from storage import database
from storage.access import Guarded
from storage.database import Database
from storage.groups import Coach, Groups
from storage.memberships import Memberships
from storage.workouts import Workouts
from tests.support.coaches import Person
from tests.support.load import until
from tests.support.web import Client, make_settings, serve
from tests.support.workouts import PULLS
from web.api import ALL_ROUTES

GROUP = "/api/v1/training/groups/team"
DATE = "2026-01-05T12:00:00Z"
PULL = {"name": "Pull", "notes": "slowly", "exercises": [PULLS, {"name": "Dead hang", "sets": 2, "hold_seconds": 45.5}]}
PLANNED = {
    "date": DATE,
    "group_external_id": "team",
    "exercises": [{"name": "Row", "sets": [{"reps": 5, "done": False}]}],
}


def rows(*sets: dict[str, Any]) -> dict[str, Any]:
    """A planned training with these sets."""
    return PLANNED | {"exercises": [{"name": "Row", "sets": sets}]}


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    settings = make_settings(events_topic="t", workout_events_topic="w", pool_size=10)
    async with serve(ALL_ROUTES, settings=settings, database=db) as client:
        yield client


@pytest.fixture
def coach(client: Client) -> Person:
    return Person(client, coach_of=["team", "other"], sub="the coach")


async def join(client: Client, count: int, *scopes: Any) -> list[Person]:
    """New athletes of the group, in the order of their ids."""
    people = sorted((Person(client, groups=["team", "other"]) for _ in range(count)), key=lambda one: one.user_id)
    for person in people:
        await person.admit("team", *scopes or ("read", "plan"))
    return people


async def workout(coach: Person, **fields: Any) -> str:
    """A workout of the coach's own."""
    made: dict[str, Any] = await coach.told("POST", coach.address("/workouts"), PULL | fields)
    return str(made["id"])


async def give(coach: Person, workout_id: str, query: str = "") -> dict[str, Any]:
    """POST …/workouts."""
    answer: dict[str, Any] = await coach.told("POST", f"{GROUP}/workouts{query}", {"workout_id": workout_id})
    return answer


async def plan(coach: Person, workout_id: str, **fields: Any) -> dict[str, Any]:
    """POST …/trainings."""
    body = {"workout_id": workout_id, "date": DATE} | fields
    answer: dict[str, Any] = await coach.told("POST", f"{GROUP}/trainings", body)
    return answer


def outcomes(answer: dict[str, Any]) -> list[str]:
    return [item["outcome"] for item in answer["items"]]


async def written(db: Database) -> Counter[tuple[str, str]]:
    """How many events of each type each topic is to get."""
    rows = await db.all("SELECT topic, event_type FROM outbox")
    return Counter((topic, event_type) for topic, event_type in rows)


async def test_a_coach_writes_what_is_planned_for_the_group_and_nothing_else(
    client: Client, coach: Person, db: Database
) -> None:
    (athlete,) = await join(client, 1)
    trainings, workouts = athlete.address("/trainings"), athlete.address("/workouts")
    planned = await coach.told("POST", trainings, PLANNED)
    begun = await coach.told("POST", trainings, PLANNED)
    await athlete.told("PUT", f"{trainings}/{begun['id']}", begun | {"status": "IN_PROGRESS"})
    others = {
        "begun": begun["id"],
        "done": (await athlete.told("POST", trainings, PLANNED | {"status": "COMPLETED"}))["id"],
        "own": (await athlete.told("POST", trainings, {"date": DATE}))["id"],
        "of another group": (await athlete.told("POST", trainings, PLANNED | {"group_external_id": "other"}))["id"],
        "deleted": (await athlete.told("POST", trainings, PLANNED))["id"],
        "nobody's": str(uuid4()),
    }
    await athlete.told("DELETE", f"{trainings}/{others['deleted']}")
    team = await coach.told("POST", workouts, PULL | {"group_external_id": "team"})
    own = await athlete.told("POST", workouts, PULL)
    foreign = await athlete.told("POST", workouts, PULL | {"group_external_id": "other"})
    before = await written(db)

    body = PLANNED | {"status": "PLANNED", "title": "by the coach"}
    for what, id_ in others.items():
        for match in ({}, {"If-Match": '"9"'}, {"Idempotency-Key": "a"}):
            for method, sent in (("PUT", body), ("DELETE", None)):
                answer = await coach.ask(method, f"{trainings}/{id_}", sent, **match)
                assert answer.status == 404, (what, method, await answer.text())
    for id_ in (own["id"], foreign["id"], str(uuid4())):
        for method, sent, path in (
            ("PUT", PULL | {"group_external_id": "team"}, ""),
            ("DELETE", None, ""),
            ("POST", {"date": DATE}, "/trainings"),
        ):
            answer = await coach.ask(method, f"{workouts}/{id_}{path}", sent, **{"If-Match": '"9"'})
            assert answer.status == 404, (method, path, await answer.text())
    for method, path, sent, pointer in (
        ("POST", trainings, {"date": DATE}, "/group_external_id"),
        ("POST", trainings, PLANNED | {"group_external_id": "a third"}, "/group_external_id"),
        ("POST", trainings, PLANNED | {"status": "IN_PROGRESS"}, "/status"),
        ("PUT", f"{trainings}/{planned['id']}", body | {"status": "COMPLETED"}, "/status"),
        ("POST", trainings, PLANNED | {"source_id": "strong:1"}, "/source_id"),
        ("POST", f"{workouts}/{team['id']}/trainings", {"date": DATE, "source_id": "strong:1"}, "/source_id"),
        ("POST", trainings, PLANNED | {"session_rpe": 7}, "/session_rpe"),
        ("POST", trainings, PLANNED | {"bodyweight_kg": 80}, "/bodyweight_kg"),
        ("PUT", f"{trainings}/{planned['id']}", body | {"skipped_at": DATE, "skip_reason": "ill"}, "/skipped_at"),
        ("POST", trainings, rows({"done": False}, {"reps": 5}), "/exercises/0/sets/1/done"),
        ("PUT", f"{trainings}/{planned['id']}", body | rows({"done": True}), "/exercises/0/sets/0/done"),
        ("POST", trainings, rows({"done": False, "rpe": 8}), "/exercises/0/sets/0/rpe"),
        ("POST", trainings, rows({"done": False, "video_id": "v"}), "/exercises/0/sets/0/video_id"),
        ("PUT", f"{trainings}/{planned['id']}", {"date": DATE, "status": "PLANNED"}, "/group_external_id"),
        ("POST", workouts, PULL, "/group_external_id"),
        ("PUT", f"{workouts}/{team['id']}", PULL, "/group_external_id"),
    ):
        answer = await coach.ask(method, path, sent)
        assert (answer.status, (await answer.json())["errors"][0]["pointer"]) == (422, pointer), (method, path)
    # A group that the coach coaches too, and the athlete did not accept.
    assert (await coach.ask("POST", trainings, PLANNED | {"group_external_id": "other"})).status == 404
    assert await written(db) == before

    changed = await coach.told("PUT", f"{trainings}/{planned['id']}", body)
    assert (changed["version"], changed["title"]) == (2, "by the coach")
    made = await coach.told("POST", f"{workouts}/{team['id']}/trainings", {"date": DATE})
    assert (made["status"], made["group_external_id"], made["workout_id"]) == ("PLANNED", "team", team["id"])
    await coach.told("PUT", f"{workouts}/{team['id']}", PULL | {"group_external_id": "team", "name": "Pull 2"})
    await coach.told("DELETE", f"{workouts}/{team['id']}")
    await coach.told("DELETE", f"{trainings}/{planned['id']}")
    history = await athlete.told("GET", f"{trainings}/{planned['id']}/history")
    assert [item["actor"] for item in history["items"]] == ["the coach"] * 3
    # What a PUT ignores may be sent back.
    theirs = await athlete.told("POST", trainings, PLANNED | {"source_id": "app:1"})
    assert (await coach.told("PUT", f"{trainings}/{theirs['id']}", theirs))["source_id"] == "app:1"


async def test_the_same_creation_by_a_coach_is_answered_while_it_is_planned(client: Client, coach: Person) -> None:
    (athlete,) = await join(client, 1)
    address, body = athlete.address("/trainings"), PLANNED | {"id": str(uuid4())}
    first = await coach.ask("POST", address, body)
    again = await coach.ask("POST", address, body)
    assert (first.status, again.status, await again.json()) == (201, 200, await first.json())
    assert (await coach.ask("POST", address, body | {"title": "x"})).status == 409
    await athlete.told("PUT", f"{address}/{body['id']}", await first.json() | {"status": "COMPLETED", "notes": "mine"})
    late = await coach.ask("POST", address, body)
    assert late.status == 409
    assert "mine" not in await late.text()


async def test_the_athletes_of_a_group_are_told_to_its_coaches(client: Client, coach: Person) -> None:
    people = await join(client, 3, "read")
    await people[1].admit("team", "read", "plan")
    gone, elsewhere = await join(client, 2)
    await gone.revoke("team")
    await elsewhere.revoke("team")
    await elsewhere.admit("other", "read")
    told, address = [], f"{GROUP}/athletes?limit=2"
    while address:
        answer = await coach.ask("GET", address)
        assert answer.status == 200
        told += (await answer.json())["items"]
        address = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert told == [
        {"user_id": str(person.user_id), "scopes": ["read", "plan"] if person is people[1] else ["read"]}
        for person in people
    ]
    for stranger in (people[0], Person(client), Person(client, coach_of=["other"], groups=["team"])):
        for method, path, body in (
            ("GET", "athletes", None),
            ("POST", "workouts", {"workout_id": str(uuid4())}),
            ("POST", "trainings", {"workout_id": str(uuid4()), "date": DATE}),
        ):
            answer = await stranger.ask(method, f"{GROUP}/{path}", body)
            assert (answer.status, (await answer.json())["type"]) == (404, "/problems#not-found")


async def test_a_workout_goes_to_every_athlete_who_lets_plan(
    client: Client, coach: Person, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await join(client, 4)
    (reader,) = await join(client, 1, "read")
    source = await workout(coach, group_external_id="elsewhere")
    answer = await give(coach, source)
    assert outcomes(answer) == ["created"] * 4
    run, sent = database.Cursor._run, []

    async def record(self: database.Cursor, sql: str, parameters: Any) -> int:
        sent.append(sql)
        return await run(self, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(database.Cursor, "_run", record)
        assert outcomes(await give(coach, source)) == ["unchanged"] * 4
    # The workout, the athletes, and one for each; a connection prepares what it has not met yet.
    assert len([sql for sql in sent if not sql.startswith("PREPARE")]) == 2 + 4

    assert [item["user_id"] for item in answer["items"]] == [str(person.user_id) for person in people]
    wanted = await coach.told("GET", coach.address(f"/workouts/{source}"))
    for person, item in zip(people, answer["items"], strict=True):
        copy = await person.told("GET", person.address(f"/workouts/{item['workout_id']}"))
        assert copy["group_external_id"] == "team"
        for name in ("name", "notes", "exercises"):
            assert copy[name] == wanted[name]
        versions = (await person.told("GET", person.address(f"/workouts/{copy['id']}/versions")))["items"]
        assert [(item["actor"], item["event"]["event_type"]) for item in versions] == [("the coach", "workout_created")]
        at = person.address(f"/workouts/{copy['id']}/versions/1")
        assert await person.told("GET", at) == copy
        made = await person.told("POST", person.address(f"/workouts/{copy['id']}/trainings"), {"date": DATE})
        assert made["group_external_id"] == "team"
        accesses = await person.accesses()
        assert {access["operation"] for access in accesses} == {"copyWorkoutToGroup"}
        assert len(accesses) == 2  # one a request, whatever it came to
        assert {(access["scope"], access["group_external_id"]) for access in accesses} == {("plan", "team")}
    assert await reader.accesses() == []
    assert await db.all("SELECT id FROM workouts WHERE user_id = %s", [reader.user_id]) == []
    unknown = await coach.ask("POST", f"{GROUP}/workouts", {"workout_id": str(uuid4())})
    assert unknown.status == 404


async def test_a_newer_version_reaches_the_copies_that_nobody_changed(
    client: Client, coach: Person, db: Database
) -> None:
    untouched, edits, deletes = await join(client, 3)
    source = await workout(coach)
    first = (await give(coach, source))["items"]
    (theirs,) = [item["workout_id"] for item in first if item["user_id"] == str(edits.user_id)]
    (dropped,) = [item["workout_id"] for item in first if item["user_id"] == str(deletes.user_id)]
    await edits.told("PUT", edits.address(f"/workouts/{theirs}"), PULL | {"name": "my own"})
    await deletes.told("DELETE", deletes.address(f"/workouts/{dropped}"))
    assert outcomes(await give(coach, source)) == ["unchanged", "kept", "kept"]
    newer = {"name": "Pull 2", "exercises": [PULLS]}
    await coach.told("PUT", coach.address(f"/workouts/{source}"), newer)
    assert outcomes(await give(coach, source)) == ["updated", "kept", "kept"]
    assert outcomes(await give(coach, source)) == ["unchanged", "kept", "kept"]

    copy = await untouched.told("GET", untouched.address(f"/workouts/{first[0]['workout_id']}"))
    assert (copy["name"], copy["version"], len(copy["exercises"]), "notes" in copy) == ("Pull 2", 2, 1, False)
    versions = (await untouched.told("GET", untouched.address(f"/workouts/{copy['id']}/versions")))["items"]
    assert [item["event"]["event_type"] for item in versions] == ["workout_created", "workout_updated"]
    assert versions[1]["event"]["payload"]["exercises"] == copy["exercises"]
    assert (await edits.told("GET", edits.address(f"/workouts/{theirs}")))["name"] == "my own"
    assert (await deletes.ask("GET", deletes.address(f"/workouts/{dropped}"))).status == 404

    # A request that read the workout before it was changed, and comes late, takes nothing back.
    old = await Workouts(db, "w").read(coach.user_id, UUID(source))
    late = Coach(coach.user_id, "the coach", "team", "late", "r")
    stale = type(old)(old.id, 1, old.created_at, old.document.replace(b"Pull 2", b"Pull 1"))
    (result,) = await Groups(db, "t", "w", at_once=1).copy(late, stale, [untouched.user_id])
    assert result[2] == Outcome.UNCHANGED
    assert (await untouched.told("GET", untouched.address(f"/workouts/{copy['id']}"))) == copy


async def test_a_copy_that_was_written_meanwhile_is_looked_at_again(
    client: Client, coach: Person, db: Database
) -> None:
    (athlete,) = await join(client, 1)
    source = await workout(coach)
    (given,) = (await give(coach, source))["items"]
    versions = []
    for name in ("Pull 2", "Pull 3"):
        newer = {"name": name, "exercises": [{"name": name, "sets": 1}]}
        await coach.told("PUT", coach.address(f"/workouts/{source}"), newer)
        versions.append(await Workouts(db, "w").read(coach.user_id, UUID(source)))
    asks = Coach(coach.user_id, "the coach", "team", "test", "r")
    groups = Groups(db, "t", "w", at_once=1)

    async def waits(count: int) -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return await db.one(f"{waiting} AND wait_event_type = 'Lock'") == (count,)

    async with db.transaction() as holder:
        await holder.execute("SELECT FROM workouts WHERE user_id = %s FOR UPDATE", [athlete.user_id])
        writes = []
        for version in reversed(versions):
            writes.append(asyncio.create_task(groups.copy(asks, version, [athlete.user_id])))
            await until(lambda: waits(len(writes)), 20, "it waits for the copy")
    found = [outcome for ((_, _, outcome),) in await asyncio.gather(*writes)]
    assert found == [Outcome.UPDATED, Outcome.UNCHANGED]
    copy = await athlete.told("GET", athlete.address(f"/workouts/{given['workout_id']}"))
    assert (copy["version"], [exercise["name"] for exercise in copy["exercises"]]) == (2, ["Pull 3"])


async def test_copies_are_each_groups_and_each_coachs_own(client: Client, coach: Person) -> None:
    (athlete,) = await join(client, 1)
    await athlete.admit("other", "plan")
    source = await workout(coach)
    colleague = Person(client, coach_of=["team"])
    await colleague.told("POST", colleague.address("/workouts"), PULL | {"id": source, "name": "Another"})
    given = [
        (await give(coach, source))["items"][0],
        (await give(colleague, source))["items"][0],
        (await coach.told("POST", "/api/v1/training/groups/other/workouts", {"workout_id": source}))["items"][0],
    ]
    assert [item["outcome"] for item in given] == ["created"] * 3
    assert len({item["workout_id"] for item in given}) == 3
    found = [await athlete.told("GET", athlete.address(f"/workouts/{item['workout_id']}")) for item in given]
    assert [(copy["name"], copy["group_external_id"]) for copy in found] == [
        ("Pull", "team"),
        ("Another", "team"),
        ("Pull", "other"),
    ]


async def test_pages_of_athletes(client: Client, coach: Person) -> None:
    people = await join(client, 5)
    source = await workout(coach)
    told, query = [], "?limit=2"
    while query:
        page = await give(coach, source, query)
        told += page["items"]
        query = f"?limit=2&cursor={page['next_cursor']}" if "next_cursor" in page else ""
    assert [(item["user_id"], item["outcome"]) for item in told] == [
        (str(person.user_id), "created") for person in people
    ]
    for wrong, parameter in (("?limit=101", "limit"), ("?limit=0", "limit"), ("?cursor=x", "cursor")):
        answer = await coach.ask("POST", f"{GROUP}/workouts{wrong}", {"workout_id": source})
        assert (answer.status, (await answer.json())["errors"][0]["parameter"]) == (422, parameter)


async def test_what_broke_off_half_way_is_completed_and_nothing_is_done_twice(
    client: Client, coach: Person, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await join(client, 6)
    source = await workout(coach)
    run, left = Guarded.all, 3

    async def breaks(self: Guarded, *statement: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise DatabaseUnavailable("gone")
        return await run(self, *statement)

    async def broken(path: str, body: dict[str, Any]) -> None:
        nonlocal left
        left = 3
        with monkeypatch.context() as patch:
            patch.setattr(Guarded, "all", breaks)
            assert (await coach.ask("POST", f"{GROUP}/{path}", body)).status == 503

    def completed(answer: dict[str, Any]) -> bool:
        found = Counter(outcomes(answer))  # what was under way when it broke may have been done
        return found["unchanged"] in (2, 3) and found["created"] == 6 - found["unchanged"]

    await broken("workouts", {"workout_id": source})
    assert completed(await give(coach, source))
    assert (await written(db))["w", "workout_created"] == 1 + 6
    body = {"workout_id": source, "date": DATE, "hidden": True}
    await broken("trainings", body)
    assert completed(await plan(coach, source, hidden=True))
    assert await written(db) == {("w", "workout_created"): 7, ("t", "training_created"): 6}
    for person in people:
        # The copy comes before what is planned from it.
        rows = await db.all("SELECT topic, version FROM outbox WHERE user_id = %s ORDER BY seq", [person.user_id])
        assert rows == [("w", 1), ("t", 1)]


async def test_who_revokes_meanwhile_gets_nothing(
    client: Client, coach: Person, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, leaves, last = await join(client, 3)
    source = await workout(coach)
    find = Groups.athletes

    async def then_revoked(self: Groups, *group: Any, **wanted: Any) -> Any:
        found = await find(self, *group, **wanted)
        await Memberships(db).save(leaves.user_id, "team", ["read"])
        return found

    for make in (give, plan):
        await leaves.admit("team", "plan")
        with monkeypatch.context() as patch:
            patch.setattr(Groups, "athletes", then_revoked)
            answer = await make(coach, source)
        assert outcomes(answer) == ["created", "revoked", "created"]
    assert await leaves.accesses() == []
    assert await db.all("SELECT topic FROM outbox WHERE user_id = %s", [leaves.user_id]) == []
    assert [len(await person.accesses()) for person in (first, last)] == [2, 2]
    await leaves.admit("team", "plan")
    assert outcomes(await plan(coach, source)) == ["unchanged", "missing", "unchanged"]
    await leaves.revoke("team")
    assert len((await give(coach, source))["items"]) == 2


async def test_a_training_is_planned_for_every_athlete(client: Client, coach: Person) -> None:
    begins, deletes, rests = await join(client, 3)
    source = await workout(coach)
    await give(coach, source)
    answer = await plan(coach, source, title="Monday", timezone="Europe/Berlin")
    assert outcomes(answer) == ["created"] * 3
    ids = {item["user_id"]: item["training_id"] for item in answer["items"]}
    mine = f"/api/v1/trainings/{ids[str(begins.user_id)]}"
    training = await begins.told("GET", mine)
    assert (training["status"], training["title"], training["group_external_id"]) == ("PLANNED", "Monday", "team")
    assert [exercise["name"] for exercise in training["exercises"]] == ["Pull-up", "Dead hang"]
    await begins.told("PUT", mine, training | {"status": "IN_PROGRESS"})
    await deletes.told("DELETE", f"/api/v1/trainings/{ids[str(deletes.user_id)]}")
    again = await plan(coach, source, title="Monday", timezone="Europe/Berlin")
    assert outcomes(again) == ["kept", "kept", "unchanged"]
    assert outcomes(await plan(coach, source, title="Tuesday")) == ["kept"] * 3
    assert outcomes(await plan(coach, source, date="2026-01-06T12:00:00+02:00", hidden=True)) == ["created"] * 3
    assert len((await rests.told("GET", "/api/v1/trainings"))["items"]) == 1
    assert outcomes(await plan(coach, source, date="2026-01-06T10:00:00Z", hidden=True)) == ["unchanged"] * 3
    # What was called off is planned once more under another name, and once alone.
    for name, again in (("anew", ["created"] * 3), ("anew", ["unchanged"] * 3), ("once more", ["created"] * 3)):
        assert outcomes(await plan(coach, source, title="Monday", plan_id=name)) == again
    assert outcomes(await plan(coach, source, title="Tuesday", plan_id="anew")) == ["kept"] * 3


async def test_many_at_once_leave_one_history(client: Client, coach: Person, db: Database) -> None:
    """Distributions of several versions beside an athlete's own edit: each copy is what its newest event says."""
    people = await join(client, 3)
    source = await workout(coach)

    async def change(number: int) -> None:
        exercises = [PULLS] * (number % 3) + [{"name": f"e{number}", "sets": 1}]
        await coach.told("PUT", coach.address(f"/workouts/{source}"), {"name": f"v{number}", "exercises": exercises})
        await give(coach, source)

    await asyncio.gather(give(coach, source), give(coach, source), *map(change, range(6)))
    answer = await give(coach, source)
    assert set(outcomes(answer)) == {"unchanged"}
    wanted = await coach.told("GET", coach.address(f"/workouts/{source}"))
    edit = people[0].address(f"/workouts/{answer['items'][0]['workout_id']}")
    await asyncio.gather(people[0].told("PUT", edit, {"name": "mine"}), *map(change, range(6, 9)))
    for person, item in zip(people, answer["items"], strict=True):
        address = person.address(f"/workouts/{item['workout_id']}")
        copy = await person.told("GET", address)
        versions = (await person.told("GET", f"{address}/versions"))["items"]
        assert [version["version"] for version in versions] == list(range(1, copy["version"] + 1))
        said = versions[-1]["event"]["payload"]
        for name in ("name", "exercises"):
            assert copy[name] == said[name]
    assert wanted["version"] == 7
    assert (await people[0].told("GET", edit))["name"] == "mine"
