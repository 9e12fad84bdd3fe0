"""Many new trainings in one SQL statement, each with a result of its own."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson

from models.errors import (
    DatabaseUnavailable,
    IdentityConflict,
    TrainingServiceError,
    UnknownExercise,
    UnknownWorkout,
    Unprocessable,
)
from models.events import EventType
from models.trainings import TrainingCreate, document_json
from storage.database import Database, Row
from storage.training_batch_statements import CREATE_MANY
from storage.training_writes import ATTEMPTS, TAKEN, Author, TrainingWriter, Written, identity
from storage.trainings import stored_training

Item = tuple[UUID, TrainingCreate, str]
"""A new training: its id (the client's, or a new one), its body, and what `exercises_json` made of that."""
Result = Written | TrainingServiceError


class NotAllowed(Exception):
    """What had to be the case for a batch is not."""


class TrainingBatches:
    """Batches of all users' new trainings. `topic` is where their events go.

    `statement` is what `create_many` makes, and `more` are the parameters of its `only`.
    """

    def __init__(
        self,
        database: Database,
        topic: str,
        *,
        statement: str = CREATE_MANY,
        more: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self._writer = TrainingWriter(database, topic)
        self._statement = statement
        self._more = more

    async def create(self, author: Author, items: Sequence[Item]) -> list[Result]:
        """Store those that can be stored, each with its event, all of them at once; what each came to, in order.

        A result is what `Trainings.create` returns, or the error that it raises: an `id` or `source_id` that is taken,
        within the batch too, holds up no other. Of a training that was there already the document is None where those
        before it have `PAGE_BYTES` (`storage.pages`). Raises `DatabaseUnavailable`; then nothing can be said of any of
        them, and those with an `id` or a `source_id` are safe to send again. Raises `NotAllowed` where `only` has no
        row; what was stored by then stays.
        """
        results: dict[int, Result] = {}
        waiting: dict[int, dict[str, Any]] = {}
        earlier = dict(_repeated(items))
        for place, (id_, body, exercises) in enumerate(items):
            if place not in earlier:
                try:
                    waiting[place] = self._row(author, place, id_, body, exercises)
                except Unprocessable as error:
                    results[place] = error
        for _ in range(ATTEMPTS):
            if not waiting:
                break
            for place, rows in (await self._write(author, list(waiting.values()))).items():
                result = _result(author.user_id, waiting[place], rows)
                # Without one, another statement created it after this one's snapshot was taken: the next one sees it.
                if result is not None:
                    results[place] = result
                    del waiting[place]
        else:
            raise DatabaseUnavailable("Too many writes of these trainings at once.")
        for place, first in earlier.items():
            results[place] = _again(items, place, first, results)
        return [results[place] for place in range(len(items))]

    def _row(self, author: Author, place: int, id_: UUID, body: TrainingCreate, exercises: str) -> dict[str, Any]:
        write = self._writer.training(author, id_, EventType.TRAINING_CREATED, body, exercises)
        return write | {
            "place": place,
            "source_id": body.source_id,
            "digest": identity(body).hex(),
            "exercises": orjson.Fragment(exercises),
        }

    async def _write(self, author: Author, items: list[dict[str, Any]]) -> dict[int, list[Row]]:
        event = self._writer.event(author, author.user_id, EventType.TRAINING_CREATED)
        parameters = event | {"items": orjson.dumps(items).decode()} | dict(self._more)
        found = defaultdict(list)
        for place, *row in await self._writer.ask(self._statement, parameters):
            found[place].append(tuple(row))
        if not found:  # each item has a row, whatever it came to
            raise NotAllowed
        return found


def _repeated(items: Sequence[Item]) -> Iterator[tuple[int, set[int]]]:
    """The items whose id or source_id earlier ones of the batch have, with those."""
    firsts: dict[UUID | str, int] = {}
    for place, (id_, body, _) in enumerate(items):
        names: list[UUID | str] = [id_] if body.source_id is None else [id_, body.source_id]
        met = {firsts[name] for name in names if name in firsts}
        if met:
            yield place, met
        else:
            firsts |= dict.fromkeys(names, place)


def _again(items: Sequence[Item], place: int, firsts: set[int], results: dict[int, Result]) -> Result:
    """What an item comes to that an earlier one of the batch took the identity of."""
    first = min(firsts)
    if len(firsts) > 1 or items[first][1].digest() != items[place][1].digest():
        return IdentityConflict(TAKEN)
    result = results[first]
    return Written(result.id, result.version, result.document) if isinstance(result, Written) else result


def _result(user_id: UUID, item: dict[str, Any], rows: list[Row]) -> Result | None:
    created_at, workout_known, exercises_known, same, *stored = rows[0]
    if created_at is not None:
        document = document_json(
            id=item["id"],
            user_id=user_id,
            source_id=item["source_id"],
            version=1,
            fields=item["fields"],
            created_at=created_at,
            updated_at=created_at,
        )
        return Written(item["id"], 1, document, created=True)
    if not workout_known:
        return UnknownWorkout("There is no such workout.", "/workout_id")
    if not exercises_known:
        return UnknownExercise("The catalogue has no such revision of a movement.", "/exercises")
    if same is None:
        return None
    if len(rows) > 1 or not same:
        return IdentityConflict(TAKEN)
    id_, _, version, *_, fields = stored
    return Written(id_, version, None if fields is None else stored_training(user_id, stored).document)
