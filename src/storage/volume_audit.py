"""What it takes to compare the volume tables with the log, and to make them anew from it."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from uuid import UUID

from models.archives import Archive, ArchivedRow
from storage import insights_statements as insights
from storage import volume_statements as sql
from storage.archive_statements import HOLD_FILES
from storage.archives import event_of, logged_events, read_rows
from storage.database import Cursor, Row
from storage.fold_state import LoggedEvent


async def users_after(cursor: Cursor, after: UUID, limit: int) -> list[UUID]:
    """At most `limit` users with a row in the log or in a table of volume, in order, from the one behind `after` on."""
    return [row[0] for row in await cursor.all(sql.USERS_AFTER, {"after": after, "limit": limit})]


async def stored_rows(cursor: Cursor, table: str, users: Sequence[UUID]) -> list[Row]:
    """The rows of these users, with the columns of `volume_statements.COLUMNS[table]`."""
    return await cursor.all(sql.STORED[table], {"users": list(users)})


async def folded_events(cursor: Cursor, users: Sequence[UUID], archive_dir: Path | None) -> list[LoggedEvent]:
    """The events of these users that `folded_trainings` says it comes from. Raises `ArchiveUnavailable`."""
    return await logged_events(archive_dir, await cursor.all(sql.FOLDED_EVENTS, {"users": list(users)}))


async def count_behind(cursor: Cursor, users: Sequence[UUID]) -> int:
    """How many trainings of these users have a newer event than the one that is folded."""
    return int((await cursor.all(sql.BEHIND, {"users": list(users)}))[0][0])


async def marked_users(cursor: Cursor, users: Sequence[UUID]) -> set[UUID]:
    """Those of these users whose load and records are to be computed anew."""
    return {row[0] for row in await cursor.all(insights.MARKED, {"users": list(users)})}


async def erased_users(cursor: Cursor, users: Sequence[UUID]) -> set[UUID]:
    """Those of these users who were erased: what there still is of theirs is on its way out."""
    ((gone,),) = await cursor.all("SELECT erased(%(users)s)", {"users": list(users)})
    return set(gone)


async def make_shadow(cursor: Cursor) -> None:
    """Make empty temporary tables, which only this connection sees, in the shape of the tables of volume."""
    await cursor.execute(sql.MAKE_SHADOW)


async def read_log(cursor: Cursor, after: int, limit: int) -> list[LoggedEvent]:
    """At most `limit` events behind place `after` of the log that the shadow does not contain yet, in its order."""
    return [LoggedEvent.of(row) for row in await cursor.all(sql.UNSHADOWED, {"after": after, "limit": limit})]


async def read_archive(folder: Path | None, archive: Archive) -> AsyncGenerator[list[LoggedEvent], None]:
    """The newest events of the trainings that a file holds; a part at a time. Raises `ArchiveUnavailable`."""
    last: ArchivedRow | None = None
    async for rows in read_rows(folder, archive.file):
        newest = []
        for row in rows:
            if last is not None and (last.user_id, last.aggregate_id) != (row.user_id, row.aggregate_id):
                newest.append(event_of(last))
            last = row
        yield newest
    if last is not None:
        yield [event_of(last)]


async def hold_files(cursor: Cursor) -> None:
    """Wait for who moves rows between log and archive, and let nobody else before the end of this transaction."""
    await cursor.execute(HOLD_FILES)


async def analyse_shadow(cursor: Cursor) -> None:
    """Tell the planner how large the temporary tables are."""
    await cursor.execute(sql.ANALYSE_SHADOW)


async def hold_folds(cursor: Cursor) -> None:
    """Wait for everything that is being stored, and let nothing else be before the end of this transaction.

    Readers go on.
    """
    await cursor.execute(sql.HOLD_FOLDS)


async def take_over_shadow(cursor: Cursor) -> dict[str, int]:
    """Make the derived tables equal to the shadow; returns how many rows of each differed.

    Rows that are equal are left alone: so little is written, nobody's SELECT waits, and views and grants stay. Who was
    erased meanwhile is left out. What the
    shadow has of the log and the tables had not is marked, as their fold would have: it is still to be announced.
    """
    ((gone,),) = await cursor.all(sql.ERASED_IN_SHADOW)
    if gone:
        await cursor.execute(sql.LEAVE_OUT, {"users": gone})
    await analyse_shadow(cursor)
    await cursor.execute(insights.MARK_FOLDED)
    await cursor.execute(insights.TOUCH_MARKS)
    changed = {}
    for table in sql.KEYS:
        removed = await cursor.execute(sql.REMOVE_STRANGERS[table])
        changed[table] = max(removed, await cursor.execute(sql.ADD_MISSING[table]))
    return changed


async def drop_shadow(cursor: Cursor) -> None:
    """Remove the temporary tables; an open transaction is ended without effect."""
    await cursor.execute(sql.DROP_SHADOW)
