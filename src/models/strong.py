"""A log exported from the Strong app, read as trainings.

Strong publishes no specification; what is known comes from real files. One row is one set, and three dialects are
about: divided by commas, without units; divided by semicolons, with `Weight Unit`, `Distance Unit` and
`Workout Duration`; divided by semicolons, with the units in the column titles (`Weight (kg)`, `Distance (meters)`,
`Duration (sec)`). Columns are found by title, so their order does not matter and others are passed over.
"""

import csv
import datetime as dt
import hashlib
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from models.sets import SetBody, SetType, Unit
from models.trainings import ExerciseBody, Status, TrainingCreate

MAX_BYTES = 5_000_000
MAX_ROWS = 50_000

_NEEDED = ("date", "workout name", "exercise name", "set order", "weight", "reps")
_ALIASES = {"workout duration": "duration"}
_TITLE = re.compile(r"(?P<name>[^(]*?)\s*(?:\((?P<unit>.*)\))?")
_DURATION = re.compile(r"(?=\d)(?:(\d+)h)?\s*(?:(\d+)m(?:in)?)?\s*(?:(\d+)s)?")
_NUMBER = re.compile(r"[+-]?\d{1,12}(?:\.\d*)?")
_UNITS = {"kg": Unit.KG, "kgs": Unit.KG, "lb": Unit.LB, "lbs": Unit.LB}
_METRES = {
    "m": 1.0,
    "meters": 1.0,
    "km": 1000.0,
    "kilometers": 1000.0,
    "mi": 1609.344,
    "miles": 1609.344,
    "ft": 0.3048,
    "yd": 0.9144,
}
_LONG_UNIT = {Unit.KG: "km", Unit.LB: "mi"}
_TYPES = {"w": SetType.WARMUP, "d": SetType.DROP, "f": SetType.FAILURE}
# Which column a field of ours comes from.
_COLUMNS = {
    "date": "Date",
    "title": "Workout Name",
    "source_id": "Workout Name",
    "duration_seconds": "Duration",
    "name": "Exercise Name",
    "sets": "Set Order",
    "exercises": "Exercise Name",
    "weight": "Weight",
    "reps": "Reps",
    "rpe": "RPE",
    "distance_m": "Distance",
    "rest_seconds": "Seconds",
    "notes": "Notes",
}
_MAX_SOURCE_ID = 200


class StrongFileError(ValueError):
    """The file as a whole is no export of Strong's, or is larger than the caps; the text is fit for people."""


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with one line. `line` counts from 1, the header; `column` is "" where it is the whole line."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}{f', {self.column}' if self.column else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class Session:
    """One workout of the log as the body of POST /trainings, and the lines of the file that it stands on."""

    first_line: int
    last_line: int
    body: TrainingCreate


@dataclass(frozen=True, slots=True)
class StrongLog:
    """What a file holds: whole sessions in order of time, and the lines that cannot be read, in order of lines.

    A session with a wrong line is held back whole: half of it would count for less than was trained, and its
    `source_id` would be taken for ever.
    """

    sessions: tuple[Session, ...]
    errors: tuple[LineError, ...]
    held_back: int
    """Sessions that errors keep out of `sessions`."""

    @property
    def sets(self) -> int:
        """Sets of all sessions."""
        return sum(len(exercise.sets) for exercise in self._exercises())

    @property
    def exercises(self) -> int:
        """Exercises of different name."""
        return len({exercise.name for exercise in self._exercises()})

    @property
    def reps(self) -> int:
        """Repetitions of all sets."""
        return sum(set_.reps for exercise in self._exercises() for set_ in exercise.sets)

    def _exercises(self) -> Iterator[ExerciseBody]:
        return (exercise for session in self.sessions for exercise in session.body.exercises)


