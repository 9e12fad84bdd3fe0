"""Training load: the figures of a user's calendar days."""

import datetime as dt
from enum import StrEnum
from typing import NamedTuple


class Measure(StrEnum):
    """What is taken as the load of a day: a figure of its completed trainings."""

    SESSION_RPE = "session_rpe"
    """Session RPE times minutes."""
    SYSTEM_LOAD = "system_load"
    """Kilograms with the body's own part, times repetitions."""
    EXTERNAL_LOAD = "external_load"
    """External kilograms times repetitions."""
    TIME_UNDER_TENSION = "time_under_tension"
    """Seconds."""


class Ratio(StrEnum):
    """How acute and chronic load are set against each other."""

    COUPLED = "coupled"
    """The mean of 7 days over the mean of 28 days, those 7 included."""
    UNCOUPLED = "uncoupled"
    """The mean of 7 days over the mean of the 21 days before them."""
    EWMA = "ewma"
    """Exponentially weighted means of 7 and of 28 days."""


class Band(StrEnum):
    """Where the coupled ratio stands to the target zone."""

    UNDER = "under"
    TARGET = "target"
    OVER = "over"


class Unknown(StrEnum):
    """Why a ratio is null."""

    BEFORE_28_DAYS = "before_28_days"
    """Fewer than 28 days lie between the first training and this day, both included."""
    NO_CHRONIC_LOAD = "no_chronic_load"
    """The chronic load is 0: there is nothing to compare with."""


class LoadDay(NamedTuple):
    """The load of one calendar day and of those before it. `analytics.load` defines each figure.

    All but the ratios, `monotony` and `week_change` are in the unit of the measure.
    """

    day: dt.date
    load: float
    acute: float
    chronic: float | None
    acwr: float | None
    acwr_uncoupled: float | None
    ewma_acute: float
    ewma_chronic: float
    acwr_ewma: float | None
    monotony: float | None
    strain: float | None
    week_change: float | None
    band: Band | None
    observed_days_28: int
