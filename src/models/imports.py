"""An import: a log of another app that goes in as a job, and what became of it."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID, uuid5

import orjson
from pydantic import BaseModel, ConfigDict, Field

from models.exercises import folded
from models.fields import TimeZone
from models.fitnotes import FitNotesReader
from models.foreign_logs import ForeignFileError, ForeignLog, LineError, Session
from models.hevy import HevyReader
from models.log_reader import LogReader
from models.sets import Unit
from models.strong import StrongReader
from models.trainings import TrainingCreate

MOST_ERRORS = 100  # that a job tells of, and trainings that an undo tells to have kept


class LogFormat(StrEnum):
    """Which app's export a file is."""

    STRONG = "strong"
    HEVY = "hevy"
    FITNOTES = "fitnotes"


_READERS: Mapping[LogFormat, type[LogReader]] = {
    LogFormat.STRONG: StrongReader,
    LogFormat.HEVY: HevyReader,
    LogFormat.FITNOTES: FitNotesReader,
}


class ImportStatus(StrEnum):
    """Where an import stands. Of one user one at most is queued, running or undoing."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class ImportForm(BaseModel):
    """The parts of a `multipart/form-data` body that asks for an import."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    file: bytes
    """The export: CSV in UTF-8, at most 5 MB and 50,000 rows."""
    format: LogFormat | None = None
    """Which app's it is; found by the header where it is not given."""
    timezone: TimeZone = "UTC"
    """IANA zone in which the log was kept."""
    unit: Unit = Unit.KG
    """Of weights where the file names none; distances without a unit are then in kilometres or miles."""
    dry_run: bool = False
    """Read and check the file, and say what would happen; store nothing."""

    def digest(self) -> bytes:
        """SHA-256 of what the client said, as `Document.digest`."""
        said = self.model_dump(mode="json", exclude_defaults=True, exclude={"file"})
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS) + self.file).digest()


class LineProblem(BaseModel):
    """What is wrong with one line of the file, or with the session that begins there."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    line: int
    """Counts from 1, the header."""
    column: str | None = None
    """Absent where it is the whole line, or session."""
    message: str


class ImportPlan(BaseModel):
    """What an import of the file would do: the answer of a dry run."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    format: LogFormat
    timezone: str
    unit: Unit
    sessions: int
    """Sessions of the file that can be read."""
    exercises: int
    """Exercises of different name in them."""
    sets: int
    reps: int
    held_back: int
    """Sessions that are left out whole, since lines of theirs are wrong, or one beside them is of no session."""
    error_lines: int
    """Wrong lines of the file."""
    created: int
    """Trainings that would be created."""
    unchanged: int
    """Sessions that are there already."""
    conflicting: int
    """Sessions that are there with another content, which stays."""
    refused: int
    """Sessions that the service does not take: done in the future, or with an event that would be too large."""
    overlapping: int
    """Of `created`, those that begin in the minute of another training of the user's: perhaps the same, logged here."""
    errors: list[LineProblem]
    """At most 100: of lines first, then of sessions that are refused."""


class ImportDocument(BaseModel):
    """An import as its user reads it. The file itself is kept until the import is done, and never told."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: UUID
    status: ImportStatus
    format: LogFormat
    timezone: str
    unit: Unit
    sessions: int
    """Sessions of the file that can be read."""
    held_back: int
    """Sessions that are left out whole, since lines of theirs are wrong, or one beside them is of no session."""
    error_lines: int
    """Wrong lines of the file."""
    worked_off: int
    """Sessions so far, of `sessions`: each is created, unchanged, conflicting or refused."""
    created: int
    """Trainings that it created."""
    unchanged: int
    """Sessions that were there already."""
    conflicting: int
    """Sessions that are there with another content, which stays."""
    refused: int
    """Sessions that the service does not take: done in the future, or with an event that would be too large."""
    overlapping: int
    """Of `created`, those that begin in the minute of a training that was there before the import."""
    undone: int
    """Trainings of it that the undo has deleted."""
    kept: int
    """Trainings of it that the undo left, because they were changed since."""
    kept_trainings: list[UUID] | None = None
    """Their ids, at most 100; absent in lists."""
    errors: list[LineProblem] | None = None
    """At most 100; absent in lists."""
    failure: str | None = None
    """Why the whole of it failed."""
    created_at: dt.datetime
    finished_at: dt.datetime | None = None
    """When it was done, failed or undone."""


class ImportPage(BaseModel):
    """One page of a user's imports, newest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[ImportDocument]
    next_cursor: str | None = Field(default=None)
    """Where the next page begins; absent on the last one. The header Link holds its address."""


def detect(data: bytes) -> LogFormat:
    """Which app's export it is, by its header. Raises `ForeignFileError` where it is none's."""
    for format_, reader in _READERS.items():
        if not reader(data, Unit.KG, "UTC").missing:
            return format_
    raise ForeignFileError("The file is no export of Strong, Hevy or FitNotes: its header is none of theirs.")


def read_log(data: bytes, *, format: LogFormat, unit: Unit, timezone: str) -> ForeignLog:  # noqa: A002 - the field's name
    """The sessions of an export; see `LogReader`. Raises `ForeignFileError`."""
    return _READERS[format](data, unit, timezone).read()


def training_id(import_id: UUID, source_id: str) -> UUID:
    """The id of the training that an import makes of a session: who has both knows that the import created it."""
    return uuid5(import_id, source_id)


def with_slugs(body: TrainingCreate, slugs: Mapping[str, str]) -> TrainingCreate:
    """The training, each of whose exercises names the movement that its name stands for."""
    exercises = [
        exercise.model_copy(update={"exercise": slugs.get(folded(exercise.name))}) for exercise in body.exercises
    ]
    return body.model_copy(update={"exercises": exercises})


def session_problem(session: Session, reason: object) -> LineProblem:
    """What is wrong with a session that can be read, at its first line."""
    story = f"{session.body.local_day()} {session.body.title or ''}".rstrip()
    return LineProblem(line=session.first_line, message=f"{story}: {reason}")


def line_problem(error: LineError) -> LineProblem:
    """What is wrong with a line, as it is told."""
    return LineProblem(line=error.line, column=error.column or None, message=error.message)
