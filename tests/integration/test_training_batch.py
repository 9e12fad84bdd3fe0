"""Batches of new trainings over REST on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import UnknownExercise
from storage.database import Database
from storage.training_batch import TrainingBatches
from storage.training_writes import Author, Written
from tests.support.api import User
from tests.support.bodies import create_body, squat, trainings, uuid
from tests.support.web import Client, serve
from web.api import ROUTES
from web.training_batch import BatchResults

DATE = "2026-01-05T12:00:00Z"
SLUGS = ("wall-push-up", "knee-push-up")

on_one_database = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


@pytest.fixture
def user(client: Client) -> User:
    return User(client)


async def send(user: User, *bodies: Any) -> list[dict[str, Any]]:
    """The results, checked against their model."""
    answer = await user.ask("POST", "/batch", list(bodies))
    assert answer.status == 200, await answer.text()
    BatchResults.model_validate_json(await answer.read())
    items: list[dict[str, Any]] = (await answer.json())["items"]
    return items


def statuses(results: list[dict[str, Any]]) -> list[int]:
    return [result["status"] for result in results]


def pointers(result: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in result["problem"]["errors"]]


async def test_each_has_a_result_of_its_own(user: User, db: Database) -> None:
    known = await user.create(id=str(uuid(1)), title="known", exercises=[squat()])
    results = await send(
        user,
        {"date": DATE, "title": "plain", "exercises": [squat(sets=2), squat(exercise="wall-push-up")]},
        {"date": DATE, "id": str(uuid(1)), "title": "known", "exercises": [squat()]},
        {"date": DATE, "id": str(uuid(1)), "title": "another"},
        {"date": "today", "exercises": [{"sets": []}]},
        {"date": DATE, "exercises": [squat(), squat(exercise="no-such-thing")]},
        {"date": DATE, "workout_id": str(uuid(9)), "workout_version": 1},
        {"date": DATE, "source_id": "app:1"},
        {"date": DATE, "source_id": "app:1"},
        {"date": DATE, "source_id": "app:1", "title": "another"},
        5,
        {"date": DATE, "duration_seconds": 10**30},
        {"date": DATE, "exercises": [{"name": "x", "notes": "n" * 10_000}] * 92},
    )
    assert statuses(results) == [201, 200, 409, 422, 422, 422, 201, 200, 409, 422, 422, 422]
    assert results[1]["training"] == known
    assert pointers(results[3]) == ["/3/date", "/3/exercises/0/name"]
    assert pointers(results[4]) == ["/4/exercises/1/exercise"]
    assert pointers(results[5]) == ["/5/workout_id"]
    assert results[6]["training"] == results[7]["training"]
    assert pointers(results[9]) == ["/9"]
    assert pointers(results[10]) == ["/10/duration_seconds"]
    types = [result["problem"]["type"].partition("#")[2] for result in results if "problem" in result]
    assert types == [
        "identity-conflict",
        "validation",
        "unknown-exercise",
        "unknown-workout",
        "identity-conflict",
        "validation",
        "validation",
        "validation",
    ]
    for result in (results[0], results[1], results[6]):
        assert await user.assert_told(result["training"]["id"]) == result["training"]
    assert await db.one("SELECT count(*) FROM trainings") == (3,)
    assert await db.one("SELECT count(*), count(DISTINCT event_id) FROM outbox") == (3, 3)


async def test_one_statement_however_many(user: User, db: Database) -> None:
    await send(user, {"date": DATE, "exercises": [squat(exercise="wall-push-up")]})  # reads the catalogue
    before = db.statements
    results = await send(user, *({"date": DATE, "exercises": [squat(sets=3)], "title": str(n)} for n in range(100)))
    assert db.statements - before == 1
    assert statuses(results) == [201] * 100
    assert [result["training"]["title"] for result in results] == [str(n) for n in range(100)]
    logged = await db.all("SELECT aggregate_id::text FROM outbox ORDER BY seq DESC LIMIT 100")
    assert [id_ for (id_,) in logged[::-1]] == [result["training"]["id"] for result in results]


async def test_a_revision_that_only_the_worker_knows_holds_up_no_other(db: Database) -> None:
    batches = TrainingBatches(db, "training_events")
    exercises = f'[{{"id":"{uuid(1)}","name":"x","exercise":"no","exercise_revision":1,"sets":[]}}]'
    author = Author(uuid4(), "tester")
    one, other = await batches.create(author, [(uuid(1), create_body(), exercises), (uuid(2), create_body(), "[]")])
    assert isinstance(one, UnknownExercise)
    assert isinstance(other, Written)
    assert await db.all("SELECT id FROM trainings") == [(uuid(2),)]


async def test_ids_make_it_safe_to_send_again(user: User, client: Client) -> None:
    bodies = [{"date": DATE, "id": str(uuid(n)), "source_id": f"app:{n}", "exercises": [squat()]} for n in range(5)]
    first = await send(user, *bodies)
    again = await send(user, *reversed(bodies))
    assert (statuses(first), statuses(again)) == ([201] * 5, [200] * 5)
    assert [result["training"] for result in again[::-1]] == [result["training"] for result in first]
    stranger = User(client)
    assert statuses(await send(stranger, *bodies)) == [201] * 5
    crossed = {"date": DATE, "id": str(uuid(0)), "source_id": "app:1"}
    assert statuses(await send(user, crossed, {"date": DATE, "id": str(uuid(7))})) == [409, 201]


async def test_within_the_batch_the_first_has_the_identity(user: User) -> None:
    one, two = str(uuid4()), str(uuid4())
    results = await send(
        user,
        {"date": DATE, "id": one, "source_id": "a"},
        {"date": DATE, "id": two, "source_id": "b"},
        {"date": DATE, "id": one, "source_id": "a"},
        {"date": DATE, "id": one, "source_id": "b"},
        {"date": DATE, "id": two, "source_id": "c"},
        {"date": DATE, "source_id": "c"},
    )
    assert statuses(results) == [201, 201, 200, 409, 409, 201]


async def test_the_same_batch_from_many_devices_at_once_creates_each_training_once(user: User, db: Database) -> None:
    bodies = [{"date": DATE, "id": str(uuid(n)), "exercises": [squat()]} for n in range(20)]
    answers = await asyncio.gather(*(send(user, *bodies[n:], *bodies[:n]) for n in range(5)))
    assert {status for results in answers for status in statuses(results)} == {200, 201}
    assert sum(statuses(results).count(201) for results in answers) == 20
    assert await db.one("SELECT count(*) FROM outbox") == (20,)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ([], {}, 422),
        ([{"date": DATE}] * 101, {}, 422),
        ({"date": DATE}, {}, 422),
        ([{"date": DATE}], {"Idempotency-Key": "k"}, 422),
    ],
)
async def test_what_is_no_batch_is_refused(
    user: User, db: Database, body: Any, headers: dict[str, str], status: int
) -> None:
    answer = await user.ask("POST", "/batch", body, headers=headers)
    assert answer.status == status
    assert await db.one("SELECT count(*) FROM trainings") == (0,)


@on_one_database
@given(st.lists(trainings(SLUGS), min_size=1, max_size=5))
async def test_a_training_comes_to_the_same_alone_or_in_a_batch(user: User, bodies: list[dict[str, Any]]) -> None:
    bodies = orjson.loads(orjson.dumps(bodies))
    ids = [uuid4() for _ in bodies]
    alone = User(user.client)
    results = await send(user, *({**body, "id": str(id_)} for body, id_ in zip(bodies, ids, strict=True)))
    for body, id_, result in zip(bodies, ids, results, strict=True):
        expected = await alone.create(**{**body, "id": str(id_)})
        told = await user.assert_told(str(id_))
        assert result == {"status": 201, "training": told}
        assert expected == told | {name: expected[name] for name in ("user_id", "created_at", "updated_at")}
