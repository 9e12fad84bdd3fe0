"""What a phase wants, what becomes of its trainings when it changes, and what a calendar tells of them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics.calendar import items
from analytics.phases import changes, check, deloaded, laid_day, wanted, whole
from analytics.sets import halved
from models.calendar import CalendarItem, CalendarPhase, CalendarState, CalendarTraining
from models.errors import Unprocessable
from models.phases import (
    PhaseBody,
    PhaseContent,
    PhaseCreate,
    PhaseKind,
    PhaseTraining,
    PhaseUpdate,
    PlanAction,
)
from models.plans import DELOAD_NOTE, Change, Deload, Laid, Place, Spot, Step
from models.trainings import Status
from models.workouts import WorkoutExerciseBody, plan_json

PHASE, OTHER = UUID(int=1), UUID(int=2)
WORKOUTS = [UUID(int=n) for n in (11, 12, 13)]
MONDAY = dt.date(2026, 1, 5)
_DAY = dt.timedelta(days=1)


def body(**fields: Any) -> PhaseBody:
    """A phase of two weeks from a Monday on, with a training on Mondays and one on Thursdays."""
    said = {
        "name": "Base",
        "first": "2026-01-05",
        "last": "2026-01-18",
        "timezone": "Europe/Berlin",
        "schedule": [slot(0, 1), slot(1, 4)],
    }
    return PhaseBody.model_validate_json(orjson.dumps(said | fields))


def slot(workout: int, weekday: int, time: str = "18:30", **fields: Any) -> dict[str, Any]:
    return {"workout_id": str(WORKOUTS[workout]), "weekday": weekday, "time": time} | fields


def laid(found: Sequence[Change], before: Sequence[Laid] = ()) -> list[Laid]:
    """The trainings as they are when `found` was carried out on `before`; those of no phase any more are left out."""
    changing = {change.training.id for change in found if change.training is not None}
    now = [training for training in before if training.id not in changing]
    for change in found:
        if change.place is None:
            continue
        training = change.training or _new(change, len(now))
        deload = training.deload if change.turns is None else change.turns
        now.append(replace(training, place=change.place, spot=change.spot, deload=deload))
    return now


def _new(change: Change, number: int) -> Laid:
    assert change.place is not None
    id_ = UUID(int=1000 + change.place.week * 1000 + change.place.slot * 100_000 + number)
    return Laid(
        id=id_,
        version=1,
        phase_id=change.phase_id,
        place=change.place,
        status=Status.PLANNED,
        skipped=False,
        deleted=False,
        spot=change.spot,
        title="Pull",
        workout_id=WORKOUTS[0],
        deload=change.deload,
    )


def made(phase: PhaseBody, deloads: Sequence[Deload] = ()) -> list[Laid]:
    return laid(changes([Step(PHASE, None, phase)], [], deloads))


def put(before: PhaseBody, after: PhaseBody | None, trainings: Sequence[Laid]) -> list[Change]:
    return changes([Step(PHASE, before, after)], trainings)


def actions(found: Sequence[Change]) -> list[str]:
    return [change.action.value for change in found]


def shifted(spot: Spot, days: int) -> Spot:
    """The same local time so many days later."""
    local = spot.date.astimezone(ZoneInfo(spot.timezone)) + days * _DAY
    return Spot(spot.day + days * _DAY, local.astimezone(dt.UTC), spot.timezone)


def test_a_phase_lays_its_workouts_on_its_weeks() -> None:
    phase = body(first="2026-01-07", last="2026-01-21", schedule=[slot(0, 1), slot(1, 3), slot(2, 4, weeks=[2])])
    days = {place: spot.day for place, spot in wanted(phase).items()}
    # Week 1 are the seven days from Wednesday the 7th on, week 3 is the one day of the 21st.
    assert days == {
        Place(1, 0): dt.date(2026, 1, 12),
        Place(2, 0): dt.date(2026, 1, 19),
        Place(1, 1): dt.date(2026, 1, 7),
        Place(2, 1): dt.date(2026, 1, 14),
        Place(3, 1): dt.date(2026, 1, 21),
        Place(2, 2): dt.date(2026, 1, 15),
    }


@given(st.dates(dt.date(1902, 1, 1), dt.date(2190, 1, 1)), st.integers(1, 53), st.integers(1, 7))
def test_a_laid_day_is_the_one_of_its_weekday_in_its_week(first: dt.date, week: int, weekday: int) -> None:
    day = laid_day(first, week, weekday)
    assert day.isoweekday() == weekday
    assert (day - first).days // 7 == week - 1


def test_the_local_time_stays_when_clocks_change() -> None:
    phase = body(first="2026-03-23", last="2026-04-05", schedule=[slot(0, 7, "02:30"), slot(0, 1)])
    spots = {place: spot.date for place, spot in wanted(phase).items()}
    assert spots[Place(1, 1)] == dt.datetime(2026, 3, 23, 17, 30, tzinfo=dt.UTC)
    assert spots[Place(2, 1)] == dt.datetime(2026, 3, 30, 16, 30, tzinfo=dt.UTC)
    # There is no 02:30 on that Sunday: it is 03:30, as much later as the clock is put forward.
    assert spots[Place(1, 0)] == dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC)
    moved = put(
        phase, body(first="2026-03-16", last="2026-03-29", schedule=[slot(0, 7, "02:30"), slot(0, 1)]), made(phase)
    )
    assert [change.spot.date.hour for change in moved if change.spot.day.isoweekday() == 1] == [17, 17]


def test_a_phase_that_stays_changes_nothing() -> None:
    phase = body()
    found = put(phase, body(name="Other words", goal="Strength"), made(phase))
    assert actions(found) == ["keep"] * 4
    assert {change.reason for change in found} == {"Nothing about it changes."}


def test_moving_a_phase_moves_what_is_not_yet_done() -> None:
    phase = body()
    done, moved, deleted, free = made(phase)
    trainings = [
        replace(done, status=Status.COMPLETED),
        replace(moved, spot=shifted(moved.spot, 2)),
        replace(deleted, deleted=True),
        free,
    ]
    found = put(phase, body(first="2026-01-12", last="2026-01-25"), trainings)
    by_id = {change.training.id: change for change in found if change.training is not None}
    assert len(found) == 4
    assert by_id[done.id].action is PlanAction.KEEP
    assert by_id[done.id].reason == "It is completed, and stays."
    assert by_id[moved.id].spot == shifted(moved.spot, 9)
    assert by_id[moved.id].reason == "It was moved to Saturday, 10 January 2026. It goes with its phase, 7 days later."
    assert by_id[deleted.id].reason == "It was deleted, and is not made again."
    assert by_id[free.id].spot == shifted(free.spot, 7)
    assert by_id[free.id].reason == "Its phase lays it on Thursday, 22 January 2026 at 18:30 now."
    earlier = put(phase, body(schedule=[slot(1, 3)]), trainings[1:2])[0]
    assert earlier.reason == "It was moved to Saturday, 10 January 2026. It goes with its phase, 1 day earlier."


def test_a_phase_that_is_moved_by_less_than_a_week_lays_its_weekdays_anew() -> None:
    phase = body()
    found = put(phase, body(first="2026-01-07", last="2026-01-20"), made(phase))
    assert actions(found) == ["keep", "move", "keep", "move"]
    assert [str(change.spot.day) for change in found] == ["2026-01-08", "2026-01-12", "2026-01-15", "2026-01-19"]
    # Who wants all of it two days later says so of the weekdays too.
    found = put(phase, body(first="2026-01-07", last="2026-01-20", schedule=[slot(0, 3), slot(1, 6)]), made(phase))
    assert [change.training and change.spot == shifted(change.training.spot, 2) for change in found] == [True] * 4


def test_another_schedule_deletes_what_is_wanted_no_more_and_makes_what_is_new() -> None:
    phase = body()
    trainings = made(phase)
    other = body(schedule=[slot(2, 2), slot(1, 5, "07:00")])  # the first workout goes, the second one's day changes
    found = put(phase, other, trainings)
    assert sorted(actions(found)) == ["create", "create", "delete", "delete", "move", "move"]
    assert [str(change.spot.day) for change in found if change.action is PlanAction.CREATE] == [
        "2026-01-06",
        "2026-01-13",
    ]
    moves = [change for change in found if change.action is PlanAction.MOVE]
    assert [f"{change.spot.date:%d %H:%M}" for change in moves] == ["09 06:00", "16 06:00"]
    assert [change.place for change in moves] == [Place(1, 1), Place(2, 1)]
    assert {change.place for change in found if change.action is PlanAction.DELETE} == {None}


def test_slots_may_change_places_in_the_schedule() -> None:
    phase = body(schedule=[slot(0, 1), slot(0, 4), slot(1, 4)])
    found = put(phase, body(schedule=[slot(1, 4), slot(0, 4), slot(0, 1)]), made(phase))
    assert actions(found) == ["keep"] * 6
    assert [change.place and change.place.slot for change in found] == [2, 0, 1] * 2


def test_what_is_not_free_is_left_alone_when_its_place_goes() -> None:
    phase = body()
    trainings = [
        replace(training, **change)
        for training, change in zip(
            made(phase),
            (
                {"status": Status.COMPLETED},
                {"status": Status.IN_PROGRESS},
                {"skipped": True},
                {"deleted": True},
            ),
            strict=True,
        )
    ]
    for after in (None, body(schedule=[])):
        found = put(phase, after, trainings)
        assert actions(found) == ["keep"] * 4
        assert {change.place for change in found} == {None}
        assert [change.reason for change in found] == [
            "It is completed, and stays.",
            "It is begun, and stays.",
            "It is skipped, and stays.",
            "It was deleted, and is not made again.",
        ]
    assert actions(put(phase, None, made(phase))) == ["delete"] * 4


def test_a_deload_halves_the_sets_of_what_lies_on_its_days() -> None:
    week = Deload("Easy week", dt.date(2026, 1, 12), dt.date(2026, 1, 18))
    phase = body()
    trainings = made(phase, [week])
    assert [training.deload for training in trainings] == [False, False, True, True]
    easy = body(name="Easy week", kind="microcycle", first="2026-01-12", last="2026-01-18", deload=True, schedule=[])
    added = changes([Step(OTHER, None, easy)], made(phase))
    assert [(change.action, change.turns, str(change.spot.day)) for change in added] == [
        (PlanAction.CHANGE, True, "2026-01-12"),
        (PlanAction.CHANGE, True, "2026-01-15"),
    ]
    assert added[0].reason == "The day lies in the deload “Easy week”: half the sets."
    taken = changes([Step(OTHER, easy, None)], laid(added, made(phase)))
    assert [(change.action, change.turns) for change in taken] == [(PlanAction.CHANGE, False)] * 2
    later = changes([Step(PHASE, phase, body(first="2026-01-12", last="2026-01-25"))], trainings, [week])
    assert [(change.action, change.turns) for change in later] == [
        (PlanAction.MOVE, True),
        (PlanAction.MOVE, True),
        (PlanAction.MOVE, False),
        (PlanAction.MOVE, False),
    ]
    own = body(deload=True)
    assert [training.deload for training in made(own)] == [True] * 4


def test_moving_a_mesocycle_and_its_deload_week_moves_the_deload_trainings_too() -> None:
    easy = body(name="Easy", kind="microcycle", first="2026-01-12", last="2026-01-18", deload=True, schedule=[])
    phase, later = body(), body(first="2026-01-12", last="2026-01-25")
    trainings = made(phase, [Deload.of(easy)])
    found = changes([Step(PHASE, phase, later), Step(OTHER, easy, easy.moved(7 * _DAY))], trainings)
    assert [(change.action, change.turns, change.deload) for change in found] == [
        (PlanAction.MOVE, None, False),
        (PlanAction.MOVE, None, False),
        (PlanAction.MOVE, None, True),
        (PlanAction.MOVE, None, True),
    ]


@pytest.mark.parametrize("notes", [None, "Slowly.\nNo music."])
def test_a_deload_training_gets_its_sets_back(notes: str | None) -> None:
    prescribed = [
        WorkoutExerciseBody(id=UUID(int=n), name="Pull", sets=n, weight=2.5 * n).model_dump(mode="json")
        for n in range(1, 6)
    ]
    plan = orjson.loads(plan_json(orjson.dumps(prescribed)))
    fields = {"status": "PLANNED", "notes": notes, "exercises": plan}
    fields = {name: value for name, value in fields.items() if value is not None}
    half = deloaded(fields)
    assert [len(exercise["sets"]) for exercise in half["exercises"]] == [1, 1, 2, 2, 3]
    assert half["notes"] == (DELOAD_NOTE if notes is None else f"{notes}\n{DELOAD_NOTE}")
    assert whole(half, plan) == fields
    # What was changed of it meanwhile stays, and the sets that come back aim at the same.
    exercises = [
        exercise | {"sets": [set_ | {"target": {"weight": 40}} for set_ in exercise["sets"]]}
        for exercise in half["exercises"]
    ]
    back = whole(half | {"exercises": exercises}, plan)
    assert {set_["target"]["weight"] for exercise in back["exercises"] for set_ in exercise["sets"]} == {40}
    assert [[set_["id"] for set_ in e["sets"]] for e in back["exercises"]] == [
        [s["id"] for s in e["sets"]] for e in plan
    ]
    assert whole(half, [])["exercises"] == half["exercises"]


def test_notes_that_are_full_stay_as_they_are() -> None:
    assert deloaded({"notes": "x" * 9_990, "exercises": []})["notes"] == "x" * 9_990


_warmups = st.lists(st.integers(0, 12), max_size=3, unique=True)


def with_warmups(exercise: dict[str, Any], orders: Sequence[int], ids: Sequence[str] = ()) -> dict[str, Any]:
    """The exercise with warm-ups at these places, which its other sets make way for only where there are no `ids`."""
    like = {"unit": "kg", "weight": 20, "reps": 5, "done": False, "type": "warmup"}
    if ids:
        own = [like | {"id": id_, "order": order} for id_, order in zip(ids, orders, strict=True)]
        return exercise | {"sets": sorted([*exercise["sets"], *own], key=lambda set_: set_["order"])}
    sets = list(exercise["sets"])
    for order in sorted(orders):
        sets.insert(min(order, len(sets)), like | {"id": str(UUID(int=9000 + order))})
    return exercise | {"sets": [set_ | {"order": order} for order, set_ in enumerate(sets, 1)]}


def planned_sets(*sets: int) -> list[dict[str, Any]]:
    """Exercises of a workout's plan with so many sets."""
    prescribed = [
        WorkoutExerciseBody(id=UUID(int=n), name="Pull", sets=each, weight=2.5 * each).model_dump(mode="json")
        for n, each in enumerate(sets, 1)
    ]
    plan: list[dict[str, Any]] = orjson.loads(plan_json(orjson.dumps(prescribed)))
    return plan


