"""The key scenarios of the specification ("Testing Strategy"), by their names, and a workout's whole way to figures.

All of it over HTTP. Each scenario holds in its own words here; the random proof of isolation is test_isolation.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import orjson
import psycopg2
import psycopg2.errors
import pytest

from agents.volume import VolumeFold
from embedded.worker import Worker
from storage.database import Database
from tests.support.bodies import squat
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.insights import verified
from tests.support.load import until
from tests.support.topic import read_topic
from tests.support.web import Client, bearer, serve
from tests.support.worker import token
from web.api import ALL_ROUTES

EMPTY = {"date": "2026-01-05T12:00:00Z"}
TRAININGS = "/api/v1/trainings"
CATALOGUE = "/api/v1/training/exercises"
NO_SUCH = "no-such-movement"
# What a refused write may not add to.
STORED = ("trainings", "training_exercises", "training_sets", "workouts", "workout_exercises", "outbox")


class Person:
    """One user of the API behind `session`."""

    def __init__(self, session: aiohttp.ClientSession, user_id: UUID, headers: dict[str, str]) -> None:
        self._session = session
        self._headers = headers
        self.user_id = user_id
        self.sessions = f"/api/v1/training/users/{user_id}/sessions"
        self.workouts = f"/api/v1/training/users/{user_id}/workouts"
        self.volume = f"/api/v1/training/users/{user_id}/metrics/volume"

    async def ask(self, method: str, path: str, body: Any = None, expected: int = 200, **headers: str) -> Any:
        """The document of an answer, whose status is `expected`."""
        async with self._session.request(method, path, json=body, headers=self._headers | headers) as answer:
            text = await answer.read()
            assert answer.status == expected, (method, path, answer.status, text)
            return orjson.loads(text) if text else None

    async def refused(self, method: str, path: str, body: Any, kind: str, *pointers: str, status: int = 422) -> None:
        """A request answers that problem, which names these fields."""
        problem = await self.ask(method, path, body, status)
        assert problem["type"] == f"/problems#{kind}", problem
        assert tuple(error["pointer"] for error in problem.get("errors", ())) == pointers


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
async def people(client: Client) -> AsyncIterator[Callable[[], Person]]:
    """`people()` is one more user."""
    async with aiohttp.ClientSession(str(client.make_url("/"))) as session:

        def person() -> Person:
            user = uuid4()
            return Person(session, user, bearer(user))

        yield person


async def counted(db: Database) -> tuple[Any, ...] | None:
    """How many rows there are."""
    return await db.one(f"SELECT {', '.join(f'(SELECT count(*) FROM {table})' for table in STORED)}")


async def rows(db: Database, table: str, user: UUID) -> int:
    """How many of them are the user's."""
    found = await db.one(f"SELECT count(*) FROM {table} WHERE user_id = %s", [user])
    assert found is not None
    return int(found[0])


