"""What was announced of users' trainings."""

from typing import Any

import orjson

from agents.insights import InsightsFold
from agents.volume_audit import Verification, verify
from models.events import LoadBandEvent, PersonalRecordEvent
from storage.database import Database

INSIGHTS = "training_insights"

_MODELS = {"personal_record": PersonalRecordEvent, "load_band_changed": LoadBandEvent}


async def announced(database: Database, type_: str | None = None) -> list[dict[str, Any]]:
    """The payloads, in the log's order; each event is one that the models read to the last field."""
    rows = await database.all(
        "SELECT event_type, payload, user_id, aggregate_id, version, event_id, created_at FROM outbox"
        " WHERE aggregate_type = 'insight' ORDER BY seq"
    )
    payloads = []
    for event_type, text, *facts in rows:
        event = _MODELS[event_type].model_validate_json(text)
        payload = event.payload
        said = [payload.user_id, payload.aggregate_id, payload.version, event.event_id, event.timestamp]
        assert said == facts
        document = orjson.loads(text)
        assert set(document["payload"]) <= set(type(payload).model_fields)
        if type_ in (None, event_type):
            payloads.append(document["payload"])
    return payloads


async def verified(database: Database) -> Verification:
    """What `verify` sees once load and records of all whose days changed are computed."""
    await InsightsFold(database, INSIGHTS).run_due()
    return await verify(database)
