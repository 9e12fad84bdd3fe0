"""Figures of sessions and exercises on a real PostgreSQL: the views of them, the marks, and rows of older rules."""

import datetime as dt
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agents.volume
from agents.naming import decode as decode_naming
from agents.volume import VolumeFold, decode
from agents.volume_audit import rebuild, verify
from analytics.volume import METHOD_VERSION, fold
from chaos.by_record import BY_RECORD
from models.errors import NotFound, StatusConflict
from models.events import ExercisePayload
from models.exercises import Catalogue, folded
from models.metrics import ExerciseVolume, FoldedTraining, known_sum
from models.naming import names_at
from models.performed import PerformedEvent
from storage.database import Database
from storage.exercises import read_catalogue
from storage.migrate import migrate
from storage.schema import MIGRATIONS
from tests.support import names
from tests.support.athletes import TOPIC, Athlete, published
from tests.support.bodies import squat, trainings
from tests.support.databases import DatabaseUrls
from tests.support.insights import verified
from tests.support.muscles import muscle_sets
from tests.support.names import Namer, told

SLUGS = ("push-up", "pistol-squat", "crow-pose", "wall-push-up")  # of the last one no fraction is known
Mark = tuple[str, set[UUID]]


@pytest.fixture
async def catalogue(db: Database) -> Catalogue:
    return await read_catalogue(db)


@pytest.fixture
def volume(db: Database) -> VolumeFold:
    return VolumeFold(db, TOPIC, names.TOPIC)


@pytest.fixture
def athlete(db: Database, catalogue: Catalogue) -> Athlete:
    return Athlete(db, catalogue)


async def marks(database: Database) -> dict[UUID, Mark]:
    """The first day and the trainings of each mark."""
    rows = await database.all("SELECT user_id, from_day::text, trainings FROM analytics.stale_users")
    for _, _, marked in rows:
        assert len(set(marked)) == len(marked)
    return {user_id: (day, set(marked)) for user_id, day, marked in rows}


async def computed(database: Database, catalogue: Catalogue) -> list[FoldedTraining]:
    """What the pure functions alone make of the newest event of each training."""
    told_of: dict[UUID, list[ExercisePayload]] = defaultdict(list)
    for record in await told(database):
        naming = decode_naming(record.value)
        assert naming is not None
        told_of[naming.payload.user_id].append(naming.payload)
    newest: dict[UUID, PerformedEvent] = {}
    for record in await published(database):
        event = decode(record.value)
        assert event is not None
        newest[event.payload.training_id] = event  # the log has the versions in order
    known = {user_id: names_at(payloads, len(payloads)) for user_id, payloads in told_of.items()}
    return [fold(event, catalogue.facts, None, known[event.payload.user_id]) for event in newest.values()]


async def write_a_log(db: Database, catalogue: Catalogue, seed: int) -> None:
    """Two athletes with names of their own, some weeks, several movements a day; some trainings change or go."""
    draw = random.Random(seed)
    for _ in range(2):
        athlete = Athlete(db, catalogue)
        namer = Namer(db, athlete)
        await namer.create("mine", category="Skill", family="planche", difficulty=9, muscles=["chest", "deltoids"])
        await namer.means("alpha", "push-up")
        await namer.means("beta", own="mine")
        written = []
        for _ in range(25):
            exercises = []
            for _ in range(draw.randint(0, 4)):
                named = {"name": draw.choice(["alpha", "Alpha", "beta", "gamma", "mine", "Delta (Assisted)"])}
                if draw.random() < 0.4:
                    named["exercise"] = draw.choice(SLUGS)
                exercises.append(named | {"sets": [_set(draw) for _ in range(draw.randint(1, 4))]})
            day = dt.date(2025, 12, 20) + dt.timedelta(draw.randint(0, 20))
            mass = {"bodyweight_kg": 81.5} if draw.random() < 0.7 else {}
            fields = {"date": f"{day}T12:00:00Z", "exercises": exercises, "duration_seconds": 1800} | mass
            if written and draw.random() < 0.2:
                await athlete.update(draw.choice(written), **fields)
            else:
                written.append(await athlete.create(**fields))
        await athlete.delete(written.pop())
        await namer.update("mine", category="Pull", muscles=["lats"], secondary_muscles=["biceps", "lats"])


