"""Trainings that a coach planned and the athlete does not see yet: nowhere, until the coach shows them."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg2.errors
import pytest
from hypothesis import HealthCheck, given, settings

from models.errors import Conflict, IdentityConflict, NotFound, Unprocessable
from models.events import TrainingEvent
from models.exercises import Catalogue
from models.memberships import Scope
from models.trainings import Status, TrainingCreate, TrainingDocument, TrainingUpdate, exercises_json
from storage.access import Guarded
from storage.database import Database
from storage.exercises import read_catalogue
from storage.memberships import Memberships
from storage.training_batch import TrainingBatches
from storage.trainings import Author, Trainings
from tests.support.bodies import as_planned, create_body, trainings
from tests.support.coaches import Person, access_of
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.web import Client, serve
from web.api import ALL_ROUTES

TRAININGS = "/api/v1/trainings"
SECRET = "the surprise"
LIFT = "Zercher row"
ROW: dict[str, Any] = {"id": str(uuid4()), "name": LIFT, "notes": SECRET, "sets": [{"id": str(uuid4()), "done": False}]}
HIDDEN: dict[str, Any] = {
    "date": "2026-01-05T12:00:00Z",
    "title": SECRET,
    "group_external_id": "team",
    "hidden": True,
    "exercises": [ROW],
}
on_one_database = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Plans:
    """The trainings of one athlete as a coach of `team` meets them, through the storage."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self.database = database
        self.athlete, self.coach = uuid4(), uuid4()
        self.author = Author(self.athlete, "coach", "r", ("team",))
        self.own = Trainings(database, "training_events")
        self._catalogue = catalogue

    def of(self, scope: Scope) -> Trainings:
        """By an access of its own."""
        access = access_of(self.athlete, self.coach, "team", scope=scope)
        return Trainings(Guarded(self.database, access), "training_events")

    async def create(self, author: Author | None = None, **fields: Any) -> UUID:
        """POST."""
        id_ = uuid4()
        body = TrainingCreate.model_validate_json(orjson.dumps(HIDDEN | fields))
        exercises = exercises_json(id_, body.exercises, self._catalogue)
        await self.of("plan").create(author or self.author, id_, body, exercises)
        return id_

    async def update(self, id_: UUID, **fields: Any) -> bytes:
        """PUT."""
        body = TrainingUpdate.model_validate_json(orjson.dumps(HIDDEN | {"status": "PLANNED"} | fields))
        exercises = exercises_json(id_, body.exercises, self._catalogue)
        return (await self.of("plan").update(self.author, id_, body, exercises)).document or b""

    async def document(self, id_: UUID) -> bytes:
        """GET."""
        return (await self.of("read").read(self.athlete, id_)).document

    async def events(self, id_: UUID) -> list[str]:
        """What its versions published."""
        return [change.event for change in await self.of("read").history(self.athlete, id_, limit=9)]


@pytest.fixture
async def plans(db: Database) -> Plans:
    plans = Plans(db, await read_catalogue(db))
    await Memberships(db).save(plans.athlete, "team", ["read", "plan"])
    return plans


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
async def athlete(client: Client) -> Person:
    athlete = Person(client, groups=["team"])
    await athlete.admit("team", "read", "plan")
    return athlete


@pytest.fixture
def coach(client: Client) -> Person:
    return Person(client, coach_of=["team"])


@on_one_database
@given(trainings(("wall-push-up",), (Status.PLANNED,)))
async def test_what_is_written_is_what_is_read_and_what_is_published(plans: Plans, fields: dict[str, Any]) -> None:
    fields = {name: value for name, value in as_planned(fields).items() if name != "title"}
    fields |= {"group_external_id": "team"}
    id_ = await plans.create(**fields, title=SECRET)
    written = await plans.document(id_)
    assert orjson.loads(written)["hidden"] is True
    assert b',"hidden":true,"exercises":[' in written
    TrainingDocument.model_validate_json(written)
    again = await plans.update(id_, **fields, title="still hidden")
    assert await plans.document(id_) == again
    shown = await plans.update(id_, **fields, title="shown", hidden=False)
    assert await plans.document(id_) == shown
    assert b'"hidden"' not in shown
    assert (await plans.own.read(plans.athlete, id_)).document == shown
    events = await plans.events(id_)
    assert [TrainingEvent.model_validate_json(event).payload.hidden for event in events] == [True, True, None]
    for event, document in zip(events, (written, again, shown), strict=True):
        # To the byte: what the event says between its head and its end is what the document says.
        said = event[event.index('"status":"PLANNED","date"') :].removesuffix("}}")
        assert said in document.decode()


