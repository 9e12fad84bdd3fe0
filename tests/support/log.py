"""Rows of the log, written as the service writes them but without a training behind them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from models.fields import moment
from storage.database import Cursor, Database

INSERT = """
INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id,
                    payload)
VALUES (%(event_id)s, %(topic)s, 'training', %(training_id)s, %(version)s, %(event_type)s, %(user_id)s, 'test',
        %(request_id)s, %(payload)s)
RETURNING seq
"""
SQUATS = (
    {
        "id": "00000000-0000-4000-8000-000000000001",
        "name": "Squat",
        "sets": [{"id": "00000000-0000-4000-8000-000000000002", "order": 1, "weight": 100, "unit": "kg", "reps": 5}],
    },
)


def event(
    *,
    user_id: UUID,
    training_id: UUID,
    version: int = 1,
    status: str = "COMPLETED",
    exercises: Sequence[Mapping[str, object]] = SQUATS,
    event_type: str = "",
    topic: str = "training_events",
    request_id: str | None = None,
    **more: object,
) -> dict[str, object]:
    """The parameters of `INSERT` for a valid event; `more` goes into its payload."""
    event_id = uuid7()
    event_type = event_type or ("training_created" if version == 1 else "training_updated")
    now = datetime.now(UTC)
    payload = {
        "training_id": training_id,
        "user_id": user_id,
        "version": version,
        "status": status,
        "date": moment(now),
        "timezone": "UTC",
        "day": now.date(),
        "exercises": exercises,
        **more,
    }
    body = {"event_id": event_id, "event_type": event_type, "timestamp": moment(now), "payload": payload}
    return {
        "event_id": event_id,
        "topic": topic,
        "training_id": training_id,
        "version": version,
        "event_type": event_type,
        "user_id": user_id,
        "request_id": request_id,
        "payload": orjson.dumps(body).decode(),
    }


async def append(database: Database | Cursor, **fields: Any) -> int:
    """Insert one event (see `event`) and return its seq; in a transaction where a cursor of one is given."""
    row = await database.one(INSERT, event(**fields))
    assert row is not None
    return int(row[0])
