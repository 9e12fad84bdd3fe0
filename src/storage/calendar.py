"""The calendar of a user's plan: one statement for its trainings, the phases that laid them, and the present day."""

import datetime as dt
from typing import Any, NamedTuple
from uuid import UUID

from models.advice import AdviceKind
from models.calendar import Accepted, Ahead, CalendarPhase, CalendarTraining
from models.plans import DELOAD_NOTE
from models.stored import readable
from models.trainings import Status
from storage.calendar_statements import CALENDAR
from storage.database import Database


class StoredCalendar(NamedTuple):
    """Trainings and phases of the days `first` to `last`, and the day as of which they are told.

    `accepted` has for each training what advice did to it, the earliest first. `ahead` has of each workout
    with a rule that has one to come in the range the trainings to come, the earliest first, up to the first that is no
    light one; they may lie before the range, and none lies after it.
    """

    day: dt.date
    first: dt.date
    last: dt.date
    phases: list[CalendarPhase]
    trainings: list[CalendarTraining]
    accepted: dict[UUID, list[Accepted]]
    ahead: dict[UUID, list[Ahead]]


async def read_calendar(
    database: Database,
    user_id: UUID,
    *,
    first: dt.date | None,
    last: dt.date | None,
    day: dt.date | None,
    limit: int,
) -> StoredCalendar:
    """At most `limit` trainings and phases of these days, in order.

    By default the day is the present one, the first is the Monday of its week, and the last the Sunday of the fourth
    week after that of the first. Phases and advice of kinds of a later version are passed over. Raises
    `DatabaseUnavailable`.
    """
    asked = {"user_id": user_id, "first": first, "last": last, "day": day, "limit": limit}
    parameters = asked | {"coach_of": None, "deload_note": DELOAD_NOTE}
    ((today, begin, end, phases, trainings, accepted, ahead),) = await database.all(CALENDAR, parameters)
    changes: dict[UUID, list[Accepted]] = {}
    for training_id, change in readable(_accepted, accepted or ()):
        changes.setdefault(training_id, []).append(change)
    coming: dict[UUID, list[Ahead]] = {}
    for workout, id_, on, deload, lighter in ahead or ():
        coming.setdefault(UUID(workout), []).append(Ahead(UUID(id_), dt.date.fromisoformat(on), deload, lighter))
    return StoredCalendar(
        today,
        begin,
        end,
        readable(CalendarPhase.model_validate, phases or ()),
        [_training(training) for training in trainings or ()],
        changes,
        coming,
    )


def _training(row: dict[str, Any]) -> CalendarTraining:
    days = {name: dt.date.fromisoformat(row[name]) for name in ("day", "phase_first") if row[name] is not None}
    ids = {name: UUID(row[name]) for name in ("id", "workout_id", "phase_id") if row[name] is not None}
    return CalendarTraining(**row | days | ids | {"status": Status(row["status"])})


def _accepted(row: dict[str, Any]) -> tuple[UUID, Accepted]:
    after, exercise = row["day_after"], row["exercise_id"]
    return UUID(row["training_id"]), Accepted(
        UUID(row["id"]),
        AdviceKind(row["kind"]),
        row["title"],
        dt.date.fromisoformat(row["day"]),
        None if after is None else dt.date.fromisoformat(after),
        None if exercise is None else UUID(exercise),
    )
