"""The bytes of a record."""

import uuid
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiokafka.partitioner import murmur2 as kafkas
from hypothesis import given
from hypothesis import strategies as st

from models.outbox import LogRow
from outbox.records import headers, murmur2, partition_of, row_of
from tests.support import log

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ROW = LogRow(
    seq=42,
    topic="training_events",
    user_id="6f9619ff-8b86-4011-b42d-00c04fc964ff",
    aggregate_id="0197b1b2-0000-7000-8000-000000000001",
    version="3",
    event_id="0197b1b2-0000-7000-8000-000000000002",
    event_type="training_updated",
    created_at="2026-01-05T12:00:00.25Z",
    request_id="a-ünique-request",
    payload="{}",
)


def test_headers_are_cloudevents_in_a_fixed_order() -> None:
    assert headers(ROW) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"0197b1b2-0000-7000-8000-000000000002"),
        ("ce_type", b"training_updated"),
        ("ce_source", b"/training-service"),
        ("ce_time", b"2026-01-05T12:00:00.25Z"),
        ("ce_subject", b"0197b1b2-0000-7000-8000-000000000001"),
        ("ce_sequence", b"3"),
        ("ce_logseq", b"42"),
        ("content-type", b"application/json"),
        ("ce_requestid", "a-ünique-request".encode()),
    ]
    assert headers(ROW._replace(request_id=None)) == headers(ROW)[:-1]
    traced = ROW._replace(traceparent=TRACE)
    assert headers(traced) == [*headers(ROW), ("traceparent", TRACE.encode())]


@given(st.binary(max_size=80))
def test_murmur2_is_kafkas(key: bytes) -> None:
    assert murmur2(key) == kafkas(key) & 0xFFFFFFFF


@pytest.mark.parametrize(  # from UtilsTest.java of Apache Kafka
    ("key", "expected"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_murmur2_of_kafkas_own_test(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFFFFFF


def test_users_spread_over_the_partitions() -> None:
    counts = [0] * 8
    for number in range(800):
        counts[partition_of(str(uuid.UUID(int=number)).encode(), 8)] += 1
    assert min(counts) > 60


def published(
    traceparent: str | None = None, **changes: bytes | None
) -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    """Key, value and headers of a valid event's record, with other headers where `changes` says so."""
    event: dict[str, Any] = log.event(user_id=UUID(int=1), training_id=UUID(int=2), request_id="r")
    row = LogRow(
        7,
        event["topic"],
        str(event["user_id"]),
        str(event["training_id"]),
        str(event["version"]),
        str(event["event_id"]),
        event["event_type"],
        orjson.loads(event["payload"])["timestamp"],
        event["request_id"],
        event["payload"],
        traceparent=traceparent,
    )
    return row.user_id.encode(), row.payload.encode(), list((dict(headers(row)) | changes).items())


@pytest.mark.parametrize("traceparent", [None, TRACE])
def test_a_record_is_the_row_that_it_came_from(traceparent: str | None) -> None:
    key, value, names = published(traceparent)
    row = row_of("training_events", key, value, names)
    assert row is not None
    assert headers(row) == names
    assert (row.payload.encode(), row.user_id.encode(), row.seq, row.traceparent) == (value, key, 7, traceparent)
    assert row_of("training_events", key, value, [*names, ("replay", b"x")]) == row


@pytest.mark.parametrize(
    "changes",
    [
        {"ce_requestid": None},
        {"ce_time": b"never"},
        {"ce_time": b"2020-01-01T00:00:00Z"},
        {"ce_logseq": b"-1x"},
        {"ce_id": b"00000000-0000-0000-0000-000000000000"},
        {"ce_source": b"/another"},
        {"ce_sequence": b"2"},
        {"ce_subject": b"\xff"},
        {"more": b"1"},
    ],
)
def test_a_record_of_another_make_is_no_row(changes: dict[str, bytes | None]) -> None:
    key, value, names = published(**changes)
    assert row_of("training_events", key, value, names) is None


def test_a_record_without_key_or_value_is_no_row() -> None:
    key, value, names = published()
    assert row_of("training_events", None, value, names) is None
    assert row_of("training_events", key, None, given) is None
    assert row_of("training_events", b"another", value, names) is None
    assert row_of("training_events", key, b"{}", names) is None


def workout(**payload: object) -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    """Key, value and headers of a workout's record; `payload` are members that differ."""
    ids = {"workout_id": str(UUID(int=2)), "user_id": str(UUID(int=1))}
    document = {
        "event_id": str(UUID(int=3)),
        "event_type": "workout_updated",
        "timestamp": "2026-01-05T12:00:00Z",
        "payload": {**ids, "version": 4, "name": "Pull", "exercises": [], **payload},
    }
    text = orjson.dumps(document).decode()
    event = (str(UUID(int=3)), "workout_updated", "2026-01-05T12:00:00Z")
    row = LogRow(7, "workout_events", str(UUID(int=1)), str(UUID(int=2)), "4", *event, None, text)
    return row.user_id.encode(), text.encode(), list(headers(row))


def test_a_workouts_record_is_the_row_that_it_came_from() -> None:
    key, value, names = workout()
    row = row_of("workout_events", key, value, names)
    assert row is not None
    assert headers(row) == names
    assert (row.aggregate_id, row.version, row.event_type, row.seq) == (str(UUID(int=2)), "4", "workout_updated", 7)


@pytest.mark.parametrize(
    "payload",
    [{"workout_id": str(UUID(int=5))}, {"user_id": str(UUID(int=5))}, {"version": 5}, {"name": None}, {"exercises": 1}],
    ids=str,
)
def test_a_workouts_record_that_contradicts_itself_is_no_row(payload: dict[str, object]) -> None:
    assert row_of("workout_events", *workout(**payload)) is None


def test_a_type_that_is_not_known_is_no_row() -> None:
    key, value, names = workout()
    other = [(name, b"workout_erased" if name == "ce_type" else text) for name, text in names]
    assert row_of("workout_events", key, value.replace(b"workout_updated", b"workout_erased"), other) is None
