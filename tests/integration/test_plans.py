"""Many planned trainings at once on a real PostgreSQL: read, made, changed, deleted, and what the log says of it."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from uuid_utils.compat import uuid7

from models.errors import DatabaseUnavailable, Unprocessable
from models.fields import moment
from storage.database import Cursor, Database
from storage.plans import (
    PlannedTraining,
    Stale,
    change_planned,
    create_planned,
    delete_planned,
    in_transaction,
    read_planned,
)
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.phases import PhasePlanner
from tests.support.workouts import TRAININGS, plan_body

DAYS = ["2026-01-05", "2026-01-07", "2026-01-09"]


@pytest.fixture
async def planner(db: Database) -> PhasePlanner:
    return await PhasePlanner.of(db)


async def plans(planner: PhasePlanner) -> list[UUID]:
    """A planned training of `pull` on each of `DAYS`."""
    bodies = [plan_body(date=f"{day}T18:30:00+01:00", timezone="Europe/Berlin") for day in DAYS]
    return [(await planner.plan(planner.pull, body)).id for body in bodies]


def later(training: PlannedTraining, days: int = 7) -> dict[str, Any]:
    """Its members some days later."""
    date = training.date + dt.timedelta(days=days)
    return {**training.fields, "date": moment(date), "day": str(date.date())}


async def test_what_a_plan_may_change_is_read_by_date(planner: PhasePlanner) -> None:
    first, second, third = await plans(planner)
    user, db = planner.user_id, planner.database
    found = await planner.planned()
    assert [training.id for training in found] == [first, second, third]
    document = await planner.training(first)
    stored = {name: document.pop(name) for name in ("id", "user_id", "version", "created_at", "updated_at")}
    assert (found[0].fields, found[0].version, found[0].day, str(found[0].id)) == (
        document,
        1,
        dt.date(2026, 1, 5),
        stored["id"],
    )
    assert orjson.dumps(found[0].fields) == orjson.dumps(document)  # in the same order

    assert [training.id for training in await read_planned(db, user, [third, first, uuid4()])] == [first, third]
    assert await read_planned(db, uuid4(), [first, second]) == []
    await planner.set_(first, status="IN_PROGRESS")
    await planner.set_(second, skipped_at="2026-01-07T18:00:00Z")
    await planner.drop(third)
    assert await planner.planned() == []


async def test_no_more_is_read_than_may_be_written(planner: PhasePlanner) -> None:
    """Trainings that the athlete has made large since are told of, and not held."""
    db, said = planner.database, plan_body(date="2026-01-05T18:30:00Z")
    ids = [(await planner.plan(planner.pull, said)).id for _ in range(18)]
    await db.execute("UPDATE training_exercises SET notes = repeat('x', 890000) WHERE user_id = %s", [planner.user_id])
    assert len(await read_planned(db, planner.user_id, ids[1:])) == 17
    with pytest.raises(Unprocessable, match="16,000,000 bytes together: change fewer at once"):
        await read_planned(db, planner.user_id, ids)


async def test_many_are_changed_by_one_statement_with_an_event_each(planner: PhasePlanner) -> None:
    await plans(planner)
    db = planner.database
    moved, fuller, kept = await planner.planned()
    exercises = [exercise | {"sets": exercise["sets"][:1]} for exercise in fuller.fields["exercises"]]
    before = db.statements

    async def write(cursor: Cursor) -> dict[UUID, int]:
        changed = [(moved, later(moved)), (fuller, {**fuller.fields, "exercises": exercises, "notes": "Half of it."})]
        return await change_planned(cursor, planner.author, TRAININGS, changed)

    assert await in_transaction(db, planner.user_id, write) == {moved.id: 2, fuller.id: 2}
    assert db.statements - before == 4  # BEGIN, the lock, the change, COMMIT
    assert (await planner.training(moved.id))["day"] == "2026-01-12"
    document = await planner.training(fuller.id)
    assert [len(exercise["sets"]) for exercise in document["exercises"]] == [1]
    assert document["notes"] == "Half of it."
    assert (await planner.training(kept.id))["version"] == 1
    await planner.told()
    rows = await db.all(
        "SELECT payload, actor, request_id, event_type FROM outbox WHERE aggregate_id = %s AND version = 2", [moved.id]
    )
    ((payload, actor, request_id, event_type),) = rows
    assert orjson.loads(payload)["payload"]["previous_status"] == "PLANNED"
    assert (actor, request_id, event_type) == ("planner", "request-1", "training_updated")
    back = (await read_planned(db, planner.user_id, [fuller.id]))[0]
    await in_transaction(
        db, planner.user_id, lambda c: change_planned(c, planner.author, TRAININGS, [(back, fuller.fields)])
    )
    restored = await planner.training(fuller.id)
    assert restored["exercises"] == fuller.fields["exercises"]
    assert "notes" not in restored
    await planner.told()


async def test_many_are_made_and_deleted_by_one_statement_each(planner: PhasePlanner) -> None:
    await plans(planner)
    db = planner.database
    found = await planner.planned()
    versions = [(training.id, training.version) for training in found]
    items = [(uuid7(), later(training, 14)) for training in found]
    before = db.statements
    made = await in_transaction(db, planner.user_id, lambda c: create_planned(c, planner.author, TRAININGS, items))
    gone = await in_transaction(db, planner.user_id, lambda c: delete_planned(c, planner.author, TRAININGS, versions))
    assert db.statements - before == 8
    assert made == {id_: 1 for id_, _ in items}
    assert gone == {training.id: 2 for training in found}
    assert [row.deleted for row in await planner.rows()] == [True] * 3 + [False] * 3
    await planner.told()
    restored = await planner.trainings.restore(planner.author, found[0].id)
    assert restored.version == 3
    assert (await planner.training(found[0].id))["exercises"] == found[0].fields["exercises"]


async def test_what_is_not_as_it_was_read_stops_everything(planner: PhasePlanner) -> None:
    await plans(planner)
    db = planner.database
    found = await planner.planned()
    versions = [(training.id, training.version) for training in found]
    first, second, _ = (training.id for training in found)

    async def log() -> Any:
        return await db.one("SELECT count(*), max(seq) FROM outbox")

    changes = (
        {"title": "Mine"},
        {"skipped_at": "2026-01-05T12:00:00Z"},
        {"skipped_at": None, "status": "IN_PROGRESS"},
    )
    for fields in changes:
        await planner.set_(first, **fields)
        before = await log()
        for write in (
            lambda c: change_planned(c, planner.author, TRAININGS, [(each, later(each)) for each in found]),
            lambda c: delete_planned(c, planner.author, TRAININGS, versions),
        ):
            with pytest.raises(Stale):
                async with db.transaction() as cursor:
                    await write(cursor)
        assert await log() == before
    await planner.drop(second)
    with pytest.raises(DatabaseUnavailable, match="all the time"):
        await in_transaction(db, planner.user_id, lambda c: delete_planned(c, planner.author, TRAININGS, versions[1:]))
    assert (await planner.training(found[2].id))["version"] == 1
    await planner.told()


async def test_plans_of_others_are_not_there(planner: PhasePlanner) -> None:
    await plans(planner)
    stranger = await PhasePlanner.of(planner.database)
    found = await planner.planned()
    for write in (
        lambda c: change_planned(c, stranger.author, TRAININGS, [(each, later(each)) for each in found]),
        lambda c: delete_planned(c, stranger.author, TRAININGS, [(each.id, each.version) for each in found]),
    ):
        with pytest.raises(Stale):
            async with planner.database.transaction() as cursor:
                await write(cursor)
    assert {row.version for row in await planner.rows()} == {1}


async def test_what_is_too_large_or_no_plan_is_refused(planner: PhasePlanner) -> None:
    await plans(planner)
    db = planner.database
    training = (await planner.planned())[0]
    large = {**training.fields, "notes": "x" * 900_000}
    with pytest.raises(Unprocessable, match="900,000"):
        await in_transaction(
            db, planner.user_id, lambda c: change_planned(c, planner.author, TRAININGS, [(training, large)])
        )
    many = [(uuid7(), {**training.fields, "notes": "x" * 890_000}) for _ in range(18)]
    with pytest.raises(Unprocessable, match="16,000,000"):
        await in_transaction(db, planner.user_id, lambda c: create_planned(c, planner.author, TRAININGS, many))
    for wrong in ({"status": "COMPLETED"}, {"hidden": True}):
        with pytest.raises(ValueError, match="PLANNED"):
            changed = [(training, {**training.fields, **wrong})]
            await in_transaction(
                db, planner.user_id, lambda c, changed=changed: change_planned(c, planner.author, TRAININGS, changed)
            )
    assert await in_transaction(db, planner.user_id, lambda c: change_planned(c, planner.author, TRAININGS, [])) == {}
    assert (await planner.training(training.id))["version"] == 1


async def test_who_begins_while_a_plan_waits_wins(planner: PhasePlanner) -> None:
    """The plan's statement has its snapshot, and waits for the row that the athlete is beginning."""
    first, *_ = await plans(planner)
    db = planner.database
    found = await planner.planned()
    attempts = 0

    async def write(cursor: Cursor) -> dict[UUID, int]:
        nonlocal attempts
        attempts += 1
        planned = found if attempts == 1 else await planner.planned(cursor)
        return await change_planned(cursor, planner.author, TRAININGS, [(each, later(each)) for each in planned])

    async with db.transaction() as cursor:
        await cursor.execute(
            "SELECT FROM trainings WHERE user_id = %s AND id = %s FOR UPDATE", [planner.user_id, first]
        )
        begun = asyncio.create_task(planner.set_(first, status="IN_PROGRESS"))  # waits first in the queue
        await asyncio.sleep(0.2)
        moved = asyncio.create_task(in_transaction(db, planner.user_id, write))
        await asyncio.sleep(0.2)
        assert not begun.done()
        assert not moved.done()
    await begun
    assert len(await moved) == 2
    assert attempts == 2
    rows = {row.id: row for row in await planner.rows()}
    assert (rows[first].status, str(rows[first].day), rows[first].version) == ("IN_PROGRESS", "2026-01-05", 2)
    assert [str(row.day) for row in rows.values() if row.id != first] == ["2026-01-14", "2026-01-16"]
    await planner.told()


