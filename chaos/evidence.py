"""What the judge looks at, read at rest: the whole log and topic, the derived tables and the tables of record."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import psycopg2
from psycopg2.extras import RealDictCursor
from pydantic import TypeAdapter, ValidationError

from agents.volume_audit import Verification, verify
from analytics.volume import Movements
from chaos.by_record import BY_RECORD
from chaos.history import (
    SAID,
    Aggregate,
    Type,
    content_digest,
    naming_digest,
    own_digest,
    said_digest,
    set_digest,
    workout_digest,
)
from models.archives import ArchivedRow
from models.events import (
    AdviceEvent,
    CheckInEvent,
    ExerciseEvent,
    FormAnalysisEvent,
    GoalEvent,
    LoadBandEvent,
    PersonalRecordEvent,
    PhaseEvent,
    TrainingEvent,
    WorkoutEvent,
)
from models.exercises import Facts, is_of_implement
from storage.archives import list_archives, read_rows
from storage.database import Database
from storage.documents import KINDS, Kind
from storage.volume_statements import COLUMNS, KEYS, READ
from tests.support.erasures import found
from tests.support.topic import Record, read_topic

Row = Mapping[str, Any]
Rows = Mapping[tuple[Any, ...], Row]  # by the columns of the table's key

_LOG = """
SELECT event_id::text, user_id::text, aggregate_type, aggregate_id::text, version, request_id, payload, seq FROM outbox
"""
_SKIPPED = "SELECT o.event_id::text FROM outbox_quarantine q JOIN outbox o USING (seq) WHERE q.state = 'skipped'"
_ACCESSES = "SELECT user_id::text, coach_id::text, group_external_id, request_id, scope FROM access_log"
_PLANNED = "SELECT user_id::text, phase_id::text, training_id::text FROM phase_trainings"
_MEMBERSHIPS = "SELECT user_id::text, group_external_id, scopes FROM memberships WHERE revoked_at IS NULL"
_ERASED = "SELECT unnest(erased(%s::uuid[]))::text"
_FACTS = "SELECT slug, revision, bw_fraction, category, family, difficulty, equipment FROM exercises"


def _columns(kind: Kind) -> str:
    return ", ".join(f"'{name}', {name}" for name in kind.columns)


# The documents of the tables of record, as far as `content_digest` and `workout_digest` look at them.
_RECORDS: Mapping[str, str] = {
    "training": """
SELECT t.user_id::text, t.id::text, t.version, t.deleted_at IS NOT NULL, row_to_json(d)
FROM trainings t, LATERAL (
    SELECT t.status, t.date, t.duration_seconds, t.session_rpe, t.bodyweight_kg, t.title, t.notes, t.group_external_id,
           t.hidden, coalesce((
        SELECT json_agg(row_to_json(e) ORDER BY e.position) FROM (
            SELECT x.name, x.position, coalesce((
                SELECT json_agg(row_to_json(s)) FROM training_sets s
                WHERE s.user_id = t.user_id AND s.training_id = t.id AND s.exercise_id = x.id), '[]') AS sets
            FROM training_exercises x WHERE x.user_id = t.user_id AND x.training_id = t.id
        ) e), '[]') AS exercises
) d
""",
    "workout": """
SELECT w.user_id::text, w.id::text, w.version, w.deleted_at IS NOT NULL, row_to_json(d)
FROM workouts w, LATERAL (
    SELECT w.name, w.notes, w.group_external_id, coalesce((
        SELECT json_agg(row_to_json(e) ORDER BY e.position) FROM workout_exercises e
        WHERE e.user_id = w.user_id AND e.workout_id = w.id), '[]') AS exercises
) d
""",
    # Each name with the slug that it means, whether that is the user's own, and a revision of the catalogue's.
    "exercise": """
SELECT n.user_id::text, n.user_id::text, n.version, false, json_build_object('names', coalesce((
    SELECT json_object_agg(
        a.name, json_build_array(coalesce(a.exercise, a.own), a.own IS NOT NULL, a.exercise_revision))
    FROM exercise_aliases a WHERE a.user_id = n.user_id), '{}'))
FROM exercise_namings n
""",
    # What is kept as clients say it: whole, beside the columns that statements select by.
    **{
        kind.noun: f"""
SELECT user_id::text, id::text, version, deleted_at IS NOT NULL,
       json_build_object('content', content, 'columns', json_build_object({_columns(kind)}))
