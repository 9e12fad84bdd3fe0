"""Erasures: users' tombstones, the jobs that take all of theirs out, and the lease by which one worker has each."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from psycopg2 import extensions
from uuid_utils.compat import uuid7

from models.erasures import ErasureStatus
from models.errors import NotFound
from storage import erasure_statements as sql
from storage.database import Database, Row

LEASE = 10.0  # seconds that a silent worker keeps a job; a step that takes longer holds its row
_BLOCK = hashlib.sha256().block_size
_ACTOR = "training-service"
PATIENCE = "3s"  # that a new key waits for who uses the old one, while everybody who writes waits behind it


class UnlikeKey(Exception):
    """The secret is another than the one that this database's tombstones are made with."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of an erasure; `failure` is why it does not go on, `published_at` when its event was published."""

    status: ErasureStatus
    counts: Mapping[str, int]
    failure: str | None
    created_at: dt.datetime
    finished_at: dt.datetime | None
    published_at: dt.datetime | None


class Work(NamedTuple):
    """A job that this worker has, and whose it is."""

    tombstone: bytes
    user_id: UUID


class Step(NamedTuple):
    """How things are after a step: `more` rows may be there; `alone`: nobody who began before can add any; `actors`: by
    which names the user acted for others, as all steps found."""

    more: bool
    alone: bool
    actors: list[str]


class Erasures:
    """The erasures of all users. `topic` is where their events go; `worker` tells workers apart.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away.
    """

    def __init__(self, database: Database, topic: str = "", worker: str = "") -> None:
        self._database = database
        self._topic = topic
        self._worker = worker

    async def begin(self, user_id: UUID) -> Erasure:
        """From now on nothing of the user is taken, and a worker takes out what there is. Asked for again it stays."""
        return _erasure((await self._database.all(sql.BEGIN, {"user_id": user_id}))[0])

    async def read(self, user_id: UUID) -> Erasure:
        """What became of it. Raises `NotFound` where none was asked for."""
        row = await self._database.one(sql.READ, {"user_id": user_id})
        if row is None:
            raise NotFound("There is no such erasure.")
        return _erasure(row)

    async def backlog(self) -> tuple[int, float]:
        """How many erasures of all users are not done, and the age of the oldest in seconds; 0 where there is none."""
        ((number, age),) = await self._database.all(sql.BACKLOG)
        return number, age

    # What workers do.

    async def claim(self) -> Work | None:
        """The oldest job that no other worker has, for `LEASE` seconds from each step on; None where there is none."""
        row = await self._database.one(sql.CLAIM, {"lease": self._worker, "seconds": LEASE})
        return None if row is None else Work(bytes(row[0]), row[1])

    async def step(self, work: Work, most: int) -> Step | None:
        """Take out up to `most` rows and count them. None: the job is another's now."""
        row = await self._database.one(sql.STEP, self._mine(work) | {"most": most})
        return None if row is None else Step(*row)

    async def renew(self, work: Work) -> None:
        """Keep the job for `LEASE` seconds from now on."""
        await self._database.execute(sql.RENEW, self._mine(work))

    async def put_off(self, work: Work, seconds: float = 0.0, failure: str | None = None) -> None:
        """Give the job up; it is to be gone on with in so many seconds, and `failure` says why not at once."""
        await self._database.execute(sql.PUT_OFF, self._mine(work) | {"seconds": seconds, "failure": failure})

    async def finish(self, work: Work) -> None:
        """Nothing is left: forget whose it was, and announce it."""
        parameters = {
            "event_id": uuid7(),
            "erasure_id": uuid7(),
            "topic": self._topic,
            "actor": _ACTOR,
        }
        await self._database.execute(sql.FINISH, self._mine(work) | parameters)

    async def note_published(self, *, relayed: bool) -> None:
        """Note whose event was published. `relayed`: the relay publishes the log, and tells how far it is."""
        await self._database.execute(sql.PUBLISHED, {"relayed": relayed})

    async def forget(self, days: float) -> int:
        """Take the events out of the log that were published so many days ago; returns how many."""
        ((count,),) = await self._database.all(sql.FORGET, {"days": days})
        return int(count)

    def _mine(self, work: Work) -> dict[str, Any]:
        return {"tombstone": work.tombstone, "lease": self._worker, "seconds": LEASE}


async def is_erased(database: Database, user_id: UUID) -> bool:
    """Whether the user was erased. Raises `DatabaseUnavailable`."""
    return await database.one(sql.IS_ERASED, {"user_id": user_id}) is not None


async def read_tombstones(database: Database) -> list[tuple[str, str]]:
    """All tombstones, in hexadecimal, each with its moment by RFC 3339. Raises `DatabaseUnavailable`."""
    return [(tombstone, at) for tombstone, at in await database.all(sql.EXPORT)]


async def add_tombstones(
    database: Database, tombstones: Sequence[tuple[str, str]], *, statement_timeout: float
) -> tuple[int, int]:
    """Take these in, as `read_tombstones` gave them, and begin the erasure of their users who stand in a table anew.

    Returns how many tombstones are new, and of how many users something was there. `statement_timeout` is in seconds.
    Raises `DatabaseUnavailable`; then nothing was taken in.
    """
    given, moments = [tombstone for tombstone, _ in tombstones], [at for _, at in tombstones]
    async with database.transaction(statement_timeout=statement_timeout) as cursor:
        added = await cursor.execute(sql.ADD, {"tombstones": given, "moments": moments})
        tables = [row[0] for row in await cursor.all(sql.OWNED)]
        places = (sql.STANDING_IN_LOG if table == "outbox" else sql.STANDING.format(table) for table in tables)
        ((found,),) = await cursor.all(sql.RETURNED.format(" UNION ".join(places)))
    return added, int(found)


def set_key(cursor: extensions.cursor, secret: bytes | None) -> None:
    """Give the database the key of its tombstones: `secret`, or else the one that it has, or a random one.

    While there are no tombstones the key may change; else nothing is locked. Raises `UnlikeKey` where `secret` is
    another than theirs, and psycopg2's `LockNotAvailable` where the key is in use for too long.
    """
    if not _differs(cursor, secret):
        return
    cursor.execute("SET LOCAL lock_timeout = %s", [PATIENCE])
    cursor.execute("LOCK TABLE erasure_key")
    if not _differs(cursor, secret):  # somebody else was first
        return
    inner, outer = _blocks(secret or secrets.token_bytes(_BLOCK))
    cursor.execute(
        "INSERT INTO erasure_key (inner_block, outer_block) VALUES (%s, %s) "
        "ON CONFLICT (one) DO UPDATE SET inner_block = excluded.inner_block, outer_block = excluded.outer_block",
        (inner, outer),
    )


def _differs(cursor: extensions.cursor, secret: bytes | None) -> bool:
    """Whether there is no key, or another than `secret`, where that is given. Raises `UnlikeKey`."""
    cursor.execute("SELECT inner_block FROM erasure_key")
    row = cursor.fetchone()
    if row is None:
        return True
    if secret is None or bytes(row[0]) == next(iter(_blocks(secret))):
        return False
    cursor.execute("SELECT FROM tombstones LIMIT 1")
    if cursor.rowcount:
        raise UnlikeKey
    return True


def _blocks(key: bytes) -> Iterable[bytes]:
    """The two blocks that HMAC-SHA-256 makes of a key (RFC 2104)."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return (bytes(byte ^ mask for byte in block) for mask in (0x36, 0x5C))


def _erasure(row: Row) -> Erasure:
    status, *facts = row
    return Erasure(ErasureStatus(status), *facts)
