"""Trainings on a real PostgreSQL: one statement a write, whatever is done at the same time."""

import asyncio
import random
from uuid import UUID, uuid4

import orjson
import psycopg2.errors
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    IdentityConflict,
    NotFound,
    PreconditionFailed,
    StatusConflict,
    UnknownExercise,
    UnknownWorkout,
    Unprocessable,
)
from models.events import TrainingEvent
from models.exercises import Catalogue
from models.sets import SetUpdate
from models.trainings import TrainingCreate, TrainingUpdate, exercises_json
from storage.database import Database
from storage.exercises import read_catalogue
from storage.sets import Sets
from storage.trainings import Author, IdempotencyKey, Trainings, Written
from tests.support.bodies import create_body, squat, trainings, update_body, uuid

SLUGS = ("wall-push-up", "knee-push-up")
on_one_database = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Athlete:
    """One user of the storage."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self.author = Author(uuid4(), "tester", "request-1")
        self.trainings = Trainings(database, "training_events")
        self.catalogue = catalogue

    async def create(self, body: TrainingCreate, key: IdempotencyKey | None = None) -> Written:
        id_ = body.id or uuid4()
        return await self.trainings.create(
            self.author, id_, body, exercises_json(id_, body.exercises, self.catalogue), key=key
        )

    async def update(
        self, id_: UUID, body: TrainingUpdate, if_match: list[int] | None = None, key: IdempotencyKey | None = None
    ) -> Written:
        exercises = exercises_json(id_, body.exercises, self.catalogue)
        return await self.trainings.update(self.author, id_, body, exercises, if_match=if_match, key=key)

    async def delete(self, id_: UUID, if_match: list[int] | None = None, key: IdempotencyKey | None = None) -> Written:
        return await self.trainings.delete(self.author, id_, if_match=if_match, key=key)

    async def read(self, id_: UUID) -> bytes:
        return (await self.trainings.read(self.author.user_id, id_)).document

    async def events(self, id_: UUID) -> list[TrainingEvent]:
        changes = await self.trainings.history(self.author.user_id, id_, limit=1000)
        return [TrainingEvent.model_validate_json(change.event) for change in changes]


async def make_workout(database: Database, athlete: Athlete, id_: UUID) -> None:
    """A workout of the athlete's, as trainings refer to it."""
    await database.execute(
        "INSERT INTO workouts (user_id, id, name, plan, digest) VALUES (%s, %s, 'Legs', '[]', '') "
        "ON CONFLICT DO NOTHING",
        [athlete.author.user_id, id_],
    )


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


def key(name: str = "k", digest: bytes = b"digest", route: str = "POST /trainings") -> IdempotencyKey:
    return IdempotencyKey(route, name, digest)


def said(document: bytes) -> dict:
    """What a document and its event have in common."""
    fields: dict = orjson.loads(document)
    for name in ("id", "created_at", "updated_at", "deleted_at"):
        fields.pop(name, None)
    return fields


def published(event: TrainingEvent, text: str) -> dict:
    payload: dict = orjson.loads(text)["payload"]
    assert payload.pop("training_id") == str(event.payload.training_id)
    payload.pop("previous_status", None)
    return payload


_skips = st.sampled_from(
    [{}, {"skipped_at": "2026-01-05T12:00:00.25+01:00"}, {"skipped_at": "2026-01-05T12:00:00Z", "skip_reason": 'ill "'}]
)
_workouts = st.sampled_from([{}, {"workout_id": str(uuid(5)), "workout_version": 3}])


_bodies = st.builds(lambda body, workout, skip: body | workout | skip, trainings(SLUGS), _workouts, _skips)


@on_one_database
@given(_bodies, _bodies)
async def test_what_is_written_is_what_is_read_and_what_is_published(
    athlete: Athlete, db: Database, first: dict, then: dict
) -> None:
    await make_workout(db, athlete, uuid(5))
    then["status"] = max(first["status"], then["status"], key=["PLANNED", "IN_PROGRESS", "COMPLETED"].index)
    for body in (first, then):
        if body["status"] != "PLANNED":
            body.pop("skipped_at", None)
            body.pop("skip_reason", None)
    created = await athlete.create(TrainingCreate.model_validate_json(orjson.dumps(first)))
    assert await athlete.read(created.id) == created.document
    updated = await athlete.update(created.id, TrainingUpdate.model_validate_json(orjson.dumps(then)))
    assert await athlete.read(created.id) == updated.document
    await athlete.delete(created.id)
    changes = await athlete.trainings.history(athlete.author.user_id, created.id, limit=9)
    events = await athlete.events(created.id)
    assert [(change.version, change.event_type) for change in changes] == [
        (1, "training_created"),
        (2, "training_updated"),
        (3, "training_deleted"),
    ]
    assert [event.payload.version for event in events] == [1, 2, 3]
    assert created.document is not None
    assert updated.document is not None
    assert published(events[0], changes[0].event) == said(created.document)
    assert published(events[1], changes[1].event) == said(updated.document)
    assert published(events[2], changes[2].event) == said(updated.document) | {"version": 3}