async def test_its_deletion_says_that_it_was_hidden(plans: Plans) -> None:
    id_ = await plans.create()
    await plans.of("plan").delete(plans.author, id_)
    created, deleted = [orjson.loads(event)["payload"] for event in await plans.events(id_)]
    assert deleted == created | {"version": 2}


async def test_it_is_hidden_from_its_creation_on_or_never(plans: Plans) -> None:
    id_ = await plans.create(hidden=False)
    with pytest.raises(Conflict):
        await plans.update(id_)
    with pytest.raises(Unprocessable) as refused:
        await plans.create(status="COMPLETED")
    assert refused.value.pointer == "/status"
    assert len(await plans.events(id_)) == 1


async def test_only_a_coach_hides(client: Client, athlete: Person, db: Database) -> None:
    own = await athlete.told("POST", TRAININGS, HIDDEN | {"hidden": False})
    workout = await athlete.told("POST", athlete.address("/workouts"), {"name": "Pull"})
    for method, path, body in (
        ("POST", TRAININGS, HIDDEN),
        ("POST", TRAININGS, HIDDEN | {"status": "COMPLETED"}),
        ("POST", athlete.address("/trainings"), HIDDEN),
        ("PUT", f"{TRAININGS}/{own['id']}", HIDDEN | {"status": "PLANNED"}),
        ("POST", athlete.address(f"/workouts/{workout['id']}/trainings"), {"date": HIDDEN["date"], "hidden": True}),
    ):
        answer = await athlete.ask(method, path, body)
        assert (answer.status, (await answer.json())["errors"][0]["pointer"]) == (422, "/hidden"), path
    (result,) = (await athlete.told("POST", f"{TRAININGS}/batch", [HIDDEN]))["items"]
    assert (result["status"], result["problem"]["errors"][0]["pointer"]) == (422, "/0/hidden")
    assert await db.all("SELECT id::text, version FROM trainings") == [(own["id"], 1)]


async def test_the_athlete_meets_it_nowhere(client: Client, athlete: Person, coach: Person, db: Database) -> None:
    hidden = await coach.told("POST", athlete.address("/trainings"), HIDDEN)
    workout = {"name": "Pull", "group_external_id": "team"}  # which itself is shown
    made = await coach.told("POST", athlete.address("/workouts"), workout)
    plan = {"date": "2026-01-06T12:00:00Z", "title": SECRET, "hidden": True}
    planned = await coach.told("POST", athlete.address(f"/workouts/{made['id']}/trainings"), plan)
    assert planned["hidden"] is True
    assert await coach.told("GET", athlete.address(f"/trainings/{planned['id']}")) == planned
    (change,) = (await coach.told("GET", athlete.address(f"/trainings/{planned['id']}/history")))["items"]
    assert change["event"]["payload"]["hidden"] is True
    gone = await coach.told("POST", athlete.address("/trainings"), HIDDEN)
    await coach.told("DELETE", athlete.address(f"/trainings/{gone['id']}"))
    before = await db.all("SELECT id, version FROM trainings ORDER BY id")

    for training in (hidden, planned, gone):
        for route in ALL_ROUTES:
            if not route.auth or "/trainings/{id}" not in route.path:
                continue
            ids = {
                "userId": athlete.user_id,
                "id": training["id"],
                "exerciseId": ROW["id"],
                "setId": ROW["sets"][0]["id"],
            }
            body = route.body_example and dict(route.body_example)
            known: dict[str, str] = {name: "7" for name in route.request_headers if name == "Idempotency-Key"}
            if "If-Match" in route.request_headers:
                known["If-Match"] = '"9"'
            for headers in ({}, known):
                answer = await athlete.ask(route.method, route.path.format_map(ids), body, **headers)
                assert answer.status == 404, (route.operation_id, await answer.text())
        for answer in (
            await athlete.ask("POST", TRAININGS, HIDDEN | {"id": training["id"], "hidden": False}),
            await athlete.ask("POST", athlete.address("/sessions"), {"id": training["id"], "date": HIDDEN["date"]}),
        ):
            assert answer.status == 409
            assert SECRET not in await answer.text()
        again = [{"id": training["id"], "date": HIDDEN["date"]}]
        (result,) = (await athlete.told("POST", f"{TRAININGS}/batch", again))["items"]
        assert result["status"] == 409
    for route in ALL_ROUTES:
        path = route.path.replace("{userId}", str(athlete.user_id))
        if route.auth and route.method == "GET" and "{id}" not in path:
            answer = await athlete.ask("GET", re.sub(r"{\w+}", LIFT, path))
            assert SECRET not in await answer.text(), route.operation_id
            assert "{" in path or LIFT not in await answer.text(), route.operation_id
    assert SECRET not in str(await athlete.told("POST", athlete.address("/exercises/last"), {"exercises": [LIFT]}))
    assert await db.all("SELECT id, version FROM trainings ORDER BY id") == before