async def test_user_isolation(people: Callable[[], Person], db: Database) -> None:
    """User A cannot access User B's workouts/sessions."""
    one, other = people(), people()
    workout = await other.ask(
        "POST", other.workouts, {"name": "Theirs", "exercises": [{"name": "Row", "sets": 1}]}, 201
    )
    session = await other.ask("POST", other.sessions, EMPTY | {"title": "Theirs", "exercises": [squat()]}, 201)
    before = await counted(db)
    update = {"name": "Mine"}
    correction = EMPTY | {"status": "COMPLETED", "title": "Mine"}

    for owner in (one, other):  # at the other's address and at one's own
        for method, path, body in (
            ("GET", f"{owner.workouts}/{workout['id']}", None),
            ("PUT", f"{owner.workouts}/{workout['id']}", update),
            ("DELETE", f"{owner.workouts}/{workout['id']}", None),
            ("GET", f"{owner.workouts}/{workout['id']}/versions", None),
            ("GET", f"{owner.workouts}/{workout['id']}/versions/1", None),
            ("POST", f"{owner.workouts}/{workout['id']}/trainings", EMPTY),
            ("GET", f"{owner.sessions}/{session['id']}", None),
        ):
            await one.refused(method, path, body, "not-found", status=404)
    for method, path, body in (
        ("GET", other.workouts, None),
        ("POST", other.workouts, update),
        ("GET", other.sessions, None),
        ("POST", other.sessions, EMPTY),
        ("GET", other.volume, None),
        ("GET", f"{TRAININGS}/{session['id']}", None),
        ("PUT", f"{TRAININGS}/{session['id']}", correction),
        ("DELETE", f"{TRAININGS}/{session['id']}", None),
        ("GET", f"{TRAININGS}/{session['id']}/history", None),
        ("POST", f"{TRAININGS}/{session['id']}/reopen", None),
    ):
        await one.refused(method, path, body, "not-found", status=404)
    named = EMPTY | {"workout_id": workout["id"], "workout_version": 1}
    await one.refused("POST", one.sessions, named, "unknown-workout", "/workout_id")

    for path in (one.workouts, one.sessions, TRAININGS):
        assert (await one.ask("GET", path))["items"] == []
    assert await counted(db) == before
    assert await other.ask("GET", f"{other.workouts}/{workout['id']}") == workout
    assert await other.ask("GET", f"{other.sessions}/{session['id']}") == session
    # An id is a user's own: another one may have the same.
    await one.ask("POST", one.sessions, EMPTY | {"id": session["id"], "title": "Mine"}, 201)
    assert (await one.ask("GET", f"{one.sessions}/{session['id']}"))["title"] == "Mine"
    assert await other.ask("GET", f"{other.sessions}/{session['id']}") == session


async def test_cascade_operations(people: Callable[[], Person], db: Database) -> None:
    """Deleting workout removes associated exercises; what was made from it and what was logged stand."""
    one, other = people(), people()
    body = {"name": "Pull", "exercises": [{"name": "Pull-up", "sets": 3, "reps": 5}, {"name": "Row", "sets": 2}]}
    workout = await one.ask("POST", one.workouts, body, 201)
    kept = await other.ask("POST", other.workouts, body | {"id": workout["id"]}, 201)
    address = f"{one.workouts}/{workout['id']}"
    planned = await one.ask("POST", f"{address}/trainings", EMPTY, 201)
    named = EMPTY | {"workout_id": workout["id"], "workout_version": 1, "exercises": [squat(sets=2)]}
    session = await one.ask("POST", one.sessions, named, 201)
    assert await rows(db, "workout_exercises", one.user_id) == 2
    await VolumeFold(db, "training_events").fold_log()
    assert len((await one.ask("GET", one.volume))["items"]) == 1

    await one.ask("DELETE", address, expected=204)
    await one.refused("GET", address, None, "not-found", status=404)
    assert await rows(db, "workout_exercises", one.user_id) == 0
    assert await other.ask("GET", f"{other.workouts}/{kept['id']}") == kept
    assert await rows(db, "workout_exercises", other.user_id) == 2
    assert await one.ask("GET", f"{TRAININGS}/{planned['id']}") == planned
    assert await one.ask("GET", f"{one.sessions}/{session['id']}") == session
    assert await one.ask("GET", f"{address}/versions/1") == workout

    # A session takes its figures with it. Its history stays, and for a month it can be brought back, with all it had.
    await one.ask("DELETE", f"{TRAININGS}/{session['id']}", expected=204)
    await one.refused("GET", f"{one.sessions}/{session['id']}", None, "not-found", status=404)
    await VolumeFold(db, "training_events").fold_log()
    assert (await one.ask("GET", one.volume))["items"] == []
    history = await one.ask("GET", f"{TRAININGS}/{session['id']}/history")
    assert [item["event"]["event_type"] for item in history["items"]] == ["training_created", "training_deleted"]
    restored = await one.ask("POST", f"{TRAININGS}/{session['id']}/restore")
    assert restored["exercises"] == session["exercises"]
    await VolumeFold(db, "training_events").fold_log()
    assert len((await one.ask("GET", one.volume))["items"]) == 1
    assert (await verified(db)).ok


