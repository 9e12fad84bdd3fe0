"""A log exported from the Strong app, read as trainings.

Strong publishes no specification; what is known comes from real files. One row is one set, and three dialects are
about: divided by commas, without units; divided by semicolons, with `Weight Unit`, `Distance Unit` and
`Workout Duration`; divided by semicolons, with the units in the column titles (`Weight (kg)`, `Distance (meters)`,
`Duration (sec)`).
"""

import datetime as dt
import re
from collections.abc import Mapping

from models.foreign_logs import ForeignLog
from models.log_reader import CellError, LogReader, Row, quoted
from models.sets import SetBody, SetType, Unit

_MAX_DURATION = 40  # characters: the pattern takes the square of their number
_DURATION = re.compile(r"(?=\d)(?:(\d+)h)?\s*(?:(\d+)m(?:in)?)?\s*(?:(\d+)s)?")
_TYPES = {"w": SetType.WARMUP, "d": SetType.DROP, "f": SetType.FAILURE}


def read_strong(data: bytes, *, unit: Unit, timezone: str) -> ForeignLog:
    """Read an export of Strong's in any of its dialects; see `LogReader` for what is common to all apps.

    A session is what has the same `Date` and `Workout Name`; consecutive rows of one `Exercise Name` are an exercise
    of it, and their order is the sets' order. `Date` is the athlete's local time. Rows whose `Set Order` is
    `Rest Timer` give the set before them its `rest_seconds`, rows of `Note` the exercise its notes; W, D and F are
    warm-up, drop set and failure.
    """
    return StrongReader(data, unit, timezone).read()


def read_duration(text: str) -> int:
    """Seconds of `2h 18m`, `56m`, `264h 1m`, `45s`, or of a bare number of seconds. Raises ValueError."""
    match = _DURATION.fullmatch(f"{text}s" if text.isdecimal() else text) if len(text) <= _MAX_DURATION else None
    if match is None:
        raise ValueError("is no duration like 1h 30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


class StrongReader(LogReader):
    """Reads an export of Strong's."""

    app = "Strong"
    needed = ("date", "workout name", "exercise name", "set order", "weight", "reps")
    titles = {  # noqa: RUF012 - the base class says that it is the class's
        "date": "date",
        "title": "workout name",
        "source_id": "workout name",
        "duration_seconds": "duration",
        "session_notes": "workout notes",
        "name": "exercise name",
        "sets": "set order",
        "exercises": "exercise name",
        "weight": "weight",
        "reps": "reps",
        "rpe": "rpe",
        "distance_m": "distance",
        "rest_seconds": "seconds",
        "notes": "notes",
    }

    def title(self, cell: str) -> tuple[str, str]:
        name, unit = super().title(cell)
        return "duration" if name == "workout duration" else name, unit

    def key(self, cells: Mapping[str, str]) -> tuple[dt.datetime, str]:
        try:
            return _local_time(cells["date"]), cells["workout name"]
        except ValueError:
            raise CellError("date", "is no local date and time like 2021-02-10 16:46:13") from None

    def duration(self, rows: list[Row]) -> int | None:
        durations = []
        for text, row in {row["duration"]: row for row in reversed(rows) if row["duration"]}.items():
            try:
                durations.append(read_duration(text))
            except ValueError as error:
                self.fail(row.line, "duration", f"{quoted(text)} {error}")
        return durations[-1] if durations else None

    def add(self, sets: list[SetBody], row: Row) -> None:
        order = row["set order"].lower()
        if order == "note":
            return
        if order == "rest timer":
            if sets:
                rest = round(self.number(row, "seconds"))
                sets[-1] = SetBody.model_validate({**sets[-1].model_dump(), "rest_seconds": rest or None})
            return
        if order not in _TYPES and not order.isdecimal():
            raise CellError("set order", "is none of 1, 2, 3 …, W, D, F, Rest Timer, Note")
        weight, unit = self.weight(row)
        sets.append(
            SetBody(
                weight=weight,
                unit=unit,
                reps=self.whole(row, "reps"),
                duration_seconds=self.number(row, "seconds") or None,
                distance_m=self.metres(row),
                rpe=self.number(row, "rpe") or None,  # Strong's scale begins at 6
                type=_TYPES.get(order, SetType.WORKING),
            )
        )


def _local_time(text: str) -> dt.datetime:
    text = text.replace("\u202f", " ")  # before AM and PM, on Apple's systems
    if text[-2:].upper() in {"AM", "PM"}:
        return dt.datetime.strptime(text, "%Y-%m-%d %I:%M:%S %p")  # noqa: DTZ007 - the zone is the caller's
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("has a zone")
    return moment