def _set(draw: random.Random) -> dict[str, Any]:
    kind = draw.choice(["hold", "reps", "reps", "reps"])
    if kind == "hold":
        return {"duration_seconds": draw.randint(1, 90) / 2}
    return {
        "weight": draw.randint(-40, 200) / 2,
        "unit": draw.choice(["kg", "lb"]),
        "reps": draw.randint(1, 15),
        "type": draw.choice(["working", "warmup"]),
        "done": draw.random() < 0.9,
    } | ({"rpe": draw.randint(8, 20) / 2} if draw.random() < 0.5 else {})


def counted(folded_trainings: list[FoldedTraining]) -> Iterator[tuple[FoldedTraining, ExerciseVolume]]:
    """Each exercise of a counted training, with it."""
    for training in folded_trainings:
        for exercise in training.session.exercises:
            yield training, exercise


def week(day: dt.date) -> tuple[str, dt.date]:
    """The ISO week, and its first day."""
    year, number, weekday = day.isocalendar()
    return f"{year}-W{number:02}", day - dt.timedelta(weekday - 1)


async def test_the_views_say_what_the_pure_functions_say(
    db: Database, catalogue: Catalogue, volume: VolumeFold
) -> None:
    await write_a_log(db, catalogue, seed=6)
    await volume.fold_log()
    exercises = list(counted(await computed(db, catalogue)))
    await assert_progress(db, exercises)
    await assert_categories(db, exercises)
    await assert_muscles(db, exercises)
    for name, (by_record, derived) in BY_RECORD.items():
        assert Counter(await db.all(by_record)) == Counter(await db.all(derived)), name
    assert (await verified(db)).ok


async def assert_progress(db: Database, exercises: list[tuple[FoldedTraining, ExerciseVolume]]) -> None:
    together: dict[Any, list[ExerciseVolume]] = defaultdict(list)
    for training, exercise in exercises:
        own = exercise.own_exercise and f"own:{exercise.own_exercise}"
        key = exercise.exercise or own or f"name:{folded(exercise.name)}"
        together[training.user_id, key, training.day].append(exercise)
    expected = set()
    for key, done in together.items():
        estimates = [
            (each.e1rm_kg, each.e1rm_weight_kg, each.e1rm_reps)
            for each in done
            if each.e1rm_kg is not None and each.e1rm_weight_kg is not None
        ]
        expected.add(
            (
                *key,
                *max(estimates, default=(None, None, None)),
                *(sum(each.volume[figure] for each in done) for figure in range(4)),  # sets, reps, hard, external
                known_sum(each.volume.system_load_kg for each in done),
                sum(each.volume.system_load_sets for each in done),
                sum(each.work for each in done),
                max((each.max_weight_kg for each in done if each.max_weight_kg is not None), default=None),
                max((each.longest_hold_seconds for each in done if each.longest_hold_seconds), default=None),
            )
        )
    found = await db.all(
        """SELECT user_id, movement, day, e1rm_kg, e1rm_weight_kg, e1rm_reps, sets, reps, hard_sets, external_load_kg,
            system_load_kg, system_load_sets, work, max_weight_kg, longest_hold_seconds
        FROM analytics.exercise_progress"""
    )
    assert len(found) == len(expected) > 40
    assert set(found) == expected
    kinds = {movement.partition(":")[0] for _, movement, *_ in found}
    assert kinds >= {"push-up", "pistol-squat", "own", "name"}
    named = await db.all("SELECT DISTINCT name, exercise, own_exercise FROM analytics.exercise_progress")
    assert {("beta", None, "mine"), ("gamma", None, None)} <= set(named)


async def assert_categories(db: Database, exercises: list[tuple[FoldedTraining, ExerciseVolume]]) -> None:
    expected: dict[Any, list[ExerciseVolume]] = defaultdict(list)
    for training, exercise in exercises:
        expected[training.user_id, *week(training.day), exercise.category].append(exercise)
    found = await db.all(
        """SELECT user_id, week, monday, category, sets, reps, work, external_load_kg, system_load_kg
        FROM analytics.weekly_category_volume"""
    )
    assert {row[:4]: row[4:] for row in found} == {
        key: (
            sum(each.volume.sets for each in done),
            sum(each.volume.reps for each in done),
            sum(each.work for each in done),
            sum(each.volume.external_load_kg for each in done),
            known_sum(each.volume.system_load_kg for each in done),
        )
        for key, done in expected.items()
    }
    assert {row[3] for row in found} >= {"Push", "Pull", "Legs", "Skill", None}
    works = """SELECT user_id, week, sum(work) FILTER (WHERE category = 'Skill'),
        sum(work) FILTER (WHERE category <> 'Skill') FROM analytics.weekly_category_volume GROUP BY 1, 2"""
    sums = "SELECT user_id, week, nullif(skill_work, 0), nullif(strength_work, 0) FROM analytics.weekly_volume"
    by_category = {row[:2]: (row[2] or None, row[3] or None) for row in await db.all(works)}
    by_week = {row[:2]: row[2:] for row in await db.all(sums)}
    assert by_category == {key: by_week[key] for key in by_category}


