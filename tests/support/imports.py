"""What tests of imports share: the form that carries a file, and the worker that works jobs off when it is told to."""

import io
from collections.abc import Mapping
from typing import Any

from aiohttp import FormData

from agents.imports import ImportWorker
from storage.database import Database
from tests.support.web import USER, Client, bearer
from web.imports import PATH
from web.services import CatalogueCache


def form(parts: Mapping[str, str | bytes]) -> FormData:
    """A body of `multipart/form-data`, whose part `file` is a file."""
    body = FormData(default_to_multipart=True)
    for name, value in parts.items():
        if name == "file":
            content = value.encode() if isinstance(value, str) else value
            body.add_field(name, io.BytesIO(content), filename="log.csv", content_type="text/csv")
        else:
            body.add_field(name, value)
    return body


def importer(database: Database) -> ImportWorker:
    """A worker that nobody has started."""
    return ImportWorker(database, "training_events", resolve=CatalogueCache(database).resolve, wake=lambda: None)


async def import_file(client: Client, database: Database, data: bytes, timezone: str) -> dict[str, Any]:
    """Import a file over REST; returns the job when it is done, all in."""
    path = PATH.format(userId=USER)
    async with client.post(path, data=form({"file": data, "timezone": timezone}), headers=bearer()) as answer:
        assert answer.status == 202, await answer.text()
        taken = await answer.json()
    await importer(database).work_off()
    async with client.get(f"{path}/{taken['id']}", headers=bearer()) as answer:
        job: dict[str, Any] = await answer.json()
    assert job["status"] == "done"
    assert [job[name] for name in ("conflicting", "refused", "held_back", "error_lines")] == [0, 0, 0, 0]
    return job
