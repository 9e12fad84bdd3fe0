"""Phases: pure functions from what a phase says to the trainings that it wants, and from a change of phases to what
becomes of each training.

A phase lays a training on every day of its own that has the weekday of a slot, in the weeks that the slot names: week 1
are the phase's first seven days, whatever weekday it begins on. The laid day follows from the phase as it now says, and
from the week and the slot that the training was laid for; it is stored nowhere.

Where a phase changes, each of its trainings follows its place. A place is a week and a slot; a slot is found again as
the one with the same workout, weekday and time, or else as the first other one of the same workout. So a phase that is
moved by whole weeks moves its trainings by as many, and one that is moved by other days lays them on the same weekdays
still. A training that stands where it was laid goes to where it is laid now. One that the athlete has moved keeps its
time of day and moves by as many days as its laid day does. What is begun, done or skipped stays; what the athlete
deleted holds its place and is not made again. Local times stay over a change of clocks.

What is past stays as it was: where a phase changes, or comes back that was deleted, nothing is made on days before the
athlete's present one. A new phase lays all of its days, past ones too. What was begun, done or skipped is no phase's
any more when its phase is deleted; where the phase comes back, a session of the same workout on the same day stands for
the one that it would lay.

On the days of a phase that is a deload, a training has the first half of the sets of each exercise, rounded up. It is
changed when its day, or the deload, comes or goes; what the athlete has changed of its exercises stays.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from analytics.sets import free_order, halved, set_id, working
from analytics.words import counted, named
from models.errors import Unprocessable
from models.phases import MOST_TRAININGS, PhaseBody, PlanAction, Slot
from models.plans import DELOAD_NOTE, Change, Deload, Laid, Place, Spot, Step
from models.sets import MAX_SETS
from models.trainings import Status

METHOD_VERSION = 2  # grows with every change of a rule

RULES: Mapping[str, object] = {
    "weeks": "week 1 are the first seven days of the phase",
    "moved": "a training follows its week and slot; one that the athlete moved goes by as many days as these do",
    "past": "a phase that is changed, or back after it was deleted, makes no training on a day before the present one; "
    "a new phase lays all of its days",
    "back": "a phase that is back makes no session of a workout of which one was begun, completed or skipped that day",
    "kept": "what is begun, completed or skipped stays; what was deleted is not made again",
    "deload": "the first half of the sets of each exercise, rounded up; warm-ups, weights and repetitions as they are",
    "clock": "local times stay over a change of clocks",
}

_DAY = dt.timedelta(days=1)
_MOST_NOTES = 10_000  # characters, as `models.fields.Text`
_YEARS = range(1901, 2199)  # as `models.fields.Moment`


class _Deloads(NamedTuple):
    """The deloads before and after a change, which themselves may be what changes."""

    before: Sequence[Deload]
    after: Sequence[Deload]


def check(phase: PhaseBody) -> None:
    """Raises `Unprocessable` where a slot names weeks that the phase has not, or a weekday that does not come in its
    weeks, and where the phase lays too many trainings."""
    weeks = -(-((phase.last - phase.first).days + 1) // 7)
    laid = Counter(place.slot for place, _, _ in _places(phase))
    for i, slot in enumerate(phase.schedule):
        if slot.weeks is not None and slot.weeks[-1] > weeks:
            raise Unprocessable(f"The phase has only {counted(weeks, 'week')}.", f"/schedule/{i}/weeks")
        if not laid[i]:
            weekday = f"{laid_day(phase.first, 1, slot.weekday):%A}"
            where = "the phase" if slot.weeks is None else "these weeks of the phase"
            raise Unprocessable(f"There is no {weekday} in {where}.", f"/schedule/{i}/weekday")
    if laid.total() > MOST_TRAININGS:
        raise Unprocessable(f"A phase lays at most {MOST_TRAININGS:,} trainings.", "/schedule")


def laid_day(first: dt.date, week: int, weekday: int) -> dt.date:
    """The day of that weekday (1 is Monday) in that week of a phase whose first day is `first`."""
    return first + ((week - 1) * 7 + (weekday - first.isoweekday()) % 7) * _DAY


def wanted(phase: PhaseBody) -> dict[Place, Spot]:
    """The trainings that the phase lays, by their places."""
    return {place: _spot(day, slot.time, phase.timezone) for place, slot, day in _places(phase)}


def changes(
    steps: Sequence[Step],
    laid: Iterable[Laid],
    deloads: Sequence[Deload] = (),
    today: dt.date = dt.date.min,
    taken: Mapping[tuple[UUID, dt.date], int] | None = None,
) -> list[Change]:
    """What becomes of each training when phases change, by day, phase and place.

    `laid` are all trainings of these phases, and those of others on the days of deloads among them; `deloads` are those
    of other phases. A phase that was there before makes nothing on days before `today`, and one that comes back no
    session that is `taken`: so many of a workout, of no phase, were begun, completed or skipped on a day. Raises
    `Unprocessable` where these trainings, or those that the phases lay then, are more than `MOST_TRAININGS`, and where
    one would be moved beyond what a date may be.
    """
    trainings = sorted(laid, key=lambda training: (training.phase_id, training.place, training.id))
    _check_together(steps, trainings)
    days = _Deloads(
        [*deloads, *(Deload.of(step.before) for step in steps if step.before is not None and step.before.deload)],
        [*deloads, *(Deload.of(step.after) for step in steps if step.after is not None and step.after.deload)],
    )
    changing = {step.phase_id for step in steps}
    found = [
        change
        for step in steps
        for change in _of_phase(step, [t for t in trainings if t.phase_id == step.phase_id], days, today, taken)
    ]
    for training in trainings:
        if training.phase_id not in changing and training.free:
            change = _moved(training, training.place, training.spot, "", days)
            if change.action is not PlanAction.KEEP:
                found.append(change)
    return sorted(found, key=_order)


def deloaded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a planned training with half the sets of each exercise (`halved`), and a note that says so."""
    notes = fields.get("notes", "")
    noted = f"{notes}\n{DELOAD_NOTE}" if notes else DELOAD_NOTE
    return {**fields, "notes": noted if len(noted) <= _MOST_NOTES else notes, "exercises": halved(fields["exercises"])}