async def assert_muscles(db: Database, exercises: list[tuple[FoldedTraining, ExerciseVolume]]) -> None:
    rows = await db.all("SELECT slug, revision, muscles, secondary_muscles FROM exercises")
    muscles = {(slug, revision): (primary, secondary) for slug, revision, primary, secondary in rows}
    weeks: dict[Any, list[tuple[list[str], list[str], int]]] = defaultdict(list)
    for training, exercise in exercises:
        if exercise.exercise is not None and exercise.exercise_revision is not None:
            trained = muscles[exercise.exercise, exercise.exercise_revision]
        elif exercise.own_exercise is not None:
            trained = ["lats"], ["biceps", "lats"]
        else:
            continue
        weeks[training.user_id, *week(training.day)].append((*trained, exercise.volume.hard_sets))
    expected = {
        (*key, muscle): sets for key, done in weeks.items() for muscle, sets in muscle_sets(done).items() if sets
    }
    found = await db.all("SELECT user_id, week, monday, muscle, sets FROM analytics.weekly_muscle_sets")
    assert {row[:4]: row[4] for row in found} == expected
    assert Decimal("0.5") in {sets % 1 for sets in expected.values()}


async def test_a_mark_has_the_first_day_that_changed_and_the_trainings(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    first = await athlete.create(date="2026-01-07T12:00:00Z", exercises=[squat()])
    second = await athlete.create(date="2026-01-09T12:00:00Z", exercises=[squat()])
    await volume.fold_log()
    assert await marks(db) == {athlete.user_id: ("2026-01-07", {first, second})}
    await db.execute("DELETE FROM analytics.stale_users")
    await athlete.update(second, date="2026-01-08T12:00:00Z", exercises=[squat()])
    await volume.fold_log()
    assert await marks(db) == {athlete.user_id: ("2026-01-08", {second})}
    await athlete.update(first, date="2026-01-20T12:00:00Z", exercises=[squat()])  # its old day is the first
    await volume.fold_log()
    assert await marks(db) == {athlete.user_id: ("2026-01-07", {first, second})}
    await athlete.delete(second)
    await volume.fold_log()
    await volume.fold_records(await published(db))  # once more: nothing changes
    assert await marks(db) == {athlete.user_id: ("2026-01-07", {first, second})}


async def test_what_does_not_count_before_and_after_marks_nobody(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    planned = await athlete.create(status="PLANNED", exercises=[squat()])
    other = await athlete.create(status="PLANNED", exercises=[squat()])
    await volume.fold_log()
    await athlete.update(planned, status="IN_PROGRESS", exercises=[squat()])
    await athlete.delete(other)
    await volume.fold_log()
    assert await marks(db) == {}
    await athlete.update(planned, exercises=[squat()])
    await volume.fold_log()
    assert await marks(db) == {athlete.user_id: ("2026-01-05", {planned})}


async def test_what_is_only_computed_anew_marks_the_day_and_no_training(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    await athlete.create(date="2026-01-07T12:00:00Z", exercises=[squat()])
    await athlete.create(date="2026-01-09T12:00:00Z", exercises=[squat(name="other")])
    await volume.fold_log()
    await db.execute("DELETE FROM analytics.stale_users")
    await Namer(db, athlete).means("other", "pistol-squat")
    await volume.fold_log()
    assert await marks(db) == {athlete.user_id: ("2026-01-09", set())}


async def test_each_fold_makes_another_mark(db: Database, athlete: Athlete, volume: VolumeFold) -> None:
    """So that who looked at the days before it finds its mark gone, and looks again."""
    seen = set()
    for _ in range(3):
        await athlete.create(exercises=[squat()])
        await volume.fold_log()
        ((touched, since),) = await db.all("SELECT touched::text, since FROM analytics.stale_users")
        seen.add((touched, since))
    assert len({touched for touched, _ in seen}) == 3
    assert len({since for _, since in seen}) == 1


_dates = st.sampled_from(["2026-01-05T23:30:00Z", "2026-01-06T10:00:00Z", "2026-01-31T23:59:59Z"])
_bodies = st.builds(lambda body, date: body | {"date": date}, trainings(SLUGS), _dates)
_steps = st.tuples(st.sampled_from(["create", "update", "delete", "look"]), st.integers(0, 2), _bodies)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(_steps, min_size=2, max_size=10))
async def test_no_row_changes_without_a_mark(db: Database, steps: list[tuple[str, int, Any]]) -> None:
    """Whatever happens between two looks: days before the mark, and trainings that are not in it, are as they were."""
    athlete, volume = Athlete(db, await read_catalogue(db)), VolumeFold(db, TOPIC)
    await volume.fold_log()
    await db.execute("DELETE FROM analytics.stale_users")
    written: list[UUID] = []
    before = await _derived(db, athlete)
    for action, number, body in [*steps, ("look", 0, None)]:
        if action == "create":
            written.append(await athlete.create(**body))
        elif action == "look":
            await volume.fold_log()
            after = await _derived(db, athlete)
            from_day, marked = (await marks(db)).get(athlete.user_id, ("9999", set()))
            changed = set(before.items()) ^ set(after.items())
            assert all(day >= from_day for (_, day, _), _ in changed)
            assert {id_ for (_, _, id_), _ in changed if id_ is not None} == marked
            await db.execute("DELETE FROM analytics.stale_users")
            before = after
        elif written:
            with suppress(StatusConflict, NotFound):
                id_ = written[number % len(written)]
                await (athlete.delete(id_) if action == "delete" else athlete.update(id_, **body))


async def _derived(database: Database, athlete: Athlete) -> dict[tuple[str, str, UUID | None], str]:
    rows = await database.all(
        """SELECT 'day', day::text, NULL::uuid, ROW(d.*)::text FROM analytics.daily_volume d WHERE user_id = %(user)s
        UNION ALL SELECT 'training', day::text, training_id, ROW(f.*)::text
        FROM analytics.folded_trainings f WHERE user_id = %(user)s AND counted""",
        {"user": athlete.user_id},
    )
    return {(table, day, id_): row for table, day, id_, row in rows}


async def test_rows_of_older_rules_are_computed_anew(
    db: Database,
    catalogue: Catalogue,
    volume: VolumeFold,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As an upgrade finds them: the tables are those of the migration before, with rows."""
    await write_a_log(db, catalogue, seed=7)
    await volume.fold_log()
    await db.close()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database_urls.owner
    command.downgrade(config, "0013")
    migrate(database_urls.owner)
    seen = await verify(db)
    assert seen.behind == 0
    assert seen.different > 50
    monkeypatch.setattr(agents.volume, "PART", 7)
    workers = [VolumeFold(db, TOPIC), VolumeFold(db, TOPIC)]
    for worker in workers:
        await worker.renew()
    assert [worker.health.events for worker in workers] == [seen.trainings, 0]
    assert [ids for _, ids in (await marks(db)).values()] == [set(), set()]  # days are looked at, nothing is announced
    assert await db.one("SELECT method FROM analytics.fold_state") == (METHOD_VERSION,)
    assert (await verified(db)).ok
    assert set((await rebuild(db)).changed.values()) == {0}

    # A worker of the version before folds some more.
    await db.execute("UPDATE analytics.folded_trainings SET method = method - 1, sets = sets + 1 WHERE version > 1")
    assert not (await verify(db)).ok
    await workers[1].renew()
    assert (await verified(db)).ok
    before = db.statements
    await workers[1].renew()
    assert db.statements - before == 1


async def test_what_the_log_does_not_hold_is_not_computed_anew_all_the_time(
    db: Database, catalogue: Catalogue, volume: VolumeFold
) -> None:
    athlete = Athlete(db, catalogue)
    for _ in range(3):
        await athlete.create()
    await volume.fold_log()
    await db.execute("UPDATE analytics.folded_trainings SET method = method - 1")
    await db.execute(
        """UPDATE analytics.folded_trainings SET version = version + 1
        WHERE training_id = (SELECT min(training_id::text)::uuid FROM analytics.folded_trainings)"""
    )
    await volume.renew()
    outdated = "SELECT count(*) FROM analytics.folded_trainings WHERE method < %s"
    assert await db.one(outdated, [METHOD_VERSION]) == (1,)
    before = db.statements
    await volume.renew()
    assert db.statements == before


async def test_the_index_holds_what_is_to_be_computed_anew(db: Database) -> None:
    """The migration that makes it anew goes with a new version of the rules."""
    condition = """SELECT pg_get_expr(indpred, indrelid) FROM pg_index
        WHERE indexrelid = 'analytics.folded_trainings_outdated'::regclass"""
    assert await db.one(condition) == (f"(method < {METHOD_VERSION})",)
