"""A log exported from the Hevy app, read as trainings.

Hevy publishes no specification; what is known comes from real files. One row is one set, newest session first. The
unit stands in the title: `weight_kg` or `weight_lbs`, `distance_km` or `distance_miles`.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from models.foreign_logs import ForeignLog
from models.log_reader import CellError, LogReader, Row
from models.sets import SetBody, SetType, Unit

_TITLE = re.compile(r"(weight|distance)_([a-z]+)")
_TIME = re.compile(r"(\d{1,2}) ([A-Z][a-z]{2}) ((?:19|20|21)\d{2}), (\d{1,2}):(\d{2})", re.ASCII)
_INDEX = re.compile(r"\d{1,9}", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TYPES = {
    "normal": SetType.WORKING,
    "warmup": SetType.WARMUP,
    "dropset": SetType.DROP,
    "failure": SetType.FAILURE,
}


def read_hevy(data: bytes, *, unit: Unit = Unit.KG, timezone: str) -> ForeignLog:
    """Read an export of Hevy's; see `LogReader` for what is common to all apps.

    A session is what has the same `start_time`, the athlete's local time, and `title`; from `end_time` comes its
    duration. Consecutive rows of one `exercise_title` are an exercise of it, until `set_index` begins anew: the same
    exercise twice in a workout stays two. An empty weight is no external weight. `superset_id` is the superset's
    number; warmup, dropset and failure are the types of sets beside normal.
    """
    return HevyReader(data, unit, timezone).read()


class HevyReader(LogReader):
    """Reads an export of Hevy's."""

    app = "Hevy"
    needed = ("title", "start_time", "exercise_title", "set_index", "set_type", "weight", "reps")
    titles = {  # noqa: RUF012 - the base class says that it is the class's
        "date": "start_time",
        "title": "title",
        "source_id": "title",
        "duration_seconds": "end_time",
        "session_notes": "description",
        "name": "exercise_title",
        "superset": "superset_id",
        "sets": "set_index",
        "exercises": "exercise_title",
        "weight": "weight",
        "reps": "reps",
        "rpe": "rpe",
        "distance_m": "distance",
        "notes": "exercise_notes",
    }

    def title(self, cell: str) -> tuple[str, str]:
        match = _TITLE.fullmatch(cell)
        return (match[1], match[2]) if match else (cell, "")

    def key(self, cells: Mapping[str, str]) -> tuple[dt.datetime, str]:
        return _local_time(cells, "start_time"), cells["title"]

    def duration(self, rows: list[Row]) -> int | None:
        first = rows[0]
        if not first["end_time"]:
            return None
        start, end = self.local(first.started), self.local(_local_time(first.cells, "end_time"))
        for finished in (end, end.replace(fold=1)):  # it may lie in the hour that clocks go through twice
            taken = finished.astimezone(dt.UTC) - start.astimezone(dt.UTC)
            if taken >= dt.timedelta():
                return int(taken.total_seconds())
        raise CellError("end_time", "lies before start_time")

    def exercises(self, rows: list[Row]) -> Iterable[list[Row]]:
        found: list[list[Row]] = []
        for row in rows:
            if not found or _begins(found[-1][-1], row):
                found.append([])
            found[-1].append(row)
        return found

    def superset(self, first: Row) -> int | None:
        return self.whole(first, "superset_id") if first["superset_id"] else None

    def add(self, sets: list[SetBody], row: Row) -> None:
        if row["set_type"] not in _TYPES:
            raise CellError("set_type", f"is none of {', '.join(_TYPES)}")
        self.whole(row, "set_index")  # what tells exercises apart must be one
        weight, unit = self.weight(row)
        sets.append(
            SetBody(
                weight=weight,
                unit=unit,
                reps=self.whole(row, "reps"),
                duration_seconds=self.number(row, "duration_seconds") or None,
                distance_m=self.metres(row),
                rpe=self.number(row, "rpe") if row["rpe"] else None,
                type=_TYPES[row["set_type"]],
            )
        )


def _begins(before: Row, row: Row) -> bool:
    """Whether another exercise begins with this row."""
    if row["exercise_title"] != before["exercise_title"]:
        return True
    indexes = before["set_index"], row["set_index"]
    return all(map(_INDEX.fullmatch, indexes)) and int(indexes[1]) <= int(indexes[0])


def _local_time(cells: Mapping[str, str], title: str) -> dt.datetime:
    match = _TIME.fullmatch(cells[title])
    with suppress(ValueError):
        if match is not None:
            day, year, hour, minute = (int(match[place]) for place in (1, 3, 4, 5))
            month = _MONTHS.index(match[2]) + 1
            return dt.datetime(year, month, day, hour, minute)  # noqa: DTZ001 - the zone is the caller's
    raise CellError(title, "is no local date and time like 30 Jun 2025, 19:56")
