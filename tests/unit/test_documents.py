"""The events of versioned documents: records become the rows that they came from, where a table can hold these."""

from typing import Any
from uuid import UUID

import orjson
import pytest

from models.outbox import LogRow
from outbox.records import headers, row_of
from storage.documents import KINDS, Kind
from tests.support.documents import STORED, TOPICS

ID, USER, EVENT = (str(UUID(int=number)) for number in (2, 1, 3))
EVENTS = [(kind, event_type) for kind in KINDS for event_type in kind.events.values()]
events = pytest.mark.parametrize(("kind", "event_type"), EVENTS, ids=[str(event_type) for _, event_type in EVENTS])


def record(kind: Kind, event_type: str, **payload: Any) -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    """Key, value and headers of a document's record; `payload` are members that differ, None: that are not there."""
    said = {f"{kind.noun}_id": ID, "user_id": USER, "version": 4, **STORED[kind.noun], **payload}
    said = {name: value for name, value in said.items() if value is not None}
    document = {"event_id": EVENT, "event_type": event_type, "timestamp": "2026-01-05T12:00:00Z", "payload": said}
    value = orjson.dumps(document).decode()
    row = LogRow(
        7, TOPICS[kind.noun], USER, ID, "4", EVENT, event_type, "2026-01-05T12:00:00Z", None, value, traceparent=None
    )
    return USER.encode(), value.encode(), list(headers(row))


@events
def test_a_documents_record_is_the_row_that_it_came_from(kind: Kind, event_type: str) -> None:
    key, value, names = record(kind, event_type)
    row = row_of(TOPICS[kind.noun], key, value, names)
    assert row is not None
    assert headers(row) == names
    assert (row.aggregate_id, row.version, row.event_type, row.payload) == (ID, "4", event_type, value.decode())


@events
def test_what_no_table_could_hold_is_no_row(kind: Kind, event_type: str) -> None:
    """After a restore each own column is taken from the content: a record without one of them is left alone."""
    wrong: list[dict[str, Any]] = [{name: None} for name in kind.columns]
    wrong += [{f"{kind.noun}_id": str(UUID(int=5))}, {"user_id": str(UUID(int=5))}, {"version": 5}, {"version": 0}]
    for payload in wrong:
        assert row_of(TOPICS[kind.noun], *record(kind, event_type, **payload)) is None, payload


@events
def test_readers_pass_over_what_they_do_not_know(kind: Kind, event_type: str) -> None:
    assert row_of(TOPICS[kind.noun], *record(kind, event_type, later={"a": 1})) is not None


def test_each_type_of_event_is_of_one_kind() -> None:
    types = [event_type for _, event_type in EVENTS]
    assert len(set(types)) == len(types) == 12
