"""Users who write trainings through the storage, and the records that become of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from models.exercises import Catalogue
from models.trainings import TrainingCreate, exercises_json
from storage.database import Database
from storage.fold_state import LoggedEvent
from storage.trainings import Author, Trainings
from tests.support.bodies import create_body, update_body

TOPIC = "training_events"

_LOG = "SELECT topic, seq, seq, event_id, user_id, payload FROM outbox WHERE topic = %s ORDER BY seq"


class Athlete:
    """One user. `fields` are those of the request's body."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self.user_id = uuid4()
        self._author = Author(self.user_id, "athlete")
        self._trainings = Trainings(database, TOPIC)
        self._catalogue = catalogue

    async def create(self, **fields: Any) -> UUID:
        """POST: a COMPLETED training, unless `fields` says otherwise."""
        return await self.create_body(create_body(**{"status": "COMPLETED"} | fields))

    async def create_body(self, body: TrainingCreate) -> UUID:
        """POST."""
        id_ = uuid4()
        await self._trainings.create(self._author, id_, body, exercises_json(id_, body.exercises, self._catalogue))
        return id_

    async def update(self, id_: UUID, **fields: Any) -> None:
        """PUT."""
        body = update_body(**fields)
        await self._trainings.update(self._author, id_, body, exercises_json(id_, body.exercises, self._catalogue))

    async def delete(self, id_: UUID) -> None:
        """DELETE."""
        await self._trainings.delete(self._author, id_)

    async def restore(self, id_: UUID) -> None:
        """POST …/restore."""
        await self._trainings.restore(self._author, id_)


async def published(database: Database) -> list[LoggedEvent]:
    """The log as the records that it is published as."""
    return [LoggedEvent.of(row) for row in await database.all(_LOG, [TOPIC])]


@dataclass
class Batch:
    """A batch of records, which calls `then` when it is acknowledged."""

    records: Sequence[Any]
    then: Callable[[], Awaitable[None]] | None = None
    acknowledged: bool = field(default=False)

    async def ack(self) -> None:
        self.acknowledged = True
        if self.then is not None:
            await self.then()