async def test_a_workout_that_is_not_there_is_refused_by_its_place(athlete: Athlete, db: Database) -> None:
    stranger = Athlete(db, athlete.catalogue)
    await make_workout(db, stranger, uuid(5))
    planned = {"workout_id": str(uuid(5)), "workout_version": 1}
    created = await athlete.create(create_body())
    for named in (None, key()):
        for attempt in (
            athlete.create(create_body(**planned, exercises=[squat()]), named),
            athlete.update(created.id, update_body(**planned), key=named and key("u")),
        ):
            with pytest.raises(UnknownWorkout) as refused:
                await attempt
            assert refused.value.pointer == "/workout_id"
    assert await db.one("SELECT count(*) FROM outbox") == (1,)
    await make_workout(db, athlete, uuid(5))
    await athlete.update(created.id, update_body(**planned), key=key("u"))
    assert (await athlete.events(created.id))[1].payload.workout_id == uuid(5)


async def test_every_change_is_of_a_transaction_of_its_own(athlete: Athlete, db: Database) -> None:
    """`xid` is the writing transaction's, as it is in the log: changes are read by it."""
    created = await athlete.create(create_body(status="IN_PROGRESS", exercises=[squat()]))
    exercise = orjson.loads(created.document or b"")["exercises"][0]
    place = (created.id, UUID(exercise["id"]), UUID(exercise["sets"][0]["id"]))
    sets = Sets(db, "training_events")

    async def agree() -> None:
        rows = await db.all(
            "SELECT t.xid = o.xid FROM trainings t, outbox o WHERE o.aggregate_id = t.id AND o.version = t.version"
        )
        assert rows == [(True,)]

    await agree()
    for change in (
        lambda: athlete.update(created.id, update_body(exercises=[squat()])),
        lambda: athlete.trainings.reopen(athlete.author, created.id),
        lambda: sets.save(athlete.author, *place, SetUpdate()),
        lambda: sets.delete(athlete.author, *place),
        lambda: athlete.delete(created.id),
        lambda: athlete.trainings.restore(athlete.author, created.id),
    ):
        await change()
        await agree()


async def test_one_statement_each(athlete: Athlete, db: Database) -> None:
    async def writes(name: str | None) -> None:
        def named(route: str) -> IdempotencyKey | None:
            return key(name, route=route) if name else None

        created = await athlete.create(create_body(exercises=[squat(sets=3)]), named("POST"))
        await athlete.update(created.id, update_body(exercises=[squat()]), key=named("PUT"))
        await athlete.read(created.id)
        await athlete.delete(created.id, key=named("DELETE"))

    for first, then in ((None, None), ("a", "b")):
        await writes(first)  # the connection prepares each statement once
        before = db.statements
        await writes(then)
        assert db.statements - before == 4
    before = db.statements
    await athlete.trainings.page(athlete.author.user_id, limit=5)
    assert db.statements - before == 1


async def test_the_same_id_or_source_id_creates_once(athlete: Athlete) -> None:
    body = create_body(id=str(uuid4()), source_id="app:1", exercises=[squat()])
    first = await athlete.create(body)
    assert first.created
    again = await athlete.create(body)
    assert (again.created, again.document) == (False, first.document)
    corrected = await athlete.update(first.id, update_body(title="corrected"))
    assert (await athlete.create(body)).document == corrected.document
    await athlete.delete(first.id)
    gone = await athlete.create(body)
    assert gone.document is not None
    assert orjson.loads(gone.document)["deleted_at"]
    assert len(await athlete.events(first.id)) == 3
    other = create_body(source_id="app:1", exercises=[squat(reps=6)])
    with pytest.raises(IdentityConflict):
        await athlete.create(other)
    with pytest.raises(IdentityConflict):
        await athlete.create(create_body(id=str(first.id)))
    with pytest.raises(IdentityConflict):
        await athlete.create(create_body(id=str(first.id)), key())
    unnamed = await athlete.create(create_body(title="of the service's own id"))
    with pytest.raises(IdentityConflict):
        await athlete.create(create_body(id=str(unnamed.id)))


