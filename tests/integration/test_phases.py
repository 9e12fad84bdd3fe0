"""Phases on a real PostgreSQL: the trainings that they lay, move and take back, all at once and as was previewed."""

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import phases as rules
from models.errors import IdempotencyKeyReused, IdentityConflict, NotFound, PreconditionFailed, Unprocessable
from models.phases import PhaseAnswer, PhaseDocument, PhasePreview
from models.plans import DELOAD_NOTE
from storage.database import Database
from storage.phases import Phases
from storage.trainings import IdempotencyKey
from tests.support.coaches import Person
from tests.support.phases import PhasePlanner, happened, previewed
from tests.support.web import Client, make_settings, serve
from tests.support.workouts import PULLS
from web import memberships, phase_writes, phases, trainings, workouts

ROUTES = (*phases.ROUTES, *workouts.ROUTES, *trainings.ROUTES, *memberships.ROUTES)
NO_SUCH = str(uuid4())
on_one_database = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def planner(db: Database) -> PhasePlanner:
    return await PhasePlanner.of(db)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, settings=make_settings(events_topic="t"), database=db) as client:
        yield client


class Athlete(Person):
    """Who plans over HTTP."""

    async def workout(self, name: str = "Pull") -> str:
        """A workout's id."""
        made = await self.told("POST", self.address("/workouts"), {"name": name, "exercises": [PULLS]})
        id_: str = made["id"]
        return id_

    async def phase(self, **fields: Any) -> dict[str, Any]:
        """A phase of one week from Monday, 5 January 2026 on."""
        document: dict[str, Any] = await self.told("POST", self.address("/phases"), self.week(**fields))
        return document

    def week(self, **fields: Any) -> dict[str, Any]:
        """Its body."""
        return {"name": "Base", "first": "2026-01-05", "last": "2026-01-11"} | fields

    async def refused(self, method: str, path: str, body: Any, status: int, **headers: str) -> Any:
        """The problem that answers."""
        answer = await self.ask(method, self.address(path), body, **headers)
        assert answer.status == status, (answer.status, await answer.text())
        return await answer.json()


def key(name: str = "k", digest: bytes = b"digest") -> IdempotencyKey:
    return IdempotencyKey("POST /phases", name, digest)


