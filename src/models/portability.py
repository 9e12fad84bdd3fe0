"""All that is kept of one user as one JSON document (GDPR, Art. 20): which kinds of rows it has, and how it is written.

What is in it comes from the tables that `KINDS` names; `LEFT_OUT` says why the others that hold a `user_id` are not.
A test holds both to the database's catalogue of tables.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model

from models.advice import AcceptedAdvice
from models.check_ins import CheckInDocument
from models.exports import TABLES, Kind
from models.form_analyses import FormAnalysisDocument
from models.goals import GoalDocument
from models.imports import ImportDocument
from models.load import Band, Measure
from models.memberships import AccessDocument, MembershipDocument
from models.own_exercises import AliasDocument, OwnExerciseDocument
from models.phases import PhaseDocument
from models.trainings import ChangeDocument, TrainingDocument
from models.workouts import WorkoutDocument

FORM = 1  # counts changes of the document's form that a reader would have to know of


class PortableOwnExercise(OwnExerciseDocument):
    """A user's own exercise, deleted ones included."""

    deleted_at: dt.datetime | None = None


class PortableAlias(AliasDocument):
    """What a name in the user's trainings means, and since when."""

    created_at: dt.datetime


class PortablePhase(PhaseDocument):
    """A phase, deleted ones included, which tell what they had laid."""

    deleted_at: dt.datetime | None = None


class PortableGoal(GoalDocument):
    """A goal, deleted ones included."""

    deleted_at: dt.datetime | None = None


class PortableCheckIn(CheckInDocument):
    """A check-in, deleted ones included."""

    deleted_at: dt.datetime | None = None


class PortableMembership(MembershipDocument):
    """A group whose coaches the user admits, or has admitted."""

    revoked_at: dt.datetime | None = None


class PortableEvent(ChangeDocument):
    """One row of the log: a change that the user, a coach of theirs or the service made, as it was published."""

    aggregate_type: str
    """What was changed: `training`, `workout`, `phase`, `goal`, `check_in`, `advice`, `form_analysis`, `exercise` (own
    exercises and names), `insight` …"""
    aggregate_id: UUID


class LoadBand(BaseModel):
    """The band of the user's load as it was judged last."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    day: dt.date
    """The athlete's local day."""
    band: Band | None = None
    measure: Measure | None = None
    """By what it was judged."""


@dataclass(frozen=True, slots=True)
class Portable:
    """One array of the document: the model of its items, the tables that these come from, and what they are."""

    model: type[BaseModel]
    tables: tuple[str, ...]
    about: str


_TYPES: Mapping[Kind, Any] = {
    Kind.CODE: str,
    Kind.TEXT: str,
    Kind.JSON: list[Any],
    Kind.DAY: dt.date,
    Kind.MOMENT: dt.datetime,
    Kind.WHOLE: int,
    Kind.EXACT: float,
    Kind.REAL: float,
}


def _row_of(table: str, name: str) -> type[BaseModel]:
    """A row of a derived table, as analysts' exports write it as NDJSON; what is unknown is absent."""
    fields: dict[str, Any] = {column: (_TYPES[kind] | None, None) for column, kind in TABLES[table].columns.items()}
    return create_model(name, __doc__=f"A row of the user's in `{table}`, with its columns.", **fields)


