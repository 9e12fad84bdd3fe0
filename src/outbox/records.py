"""The Kafka record that an event of the log becomes: the same bytes, whoever publishes it and however often."""

import struct
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from models import traces
from models.events import (
    AdviceEventType,
    CheckInEventType,
    EventType,
    ExerciseEvent,
    ExerciseEventType,
    GoalEventType,
    InsightEventType,
    PhaseEventType,
    TrainingEvent,
    UserErasedEvent,
    UserEventType,
    WorkoutEvent,
    WorkoutEventType,
)
from models.outbox import LogRow

Headers = list[tuple[str, bytes]]

_SPECVERSION = ("ce_specversion", b"1.0")
_SOURCE = ("ce_source", b"/training-service")
_CONTENT_TYPE = ("content-type", b"application/json")


class _Payload(BaseModel):
    """Of a payload that is stored as it stands, what its tables and the reports are made of. A later version may say
    more, and of other kinds, in what is not named here."""

    model_config = ConfigDict(strict=True)

    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    aggregate_id: UUID


class _Phase(_Payload):
    aggregate_id: UUID = Field(alias="phase_id")
    first: date
    last: date
    deload: bool


class _Goal(_Payload):
    aggregate_id: UUID = Field(alias="goal_id")
    metric: str
    target: FiniteFloat
    start_day: date
    due: date


class _CheckIn(_Payload):
    aggregate_id: UUID = Field(alias="check_in_id")
    day: date


class _Advice(_Payload):
    aggregate_id: UUID = Field(alias="advice_id")
    day: date
    undone: bool


class _PersonalRecord(_Payload):
    aggregate_id: UUID = Field(alias="record_id")


class _LoadBand(_Payload):
    aggregate_id: UUID = Field(alias="load_id")


class _FormAnalysis(_Payload):
    aggregate_id: UUID = Field(alias="form_analysis_id")
    training_id: UUID
    set_id: UUID
    video_id: str


P = TypeVar("P", bound=_Payload)


class _Kept(BaseModel, Generic[P]):
    """An event whose payload is stored as it stands, so that nothing of what a later version says is lost."""

    event_id: UUID
    event_type: str
    timestamp: datetime
    payload: P


_Event = TrainingEvent | UserErasedEvent | WorkoutEvent | ExerciseEvent | _Kept[Any]
# The first four are stored in columns: what these cannot hold is not ours.
_EVENTS: Mapping[str, type[_Event]] = {
    **dict.fromkeys(EventType, TrainingEvent),
    UserEventType.USER_ERASED: UserErasedEvent,
    **dict.fromkeys(WorkoutEventType, WorkoutEvent),
    **dict.fromkeys(ExerciseEventType, ExerciseEvent),
    **dict.fromkeys(PhaseEventType, _Kept[_Phase]),
    **dict.fromkeys(GoalEventType, _Kept[_Goal]),
    **dict.fromkeys(AdviceEventType, _Kept[_Advice]),
    **dict.fromkeys(CheckInEventType, _Kept[_CheckIn]),
    InsightEventType.PERSONAL_RECORD: _Kept[_PersonalRecord],
    InsightEventType.LOAD_BAND_CHANGED: _Kept[_LoadBand],
    InsightEventType.FORM_ANALYSIS_ADDED: _Kept[_FormAnalysis],
}

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def headers(row: LogRow) -> Headers:
    """CloudEvents 1.0 in Kafka's binary mode, in a fixed order, values in UTF-8, and the trace, where there is one.

    `ce_logseq` is an extension: the event's place in the log, by which readers tell how far they are.
    """
    made = [
        _SPECVERSION,
        ("ce_id", row.event_id.encode()),
        ("ce_type", row.event_type.encode()),
        _SOURCE,
        ("ce_time", row.created_at.encode()),
        ("ce_subject", row.aggregate_id.encode()),
        ("ce_sequence", row.version.encode()),
        ("ce_logseq", b"%d" % (row.published_seq or row.seq)),
        _CONTENT_TYPE,
    ]
    if row.request_id is not None:
        made.append(("ce_requestid", row.request_id.encode()))
    if row.traceparent is not None:
        made.append((traces.HEADER, row.traceparent.encode()))
    return made


def row_of(
    topic: str, key: bytes | None, value: bytes | None, given: Iterable[tuple[str, bytes | None]]
) -> LogRow | None:
    """The row of the log that became this record; None where it is none that `headers` could have made."""
    if key is None or value is None:
        return None
    found = dict(given)
    found.pop("replay", None)
    try:
        text = {name: (value or b"").decode() for name, value in found.items()}
        event = _EVENTS[text["ce_type"]].model_validate_json(value)
        orjson.loads(value)  # refuses what pydantic lets pass and no reader could hold: 1e999, NaN
        row = LogRow(
            int(text["ce_logseq"]),
            topic,
            key.decode(),
            text["ce_subject"],
            text["ce_sequence"],
            text["ce_id"],
            text["ce_type"],
            text["ce_time"],
            text.get("ce_requestid"),
            value.decode(),
            traceparent=text.get(traces.HEADER),
        )
        at = datetime.fromisoformat(row.created_at)
    except (AttributeError, KeyError, ValueError):  # a header without a value is None
        return None
    payload = event.payload
    said = (str(payload.user_id), str(payload.aggregate_id), str(payload.version))
    same = said == row[2:5] and (str(event.event_id), event.event_type, event.timestamp) == (*row[5:7], at)
    return row if same and dict(headers(row)) == found else None


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: what Kafka's default partitioner takes (murmur2, toPositive)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """MurmurHash2 as Kafka has it, 32 bits, unsigned.

    https://github.com/apache/kafka/blob/4.3.1/clients/src/main/java/org/apache/kafka/common/utils/Utils.java
    """
    whole = len(key) // 4
    h = 0x9747B28C ^ len(key)
    for k in struct.unpack_from(f"<{whole}I", key):
        k = k * _M & _MASK  # noqa: PLW2901 - the algorithm's own name
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    tail = key[whole * 4 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
