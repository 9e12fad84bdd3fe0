"""Load, records and what is announced of them, on a real PostgreSQL."""

import asyncio
import datetime as dt
import random
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agents.folding
import agents.insights
from agents.insights import InsightsFold
from agents.volume import VolumeFold
from agents.volume_audit import rebuild, verify
from models.errors import DatabaseUnavailable, NotFound, StatusConflict
from models.exercises import Catalogue
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import TOPIC, Athlete, published
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls
from tests.support.insights import INSIGHTS, announced, verified
from tests.support.names import Namer

NAMES = ("Lift", "lifting", "Push")
SLUGS = ("knee-push-up", "wall-push-up")  # of one family
LATE = dt.timedelta(days=7)
NOW = dt.datetime.now(dt.UTC)

Said = tuple[UUID, str, str, Decimal, Decimal]  # training, movement, kind, at weight, value


@pytest.fixture
async def catalogue(db: Database) -> Catalogue:
    return await read_catalogue(db)


@pytest.fixture
async def athlete(db: Database, catalogue: Catalogue) -> Athlete:
    return Athlete(db, catalogue)


@pytest.fixture
def volume(db: Database) -> VolumeFold:
    return VolumeFold(db, TOPIC)


@pytest.fixture
def insights(db: Database) -> InsightsFold:
    return InsightsFold(db, INSIGHTS)


def ago(days: float) -> str:
    return (NOW - dt.timedelta(days=days)).isoformat()


def said(payload: dict[str, Any]) -> Said:
    weight = Decimal(str(payload.get("at_weight_kg", 0)))
    value = Decimal(str(payload["value"]))
    return UUID(payload["training_id"]), payload["movement"], payload["kind"], weight, value


async def standing(database: Database, user_id: UUID) -> list[Said]:
    """The records in force that may be announced: they beat another, and were logged within a week."""
    found = await database.all(
        """SELECT training_id, movement, kind, round(at_weight_kg, 4), round(value, 4) FROM analytics.personal_records
        WHERE user_id = %s AND superseded_on IS NULL AND previous IS NOT NULL
          AND greatest(updated_at - date, date - updated_at) <= %s""",
        [user_id, LATE],
    )
    return [tuple(row) for row in found]  # type: ignore[misc]


def news(payloads: list[dict[str, Any]]) -> Counter[Said]:
    return Counter(said(payload) for payload in payloads if "record_id" in payload)


_set = st.fixed_dictionaries(
    {"weight": st.sampled_from([-20, 0, 50, 62.5])},
    optional={"reps": st.integers(1, 4), "duration_seconds": st.sampled_from([10, 20.5]), "unit": st.just("lb")},
)
_exercise = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "sets": st.lists(_set, min_size=1, max_size=3)},
    optional={"exercise": st.sampled_from(SLUGS)},
)
_body = st.fixed_dictionaries(
    {
        "date": st.sampled_from([0.1, 0.2, 1, 3, 6.5, 30, 90]).map(ago),
        "exercises": st.lists(_exercise, min_size=1, max_size=2),
        "timezone": st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Los_Angeles"]),
        "status": st.sampled_from(["COMPLETED", "COMPLETED", "COMPLETED", "PLANNED"]),
    },
    optional={"session_rpe": st.integers(0, 9), "duration_seconds": st.just(3600), "bodyweight_kg": st.just(80)},
)
_numbers = st.integers(0, 3)
_writes = st.one_of(
    st.tuples(st.just("create"), _numbers, _body),
    st.tuples(st.just("create"), _numbers, _body),
    st.tuples(st.just("update"), _numbers, _body),
    st.tuples(st.just("delete"), _numbers, st.none()),
    st.tuples(st.just("name"), _numbers, st.sampled_from([*SLUGS, None])),
)
_rounds = st.tuples(
    st.lists(_writes, min_size=1, max_size=3),
    st.sampled_from([("fold", "insights"), ("fold", "insights"), ("fold",), ("insights",)]),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(_rounds, min_size=3, max_size=6))
