"""What tests of imports share: the form that carries a file, and the worker that works jobs off when it is told to."""

import io
from collections.abc import Mapping

from aiohttp import FormData

from agents.imports import ImportWorker
from storage.database import Database
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
