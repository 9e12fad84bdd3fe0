"""The bytes of a record."""

import uuid
from pathlib import Path
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
from tests.support.documents import with_more

DOCS = Path(__file__).parents[2] / "docs" / "samples"
SAMPLES = sorted(DOCS.glob("*.json"))
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


IDS = {
    "exercise": "user_id",
    "exercise_alias": "user_id",
    "user": "erasure_id",
    "personal": "record_id",
    "load_band": "load_id",
}


def record_of(document: dict[str, Any], topic: str = "any") -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    """Key, value and headers of the record of an event."""
    payload, text = document["payload"], orjson.dumps(document).decode()
    noun = document["event_type"].rpartition("_")[0]
    ids = payload["user_id"], payload[IDS.get(noun, f"{noun}_id")], str(payload.get("version", 1))
    row = LogRow(7, topic, *ids, document["event_id"], document["event_type"], document["timestamp"], None, text)
    return row.user_id.encode(), text.encode(), list(headers(row))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_an_event_of_a_later_version_is_a_row_too(path: Path) -> None:
    """Else it would be lost where a database went back under a version that went back too."""
    document = orjson.loads(path.read_bytes())
    assert row_of("any", *record_of(document)) is not None
    assert row_of("any", *record_of(with_more(document))) is not None


@pytest.mark.parametrize(
    ("sample", "way", "value"),
    [
        ("workout_created.2", ("exercises", 0, "progression"), {"kind": "wave", "height": 3}),
        ("phase_created.1", ("kind",), "macrocycle"),
        ("goal_created.1", ("metric",), "pace"),
        ("advice_accepted.1", ("kind",), "stretch"),
        ("advice_accepted.1", ("evidence", 0, "source"), "weather"),
        ("check_in_created.1", ("scale",), "hooper-9"),
        ("form_analysis_added.1", ("remarks", 0, "severity"), "alarm"),
        ("personal_record.1", ("kind",), "speed"),
        ("load_band_changed.1", ("band",), "beyond"),
    ],
    ids=str,
)
def test_a_kind_of_a_later_version_is_stored_as_it_is(sample: str, way: tuple[str | int, ...], value: object) -> None:
    document = orjson.loads((DOCS / f"{sample}.json").read_bytes())
    place = document["payload"]
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    row = row_of("any", *record_of(document))
    assert row is not None
    assert orjson.loads(row.payload) == document


@pytest.mark.parametrize("version", [b"1e999", b"Infinity", b"NaN", b"1.5", b"1.0", b"true", b'"1"', b"0", b"null"])
@pytest.mark.parametrize("sample", ["goal_created.1", "load_band_changed.1"])
def test_a_version_that_is_no_count_is_no_row(sample: str, version: bytes) -> None:
    document = orjson.loads((DOCS / f"{sample}.json").read_bytes())
    key, value, names = record_of(document)
    said = b'"version":%d' % document["payload"]["version"]
    assert value.count(said) == 1
    sequence = version.strip(b'"') if version.strip(b'"').isdigit() else b"1"
    names = [(name, sequence if name == "ce_sequence" else text) for name, text in names]
    assert row_of("any", key, value.replace(said, b'"version":' + version), names) is None


@pytest.mark.parametrize(
    ("sample", "needed"),
    [
        ("phase_created.1", ("first", "last", "deload")),
        ("goal_created.1", ("metric", "target", "start_day", "due")),
        ("check_in_created.1", ("day",)),
        ("advice_accepted.1", ("day", "undone")),
        ("form_analysis_added.1", ("training_id", "set_id", "video_id")),
    ],
)
def test_a_document_without_what_its_table_or_report_is_made_of_is_no_row(sample: str, needed: tuple[str, ...]) -> None:
    document = orjson.loads((DOCS / f"{sample}.json").read_bytes())
    for name in needed:
        for changed in ({}, {name: None}, {name: [1]}):
            payload = {each: said for each, said in document["payload"].items() if each != name} | changed
            assert row_of("any", *record_of(document | {"payload": payload})) is None, (name, changed)


@pytest.mark.parametrize("sample", ["workout_created.2", "goal_created.1"])
@pytest.mark.parametrize("number", [b"1e999", b"NaN"])
def test_a_number_that_no_reader_of_json_can_hold_makes_it_no_row(sample: str, number: bytes) -> None:
    document = orjson.loads((DOCS / f"{sample}.json").read_bytes())
    key, value, names = record_of(document)
    more = value.replace(b'"payload":{', b'"payload":{"later":' + number + b",", 1)
    assert row_of("any", key, more, names) is None
