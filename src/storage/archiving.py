"""Moving rows of the log into files of the archive, and back.

Whatever is moved is in the log or in a file that is lasting, and one transaction decides which. So an end at any moment
leaves a file too much at most, which whoever is at work next removes (`archives.alone`).
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import orjson

from models.archives import Archive, ArchiveFile, Manifest
from models.errors import ArchiveUnavailable, Conflict, DatabaseUnavailable
from storage import archive_statements as sql
from storage.archives import alone, checked, files_module, free_name, list_archives, raw_rows, sweep
from storage.database import Cursor, Database, Row

PART = 20_000  # trainings in one file: some seconds, in which a correction of one of them is passed by
FETCH = 500  # rows at once
_CHANGED = "The log changed while it was archived. Nothing was removed: do it again."
_NUMBERS = ("bigint", "integer", "timestamp with time zone")


class Restored(NamedTuple):
    """A file whose rows are in the log again. `erased` counts those of users who were erased: they are nowhere."""

    archive: Archive
    rows: int
    erased: int


class DroppedMonth(NamedTuple):
    """A month of the log without rows. `kept` is why its partition is still there; None: it is not."""

    name: str
    kept: str | None


async def archive(database: Database, folder: Path, before: dt.date) -> AsyncGenerator[Manifest, None]:
    """Move the log rows of each training whose newest one is older than `before` (0:00 UTC) into files of the month of
    that row, at most `PART` trainings in one; tells each when it is done. `database` is the owner's.

    A training is moved when it is settled: what is not published or not folded stays, and so does one that is held in
    quarantine, hidden, or changed meanwhile. A file is written, made lasting and read back; then exactly the rows that
    it holds are removed. Raises `ArchiveUnavailable`, `Conflict` where the log cannot be archived now, and
    `DatabaseUnavailable`.
    """
    ((ready,),) = await database.all(sql.READY)
    if not ready:
        raise Conflict("No relay has taken this database over since it was moved or promoted: start a worker first.")
    for (month,) in await database.all(sql.MONTHS, {"before": before}):
        more = True
        while more:
            manifest, more = await _archive_some(database, folder, month, before)
            if manifest is not None:
                yield manifest
    await sweep(database, folder)


async def restore(database: Database, folder: Path, month: dt.date | None = None) -> AsyncGenerator[Restored, None]:
    """Put the rows of a month's files, or of all, back into the log, and remove the files; tells each when it is done.

    With a month come the files that hold later rows of its trainings. Rows get their place, versions and times back;
    those of users who were erased stay away. `database` is the owner's. Raises `ArchiveUnavailable` and
    `DatabaseUnavailable`.
    """
    for (id_,) in await database.all(sql.TO_RESTORE, {"month": month}):
        restored = await _restore(database, folder, id_)
        if restored is not None:
            yield restored
    await sweep(database, folder)


async def check(database: Database, folder: Path) -> AsyncGenerator[tuple[Archive, str | None], None]:
    """Read every file whole, and tell of each what is wrong with it, or None. Raises `DatabaseUnavailable`."""
    for each in await list_archives(database):
        trainings = set()
        rows = 0
        fault = None
        try:
            await _held_to_hash(folder, each.file)
            async for part in raw_rows(folder, each.file):
                rows += len(part)
                trainings |= {(row["user_id"], row["aggregate_id"]) for row in part}
        except ArchiveUnavailable as error:
            fault = str(error)
        else:
            ((noted,),) = await database.all(sql.NOTED, {"archive": each.id})
            if (rows, len(trainings), noted) != (each.rows, each.trainings, each.trainings):
                fault = f"The archive {each.name} does not hold what the database says."
        yield each, fault


async def drop_months(database: Database, until: dt.date) -> list[DroppedMonth]:
    """Drop the log's partitions without rows that end by `until`. `database` is the owner's, past a pooler.

    Writers are not held up: a partition is detached CONCURRENTLY, which waits for who uses it. What it waits for in
    vain is left, and finished by the next call. Raises `Conflict` where the role is not the owner's, and
    `DatabaseUnavailable` where the database is away.
    """
    if not (await database.all(sql.OWNED))[0][0]:
        raise Conflict("Only the owner of the log may drop its empty months: TRAINING_DATABASE_OWNER_URL names it.")
    dropped = []
    for name, attached, pending in await database.all(sql.OLD_MONTHS, {"until": until}):
        empty = f"SELECT NOT EXISTS (SELECT FROM {name})"  # noqa: S608 - a name of the catalogue, of digits
        if attached and not pending and not (await database.all(empty))[0][0]:
            continue
        kept = None
        try:
            if attached:
                how = "FINALIZE" if pending else "CONCURRENTLY"
                await database.execute(f"ALTER TABLE outbox DETACH PARTITION {name} {how}")
            if (await database.all(empty))[0][0]:
                await database.execute(f"DROP TABLE {name}")
            else:  # somebody added a row at the last moment
                await database.execute(sql.KEEP_MONTH, {"month": name.removeprefix("outbox_")})
                continue
        except DatabaseUnavailable as error:
            kept = " ".join(str(error.__cause__ or error).split())
        dropped.append(DroppedMonth(name, kept))
    return dropped


async def _archive_some(
    database: Database, folder: Path, month: dt.date, before: dt.date
) -> tuple[Manifest | None, bool]:
    """The file that was made, if any, and whether there may be more trainings of the month."""
    next_month = (month + dt.timedelta(days=31)).replace(day=1)
    place = {"first": month, "until": min(next_month, before)}
    async with alone(database, folder) as cursor:
        found = await cursor.all(sql.CANDIDATES, place | {"limit": PART})
        more = len(found) == PART
        while found:
            name = free_name(folder, month)
            manifest = await _write(cursor, folder, name, found, place)
            changed = set(await cursor.all(sql.CHANGED, _arrays(found)))
            if not changed:
                await _move(cursor, folder, manifest)
                return manifest, more
            await asyncio.to_thread(_remove, folder, name)
            found = [row for row in found if row[:2] not in changed]
    return None, False


async def _write(
    cursor: Cursor, folder: Path, name: str, found: Sequence[Row], place: Mapping[str, dt.date]
) -> Manifest:
    files = await files_module()
    columns: dict[str, str] = dict(await cursor.all(sql.COLUMNS))
    read = ", ".join(f"o.{column}{'' if type_ in _NUMBERS else '::text'}" for column, type_ in columns.items())
    fetch = await cursor.declare(sql.ROWS.format(columns=read), {**_arrays(found), **place})
    writer = await asyncio.to_thread(files.Writer, folder, name, columns)
    try:
        while rows := await fetch(FETCH):
            await asyncio.to_thread(writer.add, rows)
        manifest: Manifest = await asyncio.to_thread(writer.end, place["first"])
    finally:
        writer.close()
    await cursor.execute("CLOSE reader")
    return manifest


async def _move(cursor: Cursor, folder: Path, manifest: Manifest) -> None:
    file = ArchiveFile(manifest.file, manifest.bytes, manifest.sha256)
    await _held_to_hash(folder, file)
    ((id_,),) = await cursor.all(sql.ADD, manifest.model_dump(exclude={"columns"}))
    count = 0
    async for rows in raw_rows(folder, file):
        ((taken,),) = await cursor.all(sql.TAKE, {"archive": id_, "rows": orjson.dumps(rows).decode()})
        if taken != len(rows):
            raise Conflict(_CHANGED)
        count += taken
    ((noted,),) = await cursor.all(sql.NOTED, {"archive": id_})
    if (count, noted) != (manifest.rows, manifest.trainings):
        raise Conflict(_CHANGED)


async def _restore(database: Database, folder: Path, id_: int) -> Restored | None:
    """None where somebody else has restored it."""
    async with alone(database, folder) as cursor:
        row = await cursor.one(sql.READ, {"archive": id_})
        if row is None:
            return None
        archive = Archive(*row)
        await _held_to_hash(folder, archive.file)
        read = given = gone = 0
        async for rows in raw_rows(folder, archive.file):
            ((back,),) = await cursor.all(sql.GIVE, {"rows": orjson.dumps(rows).decode()})
            ((users,),) = await cursor.all(sql.ERASED, {"users": list({UUID(row["user_id"]) for row in rows})})
            read += len(rows)
            given += back
            gone += sum(UUID(row["user_id"]) in users for row in rows)
        if (read, given) != (archive.rows, read - gone):
            raise ArchiveUnavailable(f"The archive {archive.name} does not hold what the database says.")
        await cursor.execute(sql.REMOVE, {"archive": id_})
    return Restored(archive, given, gone)


async def _held_to_hash(folder: Path, file: ArchiveFile) -> None:
    files = await files_module()
    path = await asyncio.to_thread(checked, folder, file)
    try:
        digest = await asyncio.to_thread(files.digest_of, path)
    except OSError as error:
        raise ArchiveUnavailable(f"The archive {file.name} is needed, and cannot be read.") from error
    if digest != file.sha256:
        raise ArchiveUnavailable(f"The archive {file.name} is needed, and is not the one that was written.")


def _arrays(found: Sequence[Row]) -> dict[str, object]:
    users, trainings, versions = zip(*found, strict=True)
    return {"users": list(users), "trainings": list(trainings), "versions": list(versions)}


def _remove(folder: Path, name: str) -> None:
    for path in (folder / name, folder / f"{name.removesuffix('.parquet')}.json"):
        path.unlink()
