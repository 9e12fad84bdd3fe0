"""What a report tells of stored load: the days beyond what is stored, and the figures of a ratio."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from analytics.load import ACUTE_DAYS, CHRONIC_DAYS, faded, load_days, reason
from models.load import LoadDay, Ratio


def days_between(stored: Sequence[LoadDay], first: dt.date, begin: dt.date, until: dt.date) -> list[LoadDay]:
    """The stored days from `begin` on, and those after them up to `until`, computed by `analytics.load.load_days`.

    `stored` are days in order, the last of which is the last that is stored: the last of the days that a training has
    a part in, so no later one has a load. Of the days before it `DAYS_BEFORE` are looked at. `first` is the day of the
    user's first training. The work grows with the days that are returned, however long ago the last stored one is.
    """
    last = stored[-1]
    asked = [day for day in stored if day.day >= begin]
    if last.day >= until:
        return asked
    loads = {day.day: day.load for day in stored}
    begin = max(begin, last.day + dt.timedelta(1))
    before = faded((last.ewma_acute, last.ewma_chronic), (begin - last.day).days - 1)
    return [*asked, *load_days(loads, (), first, until, begin=begin, before=before)]


def day_without_load(day: dt.date, first: dt.date) -> LoadDay:
    """A day before which nothing was trained for so long that no mean of days has a load; `first` is as above.

    Its EWMAs are given as 0, to which they fall.
    """
    ((found),) = load_days({}, (), first, day, begin=day, before=(0.0, 0.0))
    return found


def figures(day: LoadDay, ratio: Ratio = Ratio.COUPLED) -> dict[str, Any]:
    """The figures of a day as reports have them, by a ratio: acute, chronic, their ratio, and why that is null.

    The chronic load of the ratio `uncoupled` is the mean of the 21 days before the acute ones.
    """
    acute, chronic, acwr = day.acute, day.chronic, day.acwr
    if ratio is Ratio.EWMA:
        acute, chronic, acwr = day.ewma_acute, day.ewma_chronic if chronic is not None else None, day.acwr_ewma
    elif ratio is Ratio.UNCOUPLED and chronic is not None:
        chronic = (CHRONIC_DAYS * chronic - ACUTE_DAYS * acute) / (CHRONIC_DAYS - ACUTE_DAYS)
        acwr = day.acwr_uncoupled
        if acwr is None:
            chronic = 0.0  # to which the difference comes but for rounding
    found: dict[str, Any] = {"day": day.day, "load": day.load, "acute": acute, "chronic": chronic, "acwr": acwr}
    if acwr is None:
        found["reason"] = reason(day, ratio)
    return found | {"band": day.band, "observed_days_28": day.observed_days_28}


def item(day: LoadDay, ratio: Ratio) -> dict[str, Any]:
    """All that the report of a user tells of a day."""
    return figures(day, ratio) | {
        "monotony": day.monotony,
        "strain": day.strain,
        "week_change": day.week_change,
    }
