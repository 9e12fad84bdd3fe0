"""The AsyncAPI 3 document of the topic `training_events`, made from the models of the events.

`python -m web.asyncapi` prints it; `docs/asyncapi.json` is its committed form.
"""

import sys
from importlib.metadata import version
from typing import Any

from models.events import EventType, TrainingEvent
from web.openapi import text
from web.schemas import Schema, schemas

_INFO = """\
Every accepted change of a training is one record on `training_events`, at least once, and in order for each user.

- The key is the user's id, so that one user's events stay in one partition, in order.
- A record may come twice: `event_id` (header `ce_id`) is the same in every copy, and so are key, value and the other
  headers. Drop what you have seen, or keep the highest `version` of each training.
- Later versions only add optional fields: ignore what you do not know.
- A record with the header `replay` was asked for by an operator; it is otherwise the same record again.
"""
_MEANING = {
    EventType.TRAINING_CREATED: "A training was created.",
    EventType.TRAINING_UPDATED: (
        "A training was changed; `previous_status` is what it was before. A change of a COMPLETED training is a "
        "correction of what was published before."
    ),
    EventType.TRAINING_DELETED: "A training was deleted. The payload is the training as it was last.",
}
_TEXT: Schema = {"type": "string"}
_HEADERS: Schema = {
    "type": "object",
    "description": "CloudEvents 1.0, Kafka binding, binary mode. All values are UTF-8.",
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "`event_id`."},
        "ce_type": {"type": "string", "enum": list(EventType), "description": "`event_type`."},
        "ce_source": {"const": "/training-service"},
        "ce_time": {"type": "string", "format": "date-time", "description": "When the change was stored."},
        "ce_subject": {"type": "string", "format": "uuid", "description": "The training's id."},
        "ce_sequence": {**_TEXT, "pattern": "^[0-9]+$", "description": "`version`."},
        "ce_logseq": {**_TEXT, "pattern": "^[0-9]+$", "description": "The event's place in the service's log."},
        "content-type": {"const": "application/json"},
        "ce_requestid": {**_TEXT, "description": "`X-Request-Id` of the request that made the change."},
        "replay": {**_TEXT, "description": "Only on a record that was published again: the replay's id."},
    },
    "required": [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_time",
        "ce_subject",
        "ce_sequence",
        "ce_logseq",
        "content-type",
    ],
}
_KEY: Schema = {"type": "string", "format": "uuid", "description": "The user's id."}


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    references, definitions = schemas([(TrainingEvent, "serialization")])
    reference = references[TrainingEvent, "serialization"]
    names = [str(type_) for type_ in EventType]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Training events",
            "version": version("training-service"),
            "description": _INFO,
        },
        "defaultContentType": "application/json",
        "channels": {
            "training_events": {
                "address": "training_events",
                "description": "All changes of all trainings.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
                "bindings": {"kafka": {"topic": "training_events", "bindingVersion": "0.5.0"}},
            }
        },
        "operations": {
            "publishTrainingEvents": {
                "action": "send",
                "channel": {"$ref": "#/channels/training_events"},
                "summary": "The service publishes; subscribe with a consumer group of your own.",
                "messages": [{"$ref": f"#/channels/training_events/messages/{name}"} for name in names],
            }
        },
        "components": {
            "messages": {
                str(type_): {
                    "name": str(type_),
                    "summary": meaning,
                    "contentType": "application/json",
                    "headers": _HEADERS,
                    "payload": {
                        "allOf": [reference, {"type": "object", "properties": {"event_type": {"const": str(type_)}}}]
                    },
                    "bindings": {"kafka": {"key": _KEY, "bindingVersion": "0.5.0"}},
                }
                for type_, meaning in _MEANING.items()
            },
            "schemas": definitions,
        },
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(text(document()))