async def test_an_id_and_a_source_id_of_two_trainings_conflict(athlete: Athlete) -> None:
    first = await athlete.create(create_body(id=str(uuid4())))
    await athlete.create(create_body(source_id="app:2"))
    with pytest.raises(IdentityConflict):
        await athlete.create(create_body(id=str(first.id), source_id="app:2"))


async def test_ids_are_each_users_own(athlete: Athlete, db: Database) -> None:
    stranger = Athlete(db, athlete.catalogue)
    body = create_body(id=str(uuid4()), source_id="app:1", exercises=[squat()])
    mine, theirs = await athlete.create(body, key()), await stranger.create(body, key())
    assert mine.created
    assert theirs.created
    await stranger.delete(theirs.id)
    assert await athlete.read(mine.id) == mine.document
    only_mine = await athlete.create(create_body())
    for attempt in (stranger.read(only_mine.id), stranger.delete(only_mine.id), stranger.events(only_mine.id)):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(NotFound):
        await stranger.update(only_mine.id, update_body())


async def test_status_never_goes_back_and_corrections_append(athlete: Athlete) -> None:
    created = await athlete.create(create_body(status="IN_PROGRESS"))
    with pytest.raises(StatusConflict):
        await athlete.update(created.id, update_body(status="PLANNED"))
    await athlete.update(created.id, update_body())
    with pytest.raises(StatusConflict):
        await athlete.update(created.id, update_body(status="IN_PROGRESS"), key=key())
    await athlete.update(created.id, update_body(title="typo mended"))
    events = await athlete.events(created.id)
    assert [event.payload.status for event in events] == ["IN_PROGRESS", "COMPLETED", "COMPLETED"]
    assert [event.payload.previous_status for event in events] == [None, "IN_PROGRESS", "COMPLETED"]
    assert events[1].payload.title is None


async def test_preconditions(athlete: Athlete) -> None:
    created = await athlete.create(create_body())
    await athlete.update(created.id, update_body(), if_match=[1])
    for attempt in (athlete.update(created.id, update_body(), [1]), athlete.delete(created.id, [1, 3], key())):
        with pytest.raises(PreconditionFailed) as refused:
            await attempt
        assert refused.value.version == 2
    assert (await athlete.delete(created.id, [7, 2])).version == 3


async def test_a_deleted_training_is_gone_and_its_history_is_not(athlete: Athlete) -> None:
    created = await athlete.create(create_body(exercises=[squat()]))
    await athlete.delete(created.id)
    for attempt in (athlete.read(created.id), athlete.delete(created.id), athlete.update(created.id, update_body())):
        with pytest.raises(NotFound):
            await attempt
    assert await athlete.trainings.page(athlete.author.user_id, limit=5) == []
    assert len(await athlete.events(created.id)) == 2


async def test_a_key_is_answered_once_and_then_replayed(athlete: Athlete) -> None:
    body = create_body(exercises=[squat(weight=102.5)], source_id="app:9")
    first = await athlete.create(body, key())
    again = await athlete.create(body, key())
    assert (again.replayed, again.created, again.document) == (True, True, first.document)
    updates = [await athlete.update(first.id, update_body(title="x"), [1], key("u", route="PUT")) for _ in range(2)]
    assert updates[0].document == updates[1].document
    assert (updates[0].replayed, updates[1].replayed) == (False, True)
    deletes = [await athlete.delete(first.id, [2], key("d", route="DELETE")) for _ in range(2)]
    assert [(written.version, written.replayed) for written in deletes] == [(3, False), (3, True)]
    assert (await athlete.create(body, key())).document == first.document
    assert len(await athlete.events(first.id)) == 3
    with pytest.raises(IdempotencyKeyReused):
        await athlete.create(body, key(digest=b"another"))


async def test_a_refused_write_keeps_no_key(athlete: Athlete, db: Database) -> None:
    created = await athlete.create(create_body())
    with pytest.raises(PreconditionFailed):
        await athlete.update(created.id, update_body(), [9], key("u"))
    with pytest.raises(NotFound):
        await athlete.delete(uuid4(), key=key("d"))
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (0,)
    assert (await athlete.update(created.id, update_body(), key=key("u"))).version == 2


async def test_what_cannot_be_published_is_refused(athlete: Athlete) -> None:
    body = create_body(exercises=[{"name": "x", "notes": "n" * 10_000}] * 100)
    with pytest.raises(Unprocessable):
        await athlete.create(body)


async def test_a_revision_that_only_the_worker_knows_is_refused(athlete: Athlete) -> None:
    body = create_body()
    exercises = (
        '[{"id":"00000000-0000-0000-0000-000000000001","name":"x","exercise":"no","exercise_revision":1,"sets":[]}]'
    )
    with pytest.raises(UnknownExercise):
        await athlete.trainings.create(athlete.author, uuid4(), body, exercises)


