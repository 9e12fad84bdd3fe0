"""Users who say what names mean, through the storage, and the records that become of it."""

from typing import Any

import orjson

from models.own_exercises import AliasBody, OwnExerciseCreate, OwnExerciseUpdate
from storage.database import Database
from storage.fold_state import LoggedEvent
from storage.own_exercises import OwnExercises
from storage.trainings import Author
from tests.support.athletes import Athlete

TOPIC = "exercise_events"
_FACTS: dict[str, Any] = {
    "category": "Push",
    "mode": "reps",
    "phases": ["concentric"],
    "difficulty": 4,
    "muscles": ["chest"],
    "family": "push-up",
}

_LOG = "SELECT topic, seq, seq, event_id, user_id, payload FROM outbox WHERE topic = %s ORDER BY seq"


class Namer:
    """What an athlete says of names."""

    def __init__(self, database: Database, athlete: Athlete) -> None:
        self._author = Author(athlete.user_id, "athlete")
        self._own = OwnExercises(database, TOPIC)

    async def means(self, name: str, exercise: str | None = None, *, own: str | None = None) -> None:
        """PUT of an alias: the name means a movement of the catalogue, or an own one."""
        await self._own.set_alias(self._author, name, AliasBody(exercise=exercise, own_exercise=own))

    async def means_nothing(self, name: str) -> None:
        """DELETE of an alias."""
        await self._own.remove_alias(self._author, name)

    async def create(self, slug: str, **fields: Any) -> None:
        """POST of an own exercise."""
        await self._own.create(
            self._author,
            OwnExerciseCreate.model_validate_json(orjson.dumps(_FACTS | {"name": slug, "slug": slug} | fields)),
        )

    async def update(self, slug: str, **fields: Any) -> None:
        """PUT of an own exercise."""
        await self._own.update(
            self._author, slug, OwnExerciseUpdate.model_validate_json(orjson.dumps(_FACTS | {"name": slug} | fields))
        )

    async def delete(self, slug: str) -> None:
        """DELETE of an own exercise."""
        await self._own.delete(self._author, slug)


async def told(database: Database) -> list[LoggedEvent]:
    """What the log says of names, as the records that it is published as."""
    return [LoggedEvent.of(row) for row in await database.all(_LOG, [TOPIC])]