async def test_a_phase_lays_ordinary_planned_trainings(planner: PhasePlanner, db: Database) -> None:
    written = await planner.make(planner.body())
    rows = await planner.rows()
    assert [(row.status, row.version, str(row.day), row.title) for row in rows] == [
        ("PLANNED", 1, "2026-01-05", "Pull"),
        ("PLANNED", 1, "2026-01-08", "Push"),
        ("PLANNED", 1, "2026-01-12", "Pull"),
        ("PLANNED", 1, "2026-01-15", "Push"),
    ]
    one = await planner.training(rows[0].id)
    by_hand = await planner.training((await planner.plan(planner.pull)).id)
    same = {name: value for name, value in by_hand.items() if name in {"exercises", "workout_id", "workout_version"}}
    assert same.items() <= one.items()
    assert (one["date"], one["timezone"]) == ("2026-01-05T17:30:00Z", "Europe/Berlin")
    assert (await planner.training(rows[1].id))["group_external_id"] == "team"
    assert await planner.links() == {(written.id, row.id, 1 + i // 2, i % 2) for i, row in enumerate(rows)}
    await planner.told()
    log = await db.all(
        "SELECT aggregate_type, event_type, topic, actor FROM outbox "
        "WHERE user_id = %s AND aggregate_type <> 'workout' ORDER BY seq LIMIT 5",
        [planner.user_id],
    )
    assert log == [
        ("phase", "phase_created", "phase_events", "planner"),
        *[("training", "training_created", "training_events", "planner")] * 4,
    ]


async def test_the_statements_of_a_phase_are_as_many_for_any_number_of_trainings(planner: PhasePlanner) -> None:
    db, counts = planner.database, []
    for weeks in (6, 6, 50):  # the first time statements are prepared
        last = f"2026-{'02-15' if weeks == 6 else '12-20'}"
        before = db.statements
        made = await planner.make(planner.body(last=last))
        created = db.statements - before
        assert len(await planner.links()) == weeks * 2
        before = db.statements
        later = f"2026-{'02-22' if weeks == 6 else '12-27'}"
        await planner.change(
            made.id, planner.body(first="2026-01-12", last=later, schedule=[planner.slot(planner.pull, 1)])
        )
        changed = db.statements - before
        await planner.end(made.id)
        counts.append((created, changed, db.statements - before - changed))
        assert await planner.links() == set()
    # BEGIN, the lock, what is around, the phase, its workouts, the trainings, their links, COMMIT; and so on.
    assert counts[1:] == [(8, 10, 8)] * 2


async def test_a_key_and_an_id_make_one_phase(planner: PhasePlanner) -> None:
    body = planner.body(id=str(uuid4()))
    first, *again = await asyncio.gather(*(planner.make(body, key()) for _ in range(4)))
    assert len({(written.id, written.document) for written in [first, *again]}) == 1
    assert sorted(written.replayed for written in [first, *again]) == [False, True, True, True]
    known = await planner.make(body)
    assert (known.created, known.replayed, known.document) == (False, False, first.document)
    moved = planner.body(first="2026-01-12", last="2026-01-25")
    await planner.change(first.id, moved)
    rows = await planner.rows()
    known = await planner.make(body)
    assert (known.created, known.version, await planner.rows()) == (False, 2, rows)  # a retry lays nothing back
    await planner.told()
    with pytest.raises(IdempotencyKeyReused):
        await planner.make(planner.body(), key(digest=b"other"))
    with pytest.raises(IdentityConflict):
        await planner.make(planner.body(id=str(body.id), name="Other"), key("other"))
    assert len(await planner.rows()) == 4


async def test_moving_a_phase_moves_what_is_not_yet_done(planner: PhasePlanner) -> None:
    phase = await planner.make(planner.body())
    done, begun, dropped, moved = (row.id for row in await planner.rows())
    await planner.set_(done, status="COMPLETED")
    await planner.set_(begun, status="IN_PROGRESS")
    await planner.drop(dropped)
    await planner.set_(moved, date="2026-01-17T08:00:00Z")
    before = await planner.rows()
    after = planner.body(first="2026-01-12", last="2026-01-25")
    assert previewed(await planner.preview(phase.id, after)) == [
        ("move", moved, "Push", before[3].date.replace(day=24))
    ]
    written = await planner.change(phase.id, after, [1])
    assert written.version == 2
    rows = {row.id: row for row in await planner.rows()}
    assert [str(rows[id_].day) for id_ in (done, begun, moved)] == ["2026-01-05", "2026-01-08", "2026-01-24"]
    assert rows[dropped].deleted
    assert len(rows) == 4
    await planner.told()
    with pytest.raises(PreconditionFailed):
        await planner.change(phase.id, planner.body(), [1])
    assert await planner.rows() == sorted(rows.values(), key=lambda row: row.date)
    await planner.end(phase.id)
    assert {row.id for row in await planner.rows() if row.deleted} == {dropped, moved}
    assert await planner.links() == set()
    with pytest.raises(NotFound):
        await planner.end(phase.id)
    await planner.told()


async def test_a_deload_week_changes_what_others_planned_and_gives_it_back(planner: PhasePlanner) -> None:
    phase = await planner.make(planner.body())
    pull, push = [row.id for row in await planner.rows()][2:]
    planned = [await planner.training(id_) for id_ in (pull, push)]
    easy = planner.body(
        name="Easy", kind="microcycle", parent_id=str(phase.id), first="2026-01-12", deload=True, schedule=[]
    )
    week = await planner.make(easy)
    halved = await planner.training(pull)
    assert [len(exercise["sets"]) for exercise in halved["exercises"]] == [2]
    assert halved["notes"] == DELOAD_NOTE
    assert (await planner.training(push))["exercises"] == planned[1]["exercises"]  # half of one set is one
    assert [row.version for row in await planner.rows()] == [1, 1, 2, 2]
    await planner.change(phase.id, planner.body(first="2026-02-02", last="2026-02-15"))  # and its week with it
    (moved,) = await planner.database.all(
        "SELECT version, first::text, last::text FROM phases WHERE user_id = %s AND id = %s", [planner.user_id, week.id]
    )
    assert moved == (2, "2026-02-09", "2026-02-15")
    assert [(str(row.day), row.version) for row in await planner.rows()] == [
        ("2026-02-02", 2),
        ("2026-02-05", 2),
        ("2026-02-09", 3),
        ("2026-02-12", 3),
    ]
    assert len((await planner.training(pull))["exercises"][0]["sets"]) == 2
    await planner.end(week.id)
    for id_, before in ((pull, planned[0]), (push, planned[1])):
        now = await planner.training(id_)
        assert now["exercises"] == before["exercises"]
        assert "notes" not in now
    await planner.told()
    log = await planner.database.all(
        "SELECT event_type FROM outbox WHERE user_id = %s AND aggregate_type = 'phase' ORDER BY seq", [planner.user_id]
    )
    assert [row[0] for row in log] == [
        "phase_created",
        "phase_created",
        "phase_updated",
        "phase_updated",
        "phase_deleted",
    ]


async def test_a_phase_that_changes_makes_nothing_on_days_that_are_past(planner: PhasePlanner) -> None:
    phase = await planner.make(planner.body())  # a new one lays all of its days, which are past
    assert len(await planner.rows()) == 4
    more = planner.body(
        schedule=[planner.slot(planner.pull, 1), planner.slot(planner.push, 4), planner.slot(planner.push, 2)]
    )
    plan = await planner.preview(phase.id, more, day=dt.date(2026, 1, 13))
    assert [str(change.spot.day) for change in plan.changes if change.training is None] == ["2026-01-13"]
    written = await planner.change(phase.id, more, day=None)  # on the present day, which is later
    assert (written.version, len(await planner.rows())) == (2, 4)
    await planner.change(phase.id, more, day=dt.date(2026, 1, 13))
    assert [str(row.day) for row in await planner.rows()] == [
        "2026-01-05",
        "2026-01-08",
        "2026-01-12",
        "2026-01-13",
        "2026-01-15",
    ]
    await planner.told()


async def test_a_microcycle_that_moves_with_its_mesocycle_says_what_it_has_laid(planner: PhasePlanner) -> None:
    block = planner.body(last="2026-02-15", schedule=[])
    phase = await planner.make(block)
    days = {"first": "2026-01-12", "last": "2026-01-15"}  # from Monday to Thursday
    week = await planner.make(planner.body(kind="microcycle", parent_id=str(phase.id), **days))
    assert len(await planner.links()) == 2
    await planner.change(phase.id, block.moved(dt.timedelta(days=1)))  # to Friday: Mondays are gone
    assert [(link[0], *link[2:]) for link in await planner.links()] == [(week.id, 1, 1)]
    await planner.told()
    await planner.change(phase.id, block)
    assert len(await planner.links()) == 2
    await planner.told()


async def test_a_workout_that_is_gone_holds_up_only_what_needs_it(planner: PhasePlanner) -> None:
    easy = planner.body(name="Easy", first="2026-01-12", deload=True, schedule=[])
    phase, week = await planner.make(planner.body()), await planner.make(easy)
    await planner.delete(planner.pull)
    await planner.change(phase.id, planner.body(name="Renamed"))
    plan = await planner.preview(week.id, None)
    (change,) = [change for change in plan.changes if change.training and change.training.title == "Pull"]
    assert (change.action.value, change.deload) == ("keep", True)
    assert change.reason.endswith("But that was deleted, so the sets stay as they are.")
    before = await planner.rows()
    await planner.end(week.id)
    assert happened(before, await planner.rows()) == previewed(plan)
    with pytest.raises(Exception, match="There is no such workout"):
        await planner.change(phase.id, planner.body(last="2026-01-25"))
    await planner.told()


async def test_a_phase_that_was_deleted_comes_back(planner: PhasePlanner) -> None:
    phase = await planner.make(planner.body())
    done, *_ = (row.id for row in await planner.rows())
    await planner.set_(done, status="COMPLETED")
    await planner.end(phase.id)
    days = ["2026-01-12", "2026-01-15"]  # on the ninth the week before is over
    plan = await planner.preview(phase.id, planner.body(), day=dt.date(2026, 1, 9))
    assert [str(change.spot.day) for change in plan.changes] == days
    early = await planner.preview(phase.id, planner.body(), day=dt.date(2026, 1, 5))  # whose session is done
    assert [str(change.spot.day) for change in early.changes] == ["2026-01-08", *days]
    with pytest.raises(NotFound):
        await planner.change(phase.id, planner.body(), [2])
    back = await planner.change(phase.id, planner.body(), day=dt.date(2026, 1, 9))
    assert back.version == 3
    assert [str(row.day) for row in await planner.rows() if row.status == "PLANNED" and not row.deleted] == days
    with pytest.raises(NotFound):
        await planner.change(uuid4(), planner.body())
    await planner.told()
    log = await planner.database.all(
        "SELECT version, event_type FROM outbox WHERE aggregate_id = %s ORDER BY seq", [phase.id]
    )
    assert log == [(1, "phase_created"), (2, "phase_deleted"), (3, "phase_updated")]


async def test_a_phase_that_is_said_again_stays_as_it_is(planner: PhasePlanner) -> None:
    phase = await planner.make(planner.body())
    rows = await planner.rows()
    again = await planner.change(phase.id, planner.body())
    assert (again.version, again.document, await planner.rows()) == (1, phase.document, rows)
    with pytest.raises(PreconditionFailed):
        await planner.change(phase.id, planner.body(), [2])
    await planner.drop(rows[0].id)
    assert (await planner.change(phase.id, planner.body())).version == 1  # which holds its place
    await planner.told()


async def test_one_change_is_about_so_many_trainings(planner: PhasePlanner, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (phase_writes, rules):
        monkeypatch.setattr(module, "MOST_TRAININGS", 4)
    block = planner.body(last="2026-02-15", schedule=[])
    phase = await planner.make(block)
    part = {"kind": "microcycle", "parent_id": str(phase.id)}
    week, other = [
        await planner.make(planner.body(**part, first=f"2026-{day}", last=f"2026-{day[:3]}{int(day[3:]) + 6:02}"))
        for day in ("01-05", "02-02")
    ]
    later = block.moved(dt.timedelta(days=7))
    assert len((await planner.preview(phase.id, later)).changes) == 4
    third = await planner.make(
        planner.body(**part, first="2026-01-19", last="2026-01-21", schedule=[planner.slot(planner.pull, 2)])
    )
    before, links = await planner.rows(), await planner.links()
    for attempt in (planner.preview, planner.change):
        with pytest.raises(
            Unprocessable, match="the phase and the 3 microcycles that move with it have more"
        ) as refused:
            await attempt(phase.id, later)
        assert refused.value.pointer == "/first"
    easy = planner.body(name="Easy", last="2026-02-15", deload=True, schedule=[])
    for attempt in (planner.preview(uuid4(), easy), planner.make(easy)):
        with pytest.raises(Unprocessable, match="on the days of this deload there are more"):
            await attempt
    assert (await planner.rows(), await planner.links()) == (before, links)
    phases_ = Phases(planner.database)
    assert len(await phases_.laid(planner.user_id, {week.id, other.id, third.id}, [], 3)) == 3
    await planner.told()


async def test_what_is_too_large_is_refused_by_the_preview_too(planner: PhasePlanner) -> None:
    (plan,) = (await planner.database.one("SELECT plan FROM workouts WHERE id = %s", [planner.pull])) or ()
    large = orjson.dumps([each | {"notes": "x" * 895_000} for each in orjson.loads(plan)]).decode()
    await planner.database.execute("UPDATE workouts SET plan = %s WHERE id = %s", [large, planner.pull])
    body = planner.body(id=str(uuid4()), last="2026-05-10", schedule=[planner.slot(planner.pull, 1)])  # 18 weeks
    for attempt in (planner.preview(body.id or uuid4(), body), planner.make(body)):
        with pytest.raises(Unprocessable, match="16,000,000 bytes together: change fewer at once"):
            await attempt
    assert await planner.rows() == []
    assert (
        len((await planner.preview(uuid4(), planner.body(schedule=body.model_dump(mode="json")["schedule"]))).changes)
        == 2
    )


async def test_who_deletes_a_deload_is_told_of_large_workouts_and_of_no_member(planner: PhasePlanner) -> None:
    """A body says nothing then, so it has no member that could be wrong."""
    base, easy = planner.body(), planner.body(name="Easy", deload=True, schedule=[])
    await planner.make(base)
    week = await planner.make(easy)
    large = orjson.dumps([{"notes": "x" * 8_500_000}]).decode()
    await planner.database.execute("UPDATE workouts SET plan = %s WHERE user_id = %s", [large, planner.user_id])
    for attempt, pointer in (
        (planner.preview(week.id, None), ""),
        (planner.end(week.id), ""),
        (planner.preview(week.id, planner.body(name="Easy", schedule=[])), "/schedule"),
    ):
        with pytest.raises(Unprocessable, match="The workouts would have more than") as refused:
            await attempt
        assert refused.value.pointer == pointer


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """What a phase says, with 0 and 1 for its workouts."""
    slots = st.builds(
        lambda workout, weekday, time, weeks: {"workout_id": workout, "weekday": weekday, "time": time} | weeks,
        st.integers(0, 1),
        st.integers(1, 7),
        st.sampled_from(["07:00", "18:30"]),
        st.sampled_from([{}, {"weeks": [1]}, {"weeks": [1, 2]}]),
    )
    unlike = st.lists(slots, max_size=3, unique_by=lambda slot: (slot["workout_id"], slot["weekday"], slot["time"]))
    first = draw(st.integers(16, 31))
    return {
        "first": f"2026-03-{first}",
        "last": draw(st.sampled_from(["2026-04-07", "2026-04-12"])),
        "timezone": draw(st.sampled_from(["Europe/Berlin", "America/New_York"])),
        "deload": draw(st.sampled_from([False, False, True])),
        "schedule": draw(unlike),
    }


@on_one_database
@given(plans(), st.lists(plans(), min_size=1, max_size=2), st.randoms(use_true_random=False))
async def test_what_is_previewed_is_what_is_written(
    db: Database, first: dict[str, Any], then: list[dict[str, Any]], chance: random.Random
) -> None:
    planner = await PhasePlanner.of(db)

    def body(said: dict[str, Any]) -> Any:
        own = [planner.pull, planner.push]
        schedule = [slot | {"workout_id": str(own[slot["workout_id"]])} for slot in said["schedule"]]
        return planner.body(**said | {"schedule": schedule})

    await planner.make(planner.body(name="Around", first="2026-03-16", last="2026-04-12"))
    id_ = uuid4()
    for said in [first, *then, None]:
        after = None if said is None else body(said | ({"id": str(id_)} if said is first else {}))
        before = await planner.rows()
        expected = previewed(await planner.preview(id_, after))
        assert await planner.rows() == before  # a preview writes nothing
        if said is first:
            await planner.make(after)
        else:
            await (planner.end(id_) if after is None else planner.change(id_, after))
        assert happened(before, await planner.rows()) == expected
        await _live(planner, chance)
    await planner.told()


async def _live(planner: PhasePlanner, chance: random.Random) -> None:
    """The athlete does this and that with some trainings."""
    free = [row for row in await planner.rows() if row.status == "PLANNED" and not row.deleted]
    for row in chance.sample(free, min(3, len(free))):
        match chance.randrange(4):
            case 0:
                await planner.set_(row.id, status="COMPLETED", skipped_at=None, date="2026-03-20T12:00:00Z")
            case 1:
                await planner.set_(row.id, skipped_at="2026-03-20T12:00:00Z")
            case 2:
                await planner.drop(row.id)
            case _:
                await planner.set_(row.id, date=f"{row.date:%Y-%m-%d}T15:00:00Z", timezone="UTC")


async def test_beginning_trainings_while_the_phase_moves(planner: PhasePlanner) -> None:
    """Either comes first; what was begun is where it was, the rest has moved, and the log says so."""
    there, elsewhere = planner.body(last="2026-02-01"), planner.body(first="2026-02-02", last="2026-03-01")
    phase = await planner.make(there)
    free = [row.id for row in await planner.rows()]
    was = {row.id: row.date for row in await planner.rows()}
    for after in (elsewhere, there, elsewhere):
        begun, free = free[:2], free[2:]
        read = [await planner.training(id_) for id_ in begun]  # as the athlete's app has them

        async def begin(document: dict[str, Any]) -> None:
            await asyncio.sleep(random.random() * 0.02)
            fields = {name: document[name] for name in ("date", "day")}
            await planner.set_(UUID(document["id"]), status="IN_PROGRESS", **fields)

        await asyncio.gather(planner.change(phase.id, after), *(begin(document) for document in read))
        rows = {row.id: row for row in await planner.rows()}
        for document in read:
            row = rows[UUID(document["id"])]
            assert (row.status, str(row.day)) == ("IN_PROGRESS", document["day"])
        for id_ in free:
            days = (rows[id_].date.date() - was[id_].date()).days
            assert (rows[id_].status, days) == ("PLANNED", 28 if after is elsewhere else 0)
        await planner.told()


async def test_changes_of_one_phase_at_once_follow_one_another(planner: PhasePlanner) -> None:
    phase = await planner.make(planner.body())
    bodies = [
        planner.body(
            name=str(n),
            first=f"2026-01-{5 + 7 * (n % 2):02}",
            last=f"2026-01-{18 + n % 2:02}",
            schedule=[planner.slot(planner.pull, 1 + n % 2), planner.slot(planner.push, 4)],
        )
        for n in range(6)
    ]
    written = await asyncio.gather(*(planner.change(phase.id, body) for body in bodies))
    assert sorted(each.version for each in written) == [2, 3, 4, 5, 6, 7]
    last = max(written, key=lambda each: each.version)
    assert last.document is not None
    said = orjson.loads(last.document)
    assert {
        change.action.value
        for change in (
            await planner.preview(
                phase.id, planner.body(**{name: said[name] for name in ("first", "last", "schedule")})
            )
        ).changes
    } == {"keep"}
    await planner.told()


async def test_a_phase_over_http(client: Client, db: Database) -> None:
    athlete = Athlete(client)
    workout = await athlete.workout()
    schedule = [{"workout_id": workout, "weekday": 3}]
    said = athlete.week(schedule=schedule, timezone="Europe/Berlin", goal="Ten pull-ups", deload=True)
    before = await _everything(db)
    path = athlete.address("/phases")
    preview = await athlete.told("POST", f"{path}?dry_run=true", said)
    PhasePreview.model_validate(preview)
    assert await _everything(db) == before
    assert "id" not in preview
    assert preview["counts"] == {"create": 1, "move": 0, "change": 0, "delete": 0, "keep": 0}
    assert preview["phase"] == said | {"kind": "mesocycle", "schedule": [schedule[0] | {"time": "12:00"}]}
    assert preview["trainings"] == [
        {
            "action": "create",
            "day": "2026-01-07",
            "date": "2026-01-07T11:00:00Z",
            "title": "Pull",
            "workout_id": workout,
            "week": 1,
            "deload": True,
            "reason": "The schedule has it in week 1, on Wednesday, 7 January 2026 at 12:00. "
            "Half the sets: the day lies in the deload “Base”.",
        }
    ]
    made = await athlete.ask("POST", path, said, **{"Idempotency-Key": "a"})
    document = await made.json()
    address = made.headers["Location"]
    assert (made.status, made.headers["ETag"], address) == (201, '"1"', f"{path}/{document['id']}")
    again = await athlete.ask("POST", path, said, **{"Idempotency-Key": "a"})
    assert (again.status, await again.json(), again.headers["Idempotent-Replayed"]) == (201, document, "true")
    read = await athlete.ask("GET", address)
    assert (read.status, read.headers["ETag"], await read.json()) == (200, '"1"', document)
    assert (await athlete.ask("GET", address, **{"If-None-Match": '"1"'})).status == 304

    PhaseDocument.model_validate(document)
    ((training_id,),) = await db.all("SELECT id FROM trainings")
    assert document["trainings"] == [{"training_id": str(training_id), "week": 1, "slot": 0}]
    moved = document | {"first": "2026-01-12", "last": "2026-01-18"}
    preview = await athlete.told("PUT", f"{address}?dry_run=true", moved, **{"If-Match": '"1"'})
    PhaseAnswer.model_validate(preview)
    (move,) = preview["trainings"]
    assert (move["action"], move["from_day"], move["day"]) == ("move", "2026-01-07", "2026-01-14")
    assert preview["day"] > "2026-01-19"
    asked = moved | {"schedule": [*schedule, {"workout_id": workout, "weekday": 5}]}
    for day, made_ in (("2026-01-16", 1), ("2026-01-17", 0)):
        preview = await athlete.told("PUT", f"{address}?dry_run=true&day={day}", asked)
        assert (preview["day"], preview["counts"]["create"]) == (day, made_)
    late = await athlete.ask("PUT", f"{address}?dry_run=true", moved, **{"If-Match": '"2"'})
    assert (late.status, late.headers["ETag"]) == (412, '"1"')
    changed = await athlete.ask("PUT", address, moved, **{"If-Match": '"1"'})
    assert (changed.status, changed.headers["ETag"], (await changed.json())["first"]) == (200, '"2"', "2026-01-12")
    late = await athlete.ask("PUT", address, moved, **{"If-Match": '"1"'})
    assert late.status == 412
    training = await athlete.told("GET", f"/api/v1/trainings/{move['training_id']}")
    assert (training["day"], training["notes"], training["version"]) == ("2026-01-14", DELOAD_NOTE, 2)

    preview = await athlete.told("DELETE", f"{address}?dry_run=true")
    assert [(each["action"], each["reason"]) for each in preview["trainings"]] == [("delete", "The phase is deleted.")]
    assert "phase" not in preview
    assert (await athlete.ask("DELETE", address, **{"If-Match": '"2"'})).status == 204


async def test_the_preview_of_a_creation_that_was_done_before_says_that_nothing_is_done(
    client: Client, db: Database
) -> None:
    athlete = Athlete(client)
    slots = [{"workout_id": await athlete.workout(), "weekday": 3}]
    said = athlete.week(id=str(uuid4()), schedule=slots)
    path = athlete.address("/phases")
    address = f"{path}/{said['id']}"
    made = await athlete.told("POST", path, said)
    await athlete.told("PUT", address, said | {"name": "Peak"})
    for gone in (False, True):
        if gone:
            assert (await athlete.ask("DELETE", address)).status == 204
        before = await _everything(db)
        preview = await athlete.told("POST", f"{path}?dry_run=true", said)
        PhasePreview.model_validate(preview)
        assert preview.get("phase", {}).get("name") == (None if gone else "Peak")
        assert (preview["id"], preview["trainings"], set(preview["counts"].values())) == (made["id"], [], {0})
        other = said | {"name": "Other"}
        assert (await athlete.ask("POST", f"{path}?dry_run=true", other)).status == 409
        answer = await athlete.ask("POST", path, said)
        document = PhaseDocument.model_validate_json(await answer.read(), strict=True, extra="forbid")
        assert (answer.status, document.version, document.deleted_at is not None) == (200, 3 if gone else 2, gone)
        assert (await athlete.ask("POST", path, other)).status == 409
        assert await _everything(db) == before


async def test_a_key_of_a_change_holds_for_its_day_too(client: Client) -> None:
    athlete = Athlete(client)
    slots = [{"workout_id": await athlete.workout(), "weekday": 3}]
    said = athlete.week(schedule=[])
    phase = await athlete.told("POST", athlete.address("/phases"), said)
    address = athlete.address(f"/phases/{phase['id']}")
    answers = [
        await athlete.ask("PUT", f"{address}?day={day}", said | {"schedule": slots}, **{"Idempotency-Key": "a"})
        for day in ("2026-01-05", "2026-01-05", "2026-01-08")
    ]
    assert [answer.status for answer in answers] == [200, 200, 422]
    assert [len((await answer.json())["trainings"]) for answer in answers[:2]] == [1, 1]
    assert (await answers[2].json())["type"] == "/problems#idempotency-key-reused"


async def test_a_phase_that_was_deleted_is_there_again_by_put(client: Client) -> None:
    athlete = Athlete(client)
    said = athlete.week(schedule=[{"workout_id": await athlete.workout(), "weekday": 3}])
    path = athlete.address("/phases")
    document = await athlete.told("POST", path, said)
    address = f"{path}/{document['id']}"
    await athlete.told("DELETE", address)
    for method, path_, headers in (
        ("GET", address, {}),
        ("DELETE", address, {}),
        ("DELETE", f"{address}?dry_run=true", {}),
        ("PUT", address, {"If-Match": '"2"'}),
        ("PUT", f"{address}?dry_run=true", {"If-Match": '"2"'}),
        ("PUT", address, {"If-Match": "*"}),
        ("PUT", f"{address}?dry_run=true", {"If-Match": "*"}),
        ("PUT", f"{path}/{NO_SUCH}", {}),
        ("PUT", f"{path}/{NO_SUCH}?dry_run=true", {}),
    ):
        assert (await athlete.ask(method, path_, said if method == "PUT" else None, **headers)).status == 404
    known = said | {"id": document["id"]}
    assert (await athlete.ask("POST", f"{path}?dry_run=true", known)).status == 409
    assert (await athlete.ask("POST", path, known)).status == 409
    preview = await athlete.told("PUT", f"{address}?dry_run=true&day=2026-01-05", said)
    assert preview["counts"] == {"create": 1, "move": 0, "change": 0, "delete": 0, "keep": 0}
    assert preview["trainings"][0]["phase_id"] == document["id"]
    back = await athlete.told("PUT", f"{address}?day=2026-01-05", said)
    assert (back["version"], len(back["trainings"])) == (3, 1)
    assert back == await athlete.told("GET", address)
    assert back == await athlete.told("PUT", address, back)  # which says nothing new


async def test_phases_are_listed_by_their_first_days(client: Client) -> None:
    athlete = Athlete(client)
    for day in (19, 5, 12, 26):
        await athlete.phase(name=str(day), first=f"2026-01-{day:02}", last=f"2026-01-{day + 4:02}")
    path = athlete.address("/phases")

    async def names(query: str = "") -> list[str]:
        return [phase["name"] for phase in (await athlete.told("GET", f"{path}?{query}"))["items"]]

    assert await names() == ["5", "12", "19", "26"]
    assert await names("from=2026-01-10&to=2026-01-19") == ["12", "19"]
    first = await athlete.ask("GET", f"{path}?limit=3&from=2026-01-06")
    page = await first.json()
    assert [phase["name"] for phase in page["items"]] == ["5", "12", "19"]
    assert first.headers["Link"].endswith('rel="next"')
    assert await names(f"limit=3&from=2026-01-06&cursor={page['next_cursor']}") == ["26"]
    assert await names("to=2026-01-04") == []
    for query in ("from=2026-01-02&to=2026-01-01", "cursor=x", "limit=0", "week=1"):
        assert (await athlete.ask("GET", f"{path}?{query}")).status == 422
    assert (await Athlete(client).ask("GET", path)).status == 404


async def _everything(db: Database) -> Any:
    """What a write would leave."""
    return await db.one(
        """SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM idempotency_keys),
        (SELECT sum(version) FROM trainings), (SELECT sum(version) FROM phases), (SELECT count(*) FROM phase_trainings)
        """
    )


async def test_what_is_refused_is_named_and_leaves_nothing(client: Client, db: Database) -> None:
    athlete, stranger = Athlete(client), Athlete(client)
    workout, foreign = await athlete.workout(), await stranger.workout()
    slot, theirs = {"workout_id": workout, "weekday": 1}, {"workout_id": foreign, "weekday": 2}
    block = await athlete.phase(schedule=[slot])
    week = await athlete.phase(kind="microcycle", parent_id=block["id"], first="2026-01-06")
    abroad = await stranger.phase()
    before = await _everything(db)
    inside = {"kind": "microcycle", "parent_id": block["id"]}
    for body, pointer in (
        ({"schedule": [slot, theirs]}, "/schedule/1/workout_id"),
        ({"schedule": [slot | {"workout_id": NO_SUCH}]}, "/schedule/0/workout_id"),
        ({"schedule": [slot | {"weeks": [1, 2]}]}, "/schedule/0/weeks"),
        ({"schedule": [slot | {"weekday": 8}]}, "/schedule/0/weekday"),
        ({"last": "2026-01-09", "schedule": [slot, slot | {"weekday": 6}]}, "/schedule/1/weekday"),
        ({"schedule": [slot, slot]}, "/schedule"),
        ({"last": "2026-01-04"}, "/last"),
        ({"last": "2027-01-06"}, "/last"),
        (
            {
                "last": "2027-01-05",
                "schedule": [slot | {"weekday": d, "time": f"{h:02}:00"} for d in range(1, 8) for h in range(20)],
            },
            "/schedule",
        ),
        ({"parent_id": block["id"]}, "/parent_id"),
        (inside | {"parent_id": NO_SUCH}, "/parent_id"),
        (inside | {"parent_id": abroad["id"]}, "/parent_id"),
        (inside | {"parent_id": week["id"]}, "/parent_id"),
        (inside | {"first": "2026-01-04"}, "/first"),
        (inside | {"last": "2026-01-12"}, "/last"),
        ({"goal_id": NO_SUCH}, "/goal_id"),
        ({"timezone": "Nowhere"}, "/timezone"),
        ({"surprise": 1}, "/surprise"),
    ):
        for query in ("", "?dry_run=true"):
            headers = {"Idempotency-Key": "a"}
            problem = await athlete.refused("POST", f"/phases{query}", athlete.week(**body), 422, **headers)
            assert problem["errors"][0]["pointer"] == pointer, (body, problem)
    for path, body, pointer in (
        (block["id"], athlete.week(schedule=[theirs]), "/schedule/0/workout_id"),
        (block["id"], athlete.week(last="2026-01-09", schedule=[slot]), "/last"),  # its microcycle ends later
        (block["id"], athlete.week(kind="microcycle"), "/kind"),
        (week["id"], athlete.week(**inside, last="2026-01-12"), "/last"),
        (week["id"], athlete.week(**inside | {"parent_id": week["id"]}), "/parent_id"),
        (block["id"], athlete.week(id=week["id"]), "/id"),
    ):
        problem = await athlete.refused("PUT", f"/phases/{path}", body, 422)
        assert problem["errors"][0]["pointer"] == pointer, (body, problem)
    problem = await athlete.refused("DELETE", f"/phases/{block['id']}", None, 409)
    assert problem["detail"] == "The phase has microcycles (“Base”): delete or move these first."
    assert (await stranger.ask("DELETE", athlete.address(f"/phases/{block['id']}"))).status == 404
    assert (await stranger.ask("DELETE", stranger.address(f"/phases/{block['id']}"))).status == 404
    problem = await athlete.refused("POST", "/phases?dry_run=maybe", athlete.week(), 422)
    assert problem["errors"] == [{"parameter": "dry_run", "message": "must be true or false"}]
    await athlete.refused("POST", "/phases?dry_run=true", athlete.week(id=block["id"]), 409)
    assert await _everything(db) == before
    assert (await athlete.ask("DELETE", athlete.address(f"/phases/{week['id']}"))).status == 204
    assert (await athlete.ask("DELETE", athlete.address(f"/phases/{block['id']}"))).status == 204


async def test_a_coach_reads_phases_and_writes_none(client: Client) -> None:
    athlete, coach = Athlete(client, groups=["team"]), Athlete(client, coach_of=["team"])
    phase = await athlete.phase()
    other, nobodys = Athlete(client, coach_of=["other"]), Athlete(client).address("/phases")
    await athlete.admit("team", "read", "plan")
    path = athlete.address("/phases")
    assert (await coach.told("GET", path))["items"] == [phase]
    assert await coach.told("GET", f"{path}/{phase['id']}") == phase
    writes = [
        (method, place + query)
        for method, place in (("POST", ""), ("PUT", f"/{phase['id']}"), ("DELETE", f"/{phase['id']}"))
        for query in ("", "?dry_run=true")
    ]

    async def told(coach: Athlete, path: str) -> set[tuple[int, str]]:
        answers = [
            await coach.ask(method, path + place, None if method == "DELETE" else athlete.week())
            for method, place in writes
        ]
        return {(answer.status, (await answer.json())["detail"]) for answer in answers}

    no_user = {(404, "There is no such user.")}
    assert await told(coach, path) == {
        (403, "Only the athlete writes phases. A coach reads them, and plans trainings and workouts for a group.")
    }
    refused = [(each["operation"], each["scope"]) for each in await athlete.accesses()][: len(writes)]
    assert refused == [(name, "plan") for name in ("deletePhase", "updatePhase", "createPhase") for _ in range(2)]
    assert await told(other, path) == await told(coach, nobodys) == no_user  # who may not tell whether there is one
    await athlete.admit("team", "read")
    assert await told(coach, path) == no_user
    await athlete.admit("team", "plan")
    await athlete.revoke("team")
    assert await told(coach, path) == no_user
    assert len(await athlete.accesses()) == 2 + len(writes)


async def test_a_phase_of_a_later_version_is_left_alone_and_stops_no_other(client: Client, db: Database) -> None:
    athlete = Athlete(client)
    path, said = athlete.address("/phases"), athlete.week(schedule=[])
    more, other = [await athlete.told("POST", path, said) for _ in range(2)]
    change = "UPDATE phases SET content = content::jsonb || %s WHERE id = %s"
    await db.execute(change, ['{"deload":true,"later":{"a":1}}', more["id"]])
    await db.execute("UPDATE phases SET deload = true")
    assert (await athlete.told("PUT", f"{path}/{more['id']}", said))["version"] == 2
    await db.execute(change, ['{"kind":"macrocycle"}', other["id"]])
    assert (await athlete.told("PUT", f"{path}/{more['id']}", said | {"name": "Again"}))["version"] == 3
    for method, query in (("PUT", ""), ("PUT", "?dry_run=true"), ("DELETE", ""), ("DELETE", "?dry_run=true")):
        refused = await athlete.ask(method, f"{path}/{other['id']}{query}", said if method == "PUT" else None)
        assert (refused.status, "later version" in (await refused.json())["detail"]) == (409, True), (method, query)
    assert (await athlete.told("GET", f"{path}/{other['id']}"))["kind"] == "macrocycle"
