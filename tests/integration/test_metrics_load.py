"""GET /users/{userId}/metrics/load, on a real PostgreSQL."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import web.metrics
from analytics.load import METHOD_VERSION, load_days
from models.load import LoadDay, Measure, Ratio
from models.load_reports import LoadReport
from storage.database import Database
from storage.exercises import read_catalogue
from tests.support.athletes import Athlete
from tests.support.bodies import squat
from tests.support.reports import faults, report, settle
from tests.support.web import Client, serve
from web.metrics import ROUTES

DAY = dt.timedelta(days=1)
TRAINED = {100: 3, 99: 5, 97: 1, 85: 8, 70: 2, 69: 5, 42: 5, 41: 4}
"""Days before the present one, and the repetitions with 100 kg."""


@pytest.fixture
async def athlete(db: Database) -> Athlete:
    return Athlete(db, await read_catalogue(db))


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


async def load(client: Client, athlete: Athlete, **query: str) -> dict[str, Any]:
    return await report(client, athlete, "load", LoadReport, **query)


async def train(athlete: Athlete, day: dt.date, *, reps: int = 5, **fields: Any) -> None:
    """5 repetitions with 100 kg at noon, in UTC."""
    await athlete.create(date=f"{day}T12:00:00Z", exercises=[squat(weight=100, reps=reps)], **fields)


def ratio(day: LoadDay, by: Ratio) -> tuple[float, float | None, float | None]:
    """Acute and chronic load and what they come to."""
    if by is Ratio.EWMA:
        return day.ewma_acute, None if day.chronic is None else day.ewma_chronic, day.acwr_ewma
    if by is Ratio.COUPLED or day.chronic is None:
        return day.acute, day.chronic, day.acwr
    return day.acute, (28 * day.chronic - 7 * day.acute) / 21, day.acwr_uncoupled


async def test_every_day_until_today_is_what_the_pure_function_gives(
    db: Database, client: Client, athlete: Athlete
) -> None:
    """Stored are the days until the 28th after the last training, 41 days ago; those after it are computed."""
    today = dt.datetime.now(dt.UTC).date()
    loads = {today - days * DAY: reps * 100.0 for days, reps in TRAINED.items()}
    for days, reps in TRAINED.items():
        await train(athlete, today - days * DAY, reps=reps)
    await settle(db)
    expected = load_days(loads, loads, min(loads), today)
    for by in Ratio:
        found = await load(client, athlete, method=by)
        assert found["today"] == str(today)
        assert found["measures"] == ["external_load"]
        assert (found["measure"], found["unit"]) == ("external_load", "kg")
        assert (found["method"]["name"], found["method"]["version"]) == (by, METHOD_VERSION)
        assert [item["day"] for item in found["items"]] == [str(day.day) for day in expected]
        for item, day in zip(found["items"], expected, strict=True):
            assert (item["acute"], item["chronic"], item["acwr"]) == pytest.approx(ratio(day, by), abs=1e-9), item
            known = (day.load, day.monotony, day.strain, day.week_change, day.band, day.observed_days_28)
            names = ("load", "monotony", "strain", "week_change", "band", "observed_days_28")
            assert tuple(item[name] for name in names) == known
            reason = (
                None if item["acwr"] is not None else "before_28_days" if day.chronic is None else "no_chronic_load"
            )
            assert item.get("reason") == reason
    whole = found["items"]
    for ends in ((50, 20), (20, 5), (5, 5), (13, 12), (12, 0), (200, 95)):
        first, last = (str(today - days * DAY) for days in ends)
        found = await load(client, athlete, method=Ratio.EWMA, **{"from": first, "to": last})
        assert found["items"] == [item for item in whole if first <= item["day"] <= last], ends
        assert (found["from"], found["to"]) == (first, last)
    future = await load(client, athlete, method=Ratio.EWMA, to=str(today + 9 * DAY))
    assert future["items"] == whole
    assert (await load(client, athlete, **{"from": str(today + DAY)}))["items"] == []


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_today_is_where_the_latest_training_was(
    db: Database, client: Client, athlete: Athlete, zone: str
) -> None:
    """Of the two zones at most one has the date of UTC."""

    def there() -> str:
        return str(dt.datetime.now(ZoneInfo(zone)).date())

    today = dt.datetime.now(dt.UTC).date()
    await train(athlete, today - 40 * DAY)
    await train(athlete, today - 35 * DAY, timezone=zone)
    await settle(db)
    before = there()
    found = await load(client, athlete)
    assert before <= found["today"] <= there()
    assert found["items"][-1]["day"] == found["today"]


async def test_the_measure_is_the_one_asked_for_or_the_one_that_is_known(
    db: Database, client: Client, athlete: Athlete
) -> None:
    nothing = await load(client, athlete)
    assert (nothing["measures"], nothing["items"]) == ([], [])
    assert not nothing.keys() & {"measure", "unit", "today", "judged"}
    asked = await load(client, athlete, measure="session_rpe")
    assert (asked["measure"], asked["items"]) == ("session_rpe", [])
    yesterday = dt.datetime.now(dt.UTC).date() - DAY
    await train(athlete, yesterday, session_rpe=7, duration_seconds=3600)
    await settle(db)
    found = await load(client, athlete)
    assert found["measures"] == [Measure.SESSION_RPE, Measure.EXTERNAL_LOAD]
    assert (found["measure"], found["unit"]) == ("session_rpe", "RPE * min")
    assert [item["load"] for item in found["items"]] == [420, 0]
    assert [item["load"] for item in (await load(client, athlete, measure="external_load"))["items"]] == [500, 0]
    assert found["judged"] == {"known_days": 1, "days": 1}
    tension = await load(client, athlete, measure="time_under_tension")
    assert (tension["items"], tension["judged"]) == ([], {"known_days": 0, "days": 1})
    for days in (3, 5, 40):
        await train(athlete, yesterday - days * DAY)
    await settle(db)
    found = await load(client, athlete)
    assert (found["measure"], found["judged"]) == ("external_load", {"known_days": 3, "days": 3})
    asked = await load(client, athlete, measure="session_rpe")
    assert (asked["measure"], asked["judged"]) == ("session_rpe", {"known_days": 1, "days": 3})


async def test_a_system_load_that_leaves_sets_out_is_not_taken(db: Database, client: Client, athlete: Athlete) -> None:
    """As in a log from elsewhere: of some exercises the body's part is known."""
    pistol = {"name": "Pistol", "exercise": "pistol-squat", "sets": [{"reps": 5, "weight": 10}]}
    today = dt.datetime.now(dt.UTC).date()
    for days, exercises in enumerate([[pistol]] * 4 + [[pistol, squat(weight=100)]] * 2, 1):
        await athlete.create(date=f"{today - days * DAY}T12:00:00Z", bodyweight_kg=80, exercises=exercises)
    await settle(db)
    found = await load(client, athlete)
    assert found["measures"] == ["system_load", "external_load"]
    assert (found["measure"], found["judged"]) == ("external_load", {"known_days": 6, "days": 6})
    await athlete.create(date=f"{today - 7 * DAY}T12:00:00Z", bodyweight_kg=80, exercises=[pistol])
    for days in (8, 9, 10):
        await athlete.create(date=f"{today - days * DAY}T12:00:00Z", bodyweight_kg=80, exercises=[pistol])
    await settle(db)
    found = await load(client, athlete)
    assert (found["measure"], found["judged"]) == ("system_load", {"known_days": 8, "days": 10})


