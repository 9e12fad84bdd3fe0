"""The calendar: pure functions from a training, and where its phase lays it, to what became of it. A day decides what
is missed and what is to come.

The day on which a phase lays a training is stored nowhere. It follows from the phase's first day, the weekday of the
slot, as the phase has them now, and the week and slot that the training was laid for. So a training is moved where it
lies on another day than this one; and where a phase moves, and its trainings with it, none is. What is begun, completed
or skipped stays when its phase moves: no day is told on which it would be laid now.

What a training holds are the numbers that its workout had when it was laid. What its session prescribes follows from
what was done until now: so of each workout with a rule the training that comes next tells it, and those after it name
that one. What is done of a light one says nothing of progression: so where such come first, each tells its own, and the
first that is none is the one that the others follow from.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any
from uuid import UUID

from analytics.phases import laid_day
from analytics.words import named
from models.advice import AdviceKind
from models.calendar import Accepted, Ahead, CalendarPhase, CalendarState, CalendarTraining
from models.sets import known
from models.trainings import Status

MOST_PRESCRIBED = 5  # workouts whose prescriptions one calendar tells: those that come first
MOST_OF_ONE = 10  # trainings of each

_NO_ADVICE: Sequence[Accepted] = ()
_BESIDE = (AdviceKind.BALANCE, AdviceKind.PREFER)  # what no rule of progression prescribes
_COMING = (CalendarState.PLANNED, CalendarState.MOVED)


def items(
    trainings: Sequence[CalendarTraining],
    phases: Iterable[CalendarPhase],
    day: dt.date,
    *,
    accepted: Mapping[UUID, Sequence[Accepted]] | None = None,
    ahead: Mapping[UUID, Sequence[Ahead]] | None = None,
    prescribed: Mapping[UUID, Sequence[Mapping[str, Any]]] | None = None,
) -> list[dict[str, Any]]:
    """What the calendar tells of each training: `CalendarItem`s. `day` decides what is missed and what is to come.
    `phases` are those of their range.

    `accepted` is what advice did to each training, `ahead` the trainings to come of each workout with a rule, up to the
    first that is no light one, and `prescribed` what the sessions of some of these prescribe.
    """
    deload_days: set[dt.date] = set()
    if trainings:
        days = [training.day for training in trainings]
        deload_days = _deload_days(phases, min(days), max(days))
    found = []
    for training in trainings:
        advice = (accepted or {}).get(training.id, _NO_ADVICE)
        item, numbers = _item(training, deload_days, day, advice), prescribed or {}
        if training.id in numbers:
            numbers = {training.id: [_beside(one, advice) for one in numbers[training.id]]}
        found.append(item | _numbers(training, item["state"], ahead or {}, numbers))
    return found


def told(trainings: Iterable[CalendarTraining], ahead: Mapping[UUID, Sequence[Ahead]]) -> dict[UUID, list[Ahead]]:
    """The workouts whose prescriptions a calendar of these trainings tells, and of which trainings, the earliest first:
    at most `MOST_OF_ONE` of each of `MOST_PRESCRIBED`, those that come first."""
    shown = {training.id for training in trainings}
    here = {workout: [one for one in those if one.training_id in shown] for workout, those in ahead.items()}
    earliest = sorted((those[0].day, workout) for workout, those in here.items() if those)
    return {workout: here[workout][:MOST_OF_ONE] for _, workout in earliest[:MOST_PRESCRIBED]}


def _numbers(
    training: CalendarTraining,
    state: CalendarState,
    ahead: Mapping[UUID, Sequence[Ahead]],
    prescribed: Mapping[UUID, object],
) -> dict[str, Any]:
    """What the training's session prescribes, or why that is not known yet."""
    those = () if training.workout_id is None else ahead.get(training.workout_id, ())
    if not those or state not in _COMING:
        return {"prescriptions": None}
    if training.id in prescribed:
        return {"prescriptions": prescribed[training.id]}
    if all(one.training_id != training.id for one in those):
        when = "earlier on this day" if those[-1].day == training.day else f"of {named(those[-1].day)}"
        reason = f"The numbers follow from the session {when}, which comes first: they are told when that is done."
    else:
        reason = (
            f"A calendar tells the numbers of the {MOST_PRESCRIBED} workouts that come first, and of {MOST_OF_ONE} "
            "sessions of each at most; this is another."
        )
    return {"prescriptions": None, "prescriptions_reason": reason}