def test_a_deload_halves_working_sets_and_leaves_warm_ups() -> None:
    (exercise,) = planned_sets(4)
    full = {"exercises": [with_warmups(exercise, [0, 1])]}
    (half,) = deloaded(full)["exercises"]
    assert [set_["type"] for set_ in half["sets"]] == ["warmup"] * 2 + ["working"] * 2
    assert halved(full["exercises"]) == [half]
    assert whole(deloaded(full), full["exercises"]) == full


@given(st.lists(st.tuples(st.integers(1, 8), _warmups), min_size=1, max_size=3))
def test_what_was_halved_is_whole_again(said: list[tuple[int, list[int]]]) -> None:
    plan = planned_sets(*(sets for sets, _ in said))
    full = [with_warmups(exercise, orders) for exercise, (_, orders) in zip(plan, said, strict=True)]
    assert whole(deloaded({"exercises": full}), full) == {"exercises": full}


@given(st.integers(1, 8), _warmups, st.data())
def test_warm_ups_that_the_athlete_adds_take_no_working_set_away(sets: int, orders: list[int], data: Any) -> None:
    (exercise,) = planned_sets(sets)
    (half,) = halved([exercise])
    there = {set_["id"] for set_ in half["sets"]}
    ids = [set_["id"] for set_ in exercise["sets"] if set_["id"] not in there] + [str(UUID(int=n)) for n in range(3)]
    orders = [order for order in orders if order not in {set_["order"] for set_ in half["sets"]}]
    own = data.draw(st.permutations(ids))[: len(orders)]
    changed = with_warmups(half, orders, own) if orders else half
    (back,) = whole(deloaded({"exercises": []}) | {"exercises": [changed]}, [exercise])["exercises"]
    working = [set_ for set_ in back["sets"] if set_["type"] == "working"]
    assert [{**set_, "id": "", "order": 0} for set_ in working] == [
        {**set_, "id": "", "order": 0} for set_ in exercise["sets"]
    ]
    assert [set_ for set_ in back["sets"] if set_ in changed["sets"]] == changed["sets"]  # what was there stays
    for name in ("id", "order"):
        assert len({set_[name] for set_ in back["sets"]}) == len(back["sets"])