def whole(fields: Mapping[str, Any], plan: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The members of a deload training with as many working sets as its workout plans, and without the note.

    The sets that it has stay. Those that it lacks come from the workout's `plan`, and aim at what its last working set
    does; where another set has taken the id or the place of one, it gets another.
    """
    planned = {exercise["id"]: working(exercise["sets"]) for exercise in plan}
    exercises = [_refilled(exercise, planned.get(exercise["id"], [])) for exercise in fields["exercises"]]
    notes = "\n".join(line for line in fields.get("notes", "").split("\n") if line != DELOAD_NOTE)
    kept = {name: value for name, value in fields.items() if name != "notes"}
    return kept | ({"notes": notes} if notes else {}) | {"exercises": exercises}


def unfilled(change: Change) -> Change:
    """The change of a deload training that would have all its sets again, where its workout is there no more."""
    action = PlanAction.KEEP if change.action is PlanAction.CHANGE else change.action
    reason = f"{change.reason} But that was deleted, so the sets stay as they are."
    return replace(change, action=action, turns=None, deload=True, reason=reason)


def _refilled(exercise: dict[str, Any], planned: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The exercise with those of the planned working sets that it lacks, as far as an exercise may have sets."""
    there = working(exercise["sets"])
    aim = {"target": there[-1]["target"]} if there and "target" in there[-1] else {}
    sets = list(exercise["sets"])
    for set_ in planned[len(there) :][: MAX_SETS - len(sets)]:
        free = set_["order"] not in {other["order"] for other in sets}
        order = set_["order"] if free else free_order(sets)
        own = set_["id"] not in {other["id"] for other in sets}
        id_ = set_["id"] if own else set_id(exercise | {"sets": sets}, order)
        sets.append(set_ | {"id": id_, "order": order} | aim)
    return exercise | {"sets": sorted(sets, key=lambda set_: set_["order"])}


def _places(phase: PhaseBody) -> Iterator[tuple[Place, Slot, dt.date]]:
    weeks = range(1, -(-((phase.last - phase.first).days + 1) // 7) + 1)
    for i, slot in enumerate(phase.schedule):
        for week in slot.weeks or weeks:
            day = laid_day(phase.first, week, slot.weekday)
            if day <= phase.last:
                yield Place(week, i), slot, day


def _check_together(steps: Sequence[Step], trainings: Sequence[Laid]) -> None:
    """Raises `Unprocessable` where a change is about too many trainings."""
    changing = {step.phase_id for step in steps}
    own = sum(1 for training in trainings if training.phase_id in changing)
    lay = sum(1 for step in steps if step.after is not None for _ in _places(step.after))
    if max(len(trainings), lay) <= MOST_TRAININGS:
        return
    moving = counted(len(steps) - 1, "microcycle")
    parts = f"the {moving} that {'moves' if len(steps) == 2 else 'move'} with it"
    if max(own, lay) > MOST_TRAININGS:  # a phase alone has fewer
        who, pointer = f"the phase and {parts} have", "/first"
    elif len(steps) > 1:
        who, pointer = f"the phase, {parts} and the others on the days of a deload among them have", "/first"
    else:
        who, pointer = "on the days of this deload there are", "/deload" if steps[0].after else ""
    raise Unprocessable(f"One change together is about at most {MOST_TRAININGS:,} trainings, and {who} more.", pointer)


def _of_phase(
    step: Step,
    trainings: Sequence[Laid],
    days: _Deloads,
    today: dt.date,
    taken: Mapping[tuple[UUID, dt.date], int] | None,
) -> Iterator[Change]:
    was = {} if step.before is None else wanted(step.before)
    want = {} if step.after is None else wanted(step.after)
    slots = {} if step.before is None or step.after is None else _same_slots(step.before, step.after)
    for training in trainings:
        slot = slots.get(training.place.slot)
        place = None if slot is None else Place(training.place.week, slot)
        if place is None or (spot := want.pop(place, None)) is None:
            yield _left(training, step)
        elif not training.free:
            yield _kept(training, place, _stays(training))
        else:
            to, reason = _goes(training, was.get(training.place), spot)
            yield _moved(training, place, to, reason, days)
    schedule = () if step.after is None else step.after.schedule
    standing = Counter(taken if step.back else None)
    for place, spot in sorted(want.items(), key=lambda item: item[1].date):
        if (step.before is not None or step.back) and spot.day < today:
            continue
        session = (schedule[place.slot].workout_id, spot.day)
        if standing[session]:
            standing[session] -= 1
            continue
        deload = _deload(spot.day, days.after)
        why = f" Half the sets: the day lies in the deload “{deload.name}”." if deload else ""
        reason = f"The schedule has it in week {place.week}, on {named(spot.day)} at {_time(spot)}.{why}"
        yield Change(PlanAction.CREATE, None, step.phase_id, place, spot, deload is not None, None, reason)


def _same_slots(before: PhaseBody, after: PhaseBody) -> dict[int, int]:
    """Where each slot of the schedule stands in the new one, as far as it is there."""
    places = {(slot.workout_id, slot.weekday, slot.time): i for i, slot in enumerate(after.schedule)}
    same = {
        i: places.pop(key)
        for i, slot in enumerate(before.schedule)
        if (key := (slot.workout_id, slot.weekday, slot.time)) in places
    }
    rest = sorted(places.values())
    for i, slot in enumerate(before.schedule):
        if i not in same:
            other = next((j for j in rest if after.schedule[j].workout_id == slot.workout_id), None)
            if other is not None:
                rest.remove(other)
                same[i] = other
    return same


def _goes(training: Laid, was: Spot | None, spot: Spot) -> tuple[Spot, str]:
    """Where a free training goes that was laid on `was` and is laid on `spot` now; and why."""
    now = training.spot
    if was is None or (now.date, now.timezone) == (was.date, was.timezone):
        moved = spot
        reason = f"Its phase lays it on {named(spot.day)} at {_time(spot)} now."
    else:
        days = (spot.day - was.day).days
        moved = _shifted(now, days)
        by = f"{counted(abs(days), 'day')} {'later' if days > 0 else 'earlier'}"
        reason = f"It was moved to {named(now.day)}. It goes with its phase, {by}."
    return moved, reason


def _moved(training: Laid, place: Place, spot: Spot, reason: str, days: _Deloads) -> Change:
    """What becomes of a free training that goes to `spot`, which may be where it is."""
    was, now = _deload(training.spot.day, days.before), _deload(spot.day, days.after)
    turns = None if (was is None) == (now is None) or training.deload == (now is not None) else now is not None
    moves = (spot.date, spot.timezone) != (training.spot.date, training.spot.timezone)
    words = [reason] if moves else []
    if turns is not None:
        in_deload = "" if now is None else f"The day lies in the deload “{now.name}”: half the sets."
        words.append(in_deload or "The day lies in no deload any more: all the sets of its workout.")
    action = PlanAction.MOVE if moves else PlanAction.CHANGE if turns is not None else PlanAction.KEEP
    deload = training.deload if turns is None else turns
    said = " ".join(words) or "Nothing about it changes."
    return Change(action, training, training.phase_id, place, spot, deload, turns, said)


def _kept(training: Laid, place: Place | None, reason: str) -> Change:
    return Change(PlanAction.KEEP, training, training.phase_id, place, training.spot, training.deload, None, reason)


def _left(training: Laid, step: Step) -> Change:
    """What becomes of a training that its phase does not lay any more."""
    if not training.free:
        return _kept(training, None, _stays(training))
    reason = "The phase is deleted." if step.after is None else "The phase does not lay it any more."
    return Change(PlanAction.DELETE, training, training.phase_id, None, training.spot, training.deload, None, reason)


def _stays(training: Laid) -> str:
    if training.deleted:
        return "It was deleted, and is not made again."
    if training.skipped:
        return "It is skipped, and stays."
    return "It is completed, and stays." if training.status is Status.COMPLETED else "It is begun, and stays."


def _deload(day: dt.date, deloads: Sequence[Deload]) -> Deload | None:
    return next((deload for deload in deloads if deload.first <= day <= deload.last), None)


def _spot(day: dt.date, time: str, timezone: str) -> Spot:
    """A local time that the change of clocks leaves out is as much later."""
    local = dt.datetime.combine(day, dt.time.fromisoformat(time), ZoneInfo(timezone))
    date = local.astimezone(dt.UTC)
    return Spot(date.astimezone(local.tzinfo).date(), date, timezone)


def _shifted(spot: Spot, days: int) -> Spot:
    """As many days later, at the same local time."""
    local = spot.date.astimezone(ZoneInfo(spot.timezone))
    try:
        date = (local + days * _DAY).astimezone(dt.UTC)  # of the wall's clock, which is what is kept
    except OverflowError:
        date = dt.datetime.max.replace(tzinfo=dt.UTC)
    if date.year not in _YEARS:
        raise Unprocessable("A training would be moved beyond the years 1901 to 2198.", "/first")
    return Spot(date.astimezone(local.tzinfo).date(), date, spot.timezone)


def _time(spot: Spot) -> str:
    return f"{spot.date.astimezone(ZoneInfo(spot.timezone)):%H:%M}"


def _order(change: Change) -> tuple[Any, ...]:
    place = change.place or (change.training.place if change.training else Place(0, 0))
    return change.spot.day, change.spot.date, change.phase_id, place, change.training is None
