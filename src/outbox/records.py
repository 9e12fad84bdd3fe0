"""The Kafka record that an event of the log becomes: the same bytes, whoever publishes it and however often."""

import struct
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from models import traces
from models.events import (
    AdviceEvent,
    AdviceEventType,
    CheckInEvent,
    CheckInEventType,
    EventType,
    ExerciseEvent,
    ExerciseEventType,
    FormAnalysisEvent,
    GoalEvent,
    GoalEventType,
    InsightEventType,
    LoadBandEvent,
    PersonalRecordEvent,
    PhaseEvent,
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

_Event = (
    TrainingEvent
    | UserErasedEvent
    | WorkoutEvent
    | ExerciseEvent
    | PhaseEvent
    | GoalEvent
    | AdviceEvent
    | CheckInEvent
    | PersonalRecordEvent
    | LoadBandEvent
    | FormAnalysisEvent
)
_EVENTS: dict[str, type[_Event]] = {
    **dict.fromkeys(EventType, TrainingEvent),
    UserEventType.USER_ERASED: UserErasedEvent,
    **dict.fromkeys(WorkoutEventType, WorkoutEvent),
    **dict.fromkeys(ExerciseEventType, ExerciseEvent),
    **dict.fromkeys(PhaseEventType, PhaseEvent),
    **dict.fromkeys(GoalEventType, GoalEvent),
    **dict.fromkeys(AdviceEventType, AdviceEvent),
    **dict.fromkeys(CheckInEventType, CheckInEvent),
    InsightEventType.PERSONAL_RECORD: PersonalRecordEvent,
    InsightEventType.LOAD_BAND_CHANGED: LoadBandEvent,
    InsightEventType.FORM_ANALYSIS_ADDED: FormAnalysisEvent,
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