async def test_it_is_shown_when_the_coach_says_so(client: Client, athlete: Person, coach: Person) -> None:
    seen = await athlete.told("POST", TRAININGS, {"date": HIDDEN["date"]})
    hidden = await coach.told("POST", athlete.address("/trainings"), HIDDEN)
    address = athlete.address(f"/trainings/{hidden['id']}")
    assert hidden["hidden"] is True
    assert await coach.told("GET", address) == hidden
    assert {item["id"] for item in (await coach.told("GET", athlete.address("/trainings")))["items"]} == {
        seen["id"],
        hidden["id"],
    }
    state = await athlete.told("GET", f"{TRAININGS}/changes")
    assert [item["id"] for item in state["items"]] == [seen["id"]]
    later = await athlete.told("GET", f"{TRAININGS}/changes?cursor={state['next_cursor']}")
    still = await coach.told("PUT", address, hidden | {"title": f"{SECRET}!"})
    assert still["hidden"] is True
    same = await athlete.told("GET", f"{TRAININGS}/changes?cursor={later['next_cursor']}")
    assert (later["items"], same["items"]) == ([], [])

    shown = await coach.told("PUT", address, still | {"hidden": False})
    assert "hidden" not in shown
    changed = await athlete.told("GET", f"{TRAININGS}/changes?cursor={same['next_cursor']}")
    assert changed["items"] == [shown]
    assert await athlete.told("GET", f"{TRAININGS}/{hidden['id']}") == shown
    items = (await athlete.told("GET", TRAININGS))["items"]
    assert sorted(items, key=lambda item: item["id"]) == sorted([seen, shown], key=lambda item: item["id"])
    history = (await athlete.told("GET", f"{TRAININGS}/{hidden['id']}/history"))["items"]
    assert [item["event"]["payload"].get("hidden") for item in history] == [True, True, None]
    refused = await coach.ask("PUT", address, shown | {"hidden": True})
    assert (refused.status, (await refused.json())["type"]) == (409, "/problems#conflict")
    begun = await athlete.told("PUT", f"{TRAININGS}/{hidden['id']}", shown | {"status": "IN_PROGRESS"})
    assert begun["version"] == 4
    assert (await coach.ask("PUT", address, shown)).status == 404


async def test_a_state_of_many_pages_leaves_it_out(client: Client, athlete: Person, coach: Person) -> None:
    shown = set()
    for number in range(6):
        if number % 2:
            await coach.told("POST", athlete.address("/trainings"), HIDDEN)
        else:
            shown.add((await athlete.told("POST", TRAININGS, {"date": HIDDEN["date"]}))["id"])
    told, address = [], f"{TRAININGS}/changes?limit=1"
    for _ in range(10):
        page = await athlete.told("GET", address)
        told += [item["id"] for item in page["items"]]
        address = f"{TRAININGS}/changes?limit=1&cursor={page['next_cursor']}"
        if not page["more"]:
            break
    assert (len(told), set(told)) == (3, shown)


async def test_it_ends_with_the_membership(client: Client, athlete: Person, coach: Person, db: Database) -> None:
    """It would be out of everybody's reach. Each deletion says what the coach's own would, to the byte."""
    person = Person(client, athlete.user_id, groups=["team", "club"])
    await person.admit("club", "read", "plan")
    other = Person(client, coach_of=["club"])
    trainings = athlete.address("/trainings")
    odd = '","version":7,"previous_status":"PLANNED","payload":\\'
    plain = [await coach.told("POST", trainings, HIDDEN | {"title": odd}) for _ in range(2)]
    changed = [await coach.told("POST", trainings, HIDDEN) for _ in range(2)]
    for one in changed:
        await coach.told("PUT", f"{trainings}/{one['id']}", one | {"notes": odd})
    kept = [
        await coach.told("POST", trainings, HIDDEN | {"hidden": False}),
        await other.told("POST", trainings, HIDDEN | {"group_external_id": "club"}),
        await athlete.told("POST", trainings, {"date": HIDDEN["date"]}),
    ]
    cursor = (await athlete.told("GET", f"{TRAININGS}/changes"))["next_cursor"]
    for one in (plain[0], changed[0]):
        await coach.told("DELETE", f"{trainings}/{one['id']}")
    await athlete.told("DELETE", athlete.address("/memberships/team"), **{"X-Request-Id": "leaves"})

    standing = await db.all("SELECT id::text, version FROM trainings WHERE deleted_at IS NULL")
    assert sorted(standing) == sorted((one["id"], 1) for one in kept)
    for one, another in (plain, changed):
        logged = [
            await db.one(
                """SELECT replace(replace(payload, %(id)s, ''), event_id::text, ''), event_id::text, event_type, topic,
                          created_at, actor, request_id, version
                   FROM outbox WHERE aggregate_id = %(id)s ORDER BY version DESC LIMIT 1""",
                {"id": id_["id"]},
            )
            for id_ in (one, another)
        ]
        (by_coach, _, *same, _, _, _, _), (by_leaving, event_id, *found, _, actor, request_id, version) = logged
        at = '"timestamp":"[^"]+"'
        assert (re.sub(at, "", by_leaving), found) == (re.sub(at, "", by_coach), same)
        assert (actor, request_id, version) == (str(athlete.user_id), "leaves", 2 if one in plain else 3)
        event = TrainingEvent.model_validate_json(by_leaving.replace('""', f'"{event_id}"'))
        assert event.payload.hidden
    feed = await athlete.told("GET", f"{TRAININGS}/changes?cursor={cursor}")
    assert feed["items"] == []
    await athlete.admit("team", "read", "plan")
    assert (await coach.ask("GET", f"{trainings}/{plain[1]['id']}")).status == 404
    assert (await athlete.ask("POST", f"{TRAININGS}/{plain[1]['id']}/restore")).status == 404


