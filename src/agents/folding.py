"""What every agent that folds has in common: records, dead letters, trying again in place, and counters.

An agent knows no transport: it is given batches of records and acknowledges each once its effect is committed.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError

from models.errors import DatabaseUnavailable
from models.traces import trace_ids
from storage.volume import DeadLetter

FIRST_PAUSE = 0.1  # seconds before a failed batch is tried again; doubled for each further attempt
LONGEST_PAUSE = 5.0  # seconds

T = TypeVar("T")
Event = TypeVar("Event", bound=BaseModel)

log = logging.getLogger(__name__)


class NotAnEvent(Exception):
    """A record's value is no event that could be folded; says why."""


class Record(Protocol):
    """One record of a topic, as aiokafka has it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...


class Batch(Protocol):
    """Records to fold together, and how to say that they are."""

    @property
    def records(self) -> Sequence[Record]: ...

    async def ack(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FoldHealth:
    """What this worker has folded since it began."""

    events: int
    dead_letters: int
    failures: int  # attempts that failed and were made again
    last_batch: int  # events
    idle: float | None  # seconds since a batch was stored; None: none yet


class Fold:
    """The base of the agents: it counts, and tries again in place what fails."""

    def __init__(self) -> None:
        self._events = self._dead_letters = self._failures = self._last_batch = 0
        self._stored_at: float | None = None

    @property
    def health(self) -> FoldHealth:
        """Its counters."""
        idle = None if self._stored_at is None else time.monotonic() - self._stored_at
        return FoldHealth(self._events, self._dead_letters, self._failures, self._last_batch, idle)

    def _stored(self, events: int, dead_letters: int) -> None:
        self._events += events
        self._dead_letters += dead_letters
        self._last_batch = events
        self._stored_at = time.monotonic()

    async def _forever(self, work: Callable[[], Awaitable[T]], records: Sequence[Record] = ()) -> T:
        """What `work` returns, once it succeeds; `records` are those that it is about, whose traces the log names."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await work()
            except DatabaseUnavailable as error:
                log.warning("a batch waits for PostgreSQL, again in %.1f s: %s", pause, error)
            except Exception:
                log.exception("a batch could not be folded, again in %.1f s", pause, extra=_traces(*records))
            self._failures += 1
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def read(model: type[Event], types: type[StrEnum], value: bytes) -> Event | None:
    """The event that a record's value is; None where it is an event of a type that is none of `types`.

    Raises `NotAnEvent`.
    """
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        if _is_of_another_type(value, types):
            return None
        # Without the values themselves: they are personal data.
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        reasons = (": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in faults[:10])
        raise NotAnEvent("; ".join(reasons)) from None


def _is_of_another_type(value: bytes, types: type[StrEnum]) -> bool:
    try:
        document: Any = orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    type_ = document.get("event_type") if isinstance(document, dict) else None
    return isinstance(type_, str) and type_ not in list(types)


def source_seq(record: Record) -> int | None:
    """The place in the log that the record names; None where it names none."""
    value = _header(record, "ce_logseq")
    return int(value) if value is not None and value.isdigit() else None


def dead_letter(record: Record, error: str) -> DeadLetter:
    """The record as one that cannot be folded; says so in the worker's log."""
    try:
        event_id = UUID(_header(record, "ce_id") or "")
    except ValueError:
        event_id = None
    place = record.topic, record.partition, record.offset
    log.error("record %s/%d/%d is set aside as a dead letter: %s", *place, error, extra=_traces(record))
    return DeadLetter(record.topic, record.partition, record.offset, event_id, record.key, record.value, error)


def _traces(*records: Record) -> dict[str, list[str]]:
    """The field of a line of the log that names the traces of these records, where they have any."""
    ids = trace_ids(record.headers for record in records)
    return {"trace_ids": ids} if ids else {}


def _header(record: Record, name: str) -> str | None:
    for key, value in record.headers:
        if key == name:
            return value.decode("ascii", "replace")
    return None