async def test_any_history_gives_what_a_rebuild_gives_and_announces_each_record_once(
    db: Database, catalogue: Catalogue, volume: VolumeFold, insights: InsightsFold, rounds: list[Any]
) -> None:
    athlete = Athlete(db, catalogue)
    namer = Namer(db, athlete)
    trainings: list[UUID] = []
    written: set[UUID] = set()  # and not folded yet
    marked: set[UUID] = set()
    told: Counter[Said] = Counter()
    steps = [step for writes, then in rounds for step in (*writes, *((action, 0, None) for action in then))]
    for action, number, given_ in [*steps, ("fold", 0, None), ("insights", 0, None)]:
        if action == "create":
            trainings.append(await athlete.create(**given_))
            written.add(trainings[-1])
        elif action == "fold":
            await volume.fold_log()
            marked |= written
            written.clear()
        elif action == "insights":
            await insights.run_due()
            now = news([each for each in await announced(db) if each["user_id"] == str(athlete.user_id)])
            new = now - told
            told = now
            assert max(new.values(), default=1) == 1
            # Without its movement: a name that is given later to a movement makes no new record of it.
            expected = {
                (training, *record)
                for training, _, *record in await standing(db, athlete.user_id)
                if training in marked
            }
            assert {(training, *record) for training, _, *record in new} <= expected
            assert expected <= {(training, *record) for training, _, *record in told}
            marked.clear()
        elif action == "name":
            name = NAMES[number % len(NAMES)]
            with suppress(NotFound):
                await (namer.means_nothing(name) if given_ is None else namer.means(name, given_))
        elif trainings:
            training = trainings[number % len(trainings)]
            with suppress(NotFound, StatusConflict):
                await (athlete.delete(training) if given_ is None else athlete.update(training, **given_))
                written.add(training)
    last: dict[str, float] = {}
    for each in await announced(db, "personal_record"):
        assert last.get(each["record_id"]) != each["value"]
        last[each["record_id"]] = each["value"]
    seen = await verified(db)
    assert seen.differences == []
    assert seen.ok


async def lift(athlete: Athlete, weight: float, days: float = 0.1, **fields: Any) -> UUID:
    return await athlete.create(date=ago(days), exercises=[squat(weight=weight)], **fields)


async def test_a_record_is_told_once_and_again_when_a_correction_changes_it(
    db: Database, athlete: Athlete, volume: VolumeFold, insights: InsightsFold
) -> None:
    async def told() -> list[tuple[float, float, int]]:
        await volume.fold_log()
        await insights.run_due()
        payloads = await announced(db, "personal_record")
        return [(each["value"], each["previous"], each["version"]) for each in payloads if each["kind"] == "weight"]

    await lift(athlete, 100, 3)
    assert await told() == []  # the first is none
    training = await lift(athlete, 110, 2)
    assert await told() == [(110, 100, 1)]
    for weight, expected in ((110, 1), (1050, 2), (95, 2), (1050, 2), (120, 3), (120, 3)):
        await athlete.update(training, date=ago(2), exercises=[squat(weight=weight)], title=f"{weight}")
        assert len(await told()) == expected
    assert (await told())[1:] == [(1050, 100, 2), (120, 100, 3)]
    later = await lift(athlete, 130, 1)
    assert (await told())[3:] == [(130, 120, 1)]
    await athlete.delete(later)  # the one before stands again, and was told
    assert len(await told()) == 4
    assert (await verify(db)).ok
    await lift(athlete, 140, 0.3)
    highest = await lift(athlete, 150, 0.2)
    assert (await told())[4:] == [(150, 140, 1)]
    await athlete.delete(highest)  # the one before stands, and is no news
    assert len(await told()) == 5
    await athlete.delete(training)
    assert len(await told()) == 5
    await lift(athlete, 130, 9)
    late = await lift(athlete, 200, 8)  # beats the one before it, and was logged too late to be news
    assert len(await told()) == 5
    await athlete.update(late, date=ago(6), exercises=[squat(weight=200)])
    assert (await told())[5:] == [(200, 130, 1)]
    assert (await verify(db)).ok
    before = await announced(db)
    await volume.fold_records(await published(db))
    assert await insights.run_due() == 0
    assert await announced(db) == before


