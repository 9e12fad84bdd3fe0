"""Single sets over REST on a real PostgreSQL: what an app saves while the athlete trains."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.events import MAX_EVENT_BYTES
from models.sets import MAX_SETS, SetBody, set_fields
from storage.database import Database
from tests.support.api import User
from tests.support.bodies import sets, squat, uuid
from tests.support.web import Client, serve
from web.api import ROUTES

on_one_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


@pytest.fixture
def user(client: Client) -> User:
    return User(client)


def place(training: dict[str, Any], set_: object, exercise: int = 0) -> str:
    return f"/{training['id']}/exercises/{training['exercises'][exercise]['id']}/sets/{set_}"


def orders(training: dict[str, Any], exercise: int = 0) -> list[int]:
    return [set_["order"] for set_ in training["exercises"][exercise]["sets"]]


async def test_a_set_is_added_replaced_and_removed(user: User) -> None:
    training = await user.create(status="IN_PROGRESS", source_id="app:1", exercises=[squat(sets=2), squat()])
    first = training["exercises"][0]["sets"][0]["id"]
    added = await user.ask("PUT", place(training, uuid(9)), {"weight": 102.5, "reps": 3, "video_id": "v"})
    assert (added.status, added.headers["ETag"]) == (200, '"2"')
    assert added.headers["X-Request-Id"]
    replaced = await user.ask("PUT", place(training, first), {"reps": 8, "target": {"reps": {"min": 6, "max": 8}}})
    assert await replaced.json() == await user.assert_told(training["id"])
    assert [(set_["order"], set_["reps"]) for set_ in (await replaced.json())["exercises"][0]["sets"]] == [
        (1, 8),
        (2, 5),
        (3, 3),
    ]
    removed = await user.ask("DELETE", place(training, first))
    assert (removed.status, removed.headers["ETag"]) == (200, '"4"')
    document = await user.assert_told(training["id"])
    assert document == await removed.json()
    assert orders(document) == [2, 3]
    assert document["exercises"][1] == training["exercises"][1]
    assert document["source_id"] == "app:1"
    events = await user.events(training["id"])
    assert [event["event_type"] for event in events] == ["training_created"] + ["training_updated"] * 3
    assert {event["payload"]["previous_status"] for event in events[1:]} == {"IN_PROGRESS"}


async def test_the_first_set_of_an_exercise_and_of_any_status(user: User) -> None:
    for status in ("PLANNED", "IN_PROGRESS", "COMPLETED"):
        training = await user.create(status=status, exercises=[{"name": "Row"}])
        assert (await user.ask("PUT", place(training, uuid(1)), {"reps": 5})).status == 200
        document = await user.assert_told(training["id"])
        assert (document["status"], orders(document)) == (status, [1])


async def test_what_is_not_there_is_not_found(user: User) -> None:
    training = await user.create(exercises=[squat()])
    exercise = training["exercises"][0]["id"]
    for path in (
        f"/{uuid4()}/exercises/{exercise}/sets/{uuid4()}",
        f"/{training['id']}/exercises/{uuid4()}/sets/{uuid4()}",
        f"/{training['id']}/exercises/{exercise}/sets/one",
    ):
        assert (await user.ask("PUT", path, {})).status == 404
        assert (await user.ask("DELETE", path)).status == 404
    assert (await user.ask("DELETE", place(training, uuid4()))).status == 404
    assert (await user.ask("DELETE", f"/{training['id']}")).status == 204
    assert (await user.ask("PUT", place(training, uuid4()), {})).status == 404
    assert len(await user.events(training["id"])) == 2


async def test_another_user_finds_nothing_and_changes_nothing(user: User, client: Client) -> None:
    body = {"id": str(uuid4()), "exercises": [squat(id=str(uuid4()), sets=2)]}
    mine = await user.create(**body)
    stranger = User(client)
    set_ = mine["exercises"][0]["sets"][0]["id"]
    assert (await stranger.ask("PUT", place(mine, set_), {"reps": 9})).status == 404
    assert (await stranger.ask("DELETE", place(mine, set_))).status == 404
    theirs = await stranger.create(**body)
    assert (await stranger.ask("PUT", place(theirs, set_), {"reps": 9})).status == 200
    assert (await stranger.ask("DELETE", place(theirs, theirs["exercises"][0]["sets"][1]["id"]))).status == 200
    assert await user.assert_told(mine["id"]) == mine
    await stranger.assert_told(mine["id"])


async def test_a_taken_place_is_refused(user: User) -> None:
    training = await user.create(exercises=[squat(sets=2), squat(sets=5)])
    second = training["exercises"][0]["sets"][1]["id"]
    refused = await user.ask("PUT", place(training, uuid(1)), {"order": 2})
    assert refused.status == 422
    assert (await refused.json())["errors"][0]["pointer"] == "/order"
    assert (await user.ask("PUT", place(training, second), {"order": 1})).status == 422
    assert (await user.ask("PUT", place(training, second), {"order": 2, "reps": 9})).status == 200
    moved = await user.ask("PUT", place(training, second), {"order": 10_000})
    assert orders(await moved.json()) == [1, 10_000]
    full = await user.ask("PUT", place(training, uuid(1)), {})
    assert (full.status, (await full.json())["errors"][0]["pointer"]) == (422, "/order")
    assert (await user.ask("PUT", place(training, uuid(1)), {"order": 0})).status == 200
    assert orders(await user.assert_told(training["id"])) == [0, 1, 10_000]


async def test_an_exercise_has_at_most_500_sets(user: User) -> None:
    training = await user.create(exercises=[squat(sets=MAX_SETS)])
    refused = await user.ask("PUT", place(training, uuid(1)), {})
    assert (refused.status, (await refused.json())["type"]) == (422, "/problems#validation")
    last = training["exercises"][0]["sets"][-1]["id"]
    assert (await user.ask("PUT", place(training, last), {"reps": 1})).status == 200
    assert (await user.ask("DELETE", place(training, last))).status == 200
    assert (await user.ask("PUT", place(training, uuid(1)), {})).status == 200
    assert len((await user.assert_told(training["id"]))["exercises"][0]["sets"]) == MAX_SETS


async def test_nothing_too_large_enters_the_log(user: User, db: Database) -> None:
    exercises = [{"name": "x", "notes": "n" * 10_000} for _ in range(89)]
    training = await user.create(exercises=[squat(sets=1), *exercises])
    size = await db.one("SELECT length(payload) FROM outbox WHERE aggregate_id = %s", [training["id"]])
    assert size is not None
    room = MAX_EVENT_BYTES - size[0]
    assert 0 < room < 10_000
    # The limit is of the fields, beside which the event says a little more: so a few sets fit, and one more does not.
    exercises.append({"name": "x", "notes": "n" * (room - 100)})
    answer = await user.ask(
        "PUT", f"/{training['id']}", {**training, "status": "PLANNED", "exercises": [squat(), *exercises]}
    )
    assert answer.status == 200, await answer.text()
    saved = 0
    while (answer := await user.ask("PUT", place(await answer.json(), uuid(saved)), {"reps": 5})).status == 200:
        saved += 1
        assert saved < 20
    assert (answer.status, saved > 0) == (422, True)
    document = await user.assert_told(training["id"])
    assert document["version"] == 2 + saved
    largest = await db.one("SELECT max(length(payload)) FROM outbox")
    assert largest is not None
    assert largest[0] <= MAX_EVENT_BYTES + 1_000


async def test_preconditions_and_keys(user: User) -> None:
    training = await user.create(exercises=[squat()])
    path = place(training, uuid(1))
    stale = await user.ask("PUT", path, {"reps": 1}, headers={"If-Match": '"9"'})
    assert (stale.status, stale.headers["ETag"]) == (412, '"1"')
    once = {"Idempotency-Key": "k", "If-Match": '"1"'}
    first = await user.ask("PUT", path, {"reps": 1}, headers=once)
    assert (await user.ask("PUT", path, {"reps": 2})).status == 200
    again = await user.ask("PUT", path, {"reps": 1}, headers=once)
    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (200, 200, "true")
    assert await first.read() == await again.read()
    other = await user.ask("PUT", path, {"reps": 3}, headers={"Idempotency-Key": "k"})
    assert (await other.json())["type"] == "/problems#idempotency-key-reused"
    for _ in range(2):
        gone = await user.ask("DELETE", path, headers={"Idempotency-Key": "k"})
        assert (gone.status, gone.headers["ETag"]) == (200, '"4"')
    refused = await user.ask("DELETE", path, headers={"Idempotency-Key": "l"})
    assert refused.status == 404
    taken = await user.ask("PUT", path, {"order": 1}, headers={"Idempotency-Key": "m"})
    assert taken.status == 422
    # What was refused kept no key.
    assert (await user.ask("PUT", path, {"order": 2}, headers={"Idempotency-Key": "m"})).status == 200
    assert (await user.assert_told(training["id"]))["version"] == 5


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"id": str(uuid(1))}, "/id"),
        ({"reps": -1}, "/reps"),
        ({"target": {}}, "/target"),
        ({"target": {"reps": {"min": 2, "max": 1}}}, "/target/reps/min"),
        ({"order": 10_001}, "/order"),
    ],
)
async def test_a_bad_set_is_refused_by_its_place(user: User, body: dict[str, Any], pointer: str) -> None:
    answer = await user.ask("PUT", place({"id": uuid(1), "exercises": [{"id": uuid(2)}]}, uuid(3)), body)
    assert answer.status == 422
    assert [error["pointer"] for error in (await answer.json())["errors"]] == [pointer]


_numbers = st.integers(0, 3)
_steps = st.lists(
    st.tuples(st.integers(0, 1), _numbers, st.one_of(st.none(), sets, st.tuples(sets, _numbers))), max_size=10
)


class Model:
    """The sets of one exercise, as they should be."""

    def __init__(self, exercise: dict[str, Any]) -> None:
        self.sets = {UUID(set_["id"]): set_ for set_ in exercise["sets"]}

    def apply(self, set_: UUID, body: dict[str, Any] | None) -> int:
        """The status that is expected."""
        if body is None:
            return 200 if self.sets.pop(set_, None) else 404
        read = SetBody.model_validate_json(orjson.dumps(body))
        others = {one["order"] for id_, one in self.sets.items() if id_ != set_}
        own = self.sets[set_]["order"] if set_ in self.sets else max(others, default=0) + 1
        order = own if read.order is None else read.order
        if order in others:
            return 422
        self.sets[set_] = set_fields(str(set_), order, read)
        return 200

    def told(self) -> list[dict[str, Any]]:
        return sorted(self.sets.values(), key=lambda one: one["order"])


@on_one_database
@given(_steps)
async def test_any_sequence_of_saves(user: User, steps: list[tuple[int, int, Any]]) -> None:
    training = await user.create(exercises=[squat(sets=2), {"name": "Row"}])
    ids = [UUID(set_["id"]) for set_ in training["exercises"][0]["sets"]] + [uuid(1), uuid(2)]
    models = [Model(exercise) for exercise in training["exercises"]]
    version = 1
    for exercise, number, step in steps:
        body = {**step[0], "order": step[1]} if isinstance(step, tuple) else step
        expected = models[exercise].apply(ids[number], body)
        path = place(training, ids[number], exercise)
        answer = await user.ask("DELETE" if body is None else "PUT", path, None if body is None else dict(body))
        assert answer.status == expected, await answer.text()
        version += expected == 200
    document = await user.assert_told(training["id"])
    assert document["version"] == version
    for exercise, model in zip(document["exercises"], models, strict=True):
        assert orjson.dumps(exercise["sets"]) == orjson.dumps(model.told())


async def test_devices_that_save_different_sets_at_the_same_time_all_succeed(user: User) -> None:
    training = await user.create(exercises=[squat(), {"name": "Row"}])

    async def device(number: int) -> None:
        for one in range(4):
            path = place(training, uuid(10 * number + one), one % 2)
            headers = {"Idempotency-Key": f"{number}-{one}"} if number % 2 else {}
            answer = await user.ask("PUT", path, {"reps": number, "order": 100 * number + one}, headers=headers)
            assert answer.status == 200, await answer.text()
        assert (await user.ask("DELETE", place(training, uuid(10 * number)))).status == 200

    await asyncio.gather(*(device(number) for number in range(1, 6)))
    document = await user.assert_told(training["id"])
    assert document["version"] == 1 + 5 * 5
    assert orders(document) == sorted([1, *(100 * number + 2 for number in range(1, 6))])
    assert orders(document, 1) == sorted(100 * number + one for number in range(1, 6) for one in (1, 3))


async def test_new_sets_without_a_place_at_the_same_time_come_one_after_another(user: User) -> None:
    training = await user.create(exercises=[squat()])
    answers = await asyncio.gather(*(user.ask("PUT", place(training, uuid(n)), {"reps": n}) for n in range(1, 9)))
    assert {answer.status for answer in answers} == {200}
    assert orders(await user.assert_told(training["id"])) == list(range(1, 10))


async def test_saves_beside_whole_documents_leave_one_history(user: User) -> None:
    """Whatever comes first: the last event tells exactly what is stored (D4)."""
    training = await user.create(exercises=[squat(id=str(uuid(5)), sets=2)])

    async def whole(n: int) -> int:
        body = {"date": training["date"], "status": "PLANNED", "exercises": [squat(reps=n, id=str(uuid(5)))]}
        return (await user.ask("PUT", f"/{training['id']}", body)).status

    async def single(n: int) -> int:
        return (await user.ask("PUT", place(training, uuid(n)), {"reps": n})).status

    statuses = await asyncio.gather(*(work(n) for n in range(1, 9) for work in (whole, single)))
    assert set(statuses) == {200}
    assert (await user.assert_told(training["id"]))["version"] == 17
