"""The archived part of the log, for who reads the log: which file holds what, and the rows in it.

Rows of a training that nobody has changed for long are moved out of the log into files (`storage.archiving`). What is
moved is noted in the same transaction; so whoever finds in one snapshot what the log has, and which files have the
rest, finds every row once; what is archived of a training is older than what the log has of it. A file is never
changed: it is replaced by another, or its rows go back. Whoever was told of a file that is there no more asks again
(`steady`).
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError

from models.archives import Archive, ArchivedRow, ArchiveFile, Manifest
from models.errors import ArchiveUnavailable
from models.fields import moment
from models.outbox import LogRow
from storage import archive_statements as sql
from storage.archive_folder import claim, manifest_of
from storage.database import Cursor, Database, Row
from storage.fold_state import LoggedEvent
from storage.pages import PAGE_BYTES, Page

SECONDS = 600.0  # that a statement about a file may take, and the wait for who is at work on another one
ERASED = "erased"  # stands for an actor who was erased

T = TypeVar("T")


async def files_module() -> Any:
    """`storage.archive_files`: with pyarrow, which takes half a second and 60 MB, it is loaded when it is needed."""
    return await asyncio.to_thread(import_module, "storage.archive_files")


async def steady(read: Callable[[], Awaitable[T]]) -> T:
    """What `read` returns, which asks the database for files and reads them; again where one was replaced meanwhile."""
    said = ""
    while True:
        try:
            return await read()
        except ArchiveUnavailable as error:
            if str(error) == said:
                raise
            said = str(error)


async def list_archives(database: Database | Cursor) -> list[Archive]:
    """All files, in the order in which they were made."""
    return [Archive(*row) for row in await database.all(sql.LIST)]


async def require(database: Database, folder: Path | None) -> None:
    """Raises `ArchiveUnavailable`, which names them, where files are not there or not those that were written."""

    async def look() -> None:
        missing = []
        for archive in await list_archives(database):
            try:
                await asyncio.to_thread(checked, folder, archive.file)
            except ArchiveUnavailable as error:
                missing.append(str(error))
        if missing:
            more = f" So are {len(missing) - 1} more." if len(missing) > 1 else ""
            raise ArchiveUnavailable(f"{missing[0]}{more}")

    await steady(look)


def checked(folder: Path | None, file: ArchiveFile) -> Path:
    """Where the file is. Raises `ArchiveUnavailable` where it is not there, or its size or manifest is another's."""
    if folder is None:
        raise ArchiveUnavailable(f"The archive {file.name} is needed, and TRAINING_ARCHIVE_DIR is not set.")
    path = folder / file.name
    try:
        size = path.stat().st_size
        manifest = read_manifest(folder, file.name)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArchiveUnavailable(f"The archive {file.name} is needed, and cannot be read: {reason}.") from None
    if (manifest.bytes, manifest.sha256) != file[1:] or size != file.bytes:
        raise ArchiveUnavailable(f"The archive {file.name} is needed, and is not the one that was written.")
    return path


def read_manifest(folder: Path, name: str) -> Manifest:
    """What stands beside the file. Raises `OSError`, and `ArchiveUnavailable` where it is no manifest."""
    try:
        return Manifest.model_validate_json(manifest_of(folder, name).read_bytes())
    except ValidationError:
        raise ArchiveUnavailable(f"The manifest of {name} is none.") from None


async def read_rows(
    folder: Path | None,
    file: ArchiveFile,
    *,
    users: Collection[UUID] | None = None,
    trainings: Collection[UUID] | None = None,
) -> AsyncGenerator[list[ArchivedRow], None]:
    """The rows of these users and trainings, by user, training and version; a part of some megabytes at a time.

    Raises `ArchiveUnavailable`.
    """
    async with aclosing(raw_rows(folder, file, _texts(users), _texts(trainings))) as parts:
        async for rows in parts:
            yield [ArchivedRow.of(row) for row in rows]


