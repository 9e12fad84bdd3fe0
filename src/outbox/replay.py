"""Replay: events that were published go out once more, with the same key, value and headers, and one header beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from models.events import (
    AdviceEventType,
    CheckInEventType,
    EventType,
    ExerciseEventType,
    GoalEventType,
    InsightEventType,
    PhaseEventType,
    UserEventType,
    WorkoutEventType,
)
from models.outbox import LogRow
from outbox.producer import KafkaProducer
from settings import Settings
from storage.database import Database
from storage.outbox import published


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: `id` is the value of the header `replay` in its records, `topics` are where they went."""

    id: UUID
    topics: tuple[str, ...]
    records: int


async def replay(
    settings: Settings,
    database: Database,
    *,
    user_id: UUID | None = None,
    training_id: UUID | None = None,
    workout_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    topic: str | None = None,
    broadcast: bool = False,
) -> Replayed:
    """Publish again, in order, what was published of a user, of a training or workout, or from `since` until before
    `until`; what is archived of it first, training by training.

    Each goes to `topic`, by default to `<its topic>.replay`, which is made if missing; with `broadcast` to the topic
    that every subscriber reads. What is not published yet, or held back, is left to the relay.

    Raises `DatabaseUnavailable`, `ArchiveUnavailable` and aiokafka's `KafkaError`; what went out by then stays, and may
    be replayed again.
    """
    id_ = uuid7()
    topics: dict[str, str] = {
        **dict.fromkeys((*EventType, *UserEventType), settings.events_topic),
        **dict.fromkeys(WorkoutEventType, settings.workout_events_topic),
        **dict.fromkeys(ExerciseEventType, settings.exercise_events_topic),
        **dict.fromkeys((*PhaseEventType, *GoalEventType), settings.phase_events_topic),
        **dict.fromkeys((*CheckInEventType, *AdviceEventType), settings.readiness_events_topic),
        **dict.fromkeys(InsightEventType, settings.insights_topic),
    }

    def target(row: LogRow) -> str:
        return topics[row.event_type] if broadcast else topic or f"{topics[row.event_type]}.replay"

    producer = KafkaProducer.of(settings, extra=[("replay", str(id_).encode())], divert=target)
    records = 0
    targets: set[str] = set()
    try:
        async for rows in published(
            database,
            user_id=user_id,
            training_id=training_id,
            workout_id=workout_id,
            since=since,
            until=until,
            archive_dir=settings.archive_dir,
        ):
            left: Sequence[LogRow] = rows
            while left:
                outcome = await producer.publish(left, lambda: True)
                if outcome.error is not None and not outcome.narrowed:
                    raise outcome.error
                left = outcome.left
            records += len(rows)
            targets.update(map(target, rows))
    finally:
        await producer.close()
    return Replayed(id_, tuple(sorted(targets)), records)
