"""What users say of names, on a real PostgreSQL: it counts in the past and from now on, and `verify` is the judge."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agents.folding
import agents.naming
import agents.volume
import agents.volume_audit
from agents.volume import VolumeFold
from agents.volume_audit import rebuild, verify
from models.errors import Conflict, DatabaseUnavailable, NotFound, UnknownExercise
from models.exercises import Catalogue
from models.volume_reports import VolumeQuery
from storage.database import Database, Row
from storage.exercises import read_catalogue
from storage.fold_state import LoggedEvent, advance, read_freshness
from storage.reports import read_volume
from storage.volume_statements import KEYS
from tests.support import names
from tests.support.athletes import TOPIC, Athlete, Batch, published
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls
from tests.support.insights import verified
from tests.support.load import until
from tests.support.names import Namer, told

PUSH_UP = "push-up"


@pytest.fixture
async def catalogue(db: Database) -> Catalogue:
    return await read_catalogue(db)


@pytest.fixture
def volume(db: Database) -> VolumeFold:
    return VolumeFold(db, TOPIC, names.TOPIC)


@pytest.fixture
def athlete(db: Database, catalogue: Catalogue) -> Athlete:
    return Athlete(db, catalogue)


@pytest.fixture
def namer(db: Database, athlete: Athlete) -> Namer:
    return Namer(db, athlete)


@pytest.fixture
async def other(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.worker)
    yield database
    await database.close()


def free(name: str, reps: int = 10) -> dict[str, Any]:
    """An exercise that names no movement."""
    return {"name": name, "sets": [{"reps": reps}]}


async def meanings(db: Database) -> list[Row]:
    return await db.all(
        """SELECT name, exercise, exercise_revision, own_exercise, system_load_kg::float8
        FROM analytics.exercise_volume ORDER BY source_seq, position"""
    )


async def day_load(db: Database) -> list[Row]:
    return await db.all(
        "SELECT day::text, system_load_kg::float8, system_load_sets FROM analytics.daily_volume ORDER BY 1"
    )


async def assert_folded(db: Database) -> None:
    seen = await verified(db)
    assert seen.differences == []
    assert seen.behind == 0


async def contents(db: Database) -> list[list[Row]]:
    return [await db.all(f"SELECT * FROM analytics.{table} ORDER BY 1, 2, 3") for table in KEYS]


async def test_a_name_counts_in_the_past_and_from_now_on(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("Liegestütz"), free("something else")])
    await volume.fold_log()
    assert await day_load(db) == [("2026-01-05", None, 0)]
    before = await db.all("SELECT version, updated_at, digest FROM trainings")
    await namer.means("  LIEGESTÜTZ", PUSH_UP)
    await volume.naming.fold_records(await told(db))
    assert await meanings(db) == [
        ("Liegestütz", PUSH_UP, 1, None, 640),
        ("something else", None, None, None, None),
    ]
    assert await day_load(db) == [("2026-01-05", 640, 1)]
    await assert_folded(db)
    await athlete.create(bodyweight_kg=50, exercises=[free("liegestütz")])
    await volume.fold_log()
    assert await day_load(db) == [("2026-01-05", 960, 2)]
    await namer.means_nothing("liegestütz")
    await volume.naming.fold_records(await told(db))
    assert {row[1:] for row in await meanings(db)} == {(None, None, None, None)}
    assert await day_load(db) == [("2026-01-05", None, 0)]
    await assert_folded(db)
    assert (await db.all("SELECT version, updated_at, digest FROM trainings ORDER BY created_at"))[:1] == before


async def test_an_own_exercise_is_what_its_names_mean(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("my dip"), free("Ring Dip"), free("ring dips")])
    await namer.create("my-dip", name="My  dip", bw_fraction=0.9)
    await namer.means("ring dip", own="my-dip")
    await volume.fold_log()
    assert [row[2:] for row in await meanings(db)] == [(1, "my-dip", 900), (1, "my-dip", 900), (None, None, None)]
    await namer.update("my-dip", name="Ring dips", bw_fraction=0.8, muscles=["triceps"])
    await volume.naming.fold_log()
    assert [row[2:] for row in await meanings(db)] == [(2, "my-dip", 800)] * 3
    stored = await db.all("SELECT name, movement, muscles, category FROM analytics.exercise_names ORDER BY 1")
    assert stored == [(name, "Ring dips", ["triceps"], "Push") for name in ("my dip", "ring dip", "ring dips")]
    await assert_folded(db)
    await namer.delete("my-dip")
    await volume.naming.fold_log()
    assert {row[2:] for row in await meanings(db)} == {(None, None, None)}
    assert await db.all("SELECT DISTINCT version, muscles FROM analytics.exercise_names") == [(4, None)]
    await assert_folded(db)


async def test_the_sets_of_an_analyst_have_the_meaning_of_their_names(
    db: Database, athlete: Athlete, namer: Namer
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("Push\tUps"), free("mine"), squat()])
    await namer.means("push ups", PUSH_UP)
    await namer.create("mine", bw_fraction=0.5, muscles=["neck"], family="neck")
    rows = await db.all(
        """SELECT exercise, exercise_revision, own_exercise, category, family, muscles, system_load_kg::float8
        FROM analytics.sets ORDER BY exercise_position"""
    )
    muscles = (await db.all("SELECT muscles FROM exercises WHERE slug = %s", [PUSH_UP]))[0][0]
    assert rows == [
        (PUSH_UP, 1, None, "Push", "push-up", muscles, 640),
        (None, 1, "mine", "Push", "neck", ["neck"], 500),
        (None, None, None, None, None, None, None),
    ]


async def test_trainings_that_do_not_hold_the_name_are_left_alone(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    await athlete.create(exercises=[free("a")])
    logged = {"name": "b", "exercise": PUSH_UP, "sets": [{"reps": 3}]}
    await athlete.create(bodyweight_kg=100, exercises=[free("c"), logged])
    await athlete.create(status="PLANNED", exercises=[free("b")])
    await volume.fold_log()
    rows = "SELECT xmin::text, ctid::text FROM analytics.folded_trainings ORDER BY source_seq"
    before = await db.all(rows)
    await namer.means("b", "pistol-squat")
    await volume.naming.fold_log()
    assert await db.all(rows) == before
    await namer.means("a", "pistol-squat")
    await volume.naming.fold_log()
    assert (await db.all(rows))[1:] == before[1:]
    assert (await db.all(rows))[:1] != before[:1]
    await assert_folded(db)


async def test_a_training_is_never_stored_with_names_that_are_outdated(
    db: Database, other: Database, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    """Its worker is told, reads them, and computes it anew."""
    elsewhere = VolumeFold(other, TOPIC)
    for version in range(1, 4):
        await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
        await namer.means("push ups", PUSH_UP if version % 2 else "pistol-squat")
        await elsewhere.naming.fold_log()
        events = await published(db)
        before = db.statements
        await volume.fold_records(events)
        assert db.statements - before == 3  # refused, read, stored
        before = db.statements
        await volume.fold_records(events)
        assert db.statements - before == 1  # and now known
        await assert_folded(db)
    assert {row[1] for row in await meanings(db)} == {PUSH_UP}


async def test_users_without_names_are_stored_beside_those_who_have_changed_theirs(
    db: Database, catalogue: Catalogue, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    quiet = Athlete(db, catalogue)
    for of in (athlete, quiet):
        for _ in range(3):
            await of.create(bodyweight_kg=100, exercises=[free("push ups")])
    await namer.means("push ups", PUSH_UP)
    await VolumeFold(db, TOPIC).naming.fold_log()
    await volume.fold_records(await published(db))
    counted = await db.all("SELECT exercise, count(*) FROM analytics.exercise_volume GROUP BY 1 ORDER BY 1")
    assert counted == [(PUSH_UP, 3), (None, 3)]
    await assert_folded(db)


async def test_only_so_many_users_names_are_remembered(
    db: Database, catalogue: Catalogue, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.volume, "USERS", 2)
    for _ in range(5):
        athlete = Athlete(db, catalogue)
        await athlete.create(exercises=[free("push ups")])
        await Namer(db, athlete).means("push ups", PUSH_UP)
    await volume.fold_log()
    events = await published(db)
    for event in events[::-1] + events:
        await volume.fold_records([event])
    await assert_folded(db)


async def test_a_past_is_computed_anew_in_parts(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.naming, "PART", 2)
    monkeypatch.setattr(agents.naming, "TRAININGS", 2)
    for number in range(5):
        await athlete.create(exercises=[free(f"name {number % 3}")])
        await namer.means(f"name {number % 3}", "pistol-squat" if number == 3 else PUSH_UP)
    for event in await published(db):
        await volume.fold_records([event])
    await volume.naming.fold_log()
    assert sorted(row[1] for row in await meanings(db)) == ["pistol-squat"] * 2 + [PUSH_UP] * 3
    await assert_folded(db)


async def test_all_users_are_caught_up_with(
    db: Database, catalogue: Catalogue, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.naming, "USERS", 2)
    athletes = [Athlete(db, catalogue) for _ in range(5)]
    for athlete in athletes:
        await athlete.create(exercises=[free("push ups")])
        await Namer(db, athlete).means("push ups", PUSH_UP)
    await volume.naming.fold_log()
    assert await db.all("SELECT naming, refolded, count(*) FROM analytics.users GROUP BY 1, 2") == [(1, 1, 5)]
    await volume.fold_log()
    await assert_folded(db)
    await Namer(db, athletes[0]).means_nothing("push ups")
    await Namer(db, athletes[4]).means("push ups", "pistol-squat")
    await volume.naming.fold_records(await told(db))
    assert sorted(str(row[1]) for row in await meanings(db)) == ["None", "pistol-squat", PUSH_UP, PUSH_UP, PUSH_UP]
    await assert_folded(db)


async def stream(*batches: Batch) -> AsyncIterator[Batch]:
    for batch in batches:
        yield batch


async def test_a_name_is_acknowledged_once_the_past_is_computed_anew(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await volume.fold_log()
    seen: list[Any] = []

    async def look() -> None:
        seen.append([*await day_load(db), *await db.all("SELECT naming, refolded FROM analytics.users")])

    await namer.means("push ups", PUSH_UP)
    await namer.means("others", PUSH_UP)
    records = await told(db)
    await volume.naming.run(stream(Batch(records[:1], look), Batch(records[1:], look)))
    assert seen == [[("2026-01-05", 640, 1), (2, 2)]] * 2
    assert (volume.naming.health.events, volume.naming.health.dead_letters) == (2, 0)


async def test_what_fails_is_tried_again_in_place_and_is_behind_meanwhile(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names are in, the past is not: no row is wrong, and nobody says that all is done."""
    monkeypatch.setattr(agents.folding, "FIRST_PAUSE", 0.001)
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await volume.fold_log()
    assert (await verified(db)).ok
    await namer.means("push ups", PUSH_UP)
    (accepted,) = [
        row[0] for row in await db.all("SELECT rfc3339(created_at) FROM outbox WHERE topic = %s", [names.TOPIC])
    ]
    batch = Batch(await told(db))
    attempts = 0
    read_folded = agents.naming.read_folded

    async def failing(*arguments: Any, **more: Any) -> Any:
        nonlocal attempts
        attempts += 1
        assert not batch.acknowledged
        seen = await verify(db)
        assert (seen.differences, seen.behind) == ([], 1)
        assert (await read_freshness(db)).behind == 1
        assert (await read_volume(db, athlete.user_id, VolumeQuery(), limit=10)).as_of == accepted
        if attempts == 1:
            raise DatabaseUnavailable("PostgreSQL cannot be reached right now.")
        if attempts == 2:
            raise RuntimeError("a fault of ours")
        return await read_folded(*arguments, **more)

    monkeypatch.setattr(agents.naming, "read_folded", failing)
    await volume.naming.run(stream(batch))
    assert batch.acknowledged
    assert (attempts, volume.naming.health.failures) == (3, 2)
    assert (await read_freshness(db)).behind == 0
    assert (await read_volume(db, athlete.user_id, VolumeQuery(), limit=10)).as_of != accepted
    assert await day_load(db) == [("2026-01-05", 640, 1)]
    await assert_folded(db)


