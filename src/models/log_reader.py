"""What the readers of other apps' logs share: files of comma-separated values, a row a set, read as trainings.

Columns are found by title, so their order does not matter and others are passed over.
"""

import csv
import datetime as dt
import hashlib
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from models.foreign_logs import MAX_BYTES, MAX_ROWS, ForeignFileError, ForeignLog, LineError, Session
from models.sets import SetBody, Unit
from models.trainings import ExerciseBody, Status, TrainingCreate
from models.wording import messages

_NUMBER = re.compile(r"[+-]?\d{1,12}(?:\.\d*)?")
UNITS = {"kg": Unit.KG, "kgs": Unit.KG, "lb": Unit.LB, "lbs": Unit.LB}
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
_MAX_SOURCE_ID = 200
_MAX_QUOTED = 60  # characters of a cell in an error


def quoted(text: str) -> str:
    """A cell as an error says it: its beginning, where it is long."""
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file: its cells by title, and the session that it belongs to, which start and name tell."""

    line: int
    cells: dict[str, str]
    started: dt.datetime
    name: str

    def __getitem__(self, title: str) -> str:
        return self.cells.get(title, "")

    @property
    def key(self) -> tuple[dt.datetime, str]:
        """What the rows of one session have in common."""
        return self.started, self.name


class CellError(Exception):
    """What is wrong with one cell of the column `title`."""

    def __init__(self, title: str, message: str) -> None:
        super().__init__(message)
        self.title = title


class LogReader:
    """Reads one file. Each app's reader says what its columns are called, and what a row means.

    `unit` is that of weights where the file names none; a distance without a unit is then in kilometres (kg) or miles
    (lb). Local times are in `timezone` (IANA). Every session is COMPLETED, and its `source_id` follows from its start
    and its name alone. Weights stay as they are written, to 4 digits after the point.

    Raises `ForeignFileError` for what has no such header, and for more than 5 MB or 50,000 rows; everything that is
    wrong with single lines stands in the log's `errors`.
    """

    app: ClassVar[str]
    needed: ClassVar[tuple[str, ...]]
    """The titles without which it is no file of this app."""
    titles: ClassVar[Mapping[str, str]]
    """Which title a field of ours comes from."""

    def __init__(self, data: bytes, unit: Unit, timezone: str) -> None:
        if len(data) > MAX_BYTES:
            raise ForeignFileError(f"The file has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ForeignFileError(f"The file is not UTF-8 (byte {error.start + 1}).") from None
        if "\0" in text:
            raise ForeignFileError("The file is no text in UTF-8: it holds NUL.")
        header = text.partition("\n")[0]
        self._delimiter = ";" if header.count(";") > header.count(",") else ","
        self._records = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter, strict=True)
        self._unit = unit
        self._zone = ZoneInfo(timezone)
        self._title_units: dict[str, str] = {}
        self._columns: dict[str, str] = {}
        self._errors: list[LineError] = []
        try:
            cells = next(self._records, [])
        except csv.Error as error:
            raise ForeignFileError(f"The header cannot be read: {error}.") from None
        self._header = [self._titled(cell.strip()) for cell in cells]
        self.missing = [title for title in self.needed if title not in self._header]

    def read(self) -> ForeignLog:
        """What the file holds."""
        if self.missing:
            missing = ", ".join(self.missing)
            raise ForeignFileError(f"The file is no export of {self.app}'s: it has no column {missing}.")
        groups: dict[tuple[dt.datetime, str], list[Row]] = {}
        # A row that can be given to no session is missing in the one before it, or in the one after it.
        torn: dict[tuple[dt.datetime, str], int] = {}  # and that row's line
        before: Row | None = None
        lost: int | None = None
        for row in self._rows():
            if row is None:
                lost = self._errors[-1].line
            if lost is not None:
                for beside in (before, row):
                    if beside is not None:
                        torn.setdefault(beside.key, lost)
            if row is not None:
                groups.setdefault(row.key, []).append(row)
                before, lost = row, None
        read = [(key, session) for key, rows in groups.items() if (session := self._session(rows)) is not None]
        error_lines = len({error.line for error in self._errors})
        for key, session in read:
            if key in torn:
                self.fail(session.first_line, "", f"its session is left out: line {torn[key]} beside it is of none")
        sessions = [session for key, session in read if key not in torn]
        sessions.sort(key=lambda session: (session.body.date, session.first_line))
        self._errors.sort(key=lambda error: error.line)
        return ForeignLog(tuple(sessions), tuple(self._errors), error_lines, len(groups) - len(sessions))

    # What an app's reader says.

    def title(self, cell: str) -> tuple[str, str]:
        """What a cell of the header, in lower case, is called here, and the unit that it names, or ""."""
        name, unit, rest = cell.partition("(")
        if unit and not rest.endswith(")"):
            return cell, ""
        return name.rstrip(), rest[:-1]

    def aligned(self, cells: list[str]) -> list[str]:
        """The cells of a row, one for each title."""
        if len(cells) != len(self._header):
            raise CellError("", f"has {len(cells)} cells, the header has {len(self._header)}")
        return cells

    def key(self, cells: Mapping[str, str]) -> tuple[dt.datetime, str]:
        """When the session of a row began, local time, and its name."""
        raise NotImplementedError

    def source_id(self, first: Row) -> str:
        """The id of the session that begins with this row."""
        start = f"{self.app.lower()}:{first.started.isoformat()}"
        source_id = f"{start}:{first.name}"
        if len(source_id) <= _MAX_SOURCE_ID:
            return source_id
        return f"{start}:sha256:{hashlib.sha256(first.name.encode()).hexdigest()}"

    def duration(self, rows: list[Row]) -> int | None:  # noqa: ARG002
        """Seconds that a session took, where the file tells."""
        return None

    def exercises(self, rows: list[Row]) -> Iterable[list[Row]]:
        """The rows of each exercise of a session."""
        return (list(group) for _, group in itertools.groupby(rows, key=lambda row: row[self.titles["name"]]))

    def superset(self, first: Row) -> int | None:  # noqa: ARG002
        """The superset of the exercise that begins with this row."""
        return None

    def add(self, sets: list[SetBody], row: Row) -> None:
        """Add what a row says to its exercise's sets."""
        raise NotImplementedError

    # What they say it with.

    def number(self, row: Row, title: str) -> float:
        """The number in a cell; an empty one is 0."""
        text = row[title]
        if self._delimiter == ";":
            text = text.replace(",", ".")  # decimal comma
        if not text:
            return 0.0
        if not is_number(text):
            raise CellError(title, f"{quoted(row[title])} is no number")
        return float(text)

    def whole(self, row: Row, title: str) -> int:
        """The whole number in a cell; an empty one is 0."""
        number = self.number(row, title)
        if not number.is_integer():
            raise CellError(title, "must be a whole number")
        return int(number)

    def weight(self, row: Row) -> tuple[float, Unit]:
        """The external weight as it was entered, and its unit; none is 0."""
        name = (row["weight unit"] or self._title_units["weight"]).lower()
        if name and name not in UNITS:
            raise CellError("weight unit", f"{quoted(name)} is neither kg nor lb")
        return round(self.number(row, "weight"), 4), UNITS.get(name, self._unit)

    def metres(self, row: Row) -> float | None:
        """The distance, where there is one."""
        name = (row["distance unit"] or self._title_units.get("distance", "")).lower().rstrip(".")
        if name and name not in _METRES:
            raise CellError("distance unit", f"{quoted(name)} is none of {', '.join(_METRES)}")
        return round(self.number(row, "distance") * _METRES[name or _LONG_UNIT[self._unit]], 4) or None

    def local(self, moment: dt.datetime) -> dt.datetime:
        """A local time of the file as a moment."""
        return moment.replace(tzinfo=self._zone)

    def fail(self, line: int, title: str, message: str) -> None:
        """Note what is wrong with a line."""
        self._errors.append(LineError(line, self._columns.get(title, title), message))

    def _titled(self, cell: str) -> str:
        title, unit = self.title(cell.lower())
        self._title_units[title] = unit
        self._columns[title] = cell
        return title

    def _rows(self) -> Iterator[Row | None]:
        """The rows; None in place of one that cannot be given to a session."""
        for count in itertools.count(1):
            line = self._records.line_num + 1  # a quoted cell may hold line breaks
            try:
                cells = next(self._records, None)
                if cells is None:
                    return
                if cells:
                    named = dict(zip(self._header, map(str.strip, self.aligned(cells)), strict=True))
                    yield Row(line, named, *self.key(named))
            except csv.Error as error:
                self.fail(line, "", str(error))
                yield None
            except CellError as error:
                self.fail(line, error.title, str(error))
                yield None
            if count > MAX_ROWS:
                raise ForeignFileError(f"The file has more than {MAX_ROWS:,} rows.")

    def _session(self, rows: list[Row]) -> Session | None:
        errors = len(self._errors)
        exercises = [exercise for group in self.exercises(rows) if (exercise := self._exercise(group)) is not None]
        first = rows[0]
        try:
            body = TrainingCreate(
                source_id=self.source_id(first),
                status=Status.COMPLETED,
                date=self.local(first.started),
                timezone=self._zone.key,
                title=first.name or None,
                duration_seconds=self.duration(rows),
                notes=self._notes(rows, "session_notes"),
                exercises=exercises,
            )
        except (CellError, ValidationError) as error:
            self._explain(first.line, error)
        return Session(first.line, body) if len(self._errors) == errors else None

    def _exercise(self, rows: list[Row]) -> ExerciseBody | None:
        sets: list[SetBody] = []
        for row in rows:
            try:
                self.add(sets, row)
            except (CellError, ValidationError) as error:
                self._explain(row.line, error)
        notes = self._notes(rows, "notes")
        if not sets and notes is None:
            return None  # rest timers, or nothing but wrong lines
        first = rows[0]
        try:
            return ExerciseBody(name=first[self.titles["name"]], superset=self.superset(first), notes=notes, sets=sets)
        except (CellError, ValidationError) as error:
            self._explain(first.line, error)
            return None

    def _notes(self, rows: list[Row], field: str) -> str | None:
        """What stands in the field's column, each text once."""
        title = self.titles.get(field, "")
        return "\n".join(dict.fromkeys(row[title] for row in rows if row[title])) or None

    def _explain(self, line: int, error: CellError | ValidationError) -> None:
        if isinstance(error, CellError):
            self.fail(line, error.title, str(error))
            return
        for place, message in messages(error):
            self.fail(line, self.titles.get(str(place[0]) if place else "", ""), message)


def is_number(text: str) -> bool:
    """Whether it is a decimal number as files have them."""
    return _NUMBER.fullmatch(text) is not None
