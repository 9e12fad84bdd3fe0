"""The AsyncAPI 3 document of the topics, made from the models of the events.

`python -m web.asyncapi` prints it; `docs/asyncapi.json` is its committed form.
"""

import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Any, NamedTuple

from pydantic import BaseModel

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
from web.openapi import text
from web.schemas import Key, Schema, schemas

_INFO = """\
Every accepted change of a training is one record on `training_events`, every accepted change of a workout one on
`workout_events`, of a phase or a goal one on `phase_events`, of a check-in or of what was accepted of advice one on
`readiness_events`, whatever a user says of movements one on `exercise_events`, and what follows from trainings one on
`training_insights`: at least once, and in order for each user.

- The key is the user's id, so that one user's events stay in one partition of each topic, in order.
- A record may come twice: `event_id` (header `ce_id`) is the same in every copy, and so are key, value and the other
  headers. Drop what you have seen, or keep the highest `version` of each training or workout, and of each name.
- Check-ins, and accepted advice, whose evidence may be a readiness, are data concerning health. They have a topic of
  their own so that few may be let to read it.
- What `training_insights` tells was so when it was stored. It is a moment and not a state: nothing is taken back when a
  later change ends a record. What stands is read over REST (`metrics/records`, `metrics/load`).
- Between topics there is no order: a planned training names the workout, and its version, that it was made of. What a
  phase planned, moved or took away, and what accepted advice changed, are trainings: each has an event of its own.
- Later versions only add optional fields, and kinds, of rules of progression say: ignore what you do not know.
- What `user_erased` tells goes for all topics: nothing of that user is published any more. Between topics there is no
  order: a record of the user may be read from another one later, and is to be dropped.
- A record with the header `replay` was asked for by an operator; it is otherwise the same record again.
"""


class _Channel(NamedTuple):
    """One topic: its events' model, or that of each type, what each type means, and the words for it."""

    event: type[BaseModel] | dict[StrEnum, type[BaseModel]]
    meaning: dict[StrEnum, str]
    about: str
    noun: str
    operation: str

    def model(self, type_: StrEnum) -> type[BaseModel]:
        """Of events of that type."""
        return self.event[type_] if isinstance(self.event, dict) else self.event


_CHANNELS = {
    "training_events": _Channel(
        {**dict.fromkeys(EventType, TrainingEvent), UserEventType.USER_ERASED: UserErasedEvent},
        {
            EventType.TRAINING_CREATED: "A training was created.",
            EventType.TRAINING_UPDATED: (
                "A training was changed; `previous_status` is what it was before. A change of a COMPLETED training is "
                "a correction of what was published before."
            ),
            EventType.TRAINING_DELETED: "A training was deleted. The payload is the training as it was last.",
            UserEventType.USER_ERASED: (
                "All of a user was erased, for good: erase what you have of them, whatever topic it came from. It is "
                "the last event of the user on this topic, and nothing of them follows on another. It may come again, "
                "with another `event_id`."
            ),
        },
        "All changes of all trainings, and the end of users who were erased.",
        "training, or of the erasure",
        "publishTrainingEvents",
    ),
    "workout_events": _Channel(
        WorkoutEvent,
        {
            WorkoutEventType.WORKOUT_CREATED: "A workout was created.",
            WorkoutEventType.WORKOUT_UPDATED: "A workout was changed. Trainings that were made of it stay as they are.",
            WorkoutEventType.WORKOUT_DELETED: "A workout was deleted. The payload is the workout as it was last.",
        },
        "All changes of all workouts.",
        "workout",
        "publishWorkoutEvents",
    ),
    "exercise_events": _Channel(
        ExerciseEvent,
        {
            ExerciseEventType.EXERCISE_CREATED: "A user made an own exercise, which its name means from now on.",
            ExerciseEventType.EXERCISE_UPDATED: (
                "A user changed an own exercise: `names` are all that mean it. A new name is one more of them."
            ),
            ExerciseEventType.EXERCISE_DELETED: "A user deleted an own exercise: `names` mean nothing any more.",
            ExerciseEventType.EXERCISE_ALIAS_SET: "A user said what a name means.",
            ExerciseEventType.EXERCISE_ALIAS_REMOVED: "A user said that a name means nothing any more.",
        },
        "All that users say of movements: own exercises, and what names in their trainings mean.",
        "user",
        "publishExerciseEvents",
    ),
    "phase_events": _Channel(
        {
            **dict.fromkeys(PhaseEventType, PhaseEvent),
            **dict.fromkeys(GoalEventType, GoalEvent),
        },
        {
            PhaseEventType.PHASE_CREATED: "A phase of training was planned.",
            PhaseEventType.PHASE_UPDATED: "A phase was changed, or moved.",
            PhaseEventType.PHASE_DELETED: "A phase was deleted. The payload is the phase as it was last.",
            GoalEventType.GOAL_CREATED: "An athlete set a goal.",
            GoalEventType.GOAL_UPDATED: "An athlete changed a goal.",
            GoalEventType.GOAL_DELETED: "An athlete dropped a goal. The payload is the goal as it was last.",
        },
        "All changes of phases and goals.",
        "phase or goal",
        "publishPhaseEvents",
    ),
    "readiness_events": _Channel(
        {
            **dict.fromkeys(CheckInEventType, CheckInEvent),
            **dict.fromkeys(AdviceEventType, AdviceEvent),
        },
        {
            CheckInEventType.CHECK_IN_CREATED: "An athlete checked in for a day.",
            CheckInEventType.CHECK_IN_UPDATED: "An athlete changed a check-in, or made a deleted one anew.",
            CheckInEventType.CHECK_IN_DELETED: "An athlete deleted a check-in. The payload is what it said last.",
            AdviceEventType.ADVICE_ACCEPTED: "An athlete accepted advice: the payload tells what that changed.",
            AdviceEventType.ADVICE_UNDONE: (
                "An athlete took accepted advice back: the payload tells which trainings are as before, and which stay "
                "as they are, and why."
            ),
        },
        "All changes of check-ins, and what athletes do with advice: data concerning health. Advice that is only given "
        "is no event.",
        "check-in or advice",
        "publishReadinessEvents",
    ),
    "training_insights": _Channel(
        {
            InsightEventType.PERSONAL_RECORD: PersonalRecordEvent,
            InsightEventType.LOAD_BAND_CHANGED: LoadBandEvent,
            InsightEventType.FORM_ANALYSIS_ADDED: FormAnalysisEvent,
        },
        {
            InsightEventType.PERSONAL_RECORD: (
                "An athlete set a personal record, in a training that was logged within a week. First performances, "
                "imported history, and what comes to stand when another training is corrected or deleted are not told. "
                "Nor is it taken back when the record falls by a correction or a deletion: what stands is in "
                "`metrics/records`."
            ),
            InsightEventType.LOAD_BAND_CHANGED: (
                "An athlete's load is in another band than before, by the same measure; on a day with several changes "
                "maybe more than once. An indicator of load, and nothing more."
            ),
            InsightEventType.FORM_ANALYSIS_ADDED: (
                "Another service analysed the form in the video of a set. The training stays as it is."
            ),
        },
        "What follows from trainings, told once, when it came about: personal records, changes of the load's band, and "
        "what other services found in videos of sets.",
        "record, of the user's load, or of the form analysis",
        "publishTrainingInsights",
    ),
}
_TEXT: Schema = {"type": "string"}
_KEY: Schema = {"type": "string", "format": "uuid", "description": "The user's id."}


