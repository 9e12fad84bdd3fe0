"""The archived part of the log: rows of trainings in Parquet files, each with a manifest beside it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class ArchiveFile(NamedTuple):
    """A file as the database knows it: its name in the folder of archives, its size, and its SHA-256 in hexadecimal."""

    name: str
    bytes: int
    sha256: str


class Archive(NamedTuple):
    """A file with what it holds: the row of `archives`. `month` is its first day."""

    id: int
    name: str
    month: dt.date
    rows: int
    trainings: int
    bytes: int
    sha256: str
    last_seq: int
    created_at: dt.datetime

    @property
    def file(self) -> ArchiveFile:
        """What it takes to open it."""
        return ArchiveFile(self.name, self.bytes, self.sha256)


class Manifest(BaseModel):
    """What stands beside a file, as JSON: by which it can be read and trusted without the database."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    file: str
    month: dt.date
    """First day of the month (UTC) in which each of the trainings was changed last."""
    rows: int
    trainings: int
    bytes: int
    sha256: str
    """Of the file, in hexadecimal digits."""
    last_seq: int
    """Greatest place in the log of the rows."""
    columns: dict[str, str]
    """The file's columns, which are those of `outbox`, with their types in PostgreSQL."""


class ArchivedRow(NamedTuple):
    """One row of the log as a file holds it: the columns of `outbox`, but `xid`."""

    seq: int
    event_id: UUID
    topic: str
    aggregate_type: str
    aggregate_id: UUID
    version: int
    event_type: str
    user_id: UUID
    actor: str
    request_id: str | None
    payload: str
    created_at: dt.datetime
    published_seq: int | None = None
    traceparent: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ArchivedRow":
        """Of a file's row, whose ids are texts; a column that came to the log later may be missing."""
        found = {name: row[name] for name in cls._fields if name in row}
        return cls(**found | {name: UUID(found[name]) for name in ("event_id", "aggregate_id", "user_id")})