async def raw_rows(
    folder: Path | None,
    file: ArchiveFile,
    users: Collection[str] | None = None,
    trainings: Collection[str] | None = None,
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """As `read_rows`, as the file has them: with all columns, and ids as texts."""
    files = await files_module()
    path = await asyncio.to_thread(checked, folder, file)
    parts = files.read(path, users, trainings)
    while True:
        try:
            rows = await asyncio.to_thread(next, parts, None)
        except (OSError, files.Broken) as error:
            raise ArchiveUnavailable(f"The archive {file.name} is needed, and cannot be read.") from error
        if rows is None:
            return
        yield rows


async def read_training(
    folder: Path | None, files: Sequence[ArchiveFile], user_id: UUID, id_: UUID, *, after: int, limit: int
) -> Page[ArchivedRow]:
    """At most `limit` of the training's rows behind version `after`, by version; fewer where they are large.

    `files` are all that hold such rows, in the order in which they were made: by that, later ones have later versions.
    Raises `ArchiveUnavailable`.
    """
    rows: list[ArchivedRow] = []
    size = 0
    for file in files:
        async with aclosing(read_rows(folder, file, users=[user_id], trainings=[id_])) as parts:
            async for part in parts:
                for row in part:
                    if row.version <= after:
                        continue
                    if len(rows) == limit or size >= PAGE_BYTES:
                        return Page(rows, more=True)
                    rows.append(row)
                    size += len(row.payload)
    return Page(rows, more=False)


async def read_user(database: Database, folder: Path | None, user_id: UUID) -> AsyncIterator[ArchivedRow]:
    """The user's archived rows of the log: of each training in order of versions.

    Who reads the log too reads it first: rows that are archived meanwhile are then met twice, instead of never. Raises
    `ArchiveUnavailable`, and `DatabaseUnavailable`.
    """
    for row in await database.all(sql.FILES_OF_USER, {"user_id": user_id}):
        async for rows in read_rows(folder, Archive(*row).file, users=[user_id]):
            for archived in rows:
                yield archived


async def read_published(
    database: Database,
    folder: Path | None,
    *,
    user_id: UUID | None,
    training_id: UUID | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
) -> AsyncGenerator[list[LogRow], None]:
    """The archived events of a user, a training, a time, as the relay has them; but those that were given up unsent.

    Raises `ArchiveUnavailable`, and `DatabaseUnavailable`.
    """
    skipped = {seq for (seq,) in await database.all(sql.SKIPPED)}
    wanted = {"user_id": user_id, "training_id": training_id, "since": since}
    users, trainings = [user_id] if user_id else None, [training_id] if training_id else None
    for row in await database.all(sql.HOLDING, wanted):
        async for rows in read_rows(folder, Archive(*row).file, users=users, trainings=trainings):
            found = [
                _log_row(row)
                for row in rows
                if (since is None or row.created_at >= since)
                and (until is None or row.created_at < until)
                and row.seq not in skipped
            ]
            if found:
                yield found


async def logged_events(
    folder: Path | None, rows: Sequence[Row], missing: list[ArchiveUnavailable] | None = None
) -> list[LoggedEvent]:
    """The events that a statement found which is made with `archive_statements.HOLDER`.

    Its rows are those of `LoggedEvent`, and then training and version, and the name, size and hash of the file that
    holds the event where the log does not. A file that cannot be read raises `ArchiveUnavailable`; where `missing` is
    given, that is noted there, and the file's events are left out.
    """
    events = [LoggedEvent.of(row[:6]) for row in rows if row[1] is not None]
    held: dict[ArchiveFile, set[tuple[UUID, UUID, int]]] = {}
    for row in rows:
        if row[1] is None and row[8] is not None:
            held.setdefault(ArchiveFile(*row[8:]), set()).add((row[4], row[6], row[7]))
    for file, wanted in held.items():
        users, trainings = {user_id for user_id, _, _ in wanted}, {id_ for _, id_, _ in wanted}
        try:
            async for part in read_rows(folder, file, users=users, trainings=trainings):
                events += [event_of(row) for row in part if (row.user_id, row.aggregate_id, row.version) in wanted]
        except ArchiveUnavailable as error:
            if missing is None:
                raise
            missing.append(error)
    return events


def event_of(row: ArchivedRow) -> LoggedEvent:
    """The row in the shape of the record that it was published as."""
    return LoggedEvent.of((row.topic, row.seq, row.published_seq or row.seq, row.event_id, row.user_id, row.payload))


@asynccontextmanager
async def alone(database: Database, folder: Path) -> AsyncIterator[Cursor]:
    """A transaction that is alone with the files. What an end in the middle has left behind is removed first.

    Raises `ArchiveUnavailable` where the folder is not there, or holds the files of another database, or was used by
    this one elsewhere: it was moved or promoted since, or one of the two is a copy (`adopt`). Raises
    `DatabaseUnavailable`, also when somebody else was at work for ten minutes.
    """
    async with database.transaction(statement_timeout=SECONDS) as cursor:
        for path in await _claimed(cursor, folder, adopt=False):
            await _in_folder(folder, path.unlink)
        yield cursor


async def adopt(database: Database, folder: Path) -> list[str]:
    """Have the folder be this database's, where that is now; returns the names of files that are not its own.

    Those are removed by who is at work next (`alone`). Raises as `alone` does.
    """
    async with database.transaction(statement_timeout=SECONDS) as cursor:
        return sorted(path.name for path in await _claimed(cursor, folder, adopt=True))


async def sweep(database: Database, folder: Path) -> None:
    """Remove the files that no row of `archives` names. Raises as `alone` does."""
    async with alone(database, folder):
        pass


async def erase(database: Database, folder: Path | None, user_id: UUID, actors: Collection[str] = ()) -> int:
    """Take the user's rows out of every file, and the user's id and `actors` as who acted out of the others; returns
    how many rows were taken out.

    The user's erasure counts them in the transaction that takes them out.

    A file is written anew under another name, then replaced in a transaction, then removed; one that would be empty is
    removed with its row. So it may be ended at any moment: done again, it ends with no file that holds the user's id or
    anything of theirs, what was left behind included. Raises `ArchiveUnavailable` where files are needed and not there,
    and `DatabaseUnavailable`.
    """
    if folder is None:
        if await list_archives(database):
            raise ArchiveUnavailable("Trainings are archived, and TRAINING_ARCHIVE_DIR is not set.")
        return 0
    if not await asyncio.to_thread(folder.exists) and not await list_archives(database):
        return 0
    count, after, names = 0, 0, {str(user_id), *actors}
    while True:
        async with alone(database, folder) as cursor:  # one file a transaction: others need not wait for all of them
            mine = {row[0] for row in await cursor.all(sql.FILES_OF_USER, {"user_id": user_id})}
            left = [archive for archive in await list_archives(cursor) if archive.id > after]
            for archive in left:
                after = archive.id
                if archive.id in mine or await _names(folder, archive, names):
                    gone = await _rewrite(cursor, folder, archive, user_id, names)
                    if gone:
                        await cursor.execute(sql.COUNT_ERASED, {"user_id": user_id, "gone": gone})
                    count += gone
                    break
            else:
                return count


async def _names(folder: Path, archive: Archive, actors: Collection[str]) -> bool:
    files = await files_module()
    path = await asyncio.to_thread(checked, folder, archive.file)
    return bool(await _with_file(archive, files.names_actor, path, actors))


async def _with_file(archive: Archive, act: Callable[..., Any], *arguments: object) -> Any:
    """What `act` returns, which reads this file or writes it anew. Raises `ArchiveUnavailable`."""
    files = await files_module()
    try:
        return await asyncio.to_thread(act, *arguments)
    except (OSError, files.Broken) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ArchiveUnavailable(f"The archive {archive.name} cannot be read, or written anew: {reason}.") from error


async def _rewrite(cursor: Cursor, folder: Path, archive: Archive, user_id: UUID, actors: Collection[str]) -> int:
    files = await files_module()
    path = await asyncio.to_thread(checked, folder, archive.file)
    name = free_name(folder, archive.month)
    manifest: Manifest | None = await _with_file(archive, files.rewritten, path, name, str(user_id), actors, ERASED)
    where = {"archive": archive.id, "user_id": user_id}
    if manifest is None:
        await cursor.execute(sql.REMOVE, where)
        return archive.rows
    if await _with_file(archive, files.digest_of, folder / name) != manifest.sha256:
        raise ArchiveUnavailable(f"{name} is not on disk as it was written.")
    await cursor.execute(sql.FORGET, where)
    await cursor.execute(sql.REPLACE, manifest.model_dump(exclude={"columns"}) | where)
    return archive.rows - manifest.rows


def free_name(folder: Path, month: dt.date) -> str:
    """A name for a file of the month that none in the folder has."""
    name, number = f"trainings-{month:%Y-%m}.parquet", 1
    while (folder / name).exists():
        number += 1
        name = f"trainings-{month:%Y-%m}-{number}.parquet"
    return name


async def _claimed(cursor: Cursor, folder: Path, *, adopt: bool) -> list[Path]:
    """Be alone with the files of the folder; returns those that no row of `archives` names. Raises as `alone` does."""
    await cursor.execute(sql.HOLD)
    names = {archive.name for archive in await list_archives(cursor)}
    ((home, place),) = await cursor.all(sql.FOLDER)
    return await _in_folder(folder, claim, folder, [home, place], names, adopt)


async def _in_folder(folder: Path, act: Callable[..., T], *arguments: object) -> T:
    try:
        return await asyncio.to_thread(act, *arguments)
    except OSError as error:
        raise ArchiveUnavailable(f"{folder} cannot be used: {error.strerror or type(error).__name__}.") from None


def _log_row(row: ArchivedRow) -> LogRow:
    ids = str(row.user_id), str(row.aggregate_id), str(row.version), str(row.event_id)
    told = row.request_id, row.payload, row.published_seq, row.traceparent
    return LogRow(row.seq, row.topic, *ids, row.event_type, moment(row.created_at), *told)


def _texts(ids: Collection[UUID] | None) -> list[str] | None:
    return None if ids is None else [str(id_) for id_ in ids]