def test_an_exercise_that_is_full_gets_no_more_sets() -> None:
    (exercise,) = planned_sets(4)
    (half,) = halved([exercise])
    full = with_warmups(half, range(10, 507), [str(UUID(int=n)) for n in range(497)])
    (back,) = whole({"exercises": [full]}, [exercise])["exercises"]
    assert (len(full["sets"]), len(back["sets"])) == (499, 500)


def test_a_slot_that_comes_while_the_phase_runs_is_laid_from_the_present_day_on() -> None:
    phase, today = body(), dt.date(2026, 1, 13)
    more = body(schedule=[slot(0, 1), slot(1, 4), slot(2, 2)])
    found = changes([Step(PHASE, phase, more)], made(phase), today=today)
    assert actions(found) == ["keep", "keep", "keep", "create", "keep"]
    assert [change.spot.day for change in found if change.action is PlanAction.CREATE] == [today]
    # The day before it has none, then or later; and what is there moves, wherever it lies.
    again = changes([Step(PHASE, more, more)], laid(found, made(phase)), today=today)
    assert actions(again) == ["keep"] * 5
    moved = changes([Step(PHASE, phase, body(first="2025-12-29", last="2026-01-11"))], made(phase), today=today)
    assert actions(moved) == ["move"] * 4
    # A new phase lays all of its days, one that comes back those that are left.
    assert len(changes([Step(PHASE, None, phase)], [], today=today)) == 4
    assert [str(change.spot.day) for change in changes([Step(PHASE, None, phase, back=True)], [], today=today)] == [
        "2026-01-15"
    ]


