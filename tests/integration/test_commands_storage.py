"""`training outbox` and `training analytics` on a real database."""

import asyncio
from uuid import UUID, uuid4

import orjson
import pytest

import cli
import settings
from agents.insights import InsightsFold
from agents.volume import VolumeFold
from commands import environment
from models.exercises import Catalogue
from models.trainings import exercises_json
from outbox.service import OutboxService
from storage.database import Database
from storage.outbox import status
from storage.trainings import Author, Trainings
from tests.support.bodies import create_body, squat
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.insights import INSIGHTS
from tests.support.load import until
from tests.support.topic import read_topic

TOPIC = "training_events"
USER = uuid4()


@pytest.fixture(autouse=True)
def configured(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_DATABASE_URL", database_urls.worker)
    monkeypatch.setenv("TRAINING_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("TRAINING_JWT_SECRET", "a secret of 32 bytes, or of more.")
    monkeypatch.setattr(environment, "settings", settings.Settings)  # not the ones that the process has read


async def run(*argv: str) -> int:
    return await asyncio.to_thread(cli.main, argv)


async def write(db: Database, count: int) -> list[UUID]:
    """`count` trainings of one day, each of 10 repetitions at 100 kg."""
    body = create_body(status="COMPLETED", exercises=[squat(sets=2)])
    ids = [uuid4() for _ in range(count)]
    for id_ in ids:
        exercises = exercises_json(id_, body.exercises, Catalogue({}, {}))
        await Trainings(db, TOPIC).create(Author(USER, "me"), id_, body, exercises)
    return ids


async def hold(database: Database, training: UUID) -> int:
    """Put the training's event into quarantine, as the relay does."""
    row = await database.one(
        """INSERT INTO outbox_quarantine (seq, user_id, aggregate_id, version, topic, error)
        SELECT seq, user_id, aggregate_id, version, topic, 'too large' FROM outbox WHERE aggregate_id = %s
        RETURNING seq""",
        [training],
    )
    assert row is not None
    return int(row[0])


async def test_the_status_of_the_outbox(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    ids = await write(db, 3)
    seq = await hold(db, ids[1])
    assert await run("outbox", "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "waiting      3 events"
    assert lines[2:4] == ["relay        nobody", "epoch        1"]
    assert lines[-2] == "quarantined  1 events"
    assert lines[-1].startswith(f"  seq {seq} for {TOPIC}: {ids[1]} version 1 of user {USER}, since 2")
    assert lines[-1].endswith("Z: too large")
    assert await run("outbox", "status", "--json") == 0
    document = orjson.loads(capsys.readouterr().out)
    assert (document["depth"], document["owner"], document["quarantined"]) == (3, "", 1)
    assert [event["seq"] for event in document["held"]] == [seq]


async def test_refused_events_are_settled(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    ids = await write(db, 3)
    held = [await hold(db, id_) for id_ in ids]
    assert await run("outbox", "retry", str(held[0])) == 0
    assert await run("outbox", "skip", "--all", "--reason", "an accident") == 0
    said = capsys.readouterr()
    assert said.out == "1 events: the relay will retry them.\n2 events: the relay will skip them.\n"
    rows = await db.all("SELECT seq, state, reason FROM outbox_quarantine ORDER BY seq")
    assert rows == [(held[0], "retry", ""), (held[1], "skip", "an accident"), (held[2], "skip", "an accident")]
    assert await run("outbox", "status") == 0
    assert "Z, skip is asked for: too large" in capsys.readouterr().out
    assert await run("outbox", "retry", str(held[0])) == 1
    assert "No such event is held" in capsys.readouterr().err


async def test_what_was_published_is_replayed(
    db: Database, broker: KafkaAddress, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"test_{uuid4().hex}"
    monkeypatch.setenv("TRAINING_KAFKA_BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("TRAINING_KAFKA_IDEMPOTENT", str(broker.idempotent))
    monkeypatch.setenv("TRAINING_EVENTS_TOPIC", topic)
    monkeypatch.setenv("TRAINING_WORKOUT_EVENTS_TOPIC", f"{topic}_workouts")
    monkeypatch.setenv("TRAINING_EXERCISE_EVENTS_TOPIC", f"{topic}_exercises")
    monkeypatch.setenv("TRAINING_PHASE_EVENTS_TOPIC", f"{topic}_phases")
    monkeypatch.setenv("TRAINING_READINESS_EVENTS_TOPIC", f"{topic}_readiness")
    monkeypatch.setenv("TRAINING_INSIGHTS_TOPIC", f"{topic}_insights")
    ids = await write(db, 3)
    relay = OutboxService(settings.Settings(), db, on_topic_made_anew=VolumeFold(db, topic).catch_up)
    await relay.start()
    try:
        await until(lambda: is_published(db), 20, "published")
    finally:
        await relay.stop()
    assert await run("outbox", "replay", "--training", str(ids[1])) == 0
    assert (
        await run("outbox", "replay", "--user", str(USER), "--from", "2020-01-01", "--to-topic", f"{topic}.mine") == 0
    )
    assert await run("outbox", "replay", "--to", "2020-01-01T00:00:00Z") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"1 events are on {topic}.replay again, with the header replay ")
    assert lines[1].startswith(f"3 events are on {topic}.mine again, with the header replay ")
    assert lines[2] == "No event that was published is one of these."
    (record,) = await read_topic(broker.bootstrap, f"{topic}.replay")
    assert record.event["payload"]["training_id"] == str(ids[1])
    assert dict(record.headers)["replay"].decode() in lines[0]
    assert len(await read_topic(broker.bootstrap, f"{topic}.mine")) == 3


async def test_a_replay_must_say_of_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("outbox", "replay", "--broadcast") == 1
    wanted = "training: What is to be replayed? Give --user, --training, --workout, --from or --to.\n"
    assert capsys.readouterr().err == wanted


async def test_a_broker_that_is_away_is_said_in_one_line(
    db: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    await write(db, 1)
    await db.execute("UPDATE outbox_cursor SET lo = pg_current_snapshot(), hi = pg_current_snapshot()")
    assert await run("outbox", "replay", "--user", str(USER)) == 1
    error = capsys.readouterr().err
    assert error.startswith("training: No broker answers at 127.0.0.1:1: ")
    assert error.count("\n") == 1


async def is_published(db: Database) -> bool:
    return (await status(db)).depth == 0


@pytest.mark.parametrize("argv", [["outbox", "skip", "1"], ["outbox", "retry"], ["outbox", "retry", "1", "--all"]])
def test_what_is_to_be_settled_must_be_said(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(argv)
    assert stopped.value.code == 2


async def test_tables_that_are_the_fold_of_the_log(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    await write(db, 3)
    await VolumeFold(db, TOPIC).fold_log()
    await InsightsFold(db, INSIGHTS).run_due()
    assert await run("analytics", "verify") == 0
    assert capsys.readouterr().out == (
        "1 users, 3 trainings compared: 0 rows differ, 0 trainings, names or users wait for the agents.\n"
    )


async def test_rows_that_differ_are_shown_and_a_rebuild_mends_them(
    db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = await write(db, 3)
    await VolumeFold(db, TOPIC).fold_log()
    await InsightsFold(db, INSIGHTS).run_due()
    await db.execute("UPDATE analytics.exercise_volume SET reps = 11 WHERE training_id = %s", [ids[0]])
    await db.execute("DELETE FROM analytics.exercise_volume WHERE training_id = %s", [ids[1]])
    await db.execute("UPDATE analytics.daily_volume SET day = day + 1")
    assert await run("analytics", "verify") == 1
    lines = capsys.readouterr().out.splitlines()
    rows = {f"exercise_volume (user_id {USER}, training_id {id_}, position 1)" for id_ in ids[:2]}
    assert {line for line in lines if line.split(":")[0].removesuffix(" is missing") in rows} == {
        f"exercise_volume (user_id {USER}, training_id {ids[0]}, position 1): reps is 11, by the log 10",
        f"exercise_volume (user_id {USER}, training_id {ids[1]}, position 1) is missing",
    }
    assert f"daily_volume (user_id {USER}, day 2026-01-05) is missing" in lines
    assert f"daily_volume (user_id {USER}, day 2026-01-06) should not be there" in lines
    assert lines[-1].startswith("1 users, 3 trainings compared: 4 rows differ, 0 trainings")
    assert len(lines) == 5
    assert await run("analytics", "rebuild") == 0
    out = capsys.readouterr().out
    assert out.startswith("3 events folded; rows that were not as the log says: ")
    assert "exercise_volume 2" in out
    assert await run("analytics", "verify") == 0


async def test_what_is_not_folded_yet_is_waited_for(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    await write(db, 3)
    assert await run("analytics", "verify") == 1
    said = capsys.readouterr()
    assert said.out.endswith("0 rows differ, 3 trainings, names or users wait for the agents.\n")
    assert "--wait SECONDS" in said.err
    verifying = asyncio.create_task(run("analytics", "verify", "--wait", "20"))
    await asyncio.sleep(0.3)
    assert not verifying.done()
    await VolumeFold(db, TOPIC).fold_log()
    await asyncio.sleep(0.3)
    assert not verifying.done()  # load and records are not computed
    await InsightsFold(db, INSIGHTS).run_due()
    assert await verifying == 0


async def test_a_database_that_is_away_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("TRAINING_DATABASE_OWNER_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    for argv in (["outbox", "status"], ["analytics", "verify"], ["migrate"]):
        assert await run(*argv) == 1
        error = capsys.readouterr().err
        assert error.startswith("training: ")
        assert "Connection refused" in error
        assert error.count("\n") == 1


async def test_a_database_without_the_schema_is_said(
    database_urls: DatabaseUrls, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DATABASE_URL", database_urls.owner.rpartition("/")[0] + "/template1")
    assert await run("outbox", "status") == 1
    assert 'training: relation "outbox' in capsys.readouterr().err


async def test_migrating_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("migrate") == 0
    assert capsys.readouterr().out.endswith("The database has the schema of this version.\n")
