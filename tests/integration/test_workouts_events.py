"""The events of workouts: on their own topic, through the same relay, and no affair of the volume tables."""

from uuid import uuid4

import orjson
import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from models.events import WorkoutEvent
from models.trainings import exercises_json
from outbox.records import row_of
from outbox.replay import replay
from storage.database import Database
from storage.exercises import read_catalogue
from storage.fold_state import advance, read_freshness
from storage.outbox import status
from storage.trainings import Trainings
from storage.workouts import WorkoutPlans, Workouts
from tests.support.bodies import create_body, squat
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.insights import INSIGHTS, verified
from tests.support.load import until
from tests.support.outbox import outbox, settings_for
from tests.support.topic import Record, read_topic
from tests.support.workouts import PULLS, TRAININGS, Planner, create_workout, update_workout


@pytest.fixture
async def planner(db: Database) -> Planner:
    return Planner(db, await read_catalogue(db))


async def empty(database: Database) -> bool:
    return (await status(database)).depth == 0


def plain(record: Record) -> tuple[int, bytes, bytes, tuple[tuple[str, bytes], ...]]:
    return (record.partition, record.key, record.value, record.headers)


async def test_the_fold_waits_for_no_workout(db: Database, planner: Planner) -> None:
    workout = await planner.create(create_workout(exercises=[PULLS]))
    training = create_body(status="COMPLETED", exercises=[squat()])
    id_ = uuid4()
    exercises = exercises_json(id_, training.exercises, planner.catalogue)
    await planner.trainings.create(planner.author, id_, training, exercises)
    await planner.plan(workout.id)
    await planner.delete(workout.id)
    volume = VolumeFold(db, TRAININGS)
    assert (await read_freshness(db)).behind == 2
    assert await volume.fold_log() == 2
    await InsightsFold(db, INSIGHTS).run_due()
    for _ in range(3):
        await advance(db)
    now = await read_freshness(db)
    assert (now.behind, now.lag_seconds, now.dead_letters) == (0, 0, 0)
    assert now.folded_seq == now.log_seq
    assert await db.one("SELECT folded_seq, missing FROM analytics.fold_state") == (now.log_seq, [])
    found = await verified(db)
    assert (found.ok, found.trainings) == (True, 2)

    await Planner(db, planner.catalogue).create(create_workout())  # of one who has workouts alone
    for _ in range(3):
        await advance(db)
    now = await read_freshness(db)
    assert (now.behind, now.folded_seq) == (0, now.log_seq)
    assert (await verified(db)).ok


async def test_both_topics_are_published_in_order_and_replayed_apart(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress, planner: Planner
) -> None:
    topic = f"test_{uuid4().hex}"
    settings = settings_for(database_urls, broker, topic)
    workouts = settings.workout_events_topic
    planner.workouts = Workouts(db, workouts)
    planner.trainings, planner.plans = Trainings(db, topic), WorkoutPlans(db, topic)
    async with outbox(settings) as service:
        made = [await planner.create(create_workout(exercises=[PULLS])) for _ in range(3)]
        for written in made:
            await planner.plan(written.id)
            await planner.update(written.id, update_workout(name="changed"))
        await planner.delete(made[0].id)
        service.wake()
        await until(lambda: empty(db), 15, "it is published")
        assert service.state.error is None
    logged = await db.all(
        "SELECT topic, event_id::text, aggregate_id::text, event_type, version FROM outbox ORDER BY seq"
    )
    for name, count in ((topic, 3), (workouts, 7)):
        records = await read_topic(broker.bootstrap, name)
        assert {record.key for record in records} == {str(planner.user_id).encode()}
        assert len({record.partition for record in records}) == 1
        assert [record.event_id for record in records] == [row[1] for row in logged if row[0] == name]
        assert len(records) == count
        for record in records:
            headers = dict(record.headers)
            row = row_of(name, record.key, record.value, record.headers)
            assert row is not None
            said = (row.event_id, row.aggregate_id, row.event_type, int(row.version))
            assert (name, *said) in logged
            assert headers["ce_subject"].decode() == row.aggregate_id
    records = await read_topic(broker.bootstrap, workouts)
    events = [WorkoutEvent.model_validate_json(record.value) for record in records]
    assert [event.payload.version for event in events if event.payload.workout_id == made[0].id] == [1, 2, 3]
    assert orjson.loads(records[0].value)["payload"]["exercises"][0]["reps"] == {"min": 5, "max": 8}

    everything = await replay(settings, db, user_id=planner.user_id)
    assert (everything.topics, everything.records) == (tuple(sorted([f"{topic}.replay", f"{workouts}.replay"])), 10)
    copies = await read_topic(broker.bootstrap, f"{workouts}.replay")
    assert [(*plain(record)[:3], record.headers[:-1]) for record in copies] == [plain(record) for record in records]
    of_one = await replay(settings, db, workout_id=made[0].id, broadcast=True)
    assert (of_one.topics, of_one.records) == ((workouts,), 3)
    assert (await replay(settings, db, training_id=made[0].id)).records == 0
    assert (await replay(settings, db, since=None, workout_id=uuid4())).topics == ()