FROM {kind.table}
"""
        for kind in KINDS
    },
}

Event = (
    TrainingEvent
    | WorkoutEvent
    | ExerciseEvent
    | PersonalRecordEvent
    | LoadBandEvent
    | PhaseEvent
    | GoalEvent
    | AdviceEvent
    | CheckInEvent
    | FormAnalysisEvent
)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_TYPES: Mapping[type[Event], Type] = {
    TrainingEvent: "training",
    WorkoutEvent: "workout",
    ExerciseEvent: "exercise",
    PersonalRecordEvent: "insight",
    LoadBandEvent: "insight",
    PhaseEvent: "phase",
    GoalEvent: "goal",
    AdviceEvent: "advice",
    CheckInEvent: "check_in",
    FormAnalysisEvent: "form_analysis",
}


@dataclass(frozen=True)
class Logged:
    """One row of the log."""

    event_id: str
    aggregate: Aggregate
    version: int
    request_id: str | None
    payload: str
    seq: int

    @cached_property
    def event(self) -> Mapping[str, Any]:
        """The event itself."""
        event: dict[str, Any] = orjson.loads(self.payload)
        return event

    @property
    def deletes(self) -> bool:
        """Whether nothing is left of the aggregate after the change."""
        return bool(self.event["event_type"].endswith("_deleted")) and self.aggregate.type != "exercise"

    @property
    def content(self) -> Mapping[str, Any]:
        """What was said: the payload without what names the aggregate."""
        names = {f"{self.aggregate.type}_id", "user_id", "version"}
        return {name: value for name, value in self.event["payload"].items() if name not in names}

    @cached_property
    def digests(self) -> frozenset[str]:
        """Of all that a client may have said with the change: the whole, or a part of it."""
        said = self.event["payload"]
        if self.aggregate.type == "exercise":
            movement = said.get("exercise")
            names = {naming_digest(name, movement) for name in said["names"]}
            return frozenset(names | ({own_digest(movement)} if movement else set()))
        whole = document_digest(self.aggregate.type, said)
        if self.aggregate.type != "training":
            return frozenset({whole})
        sets = (set_ for exercise in said["exercises"] for set_ in exercise["sets"])
        return frozenset({whole, *(set_digest(set_["id"], set_) for set_ in sets)})


def document_digest(type_: str, document: Mapping[str, Any]) -> str:
    """The digest of whatever has one."""
    if type_ in SAID:
        return said_digest(type_, document)
    return workout_digest(document) if type_ == "workout" else content_digest(document)


class Stored(NamedTuple):
    """An aggregate in the tables of record. `document` is what clients say of it, as far as it is there."""

    version: int
    deleted: bool
    document: Mapping[str, Any]


class Planned(NamedTuple):
    """That a phase planned a training."""

    user_id: str
    phase_id: str
    training_id: str


class Access(NamedTuple):
    """What an athlete's log tells of one statement that was run for a coach."""

    user_id: str
    coach: str
    group: str
    request_id: str
    scope: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One record of a topic that is an event."""

    record: Record
    event: Event
    request_id: str | None
    seq: int | None
    """The event's place in the log, by its header."""

    @classmethod
    def of(cls, record: Record) -> "Seen | None":
        """None where the record is no event."""
        headers = dict(record.headers)
        try:
            event = _EVENT.validate_json(record.value or b"")
        except ValidationError:
            return None
        request_id, seq = headers.get("ce_requestid"), headers.get("ce_logseq")
        return cls(
            record, event, None if request_id is None else request_id.decode(), None if seq is None else int(seq)
        )

    @property
    def event_id(self) -> str:
        """The same of every copy."""
        return str(self.event.event_id)

    @property
    def aggregate(self) -> Aggregate:
        """What it is of."""
        payload = self.event.payload
        return Aggregate(_TYPES[type(self.event)], str(payload.user_id), str(payload.aggregate_id))

    @property
    def version(self) -> int:
        """The aggregate's, after the change."""
        return self.event.payload.version

    @property
    def replayed(self) -> bool:
        """Whether somebody asked for this copy (`training outbox replay`)."""
        return any(name == "replay" for name, _ in self.record.headers)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that stands in the servers."""

    log: Mapping[str, Logged]
    """By event id."""
    records: Mapping[str, Sequence[Record]]
    """Of each topic, by the type of the aggregates whose events it is for."""
    skipped: frozenset[str] = frozenset()
    """Ids of the events that the broker refused and that somebody gave up."""
    stored: Mapping[Aggregate, Stored] = field(default_factory=dict)
    """The tables of record."""
    accesses: frozenset[Access] = frozenset()
    """What was run for coaches."""
    memberships: Mapping[Aggregate, frozenset[str]] = field(default_factory=dict)
    """The scopes of those that stand."""
    planned: frozenset[Planned] = frozenset()
    tables: Mapping[str, Rows] = field(default_factory=dict)
    """The derived tables."""
    movements: Movements = field(default_factory=dict)
    by_record: Mapping[str, tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]] = field(default_factory=dict)
    """For each question of `BY_RECORD` the rows that the tables of record answer, and those of the derived tables."""
    verification: Verification = field(default_factory=Verification)
    """Of `training analytics verify`."""
    erased: frozenset[str] = frozenset()
    """Users."""
    left: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """For each erased user, of whom there is something left, the tables with a row that holds their id anywhere; but
    for the event that tells of it."""


async def gather(
    owner_url: str,
    bootstrap: str,
    topics: Mapping[Type, str],
    leavers: Collection[str] = (),
    archive_dir: Path | None = None,
) -> Evidence:
    """Read everything; nothing may be writing, relaying or folding. `leavers` are the users who may be erased, and
    `archive_dir` holds the archived part of the log.
    """
    records: dict[str, Sequence[Record]] = {
        type_: await read_topic(bootstrap, topic) for type_, topic in topics.items()
    }
    database = Database(owner_url, statement_timeout=120.0)
    try:
        verification = await verify(database, archive_dir)
        archived = [_of_archive(row) async for row in _archived(database, archive_dir)]
        gone = await database.all(_ERASED, [sorted(leavers)]) if leavers else []
        erased = frozenset(user_id for (user_id,) in gone)
        left = await _left(database, erased, archived)
    finally:
        await database.close()
    connection = psycopg2.connect(owner_url)
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection, connection.cursor() as cursor:

            def ask(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall()

            return Evidence(
                erased=erased,
                left=left,
                log=_by_id([*ask(_LOG), *archived]),
                records=records,
                skipped=frozenset(event_id for (event_id,) in ask(_SKIPPED)),
                stored={
                    Aggregate(type_, user_id, id_): Stored(*row)
                    for type_, sql in _RECORDS.items()
                    for user_id, id_, *row in ask(sql)
                },
                planned=frozenset(Planned(*row) for row in ask(_PLANNED)),
                accesses=frozenset(Access(*row) for row in ask(_ACCESSES)),
                memberships={
                    Aggregate("membership", user_id, group): frozenset(scopes)
                    for user_id, group, scopes in ask(_MEMBERSHIPS)
                },
                tables={table: _table(connection, table) for table in COLUMNS},
                movements={
                    (slug, revision): Facts(*facts, is_of_implement(equipment))
                    for slug, revision, *facts, equipment in ask(_FACTS)
                },
                by_record={
                    what: (Counter(ask(record)), Counter(ask(derived))) for what, (record, derived) in BY_RECORD.items()
                },
                verification=verification,
            )
    finally:
        connection.close()


def read_log(owner_url: str, topic: str) -> dict[str, Logged]:
    """The log's events for a topic, by their id."""
    connection = psycopg2.connect(owner_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"{_LOG} WHERE topic = %s", (topic,))
            return _by_id(cursor.fetchall())
    finally:
        connection.close()