async def test_what_an_app_wrote_of_assistance_and_of_pounds_is_told_right(
    db: Database, athlete: Athlete, volume: VolumeFold, insights: InsightsFold
) -> None:
    """Strong has assistance as a positive weight, of which more is no record; pounds are told with four digits."""
    pull_up = {"name": "Pull Up (Assisted)"}
    for days, assistance, pounds in ((2, 20, 215), (1, 45, 225)):
        assisted = [pull_up | {"exercise": slug} for slug in ("machine-assisted-pull-up", "pull-up")]
        lifted = {"name": "Squat", "sets": [{"weight": pounds, "unit": "lb", "reps": 5}]}
        done = [one | {"sets": [{"weight": assistance, "reps": 8}]} for one in (pull_up, *assisted)]
        await athlete.create(date=ago(days), exercises=[*done, lifted], bodyweight_kg=80)
    await volume.fold_log()
    await insights.run_due()
    told = await announced(db, "personal_record")
    assert {(each["kind"], each["movement"], each["value"], each["previous"]) for each in told} == {
        ("weight", "name:squat", 102.0583, 97.5224),
        ("e1rm", "name:squat", 119.068, 113.7761),
        ("session_volume", "name:squat", 510.2914, 487.6118),
    }
    kinds = "SELECT DISTINCT kind FROM analytics.personal_records WHERE movement <> 'name:squat'"
    assert await db.all(kinds) == [("harder_movement",)]
    assert await db.one("SELECT sum(external_load_kg) FROM analytics.exercise_volume WHERE name <> 'Squat'") == (
        3 * 8 * (20 + 45),
    )
    assert (await verified(db)).ok


async def test_a_measure_that_is_logged_later_has_all_days(
    db: Database, athlete: Athlete, volume: VolumeFold, insights: InsightsFold
) -> None:
    days = "SELECT count(*) FROM analytics.daily_load WHERE measure = 'session_rpe'"
    await lift(athlete, 100, 50)
    await volume.fold_log()
    await insights.run_due()
    training = await lift(athlete, 100, 10, session_rpe=7, duration_seconds=3600)
    await volume.fold_log()
    await insights.run_due()
    assert await db.one(days) == (40 + 28 + 1,)
    assert (await verify(db)).ok
    await athlete.update(training, date=ago(30), exercises=[])
    await volume.fold_log()
    await insights.run_due()
    assert await db.one(days) == (0,)
    assert (await verify(db)).ok


async def test_a_name_that_is_given_later_tells_nothing(
    db: Database, athlete: Athlete, volume: VolumeFold, insights: InsightsFold
) -> None:
    exercise = squat(weight=100) | {"exercise": "knee-push-up"}
    await athlete.create(date=ago(3), exercises=[exercise])
    await lift(athlete, 90, 2)
    training = await lift(athlete, 120, 1)
    await volume.fold_log()
    await insights.run_due()
    before = await announced(db, "personal_record")
    assert {each["movement"] for each in before} == {"name:squat"}
    await Namer(db, athlete).means("squat", "knee-push-up")
    await volume.naming.fold_log()
    assert await insights.run_due() == 1
    (kept,) = await db.all(
        """SELECT value, previous FROM analytics.personal_records
        WHERE superseded_on IS NULL AND kind = 'weight' AND movement = 'knee-push-up'"""
    )
    assert kept == (120, 100)
    await athlete.update(training, date=ago(1), exercises=[squat(weight=120)], notes="a typo less")
    await volume.fold_log()
    assert await insights.run_due() == 1
    assert await announced(db, "personal_record") == before
    assert (await verified(db)).ok


async def test_a_record_is_the_same_by_another_name_of_its_movement(
    db: Database, athlete: Athlete, volume: VolumeFold, insights: InsightsFold
) -> None:
    async def lifted(name: str, slug: str = "knee-push-up") -> list[tuple[float, str]]:
        exercise = squat(weight=120) | {"name": name, "exercise": slug}
        await athlete.update(training, date=ago(1), exercises=[exercise])
        await volume.fold_log()
        await insights.run_due()
        payloads = await announced(db, "personal_record")
        return [(each["value"], each["name"]) for each in payloads if each["kind"] == "weight"]

    for slug in SLUGS:
        await athlete.create(date=ago(3), exercises=[squat(weight=100) | {"exercise": slug}])
    training = await athlete.create(date=ago(1), exercises=[])
    assert await lifted("Lift") == [(120, "Lift")]
    assert await lifted("Lifts") == [(120, "Lift")]
    await Namer(db, athlete).means("lifting", SLUGS[1])  # what a name means says nothing of what was logged
    await volume.naming.fold_log()
    assert await lifted("lifting") == [(120, "Lift")]
    assert await lifted("lifting", SLUGS[1]) == [(120, "Lift"), (120, "lifting")]
    assert (await verify(db)).ok


