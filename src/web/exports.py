"""Exports over REST: the derived tables for analysts, and a user's log for other apps."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from importlib import import_module
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.errors import NotFound
from models.exports import CHANGE, MEDIA, TABLES, Format, Kind, csv_head, joined
from models.foreign_exports import App, head, session
from models.sets import Unit
from storage.database import Database
from storage.exports import Lines, read_export, read_log
from web.routes import Answer, Call, Reply, Route
from web.sessions import SessionQuery

PATH = "/api/v1/training/exports/{table}"
LOG_PATH = "/api/v1/training/users/{userId}/exports/log"

_NEXT = "Next-Changed-Since"
_NAMES = ", ".join(TABLES)

_Chunks = AsyncGenerator[bytes, None]


class ExportQuery(SessionQuery):
    """Query parameters of an export of a table."""

    format: Format = Format.CSV
    changed_since: Annotated[int | None, Field(ge=0, le=2**63 - 1)] = None
    """Only what may have changed behind this place in the log: what `Next-Changed-Since` said last time."""


class LogQuery(BaseModel):
    """Query parameters of the export of a log."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: App = App.STRONG
    """The app in whose form it is written."""
    unit: Unit = Unit.KG
    """Of weights; with kg go kilometres, with lb miles."""


async def table(call: Call[None, ExportQuery]) -> Reply:
    """GET /training/exports/{table}."""
    name, query = call.names["table"], call.query
    if name not in TABLES:
        raise NotFound(f"There is no such table. These are exported: {_NAMES}.")
    columns = TABLES[name].columns
    if query.changed_since is not None:
        columns = {CHANGE: Kind.CODE, **columns}
    headers = {"Content-Disposition": f'attachment; filename="{name}.{query.format}"'}
    found = read_export(
        call.services.reading,
        name,
        query.format,
        first=query.first,
        last=query.last,
        changed_since=query.changed_since,
    )
    write = {Format.CSV: _csv, Format.NDJSON: _ndjson, Format.PARQUET: _parquet}[query.format]
    return Reply(200, headers=headers, media=MEDIA[query.format], chunks=write(_told(found, headers), columns))


async def log(call: Call[None, LogQuery]) -> Reply:
    """GET /users/{userId}/exports/log."""
    app = call.query.format
    headers = {"Content-Disposition": f'attachment; filename="{app}.csv"'}
    return Reply(
        200,
        headers=headers,
        media=MEDIA[Format.CSV],
        chunks=_log(call.services.reading, call.user_id, app, call.query.unit),
    )


async def _told(found: AsyncGenerator[Lines, None], headers: dict[str, str]) -> AsyncGenerator[list[str], None]:
    async with aclosing(found) as chunks:
        async for following, lines in chunks:
            headers[_NEXT] = str(following)
            yield lines


async def _csv(found: AsyncGenerator[list[str], None], columns: Mapping[str, Kind]) -> _Chunks:
    lead = csv_head(list(columns))
    async with aclosing(found) as chunks:
        async for lines in chunks:
            yield lead + joined(lines, "\r\n")
            lead = b""


async def _ndjson(found: AsyncGenerator[list[str], None], _: Mapping[str, Kind]) -> _Chunks:
    async with aclosing(found) as chunks:
        async for lines in chunks:
            yield joined(lines, "\n")


async def _parquet(found: AsyncGenerator[list[str], None], columns: Mapping[str, Kind]) -> _Chunks:
    """In a thread, beside which the worker serves others."""
    async with aclosing(found) as chunks:
        module: Any = await asyncio.to_thread(import_module, "models.parquet")
        file = await asyncio.to_thread(module.ParquetFile, columns)
        async for lines in chunks:
            yield await asyncio.to_thread(file.add, lines)
        yield await asyncio.to_thread(file.end)


async def _log(database: Database, user_id: UUID, app: App, unit: Unit) -> _Chunks:
    lead = head(app, unit)
    async with aclosing(read_log(database, user_id, newest_first=app is App.HEVY)) as chunks:
        async for documents in chunks:
            yield lead + b"".join(session(app, document, unit) for document in documents)
            lead = b""
    if lead:
        yield lead


ROUTES = (
    Route(
        method="GET",
        path=PATH,
        handler=table,
        operation_id="exportTable",
        summary="Export a derived table of all users",
        description=(
            f"For tokens with the role `analytics` or `admin`. `table` is one of {_NAMES}. Rows are those of "
            "one moment, in no order, and are sent while they are read; `from` and `to` are about the "
            "row's day, of weeks and months the first. With `changed_since` the first column is `change`: `replace` "
            "names a training (`session_volume`, `exercise_volume`) or else a user, all of whose rows are to be "
            "removed from a copy, and `row` is one that the copy then gets; of an erased user `replace` names no "
            "training: all rows of the user are to be removed. Numbers are exact. CSV is RFC 4180; in it "
            "a text that begins with =, +, -, @, a tab or CR has an apostrophe before it. A connection that breaks off "
            "before the end of the answer means that some rows are missing."
        ),
        tag="Exports",
        role="analytics",
        texts=frozenset({"table"}),
        query=ExportQuery,
        answers={
            200: Answer(
                "The rows",
                media=MEDIA[Format.CSV],
                also=(MEDIA[Format.NDJSON], MEDIA[Format.PARQUET]),
                headers=(_NEXT,),
            )
        },
    ),
    Route(
        method="GET",
        path=LOG_PATH,
        handler=log,
        operation_id="exportLog",
        summary="Export a user's log for another app",
        description=(
            "The user's COMPLETED trainings, a line a set, in the form of Strong (oldest first) or Hevy (newest "
            "first). Imported again, it gives the same log as far as the form can carry it."
        ),
        tag="Exports",
        query=LogQuery,
        answers={200: Answer("The log", media=MEDIA[Format.CSV])},
    ),
)
