"""The feed of a user's changes, in pages of one statement each. Which rows are new, `models.changes` says."""

from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

import orjson

from models.changes import Cursor, Snapshot
from models.errors import CursorExpired
from models.fields import moment
from storage.change_statements import BEGIN, CHANGES, GROUP, STATE
from storage.database import Database, Prepared, Row
from storage.pages import page_of
from storage.trainings import stored_training


class ChangePage(NamedTuple):
    """Documents and tombstones as JSON, where to go on, and whether to do so at once."""

    items: list[bytes]
    cursor: Cursor
    more: bool


class _Found(NamedTuple):
    place: str
    now: Snapshot
    newest: int | None
    rows: list[Row]  # each with its transaction first
    beyond: int | None  # transaction of the row after them


class Changes:
    """The changes of all users' trainings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, user_id: UUID, cursor: Cursor | None, limit: int) -> ChangePage:
        """At most `limit` trainings of the user that changed since `cursor`, each once and as it is now; fewer where
        they are large (`storage.pages`).

        Without a cursor the first of those that there are. Raises `CursorExpired` and `DatabaseUnavailable`.
        """
        if cursor is None:
            found = await self._find(BEGIN, user_id, limit)
            seen = Snapshot()
            if found.newest is not None:
                seen = seen.advanced(found.now, found.newest)
            cursor, more = _after_state(Cursor(found.place, seen), found)
        else:
            statement = STATE if cursor.state else CHANGES if cursor.group is None else GROUP
            parameters = {
                "seen": str(cursor.seen),
                "xmin": str(cursor.seen.xmin),
                "after": cursor.after,
                "group": None if cursor.group is None else str(cursor.group),
            }
            found = await self._find(statement, user_id, limit, **parameters)
            if found.place != cursor.place or found.now.xmax < cursor.seen.xmax:
                raise CursorExpired("The database was restored or moved since. Begin without `cursor`.")
            cursor, more = (_after_state if cursor.state else _after_changes)(cursor, found)
        return ChangePage([_item(user_id, row) for row in found.rows], cursor, more)

    async def _find(self, statement: str | Prepared, user_id: UUID, limit: int, **more: object) -> _Found:
        parameters = {"user_id": user_id, "limit": limit + 1} | more  # one more tells whether there is a next page
        answer = await self._database.all(statement, parameters)
        place, now, newest = answer[0][:3]
        rows = [(int(row[3]), *row[4:]) for row in answer if row[3] is not None]
        page = page_of(rows, limit)
        beyond = rows[len(page)][0] if page.more else None
        return _Found(place, Snapshot.of(now), None if newest is None else int(newest), page, beyond)


def _after_state(cursor: Cursor, found: _Found) -> tuple[Cursor, bool]:
    if found.beyond is not None:
        return replace(cursor, state=True, after=found.rows[-1][1]), True
    # Where it took more than one page, there may be changes by now.
    return Cursor(cursor.place, cursor.seen), cursor.state


def _after_changes(cursor: Cursor, found: _Found) -> tuple[Cursor, bool]:
    if cursor.group is not None:
        if found.beyond is not None:
            return replace(cursor, after=found.rows[-1][1]), True
        return Cursor(cursor.place, cursor.seen.with_(cursor.group)), True
    if found.beyond is None:
        last = max([cursor.seen.xmax - 1, *(row[0] for row in found.rows)])
        return Cursor(cursor.place, cursor.seen.advanced(found.now, last)), False
    last, id_ = found.rows[-1][:2]
    seen = cursor.seen.advanced(found.now, last)
    if found.beyond != last:
        return Cursor(cursor.place, seen), True
    return Cursor(cursor.place, seen.without(last), after=id_, group=last), True


def _item(user_id: UUID, row: Row) -> bytes:
    _, id_, _, version, _, _, _, deleted_at, _ = row
    if deleted_at is None:
        return stored_training(user_id, row[1:]).document
    return orjson.dumps({"id": id_, "version": version, "deleted": True, "deleted_at": moment(deleted_at)})