async def test_referential_integrity(people: Callable[[], Person], db: Database, database_urls: DatabaseUrls) -> None:
    """Cannot log session with non-existent exercise; nor refer to anything else that is not there."""
    one = people()
    known = squat(exercise="pistol-squat")
    session = await one.ask("POST", one.sessions, EMPTY | {"exercises": [known]}, 201)
    workout = await one.ask("POST", one.workouts, {"name": "Legs"}, 201)
    assert session["exercises"][0]["exercise_revision"] == 1
    before = await counted(db)

    exercise = session["exercises"][0]["id"]
    summary = {"name": "x", "exercise": NO_SUCH, "sets": 3, "actual_reps": [5, 5, 4]}
    unknown = EMPTY | {"status": "COMPLETED", "exercises": [known, squat(exercise=NO_SUCH)]}
    prescribed = {"name": "x", "exercises": [{"name": "x", "exercise": NO_SUCH, "sets": 1}]}
    for method, path, body, pointer in (
        ("POST", one.sessions, unknown, "/exercises/1/exercise"),
        ("POST", one.sessions, EMPTY | {"exercises": [summary]}, "/exercises/0/exercise"),
        ("POST", TRAININGS, unknown, "/exercises/1/exercise"),
        ("PUT", f"{TRAININGS}/{session['id']}", unknown, "/exercises/1/exercise"),
        ("POST", one.workouts, prescribed, "/exercises/0/exercise"),
        ("PUT", f"{one.workouts}/{workout['id']}", prescribed, "/exercises/0/exercise"),
        (
            "POST",
            one.sessions,
            EMPTY | {"exercises": [known | {"exercise_revision": 7}]},
            "/exercises/0/exercise_revision",
        ),
    ):
        await one.refused(method, path, body, "unknown-exercise", pointer)
    missing = EMPTY | {"workout_id": str(uuid4()), "workout_version": 1}
    await one.refused("POST", one.sessions, missing, "unknown-workout", "/workout_id")
    (result,) = (await one.ask("POST", f"{TRAININGS}/batch", [unknown]))["items"]
    assert (result["status"], result["problem"]["type"]) == (422, "/problems#unknown-exercise")
    for nowhere in (f"{uuid4()}/exercises/{exercise}", f"{session['id']}/exercises/{uuid4()}"):
        await one.refused("PUT", f"{TRAININGS}/{nowhere}/sets/{uuid4()}", {"reps": 5}, "not-found", status=404)
    assert await counted(db) == before

    # PostgreSQL holds it as well, for whoever writes: of a movement that is referred to nothing can be taken away.
    connection = psycopg2.connect(database_urls.worker)
    for sql in (
        "DELETE FROM exercises WHERE slug = 'pistol-squat'",
        f"UPDATE training_exercises SET exercise = '{NO_SUCH}' WHERE exercise IS NOT NULL",
        "UPDATE training_exercises SET exercise_revision = 7 WHERE exercise IS NOT NULL",
        "UPDATE training_exercises SET training_id = gen_random_uuid()",
        "UPDATE training_sets SET exercise_id = gen_random_uuid()",
        "UPDATE trainings SET workout_id = gen_random_uuid(), workout_version = 1",
    ):
        with pytest.raises(psycopg2.errors.ForeignKeyViolation), connection, connection.cursor() as cursor:
            cursor.execute(sql)
    connection.close()
    assert await one.ask("GET", f"{one.sessions}/{session['id']}") == session


