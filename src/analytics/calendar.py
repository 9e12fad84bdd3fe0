"""The calendar: pure functions from a training, and where its phase lays it, to what became of it as of a day.

The day on which a phase lays a training is stored nowhere. It follows from the phase's first day, the weekday of the
slot, as the phase has them now, and the week and slot that the training was laid for. So a training is moved where it
lies on another day than this one; and where a phase moves, and its trainings with it, none is. What is begun, completed
or skipped stays when its phase moves: no day is told on which it would be laid now.
"""

import datetime as dt
from collections.abc import Iterable, Sequence, Set
from typing import Any

from analytics.phases import laid_day, named
from models.calendar import CalendarPhase, CalendarState, CalendarTraining
from models.sets import known
from models.trainings import Status


def items(trainings: Sequence[CalendarTraining], phases: Iterable[CalendarPhase], day: dt.date) -> list[dict[str, Any]]:
    """What the calendar tells of each training as of `day`: `CalendarItem`s. `phases` are those of their range."""
    deload_days: set[dt.date] = set()
    if trainings:
        days = [training.day for training in trainings]
        deload_days = _deload_days(phases, min(days), max(days))
    return [_item(training, deload_days, day) for training in trainings]


def _deload_days(phases: Iterable[CalendarPhase], day: dt.date, last: dt.date) -> set[dt.date]:
    """The days from `day` to `last` that lie in a deload; each is looked at once, however many phases it lies in."""
    found = set()
    for phase in sorted((phase for phase in phases if phase.deload), key=lambda phase: phase.first):
        day = max(day, phase.first)
        while day <= min(last, phase.last):
            found.add(day)
            day += dt.timedelta(1)
    return found


def _item(training: CalendarTraining, deload_days: Set[dt.date], day: dt.date) -> dict[str, Any]:
    laid = _laid(training)
    state = _state(training, laid, day)
    return known(
        {
            "day": training.day,
            "date": training.date,
            "timezone": training.timezone,
            "training_id": training.id,
            "title": training.title,
            "status": training.status,
            "state": state,
            "reason": _reason(training, state, laid),
            "laid_day": laid,
            "phase_id": training.phase_id,
            "phase_name": training.phase_name,
            "week": training.week,
            "workout_id": training.workout_id,
            "deload": training.day in deload_days,
            "skip_reason": training.skip_reason,
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


def _reason(training: CalendarTraining, state: CalendarState, laid: dt.date | None) -> str:
    if training.phase_name is None:
        return f"{_WORDS[state]}."
    phase = f"“{training.phase_name}”, week {training.week}"
    if state in {CalendarState.BEGUN, CalendarState.DONE, CalendarState.SKIPPED}:
        return f"{_WORDS[state]}; it is of {phase}."
    if laid is None:
        return f"{_WORDS[state]}; {phase}, laid it on a day that it has no more."
    return f"{_WORDS[state]}; {phase}, lays it on {'this day' if laid == training.day else named(laid)}."