def test_what_was_done_stands_for_a_session_of_a_phase_that_comes_back() -> None:
    twice = body(schedule=[slot(0, 1, "07:00"), slot(0, 1, "18:30"), slot(1, 4)])
    monday = dt.date(2026, 1, 5)
    (workout, *_) = [each.workout_id for each in twice.schedule]

    def made_on_monday(step: Step, taken: dict[tuple[UUID, dt.date], int]) -> list[str]:
        found = changes([step], [], today=monday, taken=taken)
        mondays = [change for change in found if change.spot.day == monday]
        assert len(found) == 4 + len(mondays)
        return [change.reason.split(" at ")[1][:5] for change in mondays]

    back = Step(PHASE, None, twice, back=True)
    assert made_on_monday(back, {}) == ["07:00", "18:30"]
    assert made_on_monday(back, {(workout, monday): 1}) == ["18:30"]
    assert made_on_monday(back, {(workout, monday): 3}) == []
    assert made_on_monday(back, {(UUID(int=9), monday): 1}) == ["07:00", "18:30"]
    assert made_on_monday(Step(PHASE, None, twice), {(workout, monday): 1}) == ["07:00", "18:30"]  # a new one


_slots = st.lists(
    st.builds(
        slot,
        st.integers(0, 2),
        st.integers(1, 7),
        st.sampled_from(["06:00", "12:00", "23:30"]),
        weeks=st.none() | st.lists(st.integers(1, 2), min_size=1, unique=True).map(sorted),
    ),
    max_size=4,
    unique_by=lambda each: (each["workout_id"], each["weekday"], each["time"]),
)


