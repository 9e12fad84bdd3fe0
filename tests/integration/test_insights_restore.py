"""A database that went back behind what was announced of it: nothing is said twice, and nothing is lost."""

import datetime as dt
from uuid import UUID, uuid4

import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from agents.volume_audit import verify
from tests.integration.test_outbox_restore import USER, Place, Places, places  # noqa: F401 - a fixture
from tests.support.athletes import TOPIC
from tests.support.bodies import squat
from tests.support.databases import Databases
from tests.support.insights import INSIGHTS, announced
from tests.support.invariants import compare, read_log

NOW = dt.datetime.now(dt.UTC)


async def lift(place: Place, weight: float, days: float) -> UUID:
    id_ = uuid4()
    date = (NOW - dt.timedelta(days=days)).isoformat()
    await place.create(id_, date=date, exercises=[squat(weight=weight)], session_rpe=7, duration_seconds=3600)
    return id_


async def judge(place: Place) -> None:
    """Fold whatever is in the log, and announce what follows."""
    await VolumeFold(place.database, TOPIC).catch_up()
    await VolumeFold(place.database, TOPIC).fold_log()
    await InsightsFold(place.database, INSIGHTS).run_due()


async def told(place: Place) -> list[tuple[object, ...]]:
    """What the log says, by the place."""
    found = await announced(place.database)
    return sorted((each.get("kind", "band"), each["version"], each.get("value", each.get("band"))) for each in found)


@pytest.mark.parametrize("meanwhile", [False, True], ids=["at once", "after workers said it again"])
async def test_what_was_announced_is_not_announced_again(
    places: Places,  # noqa: F811
    databases: Databases,
    meanwhile: bool,
) -> None:
    before = await places.at(databases.create())
    for days in range(40, 5, -4):
        await lift(before, 100, days)
    await judge(before)
    await before.relay.relay.drain()
    kept = await lift(before, 105, 5)  # marked in the copy, and announced beyond it
    await before.relay.relay.drain()
    await VolumeFold(before.database, TOPIC).fold_log()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    await judge(lost)
    raised = await lift(lost, 110, 2)
    await judge(lost)
    await lost.update(raised, date=(NOW - dt.timedelta(days=2)).isoformat(), exercises=[squat(weight=115)])
    await lost.trainings.delete(USER, kept)
    await judge(lost)
    await lost.relay.relay.drain()
    expected = await told(lost)
    assert ("weight", 2, 115) in expected
    bands = await lost.database.all("SELECT band, measure, version FROM load_bands")
    assert bands[0][1] == "session_rpe"
    await lost.close()

    now = await places.at(backup)
    if meanwhile:
        await judge(now)
        assert ("weight", 1, 105) in await told(now)
    await now.relay.relay.drain()
    assert now.made_anew
    await judge(now)
    await now.relay.relay.drain()

    assert await told(now) == expected
    assert await now.database.all("SELECT band, measure, version FROM load_bands") == bands
    assert (await verify(now.database)).ok
    log = read_log(now.owner, INSIGHTS)
    assert compare(log, places.insights.records).violations == ()
    assert len(places.insights.records) == len(log) == len(expected)

    # And it goes on from there.
    await lift(now, 130, 1)
    await judge(now)
    await now.relay.relay.drain()
    assert ("weight", 1, 130) in await told(now)
    assert compare(read_log(now.owner, INSIGHTS), places.insights.records).violations == ()


async def test_another_band_that_was_judged_since_comes_after_the_lost_one(
    places: Places,  # noqa: F811
    databases: Databases,
) -> None:
    before = await places.at(databases.create())
    for days in range(40, 0, -2):
        await lift(before, 100, days)
    await judge(before)
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    for days in (0.5, 0.4, 0.3, 0.2):
        await lift(lost, 500, days)
    await judge(lost)
    await lost.relay.relay.drain()
    assert await lost.database.all("SELECT band, version FROM load_bands") == [("over", 2)]
    await lost.close()

    now = await places.at(backup)
    clock = NOW + dt.timedelta(days=7)
    later = InsightsFold(now.database, INSIGHTS, now=lambda: clock)
    await later.judge_days()
    await later.run_due()
    assert await now.database.all("SELECT band, version FROM load_bands") == [("under", 2)]
    await now.relay.relay.drain()
    versions = [each for each in await told(now) if each[0] == "band"]
    assert versions == [("band", 1, "target"), ("band", 2, "over"), ("band", 3, "under")]
    assert await now.database.all("SELECT band, version FROM load_bands") == [("under", 3)]
    assert compare(read_log(now.owner, INSIGHTS), places.insights.records).violations == ()