async def test_the_band_is_judged_with_each_change_and_once_a_day(
    db: Database, athlete: Athlete, volume: VolumeFold
) -> None:
    moment = NOW - dt.timedelta(days=1)
    insights = InsightsFold(db, INSIGHTS, now=lambda: moment)
    loads = {"session_rpe": 5, "duration_seconds": 3600, "timezone": "America/Los_Angeles"}
    for days in range(2, 44, 2):
        await lift(athlete, 100, days, **loads)
    await volume.fold_log()
    await insights.run_due()

    async def told() -> list[tuple[str | None, str | None]]:
        payloads = await announced(db, "load_band_changed")
        assert [each["version"] for each in payloads] == list(range(1, len(payloads) + 1))
        assert {each["measure"] for each in payloads} == {"session_rpe"}
        return [(each.get("previous_band"), each.get("band")) for each in payloads]

    assert await told() == [(None, "target")]
    for _ in range(3):  # the same day
        await insights.judge_days()
        assert await insights.run_due() == 0
    seen = []
    for _ in range(40):
        moment += dt.timedelta(days=1)
        await insights.judge_days()
        seen.append(await insights.run_due())
    assert await told() == [(None, "target"), ("target", "under"), ("under", None)]
    assert (await announced(db, "load_band_changed"))[-1]["reason"] == "no_chronic_load"
    assert seen == sorted(seen, reverse=True)  # once a day, as long as there are rows
    assert 25 < sum(seen) < 32
    assert (await verified(db)).ok


async def test_two_at_once_beside_folds_store_and_tell_everything_once(
    db: Database, catalogue: Catalogue, database_urls: DatabaseUrls
) -> None:
    other = Database(database_urls.worker)
    athletes = [Athlete(db, catalogue) for _ in range(8)]
    workers = [InsightsFold(db, INSIGHTS), InsightsFold(other, INSIGHTS), InsightsFold(db, INSIGHTS)]
    draw = random.Random(3)
    ended = asyncio.Event()

    async def fold() -> None:
        volume = VolumeFold(db, TOPIC)
        for number in range(6):
            for athlete in athletes:
                await lift(athlete, 100 + number, 5 - number / 2)
                if draw.random() < 0.5:
                    await volume.fold_log()
        await volume.fold_log()
        ended.set()

    async def work(worker: InsightsFold) -> None:
        while not ended.is_set():
            await worker.run_due()
            await asyncio.sleep(0.001)
        await worker.run_due()

    await asyncio.gather(fold(), *map(work, workers))
    assert (await verify(db)).ok
    told = Counter(
        (each["user_id"], each["value"]) for each in await announced(db, "personal_record") if each["kind"] == "weight"
    )
    assert set(told.values()) == {1}
    assert {user for user, _ in told} == {str(athlete.user_id) for athlete in athletes}
    assert all(told[str(athlete.user_id), 105.0] for athlete in athletes)
    await other.close()


class Killed(BaseException):
    """The process ends here."""