@st.composite
def phases(draw: st.DrawFn) -> PhaseBody:
    first = draw(st.dates(dt.date(2026, 3, 1), dt.date(2026, 3, 31)))
    last = first + draw(st.integers(7, 28)) * _DAY
    zone = draw(st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]))
    deload = draw(st.booleans())
    return body(first=str(first), last=str(last), timezone=zone, schedule=draw(_slots), deload=deload)


@st.composite
def histories(draw: st.DrawFn) -> tuple[PhaseBody, list[Laid]]:
    """A phase, and its trainings after what an athlete may do with them."""
    phase = draw(phases())
    trainings = []
    for training in made(phase):
        days = draw(st.sampled_from([0, 0, -1, 3]))
        status = draw(st.sampled_from([Status.PLANNED, Status.PLANNED, Status.IN_PROGRESS, Status.COMPLETED]))
        trainings.append(
            replace(
                training,
                spot=training.spot if days == 0 else shifted(training.spot, days),
                status=status,
                skipped=status is Status.PLANNED and draw(st.booleans()),
                deleted=draw(st.sampled_from([False, False, True])),
            )
        )
    return phase, trainings


@given(histories(), phases(), st.randoms(use_true_random=False))
def test_whatever_changes_is_changed_once_and_for_what_is_free_only(
    history: tuple[PhaseBody, list[Laid]], after: PhaseBody, random: Any
) -> None:
    before, trainings = history
    found = put(before, after, trainings)
    shuffled = list(trainings)
    random.shuffle(shuffled)
    assert put(before, after, shuffled) == found  # the order of reading says nothing
    assert sorted(str(change.training.id) for change in found if change.training) == sorted(
        str(t.id) for t in trainings
    )
    for change in found:
        assert change.reason
        if change.training is not None and not change.training.free:
            assert (change.action, change.spot, change.turns) == (PlanAction.KEEP, change.training.spot, None)
        if change.action is PlanAction.CREATE:
            assert change.spot == wanted(after)[change.place or Place(0, 0)]
            assert change.deload == after.deload
    now = laid(found, trainings)
    assert sorted(training.place for training in now) == sorted(wanted(after))  # each place has one training
    assert {change.action for change in put(after, after, now)} <= {PlanAction.KEEP}