async def test_edge_cases(people: Callable[[], Person], db: Database) -> None:
    """Empty workouts, zero-duration sessions, past-dated logs."""
    one = people()
    workout = await one.ask("POST", one.workouts, {"name": "Nothing yet"}, 201)
    assert workout["exercises"] == []
    planned = await one.ask("POST", f"{one.workouts}/{workout['id']}/trainings", EMPTY, 201)
    assert (planned["status"], planned["exercises"]) == ("PLANNED", [])
    emptied = await one.ask("PUT", f"{one.workouts}/{workout['id']}", {"name": "Still nothing", "exercises": []})
    assert (emptied["version"], emptied["exercises"]) == (2, [])
    of_it = EMPTY | {"workout_id": workout["id"], "workout_version": 1}
    session = await one.ask("POST", one.sessions, of_it, 201)
    assert session["adherence"]["sets_planned"] == 0
    assert "adherence" not in session["adherence"]

    short = await one.ask("POST", one.sessions, EMPTY | {"duration_seconds": 0, "exercises": [squat()]}, 201)
    assert short["duration_seconds"] == 0
    for exercises in ([], [{"name": "Squat"}], [{"name": "Squat", "sets": 0}]):
        logged = await one.ask("POST", one.sessions, EMPTY | {"exercises": exercises}, 201)
        assert [exercise["sets"] for exercise in logged["exercises"]] == [[]] * len(exercises)

    past = [f"{year}-02-28T23:30:00Z" for year in (1950, 1999, 2025)]
    for date in past[::-1]:
        await one.ask("POST", one.sessions, {"date": date, "timezone": "Europe/Berlin", "exercises": [squat()]}, 201)
    far = {"date": "2199-01-01T00:00:00Z"}
    await one.refused("POST", one.sessions, far, "validation", "/date")
    await one.refused("POST", one.sessions, {"date": "2150-01-01T00:00:00Z"}, "validation", "/date")

    items = (await one.ask("GET", one.sessions))["items"]
    assert [item["date"] for item in items[:3]] == past
    assert len(items) == 8
    assert [item["day"] for item in items[:3]] == ["1950-03-01", "1999-03-01", "2025-03-01"]
    found = (await one.ask("GET", f"{one.sessions}?from=1999-03-01&to=1999-03-01"))["items"]
    assert [item["date"] for item in found] == past[1:2]
    await VolumeFold(db, "training_events").fold_log()
    seen = await verified(db)
    assert (seen.ok, seen.trainings) == (True, 9)
    days = (await one.ask("GET", one.volume))["items"]
    assert [(day["day"], day["sessions"], day["sets"]) for day in days] == [
        ("1950-03-01", 1, 1),
        ("1999-03-01", 1, 1),
        ("2025-03-01", 1, 1),
        ("2026-01-05", 5, 1),
    ]
    assert days[3]["duration_seconds"] == 0


@asynccontextmanager
async def athlete(worker: Worker) -> AsyncIterator[Person]:
    """A user of a worker."""
    user = uuid4()
    async with aiohttp.ClientSession(worker.url) as session:
        yield Person(session, user, {"Authorization": f"Bearer {token(str(user))}"})


def pulls(sets: int) -> dict[str, Any]:
    """A workout of pull-ups and hangs."""
    pull_up = {"name": "Pull-up", "exercise": "pull-up", "sets": sets, "reps": {"min": 5, "max": 8}, "weight": 2.5}
    return {"name": f"Pull {sets}", "exercises": [pull_up, {"name": "Dead hang", "sets": 2, "hold_seconds": 45}]}


async def perform(one: Person, training: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, dict[str, Any]]]:
    """The training, done set by set and COMPLETED; and the address and target of the one set that missed its own."""
    place = f"{TRAININGS}/{training['id']}"
    done: list[dict[str, Any]] = [{"reps": reps, "weight": 2.5} for reps in (8, 6, 5, 4)]
    done += [{"duration_seconds": seconds} for seconds in (45, 50)]
    sets = [
        (f"{place}/exercises/{exercise['id']}/sets/{set_['id']}", {"target": set_["target"]})
        for exercise in training["exercises"]
        for set_ in exercise["sets"]
    ]
    for (where, target), said in zip(sets, done, strict=True):
        training = await one.ask("PUT", where, target | said)
    await one.refused("GET", f"{one.sessions}/{training['id']}", None, "not-found", status=404)
    return await one.ask("PUT", place, training | {"status": "COMPLETED", "duration_seconds": 2700}), sets[3]


