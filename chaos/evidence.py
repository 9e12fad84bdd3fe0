"""What the judge looks at, read at rest: the whole log and topic, the derived tables and the tables of record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson
import psycopg2
from psycopg2.extras import RealDictCursor
from pydantic import ValidationError

from agents.volume_audit import Verification, verify
from analytics.volume import Fractions
from chaos.by_record import BY_RECORD
from chaos.history import content_digest
from models.events import TrainingEvent
from storage.database import Database
from storage.volume_statements import COLUMNS, KEYS
from tests.support.topic import Record, read_topic

Row = Mapping[str, Any]
Rows = Mapping[tuple[Any, ...], Row]  # by the columns of the table's key

_LOG = """
SELECT event_id::text, user_id::text, aggregate_id::text, version, request_id, payload, seq FROM outbox WHERE topic = %s
"""
_SKIPPED = "SELECT o.event_id::text FROM outbox_quarantine q JOIN outbox o USING (seq) WHERE q.state = 'skipped'"
_TRAININGS = "SELECT user_id::text, id::text, version FROM trainings"
_FRACTIONS = "SELECT slug, revision, bw_fraction FROM exercises"


@dataclass(frozen=True)
class Logged:
    """One row of the log."""

    event_id: str
    user_id: str
    training_id: str
    version: int
    request_id: str | None
    payload: str
    seq: int

    @cached_property
    def digest(self) -> str:
        """`content_digest` of the training after the change."""
        return content_digest(orjson.loads(self.payload)["payload"])


@dataclass(frozen=True, slots=True)
class Seen:
    """One record of the topic that is an event of a training."""

    record: Record
    event_id: str
    training_id: str
    version: int
    request_id: str | None
    seq: int | None
    """The event's place in the log, by its header."""

    @classmethod
    def of(cls, record: Record) -> "Seen | None":
        """None where the record is no event of a training."""
        headers = dict(record.headers)
        try:
            event = TrainingEvent.model_validate_json(record.value or b"")
        except ValidationError:
            return None
        request_id, seq = headers.get("ce_requestid"), headers.get("ce_logseq")
        return cls(
            record,
            str(event.event_id),
            str(event.payload.training_id),
            event.payload.version,
            None if request_id is None else request_id.decode(),
            None if seq is None else int(seq),
        )

    @property
    def replayed(self) -> bool:
        """Whether somebody asked for this copy (`training outbox replay`)."""
        return any(name == "replay" for name, _ in self.record.headers)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that stands in the servers."""

    log: Mapping[str, Logged]
    """By event id."""
    records: Sequence[Record]
    skipped: frozenset[str] = frozenset()
    """Ids of the events that the broker refused and that somebody gave up."""
    trainings: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The version of each training of the tables of record, by user and id."""
    tables: Mapping[str, Rows] = field(default_factory=dict)
    """The derived tables."""
    fractions: Fractions = field(default_factory=dict)
    by_record: Mapping[str, tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]] = field(default_factory=dict)
    """For each question of `BY_RECORD` the rows that the tables of record answer, and those of the derived tables."""
    verification: Verification = field(default_factory=Verification)
    """Of `training analytics verify`."""


async def gather(owner_url: str, bootstrap: str, topic: str) -> Evidence:
    """Read everything; nothing may be writing, relaying or folding."""
    records = await read_topic(bootstrap, topic)
    database = Database(owner_url, statement_timeout=120.0)
    try:
        verification = await verify(database)
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
                log=_by_id(ask(_LOG, topic)),
                records=records,
                skipped=frozenset(event_id for (event_id,) in ask(_SKIPPED)),
                trainings={(user_id, training_id): version for user_id, training_id, version in ask(_TRAININGS)},
                tables={table: _table(connection, table) for table in COLUMNS},
                fractions={(slug, revision): fraction for slug, revision, fraction in ask(_FRACTIONS)},
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
            cursor.execute(_LOG, (topic,))
            return _by_id(cursor.fetchall())
    finally:
        connection.close()


def _by_id(rows: Sequence[tuple[Any, ...]]) -> dict[str, Logged]:
    return {row[0]: Logged(*row) for row in rows}


def _table(connection: Any, table: str) -> Rows:
    with connection.cursor(cursor_factory=RealDictCursor) as cursor:
        columns = ", ".join(COLUMNS[table])
        cursor.execute(f"SELECT {columns} FROM analytics.{table}")
        return {tuple(row[column] for column in KEYS[table]): row for row in cursor}