@given(histories(), phases(), st.dates(dt.date(2026, 2, 20), dt.date(2026, 4, 30)))
def test_a_change_makes_what_it_would_make_but_for_what_is_past(
    history: tuple[PhaseBody, list[Laid]], after: PhaseBody, today: dt.date
) -> None:
    before, trainings = history
    step = Step(PHASE, before, after)
    expected = [
        change
        for change in changes([step], trainings)
        if change.action is not PlanAction.CREATE or change.spot.day >= today
    ]
    assert changes([step], trainings, today=today) == expected


@given(histories(), st.integers(-6, 6))
def test_whole_weeks_move_every_free_training_by_as_many_and_back(
    history: tuple[PhaseBody, list[Laid]], weeks: int
) -> None:
    before, trainings = history
    after = before.moved(weeks * 7 * _DAY)
    found = put(before, after, trainings)
    assert {change.action for change in found} <= {PlanAction.MOVE, PlanAction.KEEP, PlanAction.CHANGE}
    for change in found:
        assert change.training is not None
        if change.training.free:
            was, is_ = change.training.spot, change.spot
            zone = ZoneInfo(was.timezone)
            assert is_.day == was.day + weeks * 7 * _DAY
            if 2 <= was.date.astimezone(zone).hour < 23:  # neither is in the hour that a change of clocks leaves out
                assert is_.date.astimezone(zone).time() == was.date.astimezone(zone).time()
    back = put(after, before, laid(found, trainings))
    assert {change.training.id: change.spot for change in back if change.training} == {
        training.id: training.spot for training in trainings
    }