KINDS: Mapping[str, Portable] = {
    "trainings": Portable(
        TrainingDocument,
        ("trainings", "training_exercises", "training_sets"),
        "Planned, begun and completed ones, by date; deleted ones too, as they were, with `deleted_at`.",
    ),
    "workouts": Portable(WorkoutDocument, ("workouts", "workout_exercises"), "Deleted ones too, without exercises."),
    "phases": Portable(PortablePhase, ("phases", "phase_trainings"), "By their creation; deleted ones too."),
    "goals": Portable(PortableGoal, ("goals",), "By their creation; deleted ones too."),
    "check_ins": Portable(PortableCheckIn, ("check_ins",), "By their days; deleted ones too."),
    "advice": Portable(AcceptedAdvice, ("advice",), "What was accepted of it; taken back or not."),
    "form_analyses": Portable(FormAnalysisDocument, ("form_analyses",), "What other services found in videos of sets."),
    "own_exercises": Portable(PortableOwnExercise, ("own_exercises",), "Deleted ones too."),
    "exercise_aliases": Portable(PortableAlias, ("exercise_aliases",), "What names mean now."),
    "memberships": Portable(PortableMembership, ("memberships",), "Ended ones too."),
    "accesses": Portable(AccessDocument, ("access_log",), "What coaches looked at and planned, oldest first."),
    "imports": Portable(ImportDocument, ("imports",), "What became of files that were imported; not the files."),
    "load_bands": Portable(LoadBand, ("load_bands",), "One at most."),
    "session_volume": Portable(
        _row_of("session_volume", "SessionVolumeRow"),
        ("analytics.folded_trainings",),
        "Derived figures of completed trainings.",
    ),
    "exercise_volume": Portable(
        _row_of("exercise_volume", "ExerciseVolumeRow"),
        ("analytics.exercise_volume",),
        "Derived figures of the exercises of these.",
    ),
    "daily_volume": Portable(
        _row_of("daily_volume", "DailyVolumeRow"),
        ("analytics.daily_volume",),
        "Their sums by day.",
    ),
    "daily_load": Portable(
        _row_of("daily_load", "DailyLoadRow"),
        ("analytics.daily_load",),
        "Load by day and measure.",
    ),
    "personal_records": Portable(
        _row_of("personal_records", "PersonalRecordRow"),
        ("analytics.personal_records",),
        "Records, beaten ones too.",
    ),
    "events": Portable(
        PortableEvent,
        ("outbox",),
        "The whole history, archived years included: every change of everything, in the order of its versions but that "
        "archived ones come last.",
    ),
}
"""The arrays of the document, in their order."""

LEFT_OUT: Mapping[str, str] = {
    "idempotency_keys": "which request made which event or import, for a day or so; see `events` and `imports`",
    "archived_trainings": "in which file archived rows of the log are; they are in `events`",
    "coached": "by which name a coach planned whose accesses are purged, for the coach's erasure; it is in `events`",
    "erasures": "how far the user's erasure is, which has an address of its own",
    "request_log": "for looking into misuse: workers may not read it; operators do by `training requests --user`",
    "exercise_namings": "counts the changes of names, each of which is in `events`",
    "outbox_quarantine": "which events the broker refused; they are in `events`",
    "analytics.users": "how far the fold is; tells nothing of the user",
    "analytics.exercise_names": "`exercise_aliases` and `own_exercises` once more, for the fold",
    "analytics.stale_users": "that figures are to be computed anew",
}
"""The other tables with a `user_id`, and why nothing of them is in the document."""

_FIELDS: dict[str, Any] = {
    "form": (Literal[1], Field(description="Grows when the document's form changes so that readers must know.")),
    "user_id": (UUID, Field(description="The user.")),
    "as_of": (dt.datetime, Field(description="Every change accepted before is in it; derived figures may be behind.")),
    **{name: (list[kind.model], Field(description=kind.about)) for name, kind in KINDS.items()},  # type: ignore[name-defined]
}
UserExport: type[BaseModel] = create_model("UserExport", __doc__="All that is kept of one user.", **_FIELDS)
"""The document."""


class DocumentWriter:
    """Writes a `UserExport` while it is read: `add` what comes, then `end`.

    `add` takes the moment that all is of, and pairs of a kind and an item as JSON text, kinds in the order of `KINDS`;
    it raises ValueError where they are in another: the document would have an array twice. Arrays of which nothing
    comes are there, and empty.
    """

    def __init__(self, user_id: UUID) -> None:
        self._user_id = user_id
        self._to_come = list(KINDS)[::-1]
        self._kind: str | None = None
        self._lead = ""

    def add(self, as_of: str, items: Iterable[tuple[str, str]]) -> bytes:
        """These items, with what stands between and before them."""
        parts = []
        if self._kind is None:
            parts.append(f'{{"form":{FORM},"user_id":"{self._user_id}","as_of":"{as_of}"')
            parts.append(self._next())
        for kind, item in items:
            while kind != self._kind:
                parts.append(self._next(kind))
            parts += self._lead, item
            self._lead = ","
        return "".join(parts).encode()

    def end(self) -> bytes:
        """What is left."""
        rest = [self._next() for _ in self._to_come[:]]
        return "".join((*rest, "]}")).encode()

    def _next(self, wanted: str | None = None) -> str:
        """The end of this array and the beginning of the next one."""
        if wanted is not None and wanted not in self._to_come:
            raise ValueError(f"{wanted} comes after {self._kind}")
        end = "" if self._kind is None else "]"
        self._kind, self._lead = self._to_come.pop(), ""
        return f'{end},"{self._kind}":['
