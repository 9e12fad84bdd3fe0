"""What readiness is computed from, out of the tables of record: one statement."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models.readiness import CheckInValues, PlannedSets
from storage.database import Runner
from storage.readiness_statements import READINESS


@dataclass(frozen=True, slots=True)
class ReadinessInputs:
    """What the readiness of the days `first` to `last` is computed from: all that `analytics.readiness` asks for.

    `last` is at most `today`, the athlete's present day (`storage.today`), or the day of the latest check-in, where
    that is later; where `first` lies after it, no day was asked for. `as_of` (RFC 3339): every change that was accepted
    before is in it.
    """

    today: dt.date
    first: dt.date
    last: dt.date
    as_of: str
    check_ins: list[CheckInValues]
    trainings: list[PlannedSets]


async def read_inputs(
    runner: Runner, user_id: UUID, *, first: dt.date | None = None, last: dt.date | None = None, before: int
) -> ReadinessInputs:
    """The user's check-ins and planned sets of the local days `first` to `last`, and of the `before` days before them.

    By default `last` is the latest that it may be, and `first` 27 days before it. Of a range of more than `MOST_DAYS`
    days only the last of them are read, and nothing before `models.check_ins.EARLIEST`.
    """
    parameters = {"user_id": user_id, "first": first, "last": last, "before": before}
    (row,) = await runner.all(READINESS, parameters)
    return inputs(row)


def inputs(row: Sequence[Any]) -> ReadinessInputs:
    """What a row of `readiness_statements.READINESS` says, whatever statement it is a part of."""
    today, begin, until, as_of, check_ins, trainings = row
    return ReadinessInputs(
        today,
        begin,
        until,
        as_of,
        [CheckInValues(dt.date.fromisoformat(day), *values) for day, *values in check_ins or ()],
        [PlannedSets(UUID(id_), dt.date.fromisoformat(day), *counts) for id_, day, *counts in trainings or ()],
    )