def _beside(one: Mapping[str, Any], accepted: Sequence[Accepted]) -> Mapping[str, Any]:
    """What is prescribed of an exercise. It follows from what was done; what was accepted beside that goes first."""
    titles = [
        each.title
        for each in accepted
        if each.kind in _BESIDE and each.title is not None and str(each.exercise_id) == str(one["exercise_id"])
    ]
    said = "".join(f" You accepted “{title}” for this training, which goes first." for title in titles)
    prescription = one["prescription"]
    return {**one, "prescription": prescription | {"reason": prescription["reason"] + said}}


def _deload_days(phases: Iterable[CalendarPhase], day: dt.date, last: dt.date) -> set[dt.date]:
    """The days from `day` to `last` that lie in a deload; each is looked at once, however many phases it lies in."""
    found = set()
    for phase in sorted((phase for phase in phases if phase.deload), key=lambda phase: phase.first):
        day = max(day, phase.first)
        while day <= min(last, phase.last):
            found.add(day)
            day += dt.timedelta(1)
    return found


def _item(
    training: CalendarTraining, deload_days: Set[dt.date], day: dt.date, accepted: Sequence[Accepted]
) -> dict[str, Any]:
    laid = _laid(training)
    state = _state(training, laid, day)
    in_deload, eased = training.day in deload_days, [one for one in accepted if one.kind is AdviceKind.DELOAD]
    return known(
        {
            "day": training.day,
            "date": training.date,
            "timezone": training.timezone,
            "training_id": training.id,
            "title": training.title,
            "status": training.status,
            "state": state,
            "reason": _reason(training, state, laid, accepted) + _light(in_deload, eased, training.halved),
            "laid_day": laid,
            "phase_id": training.phase_id,
            "phase_name": training.phase_name,
            "week": training.week,
            "workout_id": training.workout_id,
            "deload": in_deload or bool(eased) or training.halved,
            "skip_reason": training.skip_reason,
            "advice": [_advice(one) for one in accepted if one.title is not None] or None,
        }
    )


def _laid(training: CalendarTraining) -> dt.date | None:
    first, week, weekday = training.phase_first, training.week, training.weekday
    if first is None or week is None or weekday is None or training.status is not Status.PLANNED or training.skipped:
        return None
    return laid_day(first, week, weekday)


def _state(training: CalendarTraining, laid: dt.date | None, day: dt.date) -> CalendarState:
    if training.status is Status.COMPLETED:
        return CalendarState.DONE
    if training.status is Status.IN_PROGRESS:
        return CalendarState.BEGUN
    if training.skipped:
        return CalendarState.SKIPPED
    if training.day < day:
        return CalendarState.MISSED
    return CalendarState.PLANNED if laid in {None, training.day} else CalendarState.MOVED


_WORDS = {
    CalendarState.PLANNED: "It is planned",
    CalendarState.MOVED: "It was moved",
    CalendarState.BEGUN: "It is begun",
    CalendarState.DONE: "It is completed",
    CalendarState.MISSED: "Its day is over, and it was not begun",
    CalendarState.SKIPPED: "It was given up",
}


def _reason(
    training: CalendarTraining, state: CalendarState, laid: dt.date | None, accepted: Sequence[Accepted]
) -> str:
    mover = next((one for one in reversed(accepted) if one.day_after == training.day and one.title is not None), None)
    words = _WORDS[state]
    if mover is not None and state in _COMING:
        words = f"Advice that you accepted (“{mover.title}”) moved it here from {named(mover.day)}"
    if training.phase_name is None:
        return f"{words}."
    phase = f"“{training.phase_name}”, week {training.week}"
    if state in {CalendarState.BEGUN, CalendarState.DONE, CalendarState.SKIPPED}:
        return f"{words}; it is of {phase}."
    if laid is None:
        return f"{words}; {phase}, laid it on a day that it has no more."
    return f"{words}; {phase}, lays it on {'this day' if laid == training.day else named(laid)}."


def _light(in_deload: bool, eased: Sequence[Accepted], halved: bool) -> str:
    """Why it is a light one."""
    if eased:
        title = eased[-1].title
        return " It was made a lighter session" + ("." if title is None else f": you accepted “{title}”.")
    if in_deload:
        return " Its day lies in a deload, which prescribes half the sets."
    left = " It has half the sets still, of a deload that it left: its workout was deleted, so the others are unknown."
    return left if halved else ""


def _advice(one: Accepted) -> dict[str, Any]:
    return known(
        {
            "id": one.id,
            "kind": one.kind,
            "title": one.title,
            "from_day": None if one.day_after is None else one.day,
        }
    )