async def test_a_wrong_or_too_wide_query_is_told(
    db: Database, client: Client, athlete: Athlete, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await faults(client, athlete, "load", measure="tonnes") == ["measure"]
    assert await faults(client, athlete, "load", method="mean") == ["method"]
    assert await faults(client, athlete, "load", at_least="1") == ["at_least"]
    assert await faults(client, athlete, "load", **{"from": "2026-01-02", "to": "2026-01-01"}) == ["to"]
    today = dt.datetime.now(dt.UTC).date()
    await train(athlete, today - 60 * DAY)
    await settle(db)
    monkeypatch.setattr(web.metrics, "MOST_ITEMS", 60)
    from_the_first = {"from": str(today - 60 * DAY)}
    assert await faults(client, athlete, "load", **from_the_first) == ["from", "to"]
    assert await faults(client, athlete, "load", **from_the_first, to=str(today)) == ["from", "to"]
    assert len((await load(client, athlete, **from_the_first, to=str(today - DAY)))["items"]) == 60


@pytest.mark.parametrize("most", [10, 40, 55, 60, 61])
async def test_a_history_that_is_too_long_is_told_from_a_later_day_on(
    db: Database, client: Client, athlete: Athlete, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Days are stored until the 28th after the last training, 50 days ago."""
    today = dt.datetime.now(dt.UTC).date()
    await train(athlete, today - 60 * DAY)
    await train(athlete, today - 50 * DAY, reps=3)
    await settle(db)
    whole = (await load(client, athlete))["items"]
    assert len(whole) == 61
    monkeypatch.setattr(web.metrics, "MOST_ITEMS", most)
    for until in (today, today - 9 * DAY, today - 35 * DAY):
        wanted = [item for item in whole if item["day"] <= str(until)]
        found = await load(client, athlete, to=str(until))
        assert found["items"] == wanted[-most:]
        assert found.get("from") == (found["items"][0]["day"] if len(wanted) > most else None)
    assert (await load(client, athlete, to="0001-01-01"))["items"] == []


async def test_a_year_that_was_mistyped_leaves_the_last_5000_days(
    db: Database, client: Client, athlete: Athlete
) -> None:
    today = dt.datetime.now(dt.UTC).date()
    await train(athlete, today.replace(year=1926, day=1))
    await train(athlete, today)
    await settle(db)
    found = await load(client, athlete)
    assert found["from"] == found["items"][0]["day"] == str(today - 4999 * DAY)
    assert (len(found["items"]), found["items"][-1]["load"]) == (5000, 500)
