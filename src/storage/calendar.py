"""The calendar of a user's plan: one statement for its trainings, the phases that laid them, and the present day."""

import datetime as dt
from typing import Any, NamedTuple
from uuid import UUID

from models.calendar import CalendarPhase, CalendarTraining
from models.trainings import Status
from storage.calendar_statements import CALENDAR
from storage.database import Database


class StoredCalendar(NamedTuple):
    """Trainings and phases of the days `first` to `last`, and the day as of which they are told."""

    day: dt.date
    first: dt.date
    last: dt.date
    phases: list[CalendarPhase]
    trainings: list[CalendarTraining]


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
    week after that of the first. Raises `DatabaseUnavailable`.
    """
    parameters = {"user_id": user_id, "first": first, "last": last, "day": day, "limit": limit, "coach_of": None}
    ((today, begin, end, phases, trainings),) = await database.all(CALENDAR, parameters)
    return StoredCalendar(
        today,
        begin,
        end,
        [CalendarPhase.model_validate(phase) for phase in phases or ()],
        [_training(training) for training in trainings or ()],
    )


def _training(row: dict[str, Any]) -> CalendarTraining:
    days = {name: dt.date.fromisoformat(row[name]) for name in ("day", "phase_first") if row[name] is not None}
    return CalendarTraining(**row | days | {"status": Status(row["status"])})