async def test_plans_of_one_user_follow_one_another(planner: PhasePlanner) -> None:
    await plans(planner)
    db = planner.database

    async def write(cursor: Cursor) -> dict[UUID, int]:
        found = await planner.planned(cursor)
        return await change_planned(cursor, planner.author, TRAININGS, [(each, later(each, 1)) for each in found])

    await asyncio.gather(*(in_transaction(db, planner.user_id, write) for _ in range(6)))
    assert [(row.version, str(row.day)) for row in await planner.rows()] == [
        (7, "2026-01-11"),
        (7, "2026-01-13"),
        (7, "2026-01-15"),
    ]
    await planner.told()


@pytest.fixture
async def small(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A pool of eight connections, for which nobody waits long."""
    database = Database(database_urls.worker, pool_size=8, pool_timeout=0.5)
    yield database
    await database.close()


async def test_who_waits_for_a_plan_leaves_connections_to_others(small: Database) -> None:
    user_id, held, go_on = uuid4(), asyncio.Event(), asyncio.Event()

    async def first(_: Cursor) -> None:
        held.set()
        await go_on.wait()

    async def then(cursor: Cursor) -> None:
        await cursor.execute("SELECT 1")

    writes = [asyncio.create_task(in_transaction(small, user_id, first))]
    await held.wait()
    writes += [asyncio.create_task(in_transaction(small, user_id, then)) for _ in range(20)]
    await asyncio.sleep(0.2)
    try:
        assert await small.one("SELECT 1") == (1,)
        await until(lambda: sum(write.done() for write in writes) == 19, 10, "all but two are refused")
    finally:
        go_on.set()
        answers = await asyncio.gather(*writes, return_exceptions=True)
    assert {str(answer) for answer in answers if answer is not None} == {"Too many writes wait for each other."}
    assert [answers.count(None), answers[0]] == [2, None]
    assert await in_transaction(small, user_id, then) is None  # the places are free again