def _headers(channel: _Channel) -> Schema:
    return {
        "type": "object",
        "description": "CloudEvents 1.0, Kafka binding, binary mode. All values are UTF-8.",
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "format": "uuid", "description": "`event_id`."},
            "ce_type": {"type": "string", "enum": list(channel.meaning), "description": "`event_type`."},
            "ce_source": {"const": "/training-service"},
            "ce_time": {"type": "string", "format": "date-time", "description": "When the change was stored."},
            "ce_subject": {"type": "string", "format": "uuid", "description": f"The id of the {channel.noun}."},
            "ce_sequence": {**_TEXT, "pattern": "^[0-9]+$", "description": "`version`."},
            "ce_logseq": {**_TEXT, "pattern": "^[0-9]+$", "description": "The event's place in the service's log."},
            "content-type": {"const": "application/json"},
            "ce_requestid": {**_TEXT, "description": "`X-Request-Id` of the request that made the change."},
            "traceparent": {
                **_TEXT,
                "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
                "description": "W3C Trace Context of that request, where it had one.",
            },
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


def _messages(channel: _Channel, references: dict[Key, Schema]) -> Schema:
    return {
        str(type_): {
            "name": str(type_),
            "summary": meaning,
            "contentType": "application/json",
            "headers": _headers(channel),
            "payload": {
                "allOf": [
                    references[channel.model(type_), "serialization"],
                    {"type": "object", "properties": {"event_type": {"const": str(type_)}}},
                ]
            },
            "bindings": {"kafka": {"key": _KEY, "bindingVersion": "0.5.0"}},
        }
        for type_, meaning in channel.meaning.items()
    }


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    models = dict.fromkeys(channel.model(type_) for channel in _CHANNELS.values() for type_ in channel.meaning)
    references, definitions = schemas([(model, "serialization") for model in models])
    messages: Schema = {}
    for channel in _CHANNELS.values():
        messages |= _messages(channel, references)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Training events",
            "version": version("training-service"),
            "description": _INFO,
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "description": channel.about,
                "messages": {str(type_): {"$ref": f"#/components/messages/{type_}"} for type_ in channel.meaning},
                "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
            }
            for topic, channel in _CHANNELS.items()
        },
        "operations": {
            channel.operation: {
                "action": "send",
                "channel": {"$ref": f"#/channels/{topic}"},
                "summary": "The service publishes; subscribe with a consumer group of your own.",
                "messages": [{"$ref": f"#/channels/{topic}/messages/{type_}"} for type_ in channel.meaning],
            }
            for topic, channel in _CHANNELS.items()
        },
        "components": {"messages": messages, "schemas": definitions},
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(text(document()))
