"""A log that goes years back, and everything that can be read of it, wherever its rows are."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from models.archives import Manifest
from models.exports import TABLES, Format
from storage import archiving
from storage.archives import list_archives, read_rows
from storage.database import Database
from storage.exercises import read_catalogue
from storage.exports import read_export, read_log
from storage.outbox import published
from storage.trainings import Change, Trainings
from tests.support import own_exercises as names
from tests.support.athletes import TOPIC, Athlete
from tests.support.databases import DatabaseUrls

TODAY = dt.datetime.now(dt.UTC).date()

_KEEP_MONTH = "SELECT outbox_keep_month(date_trunc('month', %(at)s::timestamptz AT TIME ZONE 'UTC'))"
_AGE = """
UPDATE outbox
SET created_at = %(at)s,
    payload = regexp_replace(payload, '"timestamp":"[^"]*"', '"timestamp":"' || rfc3339(%(at)s::timestamptz) || '"')
WHERE user_id = %(user_id)s AND aggregate_id = %(id)s AND version = %(version)s;
UPDATE trainings SET updated_at = %(at)s, created_at = least(created_at, %(at)s)
WHERE user_id = %(user_id)s AND id = %(id)s
"""
_PUBLISH = """
UPDATE outbox_cursor
SET lo = pg_current_snapshot(), hi = pg_current_snapshot(), top_seq = (SELECT max(seq) FROM outbox), done_seq = 0
"""
_LOG = """
SELECT seq, event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, request_id, payload,
       created_at, published_seq, traceparent
FROM outbox ORDER BY seq
"""


class World:
    """A database as workers and its owner see it, with the folder of its archives."""

    def __init__(self, database: Database, owner: Database, folder: Path) -> None:
        self.database, self.owner, self.folder = database, owner, folder
        self.trainings = Trainings(database, TOPIC)
        self.volume = VolumeFold(database, TOPIC, names.TOPIC, archive_dir=folder)

    async def athlete(self) -> Athlete:
        """A new user."""
        return Athlete(self.database, await read_catalogue(self.database))

    async def age(self, user_id: UUID, id_: UUID, version: int, at: dt.datetime) -> None:
        """Have this change of a training be of another time."""
        await self.owner.execute(_KEEP_MONTH, {"at": at})
        await self.owner.execute(_AGE, {"user_id": user_id, "id": id_, "version": version, "at": at})

    async def settle(self) -> None:
        """Have all that is in the log be published and folded; another user's training is the last of the log."""
        await (await self.athlete()).create()
        await self.fold()
        await self.publish()

    async def fold(self) -> None:
        """Fold the log, and compute what follows from it."""
        await self.volume.fold_log()
        await InsightsFold(self.database, "training_insights").run_due()

    async def publish(self) -> None:
        """Have all that is in the log be published."""
        await self.database.execute(_PUBLISH)

    async def archive(self, before: dt.date = TODAY) -> list[Manifest]:
        """`training archive --before`."""
        return [made async for made in archiving.archive(self.owner, self.folder, before)]

    async def restore(self, month: dt.date | None = None) -> list[archiving.Restored]:
        """`training archive restore`."""
        return [done async for done in archiving.restore(self.owner, self.folder, month)]

    async def log(self) -> list[tuple[Any, ...]]:
        """The log's rows as they are, but for their transactions."""
        return await self.database.all(_LOG)

    async def rows(self) -> dict[int, tuple[Any, ...]]:
        """The rows of log and files by their place; none of them is in two."""
        found = await self.log()
        for archive in await list_archives(self.database):
            async for rows in read_rows(self.folder, archive.file):
                found += [tuple(row) for row in rows]
        by_place = {row[0]: row for row in found}
        assert len(by_place) == len(found)
        return by_place

    async def history(self, user_id: UUID, id_: UUID, **page: Any) -> list[Change]:
        """The training's."""
        return await self.trainings.history(user_id, id_, archive_dir=self.folder, **{"limit": 100} | page)

    async def seen(self) -> dict[str, Any]:
        """What users, analysts and subscribers can read."""
        found: dict[str, Any] = {}
        for user_id, id_ in await self.database.all("SELECT user_id, id FROM trainings"):
            found[f"history of {user_id} {id_}"] = await self.history(user_id, id_)
        for (user_id,) in await self.database.all("SELECT DISTINCT user_id FROM trainings"):
            found[f"trainings of {user_id}"] = await self.trainings.page(user_id, limit=1000)
            found[f"log of {user_id}"] = [part async for part in read_log(self.database, user_id, newest_first=False)]
        for table in TABLES:
            for since in (None, 20):
                chunks = read_export(self.database, table, Format.NDJSON, changed_since=since)
                found[f"{table} since {since}"] = sorted([line async for _, lines in chunks for line in lines])
        events = published(self.database, archive_dir=self.folder)
        found["events"] = sorted([row async for rows in events for row in rows])
        return found

    def files(self) -> list[str]:
        """The names of what is in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@asynccontextmanager
async def world(urls: DatabaseUrls, folder: Path) -> AsyncIterator[World]:
    """A world whose pools are closed in the end."""
    database, owner = Database(urls.worker), Database(urls.owner)
    try:
        yield World(database, owner, folder)
    finally:
        await owner.close()
        await database.close()