async def test_what_was_left_half_done_is_done_by_whoever_comes_next(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await volume.fold_log()
    await namer.means("push ups", PUSH_UP)

    async def die(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the end")

    with monkeypatch.context() as patch:
        patch.setattr(agents.naming, "outdated_trainings", die)
        with pytest.raises(RuntimeError, match="the end"):
            await volume.naming.fold_log()
    await namer.means("others", "pistol-squat")
    await volume.naming.fold_records((await told(db))[1:])
    assert await day_load(db) == [("2026-01-05", 640, 1)]
    await assert_folded(db)


async def test_what_is_no_event_is_set_aside(db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold) -> None:
    """On the topic, and in the log: there the names go on without it."""
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await namer.means("push ups", "pistol-squat")
    await namer.means("push ups", PUSH_UP)
    first = (await told(db))[0]
    odd = {"topic": names.TOPIC, "partition": 2, "key": b"", "headers": ()}
    records = [
        LoggedEvent(offset=1, value=b"{", **odd),  # type: ignore[arg-type]
        LoggedEvent(offset=2, value=orjson.dumps({"event_type": "exercise_merged"}), **odd),  # type: ignore[arg-type]
        LoggedEvent(offset=3, value=b'{"event_type":"exercise_alias_set","payload":{}}', **odd),  # type: ignore[arg-type]
        LoggedEvent(offset=4, value=None, **odd),  # type: ignore[arg-type]
        first,
    ]
    await volume.naming.fold_records(records)
    letters = 'SELECT topic, partition, "offset" FROM analytics.dead_letters ORDER BY 2, 3'
    assert await db.all(letters) == [(names.TOPIC, 2, 1), (names.TOPIC, 2, 3)]
    assert (volume.naming.health.events, volume.naming.health.dead_letters) == (1, 2)
    await volume.fold_log()
    assert [row[1] for row in await meanings(db)] == [PUSH_UP]
    await assert_folded(db)


async def test_an_event_of_the_log_that_nobody_can_read_changes_no_name(
    db: Database, database_urls: DatabaseUrls, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups"), free("others")])
    for name in ("push ups", "others", "more"):
        await namer.means(name, PUSH_UP)
    _, broken, _ = await told(db)
    owner = Database(database_urls.owner)
    await owner.execute("UPDATE outbox SET payload = '{}' WHERE seq = %s", [broken.offset])
    await owner.close()
    await volume.fold_log()
    assert [row[1] for row in await meanings(db)] == [PUSH_UP, None]
    assert await db.all('SELECT partition, "offset" FROM analytics.dead_letters') == [(-1, broken.offset)]
    await assert_folded(db)
    assert set((await rebuild(db)).changed.values()) == {0}


async def test_a_lost_topic_is_made_up_for_from_the_log(
    db: Database, database_urls: DatabaseUrls, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    """Whichever it was; and the mark of what is folded passes over names that are."""
    owner = Database(database_urls.owner)
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await volume.fold_log()
    await namer.means("push ups", PUSH_UP)
    assert (await read_freshness(db)).behind == 1
    topics = {TOPIC: {"generation": 1, "offsets": {}}}
    await owner.execute("UPDATE outbox_cursor SET topics = %s", [orjson.dumps(topics).decode()])
    await volume.catch_up()
    assert (await read_freshness(db)).behind == 0
    await assert_folded(db)
    await namer.means("push ups", "pistol-squat")
    await volume.catch_up()
    assert (await read_freshness(db)).behind == 1  # the agent's work, as long as the topic is there
    topics[names.TOPIC] = {"generation": 1, "offsets": {}}
    await owner.execute("UPDATE outbox_cursor SET topics = %s", [orjson.dumps(topics).decode()])
    await volume.catch_up()
    await owner.close()
    assert [row[1] for row in await meanings(db)] == ["pistol-squat"]
    for _ in range(3):
        await advance(db)
    freshness = await read_freshness(db)
    assert freshness.behind == 0
    assert await db.all("SELECT folded_seq, missing FROM analytics.fold_state") == [(freshness.log_seq, [])]
    await assert_folded(db)


async def test_names_that_the_log_took_back_take_their_place_before_what_was_said_since(
    db: Database, database_urls: DatabaseUrls, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    """As after a restore: what was folded as version 1 is now version 2."""
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups"), free("others")])
    await namer.means("push ups", PUSH_UP)
    await volume.fold_log()
    owner = Database(database_urls.owner)
    await owner.execute(
        """UPDATE outbox SET version = 2, payload = replace(payload, '"version":1', '"version":2')
        WHERE topic = %(topic)s;
        INSERT INTO outbox (event_id, xid, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor,
                            payload)
        SELECT gen_random_uuid(), '2', topic, aggregate_type, aggregate_id, 1, event_type, user_id, 'restored',
               replace(replace(payload, '"version":2', '"version":1'), 'push ups', 'others')
        FROM outbox WHERE topic = %(topic)s;
        UPDATE exercise_namings SET version = 2;
        UPDATE outbox_cursor SET topics = jsonb_build_object(%(topic)s, jsonb_build_object('generation', 2))""",
        {"topic": names.TOPIC},
    )
    await owner.close()
    await volume.catch_up()
    assert [row[1] for row in await meanings(db)] == [PUSH_UP, PUSH_UP]
    assert await db.all("SELECT name, version FROM analytics.exercise_names ORDER BY 1") == [
        ("others", 1),
        ("push ups", 2),
    ]
    await assert_folded(db)


async def test_names_that_are_forgotten_while_the_past_is_computed_anew_are_taken_anew(
    db: Database, database_urls: DatabaseUrls, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await volume.fold_log()
    await Namer(db, athlete).means("push ups", PUSH_UP)
    owner = Database(database_urls.owner)
    await owner.execute("UPDATE outbox SET xid = '2' WHERE topic = %s", [names.TOPIC])
    await owner.close()
    settle = agents.naming.settle

    async def late(*args: Any, **more: Any) -> None:
        await volume.naming.forget_adopted()
        await settle(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(agents.naming, "settle", late)
        await volume.naming.fold_log()
    await volume.naming.fold_log()
    assert await day_load(db) == [("2026-01-05", 640, 1)]
    await assert_folded(db)


async def test_of_an_erased_user_no_name_and_no_training_is_taken_in_while_their_row_stands(
    db: Database, database_urls: DatabaseUrls, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await volume.fold_log()
    await athlete.create(exercises=[free("push ups")])
    await namer.means("push ups", PUSH_UP)
    before = await contents(db)
    owner = Database(database_urls.owner)
    await owner.execute("INSERT INTO tombstones (tombstone) SELECT tombstone(%s)", [athlete.user_id])
    await owner.close()
    await volume.fold_log()
    await volume.fold_records(await published(db))
    assert await contents(db) == before


async def test_a_rebuild_makes_names_and_what_they_change(
    db: Database, athlete: Athlete, namer: Namer, volume: VolumeFold
) -> None:
    for name in ("a", "b", "c"):
        await athlete.create(bodyweight_kg=100, exercises=[free(name)])
        await namer.means(name, PUSH_UP)
    await namer.means_nothing("b")
    await volume.fold_log()
    assert (await verified(db)).ok
    right = await contents(db)
    assert set((await rebuild(db)).changed.values()) == {0}
    await db.execute(
        """DELETE FROM analytics.exercise_names WHERE name = 'a'; UPDATE analytics.users SET naming = 0, refolded = 0;
        UPDATE analytics.folded_trainings SET naming = 9; UPDATE analytics.daily_volume SET system_load_kg = 1"""
    )
    assert not (await verify(db)).ok
    await rebuild(db)
    assert await contents(db) == right
    await athlete.create(bodyweight_kg=100, exercises=[free("a")])
    await volume.fold_log()
    await assert_folded(db)


async def test_a_rebuild_beside_agents_loses_no_name(
    db: Database,
    athlete: Athlete,
    namer: Namer,
    volume: VolumeFold,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is said, and folded, while the shadow is filled and while it takes over, is there afterwards."""
    await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
    await namer.means("push ups", PUSH_UP)
    await volume.fold_log()
    await db.execute("UPDATE analytics.daily_volume SET reps = 0; DELETE FROM analytics.exercise_names")
    stop = asyncio.Event()
    folded = 0

    async def work() -> None:
        nonlocal folded
        while not stop.is_set():
            await athlete.create(bodyweight_kg=100, exercises=[free("push ups")])
            await namer.means("push ups", PUSH_UP if folded % 2 else "pistol-squat")
            trainings, said = await published(db), await told(db)
            await asyncio.gather(volume.fold_records(trainings[-1:]), volume.naming.fold_records(said[-1:]))
            folded += 1

    def meanwhile(name: str) -> None:
        step: Callable[..., Awaitable[Any]] = getattr(agents.volume_audit, name)

        async def slow(*arguments: Any, **more: Any) -> Any:
            result = await step(*arguments, **more)
            before = folded
            if name == "hold_folds":
                await asyncio.sleep(0.2)
                assert folded <= before + 1
            else:
                await until(lambda: folded >= before + 3, 10, "the agents fold")
            return result

        monkeypatch.setattr(agents.volume_audit, name, slow)

    meanwhile("make_shadow")
    meanwhile("hold_folds")
    task = asyncio.create_task(work())
    await rebuild(db)
    before = folded
    await until(lambda: folded >= before + 3, 10, "the agents fold")
    stop.set()
    await task
    monkeypatch.undo()
    await assert_folded(db)
    assert set((await rebuild(db)).changed.values()) == {0}


# Few names and movements, so that they meet.
_said = st.sampled_from(("Push Ups", "push  ups", "dips", "Dips"))
_numbers = st.integers(0, 3)
_lists = st.lists(st.tuples(_said, st.sampled_from([None, None, PUSH_UP])), min_size=1, max_size=3)
_steps = st.one_of(
    st.tuples(st.just("create"), _numbers, _lists),
    st.tuples(st.just("means"), _said, st.sampled_from([PUSH_UP, "pistol-squat", "wall-push-up"])),
    st.tuples(st.just("own"), _said, st.sampled_from([None, 0.0, 0.5])),
    st.tuples(st.just("means nothing"), _said, st.none()),
    st.tuples(st.just("update"), _numbers, _lists),
    st.tuples(st.just("delete"), _numbers, st.none()),
    st.tuples(st.just("means own"), _said, st.just("mine")),
    st.tuples(st.just("own no more"), _said, st.none()),
)


class _Story:
    """One user, who logs and says things in turns."""

    def __init__(self, db: Database, catalogue: Catalogue) -> None:
        self.athlete = Athlete(db, catalogue)
        self.namer = Namer(db, self.athlete)
        self.written: list[UUID] = []

    async def tell(self, action: str, what: Any, more: Any) -> None:
        if action in ("create", "update"):
            exercises = [{"name": name, "exercise": slug, "sets": [{"reps": 3}]} for name, slug in more]
            exercises = [{key: value for key, value in each.items() if value is not None} for each in exercises]
            if action == "create":
                self.written.append(await self.athlete.create(bodyweight_kg=80, exercises=exercises))
            elif self.written:
                id_ = self.written[what % len(self.written)]
                await self.athlete.update(id_, bodyweight_kg=80, exercises=exercises)
        elif action == "delete" and self.written:
            await self.athlete.delete(self.written[what % len(self.written)])
        elif action == "means":
            await self.namer.means(what, more)
        elif action == "means own":
            await self.namer.means(what, own=more)
        elif action == "means nothing":
            await self.namer.means_nothing(what)
        elif action == "own":
            try:
                await self.namer.create("mine", name=what, bw_fraction=more)
            except Conflict:
                await self.namer.update("mine", name=what, bw_fraction=more)
        elif action == "own no more":
            await self.namer.delete("mine")


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(_steps, min_size=4, max_size=14), st.integers(0, 2**32))
async def test_any_story_delivered_in_any_way(
    db: Database, other: Database, steps: list[tuple[str, Any, Any]], seed: int
) -> None:
    """While it goes on, by agents of two workers at once, with duplicates, replays and in any order: the same rows."""
    story = _Story(db, await read_catalogue(db))
    await VolumeFold(db, TOPIC).fold_log()  # what an example that failed left behind
    mine = str(story.athlete.user_id).encode()
    draw = random.Random(seed)
    folds = [VolumeFold(db, TOPIC), VolumeFold(other, TOPIC)]

    async def deliver(fold: VolumeFold, part: float) -> None:
        log = [event for event in [*await published(db), *await told(db)] if event.key == mine]
        records = draw.sample(log, round(part * len(log)))
        while records:
            some, records = records[: (size := draw.randint(1, 4))], records[size:]
            await fold.naming.fold_records([event for event in some if event.topic == names.TOPIC])
            await fold.fold_records([event for event in some if event.topic == TOPIC])
        assert (await verified(other)).differences == []

    async with asyncio.TaskGroup() as tasks:
        for step in [("create", 0, [("push ups", None), ("Dips", None)]), ("means", "dips", PUSH_UP), *steps]:
            with suppress(NotFound, Conflict, UnknownExercise):
                await story.tell(*step)
            if draw.random() < 0.5:
                tasks.create_task(deliver(draw.choice(folds), draw.random()))
    await asyncio.gather(*(deliver(fold, 1) for fold in folds))
    await assert_folded(db)
    before = await contents(db)
    if seed % 4 == 0:
        assert set((await rebuild(db)).changed.values()) == {0}
    await deliver(folds[0], 1)
    assert await contents(db) == before
