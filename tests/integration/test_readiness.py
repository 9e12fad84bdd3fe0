"""GET /users/{userId}/readiness, on a real PostgreSQL: what is read is what the pure function is given."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.adherence import adherence
from analytics.readiness import DAYS_BEFORE, METHOD_VERSION, RULES, readiness
from models.check_ins import CheckInBody, check_in_id
from models.readiness import CheckInValues, ComponentName, PlannedSets, ReadinessItem, ReadinessReport
from models.trainings import Status, TrainingDocument
from storage.database import Database
from storage.documents import CHECK_INS, Documents
from storage.exercises import read_catalogue
from storage.readiness import ReadinessInputs, read_inputs
from storage.training_writes import Author
from storage.trainings import Trainings
from tests.support import bodies
from tests.support.athletes import TOPIC, Athlete
from tests.support.reports import settle
from tests.support.web import Client, bearer, serve
from web.readiness import ROUTES

DAY = dt.timedelta(1)
DATES = (dt.datetime(2026, 1, 5, 9, 30, tzinfo=dt.UTC), dt.datetime(2026, 1, 5, 23, 30, tzinfo=dt.UTC))
AIM = {"target": {"reps": {"min": 5, "max": 8}}}
HIT, MISSED = AIM | {"reps": 5}, AIM | {"reps": 4}


class User(Athlete):
    """An athlete who checks in."""

    def __init__(self, database: Database, catalogue: Any) -> None:
        super().__init__(database, catalogue)
        self._database = database
        self._check_ins = Documents(database, "readiness_events", CHECK_INS)
        self._read = Trainings(database, TOPIC).read

    async def check_in(self, day: dt.date, **values: Any) -> None:
        """PUT of a check-in."""
        content = CheckInBody.model_validate_json(orjson.dumps(values)).content(day)
        await self._check_ins.put(
            Author(self.user_id, "athlete"), check_in_id(self.user_id, day), content, {"day": day}
        )

    async def forget(self, day: dt.date) -> None:
        """DELETE of a check-in."""
        await self._check_ins.delete(Author(self.user_id, "athlete"), check_in_id(self.user_id, day))

    async def train(self, day: dt.date, *sets: dict[str, Any], **fields: Any) -> UUID:
        """A training at noon in UTC."""
        return await self.create(date=f"{day}T12:00:00Z", exercises=[{"name": "Row", "sets": sets}], **fields)

    async def document(self, id_: UUID) -> TrainingDocument:
        """A training as its athlete reads it."""
        return TrainingDocument.model_validate_json((await self._read(self.user_id, id_)).document)

    async def inputs(self, first: dt.date | None = None, last: dt.date | None = None) -> ReadinessInputs:
        """What readiness is computed from."""
        return await read_inputs(self._database, self.user_id, first=first, last=last, before=DAYS_BEFORE)


@pytest.fixture
async def user(db: Database) -> User:
    return User(db, await read_catalogue(db))


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


def address(user_id: UUID) -> str:
    return f"/api/v1/training/users/{user_id}/readiness"


async def report(client: Client, user_id: UUID, **query: str) -> ReadinessReport:
    """The report, which is exactly as its model says."""
    answer = await client.get(address(user_id), params=query, headers=bearer(user_id))
    raw = await answer.read()
    assert answer.status == 200, raw
    found = ReadinessReport.model_validate_json(raw, strict=True, extra="forbid")
    assert orjson.loads(raw)["items"] == [item.model_dump(mode="json", exclude_unset=True) for item in found.items]
    return found


def component(item: ReadinessItem, name: ComponentName) -> Any:
    return next(one for one in item.components if one.name is name)


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def values(place: int) -> dict[str, Any]:
    """What is said on some day: each differently often, and never the same for long."""
    said = {"sleep": 1 + place % 4, "fatigue": 2 + place % 3, "stress": 3, "soreness": 1 + place % 5}
    said = said if place % 6 else {"sleep": 7}
    if place % 3:
        said |= {"resting_heart_rate": 50 + place % 4, "bodyweight_kg": 72.5 + place % 3 / 10}
    return said | ({"hrv_rmssd_ms": 60.25 + place % 7, "sleep_hours": 7 + place % 2 / 2} if place % 4 else {})


async def test_the_report_is_what_the_pure_function_gives(db: Database, client: Client, user: User) -> None:
    now = today()
    said = {now - back * DAY: values(back) for back in range(70) if back % 5 != 4}
    for day, check in said.items():
        await user.check_in(day, **check)
    trainings = []
    for back in range(1, 70, 3):
        sets = [HIT] * (back % 4) + [MISSED] * (1 + back % 2)
        id_ = await user.train(now - back * DAY, *sets, {"reps": 9})
        trainings.append(PlannedSets(id_, now - back * DAY, len(sets), back % 4))
    expected = readiness([CheckInValues(day, **check) for day, check in said.items()], trainings, now - 27 * DAY, now)
    before = db.statements
    found = await report(client, user.user_id)
    assert db.statements - before == 1
    assert (found.user_id, found.first, found.last, found.today) == (user.user_id, now - 27 * DAY, now, now)
    assert (found.method.version, found.method.rules) == (METHOD_VERSION, orjson.loads(orjson.dumps(dict(RULES))))
    assert found.items == expected
    assert all(item.score is not None for item in found.items)
    first, last = now - 40 * DAY, now - 20 * DAY
    some = await report(client, user.user_id, **{"from": f"{first}", "to": f"{last}"})
    assert some.items[-8:] == expected[:8]
    assert [item.day for item in some.items] == [first + n * DAY for n in range(21)]


async def test_a_correction_of_a_past_check_in_corrects_what_follows(client: Client, user: User) -> None:
    now = today()
    for back in range(30):
        await user.check_in(now - back * DAY, sleep_hours=7 + back % 2)
    before = await report(client, user.user_id)
    await user.check_in(now - 10 * DAY, sleep_hours=2)
    after = await report(client, user.user_id)
    changed = [one.day for one, other in zip(before.items, after.items, strict=True) if one != other]
    assert changed == [now - back * DAY for back in range(10, -1, -1)]
    await user.forget(now - 10 * DAY)
    without = await report(client, user.user_id)
    assert without.items[17].score is None
    assert without.items[-1].observed_days == 27
    assert without.items[-1].confidence < before.items[-1].confidence
    await user.check_in(now - 10 * DAY, sleep_hours=7)
    assert (await report(client, user.user_id)).items == before.items


_trainings = st.fixed_dictionaries(
    {
        "date": st.sampled_from(DATES).map(dt.datetime.isoformat),
        "timezone": st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Los_Angeles"]),
        "status": st.sampled_from(Status),
        "exercises": st.lists(bodies.exercises(), max_size=3),
    }
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(_trainings, min_size=1, max_size=6))
async def test_sets_are_planned_and_met_as_adherence_says(db: Database, trainings: list[dict[str, Any]]) -> None:
    """Of a training that was not begun nothing is met, whatever its sets say."""
    user = User(db, await read_catalogue(db))
    expected = []
    for fields in trainings:
        id_ = await user.create(**fields)
        stored = await user.document(id_)
        of_sets = adherence(stored.exercises)
        met = 0 if stored.status is Status.PLANNED else of_sets.sets_in_target
        if of_sets.sets_planned:
            expected.append(PlannedSets(id_, stored.day, of_sets.sets_planned, met))
    found = await user.inputs(last=dt.date(2026, 1, 10))
    assert sorted(found.trainings) == sorted(expected)


async def test_what_was_missed_or_skipped_counts_and_what_is_still_to_come_does_not(db: Database, user: User) -> None:
    now = today()
    planned = {"status": "PLANNED"}
    missed = await user.train(now - DAY, HIT, HIT, **planned)
    skipped = await user.train(now - 2 * DAY, HIT, skipped_at=f"{now}T00:00:00Z", skip_reason="ill", **planned)
    begun = await user.train(now - 3 * DAY, HIT, AIM | {"done": False}, status="IN_PROGRESS")
    done = await user.train(now - 4 * DAY, HIT, MISSED, AIM | {"reps": 8, "done": False})
    await user.delete(await user.train(now - 5 * DAY, HIT, **planned))
    hidden = await user.train(now - 5 * DAY, HIT, **planned)
    await db.execute(
        "UPDATE trainings SET hidden = true WHERE user_id = %(user)s AND id = %(id)s",
        {"user": user.user_id, "id": hidden},
    )
    await user.train(now, HIT, **planned)
    await user.train(now + DAY, HIT, **planned)
    await user.train(now - 6 * DAY, {"reps": 5})
    today_ = await user.train(now, HIT)
    found = await user.inputs()
    expected = {missed: (2, 0), skipped: (1, 0), begun: (2, 1), done: (3, 1)}
    assert {one.training_id: (one.planned, one.met) for one in found.trainings} == expected
    # Who has checked in for the next day is told of it, and what is planned for the present one is not yet missed.
    await user.check_in(now + DAY, sleep=1)
    later = await user.inputs()
    assert (later.today, later.last, found.last) == (now, now + DAY, now)
    assert {one.training_id for one in later.trainings} == {*expected, today_}
    (item,) = readiness(found.check_ins, found.trainings, now, now)
    performance = component(item, ComponentName.PERFORMANCE)
    assert (performance.value, performance.evidence.sets_planned, performance.evidence.sets_in_target) == (0.25, 8, 2)
    assert performance.evidence.trainings == [done, begun, skipped, missed]


async def test_a_gap_is_neither_rest_nor_recovery(client: Client, user: User) -> None:
    now = today()
    for back in range(10, 40):
        await user.check_in(now - back * DAY, sleep_hours=8, resting_heart_rate=50)
        await user.train(now - back * DAY, HIT)
    found = await report(client, user.user_id)
    quiet = found.items[-3:]  # after more than 7 days without a plan
    assert [(item.score, item.confidence) for item in quiet] == [(None, 0)] * 3
    assert {item.reason for item in quiet} == {"No score: nothing is known of this day."}
    assert found.items[0].score == 50


async def test_who_said_nothing_is_told_nothing(client: Client) -> None:
    found = await report(client, uuid4())
    assert (found.today, len(found.items)) == (today(), 28)
    assert {(item.score, item.confidence, item.observed_days) for item in found.items} == {(None, 0, 0)}
    assert all(one.reason for item in found.items for one in item.components)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_the_present_day_is_that_of_the_latest_sessions_zone(
    db: Database, client: Client, user: User, zone: str
) -> None:
    await user.create(date="2026-01-05T12:00:00Z", timezone="UTC")
    await user.create(date="2026-01-06T12:00:00Z", timezone=zone)
    await user.create(date="2026-01-07T12:00:00Z", timezone="UTC", status="PLANNED")
    await settle(db)
    (item,) = (await report(client, user.user_id)).items[-1:]
    hours = 14 if zone == "Pacific/Kiritimati" else -11
    assert item.day == (dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)).date()


async def test_the_range(client: Client, user: User) -> None:
    now = today()
    year = await report(client, user.user_id, **{"from": f"{now - 365 * DAY}"})
    assert (len(year.items), year.items[0].day, year.items[-1].day) == (366, now - 365 * DAY, now)
    ahead = await report(client, user.user_id, **{"from": f"{now}", "to": f"{now + 9 * DAY}"})
    assert ([item.day for item in ahead.items], ahead.last) == ([now], now + 9 * DAY)
    for query in ({"from": f"{now + DAY}"}, {"from": "0001-01-01", "to": "0001-02-01"}):
        assert (await report(client, user.user_id, **query)).items == []
    for query, name in (
        ({"from": f"{now - 366 * DAY}"}, "from"),
        ({"from": "0001-01-01", "to": "2020-01-01"}, "from"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "to"),
        ({"from": "yesterday"}, "from"),
        ({"day": "2026-01-01"}, "day"),
    ):
        answer = await client.get(address(user.user_id), params=query, headers=bearer(user.user_id))
        assert (answer.status, (await answer.json())["errors"][0]["parameter"]) == (422, name), query
    assert (await client.get(address(uuid4()), headers=bearer(user.user_id))).status == 404