async def test_who_is_killed_between_two_statements_loses_nothing_and_says_nothing_twice(
    db: Database, athlete: Athlete, volume: VolumeFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = agents.insights.write
    for number, dies in enumerate(["before", "after", "before", "after"]):

        async def killed(*arguments: Any, dies: str = dies, **options: Any) -> Any:
            if dies == "after":
                await store(*arguments, **options)
            raise Killed

        await lift(athlete, 100 + number, 3 - number / 2)
        await volume.fold_log()
        with monkeypatch.context() as patch:
            patch.setattr(agents.insights, "write", killed)
            with pytest.raises(Killed):
                await InsightsFold(db, INSIGHTS).run_due()
        assert await InsightsFold(db, INSIGHTS).run_due() == (dies == "before")
    told = [each["value"] for each in await announced(db, "personal_record") if each["kind"] == "weight"]
    assert told == [101, 102, 103]
    assert (await verify(db)).ok


async def test_an_answer_that_is_lost_is_asked_for_again(
    db: Database, athlete: Athlete, volume: VolumeFold, insights: InsightsFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.folding, "FIRST_PAUSE", 0.001)
    store = agents.insights.write
    attempts = 0

    async def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal attempts
        attempts += 1
        written = await store(*arguments, **options)
        if attempts == 1:
            raise DatabaseUnavailable("the answer is lost")
        return written

    monkeypatch.setattr(agents.insights, "write", failing)
    for weight in (100, 110):
        await lift(athlete, weight, 1 - weight / 1000)
    await volume.fold_log()
    assert await insights.run_due() == 0  # by the second answer
    assert (attempts, insights.health.failures) == (2, 1)
    assert (await verify(db)).ok
    assert [each["value"] for each in await announced(db) if each.get("kind") == "weight"] == [110]


async def test_a_user_of_whom_nothing_can_be_computed_is_left_and_holds_up_nobody(
    db: Database, catalogue: Catalogue, volume: VolumeFold, insights: InsightsFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = agents.insights.compute
    spoilt, well = Athlete(db, catalogue), Athlete(db, catalogue)

    def failing(history: Any) -> Any:
        if history.user_id == spoilt.user_id:
            raise ArithmeticError("a fault of ours")
        return compute(history)

    for athlete in (spoilt, well):
        await lift(athlete, 100)
    await volume.fold_log()
    with monkeypatch.context() as patch:
        patch.setattr(agents.insights, "compute", failing)
        assert await insights.run_due() == 1
        assert await insights.run_due() == 0
    assert await db.all("SELECT user_id FROM analytics.stale_users") == [(spoilt.user_id,)]
    await lift(spoilt, 110, 0.05)
    await volume.fold_log()
    assert await insights.run_due() == 1
    assert (await verify(db)).ok


async def test_a_rebuild_tells_nothing_and_forgets_nothing_that_is_to_be_told(
    db: Database, athlete: Athlete, volume: VolumeFold, insights: InsightsFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lift(athlete, 100, 3)
    await lift(athlete, 110, 2)
    await volume.fold_log()
    await insights.run_due()
    before = await announced(db)
    await db.execute(
        """DELETE FROM analytics.daily_load; DELETE FROM analytics.personal_records;
        DELETE FROM analytics.folded_trainings; DELETE FROM analytics.daily_volume"""
    )
    changed = (await rebuild(db)).changed
    assert changed["daily_load"] == 30  # to 28 days after the last
    assert changed["personal_records"] > 3
    assert await announced(db) == before
    await insights.run_due()
    assert await announced(db) == before
    assert (await verify(db)).ok

    # Folded by the rebuild alone: the agent meets the event when nothing is left to do.
    training = await lift(athlete, 120, 1)
    # And computed before the rebuild ended: what it took away is not written over.
    stale = asyncio.Event()
    go_on = asyncio.Event()
    store = agents.insights.write

    async def slow(*arguments: Any, **options: Any) -> Any:
        stale.set()
        await go_on.wait()
        return await store(*arguments, **options)

    await athlete.create(date=ago(40), exercises=[squat(weight=50)])
    await volume.fold_log()
    await athlete.update(training, date=ago(1), exercises=[squat(weight=125)])
    monkeypatch.setattr(agents.insights, "write", slow)
    late = asyncio.create_task(insights.run_due())
    await stale.wait()
    await rebuild(db)
    go_on.set()
    await late
    assert await volume.fold_log() == 0
    assert (await verify(db)).ok
    new = [each for each in await announced(db, "personal_record") if each["kind"] == "weight"][1:]
    assert [(each["value"], each["version"]) for each in new] == [(125, 1)]

    await lift(athlete, 130, 0.5)
    await rebuild(db)
    assert await volume.fold_log() == 0
    assert await insights.run_due() == 1
    assert [each["value"] for each in await announced(db) if each.get("kind") == "weight"] == [110, 125, 130]