def read_strong(data: bytes, *, unit: Unit, timezone: str) -> StrongLog:
    """Read an export of Strong's in any of its dialects.

    A session is what has the same `Date` and `Workout Name`; consecutive rows of one `Exercise Name` are an exercise
    of it, and their order is the sets' order. `Date` is the athlete's local time, in `timezone` (IANA). `unit` is that
    of weights where the file names none; a distance without a unit is then in kilometres (kg) or miles (lb). Weights
    stay as they are written, to 4 digits after the point. Rows whose `Set Order` is `Rest Timer` give the set before
    them its `rest_seconds`, rows of `Note` the exercise its notes; W, D and F are warm-up, drop set and failure.
    Every session is COMPLETED, and its `source_id` follows from date and name alone.

    Raises `StrongFileError` for what is no such file, and for more than 5 MB or 50,000 rows; everything that is wrong
    with single lines stands in `errors`.
    """
    if len(data) > MAX_BYTES:
        raise StrongFileError(f"The file has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StrongFileError(f"The file is not UTF-8 (byte {error.start + 1}).") from None
    return _Reader(text, unit, ZoneInfo(timezone)).read()


def read_duration(text: str) -> int:
    """Seconds of `2h 18m`, `56m`, `264h 1m`, `45s`, or of a bare number of seconds. Raises ValueError."""
    match = _DURATION.fullmatch(f"{text}s" if text.isdecimal() else text)
    if match is None:
        raise ValueError("is no duration like 1h 30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: dict[str, str]
    started: dt.datetime

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def key(self) -> tuple[dt.datetime, str]:
        return self.started, self["workout name"]


class _CellError(Exception):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


class _Reader:
    def __init__(self, text: str, unit: Unit, zone: ZoneInfo) -> None:
        header = text.partition("\n")[0]
        self._delimiter = ";" if header.count(";") > header.count(",") else ","
        self._records = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter, strict=True)
        self._unit = unit
        self._zone = zone
        self._title_units: dict[str, str] = {}
        self._errors: list[LineError] = []

    def read(self) -> StrongLog:
        groups: dict[tuple[dt.datetime, str], list[_Row]] = {}
        # A row that can be given to no session is missing in the one before it, or in the one after it.
        torn: set[tuple[dt.datetime, str]] = set()
        before: _Row | None = None
        lost = False
        for row in self._rows(self._titles()):
            if lost or row is None:
                torn.update(beside.key for beside in (before, row) if beside is not None)
            lost = row is None
            if row is not None:
                groups.setdefault(row.key, []).append(row)
                before = row
        read = [(key, self._session(rows)) for key, rows in groups.items()]
        sessions = [session for key, session in read if session is not None and key not in torn]
        sessions.sort(key=lambda session: (session.body.date, session.first_line))
        self._errors.sort(key=lambda error: error.line)
        return StrongLog(tuple(sessions), tuple(self._errors), len(groups) - len(sessions))

    def _titles(self) -> list[str]:
        try:
            header = next(self._records, [])
        except csv.Error as error:
            raise StrongFileError(f"The header cannot be read: {error}.") from None
        titles = []
        for cell in header:
            match = _TITLE.fullmatch(cell.strip().lower())
            name = match["name"] if match else cell
            title = _ALIASES.get(name, name)
            self._title_units[title] = (match["unit"] if match else None) or ""
            titles.append(title)
        missing = [title for title in _NEEDED if title not in titles]
        if missing:
            raise StrongFileError(f"The file is no export of Strong's: it has no column {', '.join(missing)}.")
        return titles

    def _rows(self, titles: list[str]) -> Iterator[_Row | None]:
        """The rows; None in place of one that cannot be given to a session."""
        for count in itertools.count(1):
            line = self._records.line_num + 1  # a quoted cell may hold line breaks
            try:
                cells = next(self._records, None)
                if cells is None:
                    return
                if cells:
                    yield self._row(line, cells, titles)
            except csv.Error as error:
                self._fail(line, "", str(error))
                yield None
            if count > MAX_ROWS:
                raise StrongFileError(f"The file has more than {MAX_ROWS:,} rows.")

    def _row(self, line: int, cells: list[str], titles: list[str]) -> _Row | None:
        if len(cells) != len(titles):
            self._fail(line, "", f"has {len(cells)} cells, the header has {len(titles)}")
            return None
        named = {title: cell.strip() for title, cell in zip(titles, cells, strict=True)}
        try:
            return _Row(line, named, _local_time(named["date"]))
        except ValueError:
            self._fail(line, "Date", "is no local date and time like 2021-02-10 16:46:13")
            return None

    def _session(self, rows: list[_Row]) -> Session | None:
        errors = len(self._errors)
        exercises = [
            exercise
            for _, group in itertools.groupby(rows, key=lambda row: row["exercise name"])
            if (exercise := self._exercise(list(group))) is not None
        ]
        first, last = rows[0], rows[-1]
        try:
            body = TrainingCreate(
                source_id=_source_id(first.started, first["workout name"]),
                status=Status.COMPLETED,
                date=first.started.replace(tzinfo=self._zone),
                timezone=self._zone.key,
                title=first["workout name"] or None,
                duration_seconds=self._duration(rows),
                notes=_notes(rows, "workout notes"),
                exercises=exercises,
            )
        except ValidationError as error:
            self._explain(first.line, error)
        return Session(first.line, last.line, body) if len(self._errors) == errors else None

    def _duration(self, rows: list[_Row]) -> int | None:
        durations = []
        for text, row in {row["duration"]: row for row in reversed(rows) if row["duration"]}.items():
            try:
                durations.append(read_duration(text))
            except ValueError as error:
                self._fail(row.line, "Duration", f"{text!r} {error}")
        return durations[-1] if durations else None

    def _exercise(self, rows: list[_Row]) -> ExerciseBody | None:
        sets: list[SetBody] = []
        for row in rows:
            try:
                self._add(sets, row)
            except (_CellError, ValidationError) as error:
                self._explain(row.line, error)
        notes = _notes(rows, "notes")
        if not sets and notes is None:
            return None  # rest timers, or nothing but wrong lines
        try:
            return ExerciseBody(name=rows[0]["exercise name"], notes=notes, sets=sets)
        except ValidationError as error:
            self._explain(rows[0].line, error)
            return None

    def _add(self, sets: list[SetBody], row: _Row) -> None:
        order = row["set order"].lower()
        if order == "note":
            return
        if order == "rest timer":
            if sets:
                rest = round(self._number(row, "seconds", "Seconds"))
                sets[-1] = SetBody.model_validate({**sets[-1].model_dump(), "rest_seconds": rest or None})
            return
        if order not in _TYPES and not order.isdecimal():
            raise _CellError("Set Order", "is none of 1, 2, 3 …, W, D, F, Rest Timer, Note")
        reps = self._number(row, "reps", "Reps")
        if not reps.is_integer():
            raise _CellError("Reps", "must be a whole number")
        sets.append(
            SetBody(
                weight=round(self._number(row, "weight", "Weight"), 4),
                unit=self._weight_unit(row),
                reps=int(reps),
                duration_seconds=self._number(row, "seconds", "Seconds") or None,
                distance_m=round(self._number(row, "distance", "Distance") * self._metres(row), 4) or None,
                rpe=self._number(row, "rpe", "RPE") or None,  # Strong's scale begins at 6
                type=_TYPES.get(order, SetType.WORKING),
            )
        )

    def _number(self, row: _Row, cell: str, column: str) -> float:
        text = row[cell]
        if self._delimiter == ";":
            text = text.replace(",", ".")  # decimal comma
        if not text:
            return 0.0
        if not _NUMBER.fullmatch(text):
            raise _CellError(column, f"{row[cell]!r} is no number")
        return float(text)

    def _weight_unit(self, row: _Row) -> Unit:
        name = (row["weight unit"] or self._title_units["weight"]).lower()
        if name and name not in _UNITS:
            raise _CellError("Weight Unit", f"{name!r} is neither kg nor lb")
        return _UNITS.get(name, self._unit)

    def _metres(self, row: _Row) -> float:
        name = (row["distance unit"] or self._title_units.get("distance", "")).lower().rstrip(".")
        if name and name not in _METRES:
            raise _CellError("Distance Unit", f"{name!r} is none of {', '.join(_METRES)}")
        return _METRES[name or _LONG_UNIT[self._unit]]

    def _explain(self, line: int, error: _CellError | ValidationError) -> None:
        if isinstance(error, _CellError):
            self._fail(line, error.column, str(error))
            return
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            field = str(detail["loc"][0]) if detail["loc"] else ""
            self._fail(line, _COLUMNS.get(field, ""), detail["msg"].removeprefix("Value error, "))

    def _fail(self, line: int, column: str, message: str) -> None:
        self._errors.append(LineError(line, column, message))


def _local_time(text: str) -> dt.datetime:
    text = text.replace("\u202f", " ")  # before AM and PM, on Apple's systems
    if text[-2:].upper() in {"AM", "PM"}:
        return dt.datetime.strptime(text, "%Y-%m-%d %I:%M:%S %p")  # noqa: DTZ007 - the zone is the caller's
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("has a zone")
    return moment


def _source_id(started: dt.datetime, name: str) -> str:
    source_id = f"strong:{started.isoformat()}:{name}"
    if len(source_id) <= _MAX_SOURCE_ID:
        return source_id
    return f"strong:{started.isoformat()}:sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def _notes(rows: list[_Row], column: str) -> str | None:
    """What stands in a column, each text once."""
    return "\n".join(dict.fromkeys(row[column] for row in rows if row[column])) or None
