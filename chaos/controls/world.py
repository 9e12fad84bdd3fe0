"""What one control is tried on: a database, a topic, and a client whose calls are remembered."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import cast
from uuid import UUID, uuid4

from chaos.history import Call, History, Kind, content_digest
from models.exercises import Catalogue
from models.trainings import exercises_json
from storage.database import Cursor, Database
from storage.exercises import read_catalogue
from storage.trainings import Author, Trainings
from tests.support.bodies import create_body, squat, update_body
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls

PARTITIONS = 4


@dataclass
class World:
    """One try. `owner` may do everything in the database, `worker` what workers may."""

    urls: DatabaseUrls
    kafka: KafkaAddress
    topic: str
    owner: Database
    worker: Database
    catalogue: Catalogue
    history: History = field(default_factory=History)
    user_id: UUID = field(default_factory=uuid4)
    _numbers: Iterator[int] = field(default_factory=count)

    @classmethod
    @asynccontextmanager
    async def of(cls, urls: DatabaseUrls, kafka: KafkaAddress, topic: str) -> AsyncIterator["World"]:
        """A world on a migrated, empty database and an empty topic of `PARTITIONS` partitions."""
        owner, worker = Database(urls.owner), Database(urls.worker)
        try:
            yield cls(urls, kafka, topic, owner, worker, await read_catalogue(worker))
        finally:
            await owner.close()
            await worker.close()

    async def create(self, id_: UUID) -> None:
        """The client creates a training, and is told so."""
        self.history.append(await self._write(self.worker, "create", id_, weight=100))

    async def correct(self, id_: UUID, *, weight: float) -> None:
        """The client corrects it, and is told so."""
        self.history.append(await self._write(self.worker, "correct", id_, weight=weight))

    async def delete(self, id_: UUID) -> None:
        """The client deletes it, and is told so."""
        self.history.append(await self._write(self.worker, "delete", id_, weight=0))

    async def create_in(self, transaction: Cursor, id_: UUID) -> Call:
        """Create a training in a transaction that is open still: the call, to be remembered once it ended."""
        return await self._write(transaction, "create", id_, weight=100)

    async def _write(self, database: Database | Cursor, kind: Kind, id_: UUID, *, weight: float) -> Call:
        # A cursor runs statements as a database does: here those of a transaction that somebody else ends.
        trainings = Trainings(cast("Database", database), self.topic)
        began = time.monotonic()
        call = Call("client", next(self._numbers), kind, str(self.user_id), str(id_), began, began, "ok")
        author = Author(self.user_id, "client", call.request_id)
        exercises = [squat(weight=weight)]
        if kind == "delete":
            await trainings.delete(author, id_)
            return replace(call, ended=time.monotonic(), status=204)
        if kind == "create":
            new = create_body(status="COMPLETED", exercises=exercises)
            written = await trainings.create(author, id_, new, exercises_json(id_, new.exercises, self.catalogue))
            digest = content_digest(new.model_dump(mode="json"))
        else:
            body = update_body(exercises=exercises)
            written = await trainings.update(author, id_, body, exercises_json(id_, body.exercises, self.catalogue))
            digest = content_digest(body.model_dump(mode="json"))
        status = 201 if kind == "create" else 200
        return replace(call, ended=time.monotonic(), status=status, version=written.version, digest=digest)
