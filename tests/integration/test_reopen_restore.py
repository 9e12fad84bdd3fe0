"""Reopening and restoring trainings over REST on a real PostgreSQL, and what the fold makes of it."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.volume import VolumeFold
from storage.database import Database
from tests.support.api import User
from tests.support.athletes import TOPIC, published
from tests.support.bodies import squat, uuid
from tests.support.insights import verified
from tests.support.web import Client, make_settings, serve
from web.api import ROUTES

on_one_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db, settings=make_settings(events_topic=TOPIC)) as client:
        yield client


@pytest.fixture
def user(client: Client) -> User:
    return User(client)


async def test_a_completed_training_is_reopened(user: User) -> None:
    training = await user.create(status="COMPLETED", title="Legs", exercises=[squat(sets=2)])
    answer = await user.ask("POST", f"/{training['id']}/reopen")
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    document = await user.assert_told(training["id"])
    assert document == await answer.json()
    changed = {"status": "IN_PROGRESS", "version": 2, "updated_at": document["updated_at"]}
    assert document == training | changed
    assert list(document) == list(training)
    event = (await user.events(training["id"]))[-1]
    assert (event["event_type"], event["payload"]["previous_status"]) == ("training_updated", "COMPLETED")
    again = await user.ask("POST", f"/{training['id']}/reopen")
    assert (again.status, (await again.json())["type"]) == (409, "/problems#conflict")
    assert "IN_PROGRESS" in (await again.json())["detail"]


async def test_a_day_counts_from_when_it_was_completed_not_from_a_correction(user: User, db: Database) -> None:
    training = await user.create(status="COMPLETED")
    path = f"/{training['id']}/reopen"
    await db.execute("UPDATE trainings SET completed_at = now() - interval '24 hours 1 minute'")
    body = {"date": training["date"], "status": "COMPLETED", "title": "corrected"}
    assert (await user.ask("PUT", f"/{training['id']}", body)).status == 200
    late = await user.ask("POST", path)
    assert (late.status, "24 hours" in (await late.json())["detail"]) == (409, True)
    await db.execute("UPDATE trainings SET completed_at = now() - interval '23 hours 59 minutes'")
    assert (await user.ask("POST", path)).status == 200
    assert await db.one("SELECT completed_at FROM trainings") == (None,)
    assert (await user.ask("PUT", f"/{training['id']}", body)).status == 200
    assert await db.one("SELECT completed_at = updated_at FROM trainings") == (True,)
    assert (await user.ask("POST", path)).status == 200
    assert (await user.assert_told(training["id"]))["version"] == 5


async def test_one_completed_before_that_was_written_down_counts_from_its_creation(user: User, db: Database) -> None:
    for age, status in (("25 hours", 409), ("23 hours", 200)):
        training = await user.create(status="COMPLETED")
        await db.execute(
            f"UPDATE trainings SET completed_at = NULL, created_at = now() - interval '{age}' WHERE id = %s",
            [training["id"]],
        )
        assert (await user.ask("POST", f"/{training['id']}/reopen")).status == status


@pytest.mark.parametrize("status", ["PLANNED", "IN_PROGRESS"])
async def test_only_a_completed_training_is_reopened(user: User, status: str) -> None:
    training = await user.create(status=status)
    refused = await user.ask("POST", f"/{training['id']}/reopen")
    assert (refused.status, status in (await refused.json())["detail"]) == (409, True)
    assert (await user.ask("POST", f"/{uuid4()}/reopen")).status == 404
    assert (await user.ask("DELETE", f"/{training['id']}")).status == 204
    assert (await user.ask("POST", f"/{training['id']}/reopen")).status == 404


async def test_a_deleted_training_is_restored_as_it_was(user: User) -> None:
    training = await user.create(
        status="COMPLETED",
        source_id="app:1",
        group_external_id="g",
        exercises=[squat(sets=3), {"name": "pistol", "exercise": "pistol-squat", "sets": [{"target": {"reps": 3}}]}],
    )
    await user.ask("PUT", f"/{training['id']}/exercises/{training['exercises'][0]['id']}/sets/{uuid(1)}", {"reps": 9})
    before = await user.assert_told(training["id"])
    assert (await user.ask("POST", f"/{training['id']}/restore")).status == 409
    assert (await user.ask("DELETE", f"/{training['id']}")).status == 204
    answer = await user.ask("POST", f"/{training['id']}/restore")
    assert (answer.status, answer.headers["ETag"]) == (200, '"4"')
    document = await user.assert_told(training["id"])
    assert document == await answer.json() == before | {"version": 4, "updated_at": document["updated_at"]}
    event = (await user.events(training["id"]))[-1]
    assert (event["event_type"], event["payload"]["previous_status"]) == ("training_updated", "COMPLETED")
    assert (await user.ask("POST", f"/{training['id']}/reopen")).status == 200
    assert (await user.ask("DELETE", f"/{training['id']}")).status == 204
    assert (await (await user.ask("POST", f"/{training['id']}/restore")).json())["status"] == "IN_PROGRESS"


async def test_after_30_days_it_is_gone(user: User, db: Database) -> None:
    training = await user.create()
    assert (await user.ask("POST", f"/{uuid4()}/restore")).status == 404
    assert (await user.ask("DELETE", f"/{training['id']}")).status == 204
    await db.execute("UPDATE trainings SET deleted_at = now() - interval '30 days 1 minute'")
    late = await user.ask("POST", f"/{training['id']}/restore")
    assert (late.status, "30 days" in (await late.json())["detail"]) == (409, True)
    assert (await user.ask("GET", f"/{training['id']}")).status == 404
    await db.execute("UPDATE trainings SET deleted_at = now() - interval '29 days 23 hours'")
    assert (await user.ask("POST", f"/{training['id']}/restore")).status == 200
    await user.assert_told(training["id"])


async def test_keys_and_preconditions(user: User) -> None:
    training = await user.create(status="COMPLETED")
    for action, version in (("reopen", 2), ("restore", 4)):
        path = f"/{training['id']}/{action}"
        if action == "restore":
            await user.ask("DELETE", f"/{training['id']}")
        stale = await user.ask("POST", path, headers={"If-Match": '"7"', "Idempotency-Key": "a"})
        assert stale.status == 412
        headers = {"If-Match": f'"{version - 1}"', "Idempotency-Key": "a"}
        first = await user.ask("POST", path, headers=headers)
        assert first.status == 200
        again = await user.ask("POST", path, headers=headers)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert await first.read() == await again.read()
    assert (await user.assert_told(training["id"]))["version"] == 4


async def test_another_user_finds_nothing_to_reopen_or_restore(user: User, client: Client) -> None:
    completed, deleted = [await user.create(status="COMPLETED") for _ in range(2)]
    await user.ask("DELETE", f"/{deleted['id']}")
    stranger = User(client)
    for training in (completed, deleted):
        for action in ("reopen", "restore"):
            assert (await stranger.ask("POST", f"/{training['id']}/{action}")).status == 404
    assert await user.assert_told(completed["id"]) == completed
    assert len(await user.events(deleted["id"])) == 2


async def test_of_many_at_the_same_time_one_does_it(user: User) -> None:
    training = await user.create(status="COMPLETED", exercises=[squat()])
    for action in ("reopen", "restore"):
        if action == "restore":
            await user.ask("DELETE", f"/{training['id']}")
        answers = await asyncio.gather(*(user.ask("POST", f"/{training['id']}/{action}") for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert (await user.assert_told(training["id"]))["version"] == 4


_steps = st.lists(st.sampled_from(["complete", "reopen", "delete", "restore", "save", "unsave"]), max_size=10)


async def _take(user: User, training: dict[str, Any], step: str, number: int) -> None:
    path = f"/{training['id']}"
    set_ = f"{path}/exercises/{training['exercises'][0]['id']}/sets/{uuid(1)}"
    requests: dict[str, tuple[str, str, Any]] = {
        "complete": (
            "PUT",
            path,
            {"date": training["date"], "status": "COMPLETED", "exercises": training["exercises"]},
        ),
        "reopen": ("POST", f"{path}/reopen", None),
        "delete": ("DELETE", path, None),
        "restore": ("POST", f"{path}/restore", None),
        "save": ("PUT", set_, {"reps": number}),
        "unsave": ("DELETE", set_, None),
    }
    answer = await user.ask(*requests[step])
    assert answer.status in {200, 204, 404, 409}, await answer.text()


@on_one_database
@given(_steps, st.integers(0, 2**32))
async def test_any_sequence_is_told_and_folded_whatever_the_order_of_delivery(
    db: Database, user: User, steps: list[str], seed: int
) -> None:
    """A reopened training leaves the derived tables, and a restored one comes back."""
    await VolumeFold(db, TOPIC).fold_log()  # what an example that failed left behind
    training = await user.create(status="COMPLETED", exercises=[squat(sets=2)])
    for number, step in enumerate(steps):
        await _take(user, training, step, number)
    (status, deleted) = await db.one(
        "SELECT status, deleted_at IS NOT NULL FROM trainings WHERE id = %s", [training["id"]]
    ) or ("", False)
    if not deleted:
        await user.assert_told(training["id"])
    draw = random.Random(seed)
    events = [event for event in await published(db) if UUID(event.key.decode()) == user.user_id]
    delivered = events + draw.sample(events, draw.randint(0, len(events)))
    draw.shuffle(delivered)
    fold = VolumeFold(db, TOPIC)
    while delivered:
        size = draw.randint(1, len(delivered))
        await fold.fold_records(delivered[:size])
        delivered = delivered[size:]
    seen = await verified(db)
    assert (seen.differences, seen.behind) == ([], 0)
    rows = await db.all("SELECT FROM analytics.session_volume WHERE training_id = %s", [training["id"]])
    assert len(rows) == (status == "COMPLETED" and not deleted)


async def test_what_is_aimed_at_and_not_done_changes_no_derived_row(db: Database, user: User) -> None:
    plain = {"status": "COMPLETED", "exercises": [squat(sets=2)]}
    (first, then) = [dict(plain), dict(plain)]
    then["exercises"] = [
        squat(sets=2) | {"sets": [{"weight": 100, "reps": 5, "target": {"reps": 9, "rpe": 8}, "video_id": "v"}] * 2}
    ]
    then["exercises"][0]["sets"] += [{"weight": 200, "reps": 9, "done": False, "target": {"weight": 200}}]
    then["exercises"] += [{"name": "Skipped", "sets": [{"done": False, "target": {"duration_seconds": 60}}]}]
    then["group_external_id"] = "g"
    found = []
    for fields in (first, then):
        other = User(user.client)
        await other.create(**fields)
        await other.create(status="PLANNED", skipped_at="2026-01-05T13:00:00Z", skip_reason="ill", exercises=[squat()])
        await VolumeFold(db, TOPIC).fold_log()
        tables = [
            f"SELECT to_jsonb(v) - ARRAY['user_id', 'training_id', 'source_seq', 'updated_at'] FROM analytics.{name} v "
            "WHERE user_id = %s"
            for name in ("session_volume", "exercise_volume", "daily_volume")
        ]
        found.append([await db.all(sql, [other.user_id]) for sql in tables])
    assert found[0] == found[1]
    assert [len(rows) for rows in found[0]] == [1, 1, 1]
    assert (await verified(db)).ok
