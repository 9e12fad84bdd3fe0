"""Single sets of trainings: each saved or removed by one SQL statement, which makes the training's next version."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from models.errors import NotFound, TrainingServiceError, Unprocessable
from models.events import MAX_EVENT_BYTES, EventType
from models.sets import MAX_ORDER, MAX_SETS, SetUpdate, set_fields
from storage.database import Database
from storage.set_statements import DELETE, SAVE
from storage.training_writes import Author, IdempotencyKey, TrainingWriter, Written


class Sets:
    """The sets of all users' trainings. `topic` is where the trainings' events go.

    Writes of one training at the same time follow one another: none is lost, and none fails for another's sake. Every
    method raises `DatabaseUnavailable` when PostgreSQL is away; a write that was under way then may or may not have
    been done.
    """

    def __init__(self, database: Database, topic: str) -> None:
        self._writer = TrainingWriter(database, topic)

    async def save(
        self,
        author: Author,
        training_id: UUID,
        exercise_id: UUID,
        set_id: UUID,
        body: SetUpdate,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Store the set in the place of the one with this id, or as a new one. `if_match` are the training's versions.

        Raises `NotFound` (the training, the exercise), `PreconditionFailed`, `IdempotencyKeyReused`, and
        `Unprocessable` where another set has the place, the exercise has no room, or the event would be too large.
        """
        write = self._event(author, training_id, exercise_id, set_id)
        write["set"] = orjson.dumps(set_fields(str(set_id), body.order, body)).decode()
        return await self._writer.change(SAVE, author, write, _not_saved, if_match=if_match, key=key)

    async def delete(
        self,
        author: Author,
        training_id: UUID,
        exercise_id: UUID,
        set_id: UUID,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> Written:
        """Remove the set. `if_match` are the training's versions.

        Raises `NotFound` (the training, the exercise, the set), `PreconditionFailed` and `IdempotencyKeyReused`.
        """
        write = self._event(author, training_id, exercise_id, set_id)
        return await self._writer.change(DELETE, author, write, _not_deleted, if_match=if_match, key=key)

    def _event(self, author: Author, training_id: UUID, exercise_id: UUID, set_id: UUID) -> dict[str, Any]:
        event = self._writer.event(author, training_id, EventType.TRAINING_UPDATED)
        return event | {"exercise_id": exercise_id, "set_id": set_id}


def _not_saved(_: str, facts: Sequence[Any]) -> TrainingServiceError:
    known, taken, order, own, sets, size = facts
    if not known:
        return NotFound("The training has no such exercise.")
    if taken:
        return Unprocessable("Another set of the exercise has this place.", "/order")
    if order > MAX_ORDER:
        return Unprocessable(f"The last set is at {MAX_ORDER:,}: name a place that is free.", "/order")
    if own is None and sets >= MAX_SETS:
        return Unprocessable(f"The exercise has {MAX_SETS} sets, which is the most.")
    return Unprocessable(f"The training's event would have {size:,} bytes or more; {MAX_EVENT_BYTES:,} are the most.")


def _not_deleted(_: str, facts: Sequence[Any]) -> NotFound:
    known, _present = facts
    return NotFound("The exercise has no such set." if known else "The training has no such exercise.")