async def _archived(database: Database, archive_dir: Path | None) -> AsyncIterator[ArchivedRow]:
    for archive in await list_archives(database):
        async for rows in read_rows(archive_dir, archive.file):
            for row in rows:
                yield row


def _of_archive(row: ArchivedRow) -> tuple[Any, ...]:
    ids = str(row.event_id), str(row.user_id), row.aggregate_type, str(row.aggregate_id)
    return (*ids, row.version, row.request_id, row.payload, row.seq)


async def _left(
    database: Database, erased: Collection[str], archived: Sequence[tuple[Any, ...]]
) -> dict[str, frozenset[str]]:
    in_files = {user_id for _, user_id, *_ in archived}
    left = {user_id: frozenset(await found(database, user_id)) for user_id in erased}
    left |= {user_id: left[user_id] | {"an archive"} for user_id in left.keys() & in_files}
    return {user_id: tables for user_id, tables in left.items() if tables}


def _by_id(rows: Sequence[tuple[Any, ...]]) -> dict[str, Logged]:
    return {
        event_id: Logged(event_id, Aggregate(type_, user_id, id_), *row) for event_id, user_id, type_, id_, *row in rows
    }


def _table(connection: Any, table: str) -> Rows:
    with connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(f"SELECT {READ[table]} FROM analytics.{table}")
        return {tuple(row[column] for column in KEYS[table]): row for row in cursor}