async def test_a_log_without_a_partition_refuses_writes_as_unavailable(athlete: Athlete, database_urls) -> None:
    owner = Database(database_urls.owner)
    try:
        for (partition,) in await owner.all(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox'::regclass"
        ):
            await owner.execute(f"DROP TABLE {partition}")
        with pytest.raises(DatabaseUnavailable):
            await athlete.create(create_body())
        assert await athlete.trainings.page(athlete.author.user_id, limit=5) == []
    finally:
        await owner.close()


async def test_a_check_that_a_document_breaks_is_a_fault_of_ours(athlete: Athlete, database_urls) -> None:
    """And not the month that is lacking: that heals by itself."""
    owner = Database(database_urls.owner)
    try:
        await owner.execute("ALTER TABLE trainings ADD CONSTRAINT odd CHECK (title <> 'odd')")
        with pytest.raises(psycopg2.errors.CheckViolation):
            await athlete.create(create_body(title="odd"))
    finally:
        await owner.close()


async def test_every_offset_of_a_moment_is_stored(athlete: Athlete) -> None:
    """PostgreSQL takes none of 16 hours or more."""
    for offset in ("+23:59", "-23:59"):
        created = await athlete.create(create_body(date=f"2026-01-05T12:00:00{offset}"))
        assert await athlete.read(created.id) == created.document


async def test_a_page_of_no_history_is_not_found(athlete: Athlete) -> None:
    with pytest.raises(NotFound):
        await athlete.trainings.history(athlete.author.user_id, uuid4(), after=1, limit=5)


async def test_pages_go_through_the_list_newest_first(athlete: Athlete) -> None:
    for day in range(1, 8):
        await athlete.create(
            create_body(date=f"2026-01-0{day}T23:30:00Z", timezone="Europe/Berlin", status="COMPLETED")
        )
    await athlete.create(create_body(date="2026-01-03T23:30:00Z", timezone="Europe/Berlin"))
    user = athlete.author.user_id
    days, after = [], None
    while page := await athlete.trainings.page(user, after=after, limit=3):
        days += [orjson.loads(stored.document)["day"][-2:] for stored in page]
        after = (page[-1].date, page[-1].id)
    assert days == ["08", "07", "06", "05", "04", "04", "03", "02"]
    january = {
        "first": create_body(date="2026-01-04T00:00:00Z").local_day(),
        "last": create_body(date="2026-01-05T00:00:00Z").local_day(),
    }
    assert len(await athlete.trainings.page(user, **january, limit=9)) == 3
    assert len(await athlete.trainings.page(user, **january, status="COMPLETED", limit=9)) == 2


@on_one_database
@given(st.integers(0, 2**32))
async def test_concurrent_writes_leave_children_payload_and_version_of_one_history(athlete: Athlete, seed: int) -> None:
    """Random PUTs, DELETEs and POSTs at the same moment: the last event tells exactly what is stored (D4)."""
    chance = random.Random(seed)
    body = create_body(id=str(uuid4()), exercises=[squat(sets=3)])
    id_ = body.id
    assert id_ is not None

    async def attempt(n: int) -> str:
        what = chance.choice(["put", "put", "put", "delete", "post"])
        named = key(f"{id_}-{n % 3}") if chance.random() < 0.5 else None
        try:
            if what == "post":
                await athlete.create(body, named and key(f"post-{id_}"))
            elif what == "put":
                exercises = [squat(reps=n, sets=chance.randint(0, 4)) for _ in range(chance.randint(0, 3))]
                await athlete.update(
                    id_, update_body(exercises=exercises), key=named and key(f"{named.key}-put", bytes([n]))
                )
            elif n > 4:
                await athlete.delete(id_)
        except (NotFound, IdempotencyKeyReused):
            return "refused"
        return what

    await asyncio.gather(*(athlete.create(body, key(f"post-{id_}")) for _ in range(3)))
    await asyncio.gather(*(attempt(n) for n in range(8)))
    events = await athlete.events(id_)
    assert [event.payload.version for event in events] == list(range(1, len(events) + 1))
    assert [event.event_type for event in events].count("training_created") == 1
    assert [event.event_type for event in events[:-1]].count("training_deleted") == 0
    changes = await athlete.trainings.history(athlete.author.user_id, id_, limit=100)
    if events[-1].event_type != "training_deleted":
        assert published(events[-1], changes[-1].event) == said(await athlete.read(id_))
    else:
        last, before = (published(events[i], changes[i].event) for i in (-1, -2))
        assert last["exercises"] == before["exercises"]