def test_a_schedule_that_is_too_much_is_refused() -> None:
    daily = [slot(0, day, f"{hour:02}:00") for hour in range(20) for day in range(1, 8)]
    check(body(last="2026-02-23", schedule=daily[:140]))  # 50 days of 20 each
    with pytest.raises(Unprocessable) as refused:
        check(body(last="2026-02-24", schedule=daily[:140]))
    assert refused.value.pointer == "/schedule"
    with pytest.raises(Unprocessable) as refused:
        check(body(schedule=[slot(0, 1), slot(1, 1, weeks=[1, 3])]))
    assert (refused.value.pointer, str(refused.value)) == ("/schedule/1/weeks", "The phase has only 2 weeks.")
    far = replace(made(body())[0], spot=Spot(dt.date(2190, 1, 1), dt.datetime(2190, 1, 1, tzinfo=dt.UTC), "UTC"))
    with pytest.raises(Unprocessable) as refused:
        put(body(), body(first="2096-01-05", last="2096-01-18"), [far])
    assert refused.value.pointer == "/first"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"last": "2026-01-07"}, "There is no Thursday in the phase."),
        (
            {"last": "2026-01-14", "schedule": [slot(0, 1), slot(1, 4, weeks=[2])]},
            "There is no Thursday in these weeks of the phase.",
        ),
    ],
)
def test_a_weekday_that_never_comes_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        check(body(**fields))
    assert (refused.value.pointer, str(refused.value)) == ("/schedule/1/weekday", said)
    check(body(last="2026-01-14", schedule=[slot(0, 1), slot(1, 4)]))  # not in the second week, and in the first


