"""The bytes of a record."""

import uuid

import pytest
from aiokafka.partitioner import murmur2 as kafkas
from hypothesis import given
from hypothesis import strategies as st

from models.outbox import LogRow
from outbox.records import headers, murmur2, partition_of

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