async def test_a_workout_is_made_versioned_instantiated_performed_and_corrected(
    start_worker: Callable[..., Worker], db: Database, broker: KafkaAddress
) -> None:
    """History, versions, adherence, events and figures tell the same, at a real worker, its broker and its tables."""
    worker = await asyncio.to_thread(start_worker)
    async with athlete(worker) as one:
        # Made and versioned, before and after a training is made of its second version.
        workout = await one.ask("POST", one.workouts, pulls(3), 201)
        address = f"{one.workouts}/{workout['id']}"
        second = await one.ask("PUT", address, pulls(4), **{"If-Match": '"1"'})
        training = await one.ask("POST", f"{address}/trainings", EMPTY, 201)
        await one.ask("PUT", address, pulls(5))
        assert (training["workout_id"], training["workout_version"]) == (workout["id"], 2)
        assert training["title"] == "Pull 4"
        sets = [[(set_["done"], set_["target"]) for set_ in e["sets"]] for e in training["exercises"]]
        assert sets == [
            [(False, {"reps": {"min": 5, "max": 8}, "weight": 2.5})] * 4,
            [(False, {"duration_seconds": 45})] * 2,
        ]

        # Performed, set by set.
        place = f"{TRAININGS}/{training['id']}"
        begun = await one.ask("PUT", place, training | {"status": "IN_PROGRESS"})
        performed, (where, target) = await perform(one, begun)
        session = await one.ask("GET", f"{one.sessions}/{training['id']}")
        adherence = session.pop("adherence")
        assert session == performed
        assert (adherence["sets_planned"], adherence["sets_in_target"], adherence["adherence"]) == (6, 5, 0.8333)
        shown = [(e["sets_done"], e["sets_in_target"], e["reps_done"]) for e in adherence["exercises"]]
        assert shown == [(4, 3, 23), (2, 2, 0)]

        # Corrected: the set that missed its target was one repetition more.
        corrected = await one.ask("PUT", where, target | {"reps": 5, "weight": 2.5})
        (session,) = (await one.ask("GET", one.sessions))["items"]
        assert session.pop("adherence")["adherence"] == 1
        assert session == corrected
        assert corrected["version"] == 10

        # What was, is still told: each version of both, and the training names the one that it was made of.
        history = (await one.ask("GET", f"{place}/history"))["items"]
        versions = (await one.ask("GET", f"{address}/versions"))["items"]
        assert [item["version"] for item in history] == list(range(1, 11))
        assert [item["version"] for item in versions] == [1, 2, 3]
        statuses = [item["event"]["payload"]["status"] for item in history]
        assert statuses == ["PLANNED"] + ["IN_PROGRESS"] * 7 + ["COMPLETED"] * 2
        for item, document in zip(history[:2] + history[8:], (training, begun, performed, corrected), strict=True):
            assert item["event"]["payload"]["exercises"] == document["exercises"]
        assert await one.ask("GET", f"{address}/versions/{training['workout_version']}") == second
        (as_planned, _) = second["exercises"]
        assert as_planned["sets"] == len(training["exercises"][0]["sets"])

        # The topics hold exactly that, in order, and the tables are its fold.
        async def behind() -> bool:
            return (await verified(db)).ok and bool((await one.ask("GET", one.volume))["items"])

        await until(behind, 30, "it is published and folded")
        environment = worker.environment
        for topic, items in (("EVENTS", history), ("WORKOUT_EVENTS", versions)):
            records = await read_topic(broker.bootstrap, environment[f"TRAINING_{topic}_TOPIC"])
            assert [record.event for record in records] == [item["event"] for item in items]
        seen = await verified(db)
        assert (seen.ok, seen.trainings, seen.different, seen.behind) == (True, 1, 0, 0)
        (day,) = (await one.ask("GET", one.volume))["items"]
        assert (day["sets"], day["reps"], day["external_load_kg"], day["hold_seconds"]) == (6, 24, 60, 95)
        assert day["duration_seconds"] == 2700