def test_one_change_is_about_so_many_trainings_together() -> None:
    daily = [slot(0, day, f"{hour:02}:00") for hour in range(24) for day in range(1, 8)]
    weeks = [body(last="2026-01-25", schedule=daily).moved(n * 21 * _DAY) for n in range(2)]  # of 504 trainings each
    block = body(last="2026-02-28", schedule=[])

    def moved(*microcycles: PhaseBody) -> list[Step]:
        return [Step(UUID(int=n), each, each.moved(7 * _DAY)) for n, each in enumerate((block, *microcycles))]

    said = "One change together is about at most 1,000 trainings, and the phase and the 2 microcycles that move with it"
    with pytest.raises(Unprocessable, match=f"{said} have more") as refused:
        changes(moved(*weeks), [])
    assert refused.value.pointer == "/first"
    assert len(changes(moved(weeks[0]), made(weeks[0]))) == 504
    easy = [Step(OTHER, None, body(deload=True, schedule=[]))]
    (one,) = made(body(last="2026-01-11", schedule=[slot(0, 1)]))
    planned = [replace(one, id=UUID(int=n)) for n in range(1_001)]
    assert len(changes(easy, planned[1:])) == 1_000
    with pytest.raises(Unprocessable, match="on the days of this deload there are more") as refused:
        changes(easy, planned)
    assert refused.value.pointer == "/deload"
    week = body(deload=True, schedule=[])
    others = "and the others on the days of a deload among them have more"
    with pytest.raises(Unprocessable, match=f"the phase, the 1 microcycle that moves with it {others}") as refused:
        changes(moved(week), [replace(training, phase_id=UUID(int=7)) for training in planned])
    assert refused.value.pointer == "/first"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"last": "2026-01-04"}, "last"),
        ({"last": "2027-01-06"}, "last"),
        ({"first": "1901-12-31"}, "first"),
        ({"parent_id": str(OTHER)}, "parent_id"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"schedule": [slot(0, 0)]}, "schedule"),
        ({"schedule": [slot(0, 1, "24:00")]}, "schedule"),
        ({"schedule": [slot(0, 1, weeks=[2, 1])]}, "schedule"),
        ({"schedule": [slot(0, 1, weeks=[])]}, "schedule"),
    ],
)
def test_bad_phases_are_refused_by_name(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as refused:
        body(**fields)
    assert refused.value.errors()[0]["loc"][0] == place


def test_the_same_workout_at_the_same_time_is_refused() -> None:
    with pytest.raises(ValidationError, match="once at one time"):
        body(schedule=[slot(0, 1), slot(0, 1, weeks=[1])])


def test_what_is_said_of_a_phase_is_stored_with_its_defaults() -> None:
    create = PhaseCreate.model_validate_json(
        orjson.dumps({"name": "Base", "first": "2026-01-05", "last": "2027-01-05", "id": str(OTHER)})
    )
    content = orjson.loads(create.content_json())
    assert content == {
        "name": "Base",
        "kind": "mesocycle",
        "first": "2026-01-05",
        "last": "2027-01-05",
        "timezone": "UTC",
        "deload": False,
        "schedule": [],
        "trainings": [],
    }
    PhaseContent.model_validate(content)
    full = body(kind="microcycle", parent_id=str(OTHER), goal="Ten", goal_id=str(PHASE), notes="n", deload=True)
    laid = [PhaseTraining(training_id=OTHER, week=1, slot=0)]
    sent_back = PhaseUpdate.model_validate_json(full.content_json(laid))
    assert (sent_back.content(), sent_back.trainings) == (full.content(), laid)


TRAINING = CalendarTraining(
    OTHER,
    MONDAY,
    "2026-01-05T17:30:00Z",
    "UTC",
    "Pull",
    Status.PLANNED,
    False,
    None,
    WORKOUTS[0],
    PHASE,
    "Base",
    MONDAY,
    1,
    1,
)
_EASY = CalendarPhase(
    id=PHASE, name="Easy", kind=PhaseKind.MICROCYCLE, first=MONDAY, last=MONDAY + 6 * _DAY, deload=True
)
_NONE: dict[str, Any] = dict.fromkeys(("phase_id", "phase_name", "phase_first", "week", "weekday"))


def item(training: CalendarTraining, phases: Sequence[CalendarPhase] = ()) -> dict[str, Any]:
    """What a calendar of one training tells of it."""
    (found,) = items([training], phases, MONDAY)
    return found


@pytest.mark.parametrize(
    ("fields", "state", "laid_on"),
    [
        ({}, CalendarState.PLANNED, MONDAY),
        ({"weekday": 2}, CalendarState.MOVED, MONDAY + _DAY),
        ({"status": Status.IN_PROGRESS}, CalendarState.BEGUN, None),
        ({"status": Status.COMPLETED, "weekday": 2}, CalendarState.DONE, None),
        ({"day": MONDAY - _DAY}, CalendarState.MISSED, MONDAY),
        ({"day": MONDAY - _DAY, "skipped": True}, CalendarState.SKIPPED, None),
        ({"weekday": None}, CalendarState.PLANNED, None),
        (_NONE, CalendarState.PLANNED, None),
        (_NONE | {"day": MONDAY - _DAY}, CalendarState.MISSED, None),
    ],
)
def test_what_became_of_a_training(fields: dict[str, Any], state: CalendarState, laid_on: dt.date | None) -> None:
    told = CalendarItem.model_validate(item(TRAINING._replace(**fields)))
    assert (told.state, told.laid_day, told.deload) == (state, laid_on, False)
    assert told.reason.endswith(".")


def test_a_day_in_a_deload_is_told_of() -> None:
    assert item(TRAINING, [_EASY])["deload"]
    assert not item(TRAINING._replace(day=MONDAY + 7 * _DAY), [_EASY])["deload"]
    assert item(TRAINING._replace(weekday=2))["reason"] == (
        "It was moved; “Base”, week 1, lays it on Tuesday, 6 January 2026."
    )
    done = item(TRAINING._replace(status=Status.COMPLETED))
    assert done["reason"] == "It is completed; it is of “Base”, week 1."


_SPANS = st.tuples(st.integers(-5, 20), st.integers(0, 12), st.booleans())


@given(st.lists(_SPANS, max_size=6), st.lists(st.integers(0, 15), max_size=5))
def test_deloads_may_overlap_in_any_order(spans: list[tuple[int, int, bool]], days: list[int]) -> None:
    phases = [
        _EASY.model_copy(
            update={"first": MONDAY + first * _DAY, "last": MONDAY + (first + length) * _DAY, "deload": deload}
        )
        for first, length, deload in spans
    ]
    told = items([TRAINING._replace(day=MONDAY + day * _DAY) for day in days], phases, MONDAY)
    assert [one["deload"] for one in told] == [
        any(deload and first <= day <= first + length for first, length, deload in spans) for day in days
    ]


def test_a_calendar_of_many_trainings_goes_over_its_phases_once() -> None:
    phases = iter([_EASY] * 20)
    told = items([TRAINING._replace(day=MONDAY + day * _DAY) for day in range(6, 9)], phases, MONDAY)
    assert [one["deload"] for one in told] == [True, False, False]
    assert list(phases) == []