@pytest.mark.parametrize("first", ["coach", "athlete"])
async def test_whoever_comes_first_nothing_stays_hidden(
    client: Client, athlete: Person, coach: Person, db: Database, first: str
) -> None:
    """What a coach writes while the athlete leaves is deleted too, or not written."""
    id_ = str(uuid4())
    there = await coach.told("POST", athlete.address("/trainings"), HIDDEN)
    leave = athlete.ask("DELETE", athlete.address("/memberships/team"))
    plan = coach.ask("POST", athlete.address("/trainings"), HIDDEN | {"id": id_})

    async def waits(count: int) -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return await db.one(f"{waiting} AND wait_event_type = 'Lock'") == (count,)

    with suppress(InterruptedError):
        async with db.transaction() as holder:
            if first == "coach":  # who waits for this id, and has the membership's row
                await holder.execute(
                    "INSERT INTO trainings (user_id, id, status, date, timezone, day, digest) "
                    "VALUES (%s, %s, 'PLANNED', now(), 'UTC', now(), '')",
                    [athlete.user_id, id_],
                )
                one, other = asyncio.create_task(plan), leave
            else:
                await holder.execute("SELECT FROM trainings WHERE id = %s FOR UPDATE", [there["id"]])
                one, other = asyncio.create_task(leave), plan
            await until(lambda: waits(1), 20, "the first waits")
            second = asyncio.create_task(other)
            await until(lambda: waits(2), 20, "the second waits for the first")
            raise InterruptedError  # so that the id is free
    assert ((await one).status, (await second).status) == ((201, 204) if first == "coach" else (204, 404))
    rows = await db.all("SELECT id::text, version, deleted_at IS NULL FROM trainings")
    assert sorted(rows) == sorted([(there["id"], 2, False)] + [(id_, 2, False)] * (first == "coach"))


async def test_what_comes_back_from_the_topic_is_hidden_still(plans: Plans, database_urls: DatabaseUrls) -> None:
    id_ = await plans.create()
    (event,) = await plans.events(id_)
    payload, other = orjson.loads(event)["payload"], uuid4()
    body, athlete = create_body(id=str(other)), Author(plans.athlete, "athlete")
    owner = Database(database_urls.owner)

    async def adopt(version: int, **fields: Any) -> None:
        document = orjson.dumps(payload | fields).decode()
        values = [plans.athlete, other, version, version - 1, document]
        await owner.execute("SELECT adopt_training(%s, %s, %s, %s, now(), %s::json)", values)

    try:
        await adopt(1)
        with pytest.raises(NotFound):
            await plans.own.read(plans.athlete, other)
        assert orjson.loads(await plans.document(other))["hidden"] is True
        with pytest.raises(IdentityConflict):  # though it agrees with the body of any creation
            await plans.own.create(athlete, other, body, "[]")
        (result,) = await TrainingBatches(plans.database, "training_events").create(athlete, [(other, body, "[]")])
        assert isinstance(result, IdentityConflict)
        await adopt(2, hidden=None)
        assert "hidden" not in orjson.loads((await plans.own.read(plans.athlete, other)).document)
        assert not (await plans.own.create(athlete, other, body, "[]")).created
    finally:
        await owner.close()


async def test_only_what_is_planned_is_hidden(plans: Plans, db: Database) -> None:
    """By the table itself."""
    id_ = await plans.create()
    with pytest.raises(psycopg2.errors.CheckViolation):
        await db.execute("UPDATE trainings SET status = 'COMPLETED' WHERE id = %s", [id_])
