"""A log exported from the FitNotes app, read as trainings.

FitNotes publishes no specification; what is known comes from real files. One row is one set. A row names its day and no
time, so that a day is one training. Cells are not quoted, even where they hold commas.
"""

import datetime as dt
import re
from collections.abc import Mapping

from models.foreign_logs import ForeignLog
from models.log_reader import UNITS, CellError, LogReader, Row, is_number, quoted
from models.sets import SetBody, Unit

_TIME = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d)", re.ASCII)
_NOON = dt.time(12)
_MOST_COMMAS = 50  # in the name and the comment of one row: each is a way to read it


def read_fitnotes(data: bytes, *, unit: Unit, timezone: str) -> ForeignLog:
    """Read an export of FitNotes'; see `LogReader` for what is common to all apps.

    A session is a day; it is dated at noon, local time, since only its day is known: so it stays on that day when it
    is looked at from zones beside. Consecutive rows of one `Exercise` are an exercise of it, and `Comment`s its notes.
    A row with more cells than titles has commas in the exercise's name, or else in the comment: the cells between are
    found by what they hold. `Time` (h:mm:ss) is the length of a hold.
    """
    return FitNotesReader(data, unit, timezone).read()


class FitNotesReader(LogReader):
    """Reads an export of FitNotes'."""

    app = "FitNotes"
    needed = ("date", "exercise", "category", "weight", "reps")
    titles = {  # noqa: RUF012 - the base class says that it is the class's
        "date": "date",
        "source_id": "date",
        "name": "exercise",
        "sets": "reps",
        "exercises": "exercise",
        "weight": "weight",
        "reps": "reps",
        "duration_seconds": "time",
        "distance_m": "distance",
        "notes": "comment",
    }

    def aligned(self, cells: list[str]) -> list[str]:
        surplus = len(cells) - len(self._header)
        if not 0 < surplus <= _MOST_COMMAS or self._header[:2] != ["date", "exercise"]:
            return super().aligned(cells)
        least = 0 if self._header[-1] == "comment" else surplus
        ways = (self._joined(cells, surplus, of_name) for of_name in range(surplus, least - 1, -1))
        return next(filter(self._fits, ways), self._joined(cells, surplus, surplus))

    def key(self, cells: Mapping[str, str]) -> tuple[dt.datetime, str]:
        try:
            return dt.datetime.combine(dt.date.fromisoformat(cells["date"]), _NOON), ""
        except ValueError:
            raise CellError("date", "is no date like 2021-02-10") from None

    def source_id(self, first: Row) -> str:
        return f"fitnotes:{first.started.date()}"

    def add(self, sets: list[SetBody], row: Row) -> None:
        weight, unit = self.weight(row)
        sets.append(
            SetBody(
                weight=weight,
                unit=unit,
                reps=self.whole(row, "reps"),
                duration_seconds=_seconds(row) or None,
                distance_m=self.metres(row),
            )
        )

    def _joined(self, cells: list[str], surplus: int, of_name: int) -> list[str]:
        """The cells with `of_name` commas of the surplus in the name, and the others in the last cell."""
        date, *rest = cells
        name, behind = rest[: of_name + 1], rest[of_name + 1 :]
        last = len(behind) - (surplus - of_name) - 1
        return [date, ",".join(name), *behind[:last], ",".join(behind[last:])]

    def _fits(self, cells: list[str]) -> bool:
        said = {title: cell.strip() for title, cell in zip(self._header, cells, strict=True)}
        return (
            all(not (cell := said.get(title, "")) or is_number(cell) for title in ("weight", "reps", "distance"))
            and said.get("weight unit", "").lower() in {"", *UNITS}
            and (not said.get("time") or _TIME.fullmatch(said["time"]) is not None)
        )


def _seconds(row: Row) -> float:
    if not row["time"]:
        return 0.0
    match = _TIME.fullmatch(row["time"])
    if match is None:
        raise CellError("time", f"{quoted(row['time'])} is no time like 0:01:30")
    hours, minutes, seconds = map(int, match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)
