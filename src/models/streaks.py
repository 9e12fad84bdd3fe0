"""Streaks of training weeks, and milestones."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class Streak(NamedTuple):
    """ISO weeks in a row with a completed training: how many, and the Mondays of the first and the last of them."""

    weeks: int = 0
    first: dt.date | None = None
    last: dt.date | None = None


class Streaks(NamedTuple):
    """The streak that lasts, of 0 weeks where none does, and the longest there was."""

    current: Streak = Streak()
    longest: Streak = Streak()


class MilestoneKind(StrEnum):
    """What is counted from the first training on: a field of `DayTotals`."""

    SESSIONS = "sessions"
    REPS = "reps"
    EXTERNAL_LOAD_KG = "external_load_kg"


class DayTotals(NamedTuple):
    """What the completed trainings of one local day add up to."""

    day: dt.date
    sessions: int
    reps: int
    external_load_kg: Decimal


class Milestone(NamedTuple):
    """A round total, and the local day on which it was reached."""

    kind: MilestoneKind
    value: int
    day: dt.date
