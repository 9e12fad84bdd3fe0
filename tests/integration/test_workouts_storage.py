"""Workouts on a real PostgreSQL: one statement a write, every version kept, and the trainings that they plan."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import (
    IdempotencyKeyReused,
    IdentityConflict,
    NotFound,
    PreconditionFailed,
    UnknownExercise,
    Unprocessable,
)
from models.events import TrainingEvent, WorkoutEvent
from models.trainings import TrainingDocument
from models.workouts import WorkoutDocument
from storage.database import Database
from storage.exercises import read_catalogue
from storage.trainings import IdempotencyKey
from tests.support.workouts import PULLS, Planner, create_workout, plan_body, update_workout, workouts

SLUGS = ("wall-push-up", "knee-push-up")
on_one_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def planner(db: Database) -> Planner:
    return Planner(db, await read_catalogue(db))


def key(name: str = "k", digest: bytes = b"digest", route: str = "POST /workouts") -> IdempotencyKey:
    return IdempotencyKey(route, name, digest)


def said(document: bytes | None) -> dict[str, Any]:
    """What a document and its event have in common."""
    assert document is not None
    fields: dict[str, Any] = orjson.loads(document)
    for name in ("id", "created_at", "updated_at", "deleted_at"):
        fields.pop(name, None)
    return fields


def published(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event["payload"].items() if name != "workout_id"}


@on_one_database
@given(workouts(SLUGS), workouts(SLUGS))
async def test_what_is_written_is_what_is_read_and_what_is_published(planner: Planner, first: dict, then: dict) -> None:
    created = await planner.create(create_workout(**first))
    stored = await planner.workouts.read(planner.user_id, created.id)
    assert (stored.version, stored.document) == (1, created.document)
    WorkoutDocument.model_validate_json(stored.document)
    updated = await planner.update(created.id, update_workout(**then))
    assert (await planner.workouts.read(planner.user_id, created.id)).document == updated.document
    await planner.delete(created.id)
    changes = await planner.workouts.versions(planner.user_id, created.id, limit=9)
    assert [(change.version, change.event_type, change.actor, change.request_id) for change in changes] == [
        (1, "workout_created", "planner", "request-1"),
        (2, "workout_updated", "planner", "request-1"),
        (3, "workout_deleted", "planner", "request-1"),
    ]
    events = [orjson.loads(change.event) for change in changes]
    for event in events:
        WorkoutEvent.model_validate(event)
        assert event["payload"]["workout_id"] == str(created.id)
    assert published(events[0]) == said(created.document)
    assert published(events[1]) == said(updated.document)
    assert published(events[2]) == said(updated.document) | {"version": 3}
    versions = [await planner.workouts.version(planner.user_id, created.id, number) for number in (1, 2, 3)]
    assert versions[:2] == [created.document, updated.document]
    assert said(versions[2]) == published(events[2])
    assert orjson.loads(versions[2])["deleted_at"] == events[2]["timestamp"]


async def test_the_same_id_creates_once(planner: Planner) -> None:
    body = create_workout(id=str(uuid4()), exercises=[PULLS])
    first = await planner.create(body)
    assert first.created
    again = await planner.create(body)
    assert (again.created, again.document) == (False, first.document)
    changed = await planner.update(first.id, update_workout(name="Pull harder"))
    assert (await planner.create(body)).document == changed.document
    await planner.delete(first.id)
    gone = await planner.create(body, key())
    assert gone.document is not None
    assert orjson.loads(gone.document)["deleted_at"]
    assert len(await planner.events(first.id)) == 3
    for named in (None, key("other")):
        with pytest.raises(IdentityConflict):
            await planner.create(create_workout(id=str(first.id)), named)


async def test_workouts_are_each_users_own(planner: Planner, db: Database) -> None:
    stranger = Planner(db, planner.catalogue)
    body = create_workout(id=str(uuid4()), exercises=[PULLS])
    mine, theirs = await planner.create(body, key()), await stranger.create(body, key())
    assert mine.created
    assert theirs.created
    await stranger.delete(theirs.id)
    assert (await planner.workouts.read(planner.user_id, mine.id)).document == mine.document
    only_mine = await planner.create(create_workout())
    for attempt in (
        stranger.read(only_mine.id),
        stranger.update(only_mine.id, update_workout()),
        stranger.delete(only_mine.id),
        stranger.events(only_mine.id),
        stranger.workouts.version(stranger.user_id, only_mine.id, 1),
        stranger.plan(only_mine.id),
        stranger.plan(only_mine.id, key=key("plan")),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await stranger.workouts.page(stranger.user_id, limit=5) == []
    assert await db.one("SELECT count(*) FROM trainings") == (0,)


async def test_preconditions(planner: Planner) -> None:
    created = await planner.create(create_workout())
    await planner.update(created.id, update_workout(), if_match=[1])
    for attempt in (planner.update(created.id, update_workout(), [1]), planner.delete(created.id, [1, 3], key())):
        with pytest.raises(PreconditionFailed) as refused:
            await attempt
        assert refused.value.version == 2
    assert (await planner.delete(created.id, [7, 2])).version == 3


async def test_a_key_is_answered_once_and_then_replayed(planner: Planner) -> None:
    body = create_workout(exercises=[PULLS])
    first = await planner.create(body, key())
    again = await planner.create(body, key())
    assert (again.replayed, again.created, again.document) == (True, True, first.document)
    updates = [await planner.update(first.id, update_workout(), [1], key("u", route="PUT")) for _ in range(2)]
    assert updates[0].document == updates[1].document
    assert (updates[0].replayed, updates[1].replayed) == (False, True)
    plans = [await planner.plan(first.id, key=key("p", route="PLAN")) for _ in range(2)]
    assert (plans[0].id, plans[0].document) == (plans[1].id, plans[1].document)
    assert (plans[0].replayed, plans[1].replayed) == (False, True)
    deletes = [await planner.delete(first.id, [2], key("d", route="DELETE")) for _ in range(2)]
    assert [(written.version, written.replayed) for written in deletes] == [(3, False), (3, True)]
    assert (await planner.create(body, key())).document == first.document
    assert (await planner.plan(first.id, key=key("p", route="PLAN"))).document == plans[0].document
    with pytest.raises(IdempotencyKeyReused):
        await planner.create(body, key(digest=b"another"))


async def test_a_refused_write_keeps_no_key(planner: Planner, db: Database) -> None:
    created = await planner.create(create_workout())
    with pytest.raises(PreconditionFailed):
        await planner.update(created.id, update_workout(), [9], key("u"))
    with pytest.raises(NotFound):
        await planner.delete(uuid4(), key=key("d"))
    with pytest.raises(NotFound):
        await planner.plan(uuid4(), key=key("p"))
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (0,)
    assert (await planner.update(created.id, update_workout(), key=key("u"))).version == 2


async def test_deleting_a_workout_removes_its_exercises_and_leaves_trainings_standing(
    planner: Planner, db: Database
) -> None:
    """The specification's cascade: what a workout is made of goes with it, what was trained by it does not."""
    other = await planner.create(create_workout(exercises=[PULLS]))
    created = await planner.create(create_workout(exercises=[PULLS, PULLS | {"name": "Row"}]))
    training = await planner.plan(created.id)
    before = await planner.training(training.id)
    await planner.delete(created.id)
    assert await db.all("SELECT DISTINCT workout_id FROM workout_exercises") == [(other.id,)]
    assert await db.one("SELECT deleted_at IS NOT NULL FROM workouts WHERE id = %s", [created.id]) == (True,)
    assert await planner.training(training.id) == before
    for attempt in (
        planner.read(created.id),
        planner.update(created.id, update_workout()),
        planner.delete(created.id),
        planner.plan(created.id),
        planner.plan(created.id, key=key()),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert [stored.id for stored in await planner.workouts.page(planner.user_id, limit=5)] == [other.id]
    assert [event["event_type"] for event in await planner.events(created.id)] == ["workout_created", "workout_deleted"]
    (whole, last) = await planner.events(created.id)
    assert last["payload"]["exercises"] == whole["payload"]["exercises"]


async def test_what_cannot_be_published_is_refused(planner: Planner) -> None:
    notes = [{"name": "x", "sets": 1, "notes": "n" * 10_000}] * 100
    many = [{"name": "x", "sets": 100, "tempo": "3-0-1-0", "rest": 90, "rpe": 8.5}] * 200
    for exercises in (notes, many):
        with pytest.raises(Unprocessable, match="larger than"):
            await planner.create(create_workout(exercises=exercises))


async def test_a_revision_that_only_the_worker_knows_is_refused(planner: Planner) -> None:
    exercises = orjson.dumps(
        [{"id": uuid4(), "name": "x", "exercise": "no", "exercise_revision": 1, "sets": 1, "unit": "kg"}]
    ).decode()
    with pytest.raises(UnknownExercise):
        await planner.workouts.create(planner.author, uuid4(), create_workout(), exercises)


async def test_pages_go_through_the_list_those_created_last_first(planner: Planner) -> None:
    names = [f"w{number}" for number in range(7)]
    for name in names:
        await planner.create(create_workout(name=name))
    found, after = [], None
    while page := await planner.workouts.page(planner.user_id, after=after, limit=3):
        found += [orjson.loads(stored.document)["name"] for stored in page]
        after = (page[-1].created_at, page[-1].id)
    assert found == names[::-1]


async def test_versions_are_paged_and_a_missing_one_is_not_found(planner: Planner) -> None:
    created = await planner.create(create_workout())
    for _ in range(3):
        await planner.update(created.id, update_workout())
    changes = await planner.workouts.versions(planner.user_id, created.id, after=2, limit=1)
    assert [change.version for change in changes] == [3]
    for version in (0, 5):
        with pytest.raises(NotFound):
            await planner.workouts.version(planner.user_id, created.id, version)


@on_one_database
@given(workouts(SLUGS), st.booleans())
async def test_a_planned_training_is_what_the_workout_says(planner: Planner, said: dict, named: bool) -> None:
    created = await planner.create(create_workout(**said))
    await planner.update(created.id, update_workout(**said))
    body = plan_body(
        timezone="Pacific/Kiritimati", **({"title": 'Peak "1"', "source_id": f"plan:{uuid4()}"} if named else {})
    )
    written = await planner.plan(created.id, body)
    assert (written.created, written.version) == (True, 1)
    stored = await planner.trainings.read(planner.user_id, written.id)
    assert stored.document == written.document
    TrainingDocument.model_validate_json(stored.document)
    document = orjson.loads(stored.document)
    workout = await planner.read(created.id)
    assert document["title"] == ('Peak "1"' if named else workout["name"])
    assert (document["status"], document["day"], document["timezone"]) == (
        "PLANNED",
        "2026-01-06",
        "Pacific/Kiritimati",
    )
    assert (document["workout_id"], document["workout_version"]) == (str(created.id), 2)
    assert document.get("group_external_id") == workout.get("group_external_id")
    assert [exercise["name"] for exercise in document["exercises"]] == [each["name"] for each in workout["exercises"]]
    for exercise, prescribed in zip(document["exercises"], workout["exercises"], strict=True):
        assert exercise.get("exercise_revision") == prescribed.get("exercise_revision")
        assert len(exercise["sets"]) == prescribed["sets"]
        for set_ in exercise["sets"]:
            assert (set_["done"], set_["reps"], set_["weight"]) == (False, 0, 0)
            assert set_.get("target", {}).get("reps") == prescribed.get("reps")
            assert set_.get("target", {}).get("rest_seconds") == prescribed.get("rest")
    (change,) = await planner.trainings.history(planner.user_id, written.id, limit=5)
    event = orjson.loads(change.event)
    TrainingEvent.model_validate_json(change.event)
    assert event["event_type"] == "training_created"
    common = {name: value for name, value in document.items() if name not in {"id", "created_at", "updated_at"}}
    assert event["payload"] == {"training_id": str(written.id), **common}


async def test_the_same_plan_creates_one_training(planner: Planner) -> None:
    workout = await planner.create(create_workout(exercises=[PULLS]))
    other = await planner.create(create_workout())
    body = plan_body(id=str(uuid4()), source_id="plan:1")
    first = await planner.plan(workout.id, body)
    assert first.created
    await planner.update(workout.id, update_workout(name="changed since"))
    for again in (await planner.plan(workout.id, body), await planner.plan(workout.id, body, key())):
        assert (again.created, again.document) == (False, first.document)
    with pytest.raises(IdentityConflict):
        await planner.plan(other.id, body)
    with pytest.raises(IdentityConflict):
        await planner.plan(workout.id, plan_body(source_id="plan:1", title="another"), key("x"))
    await planner.delete(workout.id)
    assert (await planner.plan(workout.id, body)).document == first.document
    assert len(await planner.trainings.page(planner.user_id, limit=5)) == 1


@on_one_database
@given(st.integers(0, 2**32))
async def test_concurrent_writes_leave_exercises_payload_plan_and_version_of_one_history(
    planner: Planner, db: Database, seed: int
) -> None:
    """Random PUTs, DELETEs, POSTs and plans at the same moment: the last event tells exactly what is stored (D4)."""
    chance = random.Random(seed)
    body = create_workout(id=str(uuid4()), exercises=[PULLS])
    id_ = body.id
    assert id_ is not None

    async def attempt(n: int) -> None:
        what = chance.choice(["put", "put", "put", "plan", "delete", "post"])
        named = key(f"{id_}-{n % 3}") if chance.random() < 0.5 else None
        try:
            if what == "post":
                await planner.create(body, named and key(f"post-{id_}"))
            elif what == "plan":
                await planner.plan(id_)
            elif what == "put":
                exercises = [PULLS | {"reps": n, "sets": chance.randint(1, 4)} for _ in range(chance.randint(0, 3))]
                await planner.update(
                    id_, update_workout(exercises=exercises), key=named and key(f"{named.key}-put", bytes([n]))
                )
            elif n > 4:
                await planner.delete(id_)
        except (NotFound, IdempotencyKeyReused):
            pass

    await asyncio.gather(*(planner.create(body, key(f"post-{id_}")) for _ in range(3)))
    await asyncio.gather(*(attempt(n) for n in range(8)))
    events = await planner.events(id_)
    assert [event["payload"]["version"] for event in events] == list(range(1, len(events) + 1))
    types = [event["event_type"] for event in events]
    assert types.count("workout_created") == 1
    assert types[:-1].count("workout_deleted") == 0
    left = await db.one("SELECT count(*) FROM workout_exercises WHERE workout_id = %s", [id_])
    if types[-1] == "workout_deleted":
        assert events[-1]["payload"]["exercises"] == events[-2]["payload"]["exercises"]
        assert left == (0,)
    else:
        stored = await planner.workouts.read(planner.user_id, id_)
        assert published(events[-1]) == said(stored.document)
        assert left == (len(events[-1]["payload"]["exercises"]),)
        planned = await planner.training((await planner.plan(id_)).id)
        assert planned["workout_version"] == len(events)
        assert [len(exercise["sets"]) for exercise in planned["exercises"]] == [
            exercise["sets"] for exercise in events[-1]["payload"]["exercises"]
        ]
    for (document,) in await db.all(
        "SELECT payload FROM outbox WHERE aggregate_type = 'training' AND user_id = %s", [planner.user_id]
    ):
        training = orjson.loads(document)["payload"]
        if training["workout_id"] == str(id_):  # one version's plan, whole
            source = events[training["workout_version"] - 1]["payload"]
            assert [len(exercise["sets"]) for exercise in training["exercises"]] == [
                exercise["sets"] for exercise in source["exercises"]
            ]
