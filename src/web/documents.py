"""What the handlers of versioned documents (trainings, workouts, sessions) share: who writes, entity tags, pages."""

import base64
import binascii
import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from models.fields import moment
from models.sets import Document
from storage.access import Guarded
from storage.training_writes import Author, IdempotencyKey, Written
from storage.trainings import Change
from web.routes import Call, Reply, Versions


def cursor(date: dt.datetime, id_: UUID) -> str:
    """Where the page after this document begins."""
    return base64.urlsafe_b64encode(f"{moment(date)}|{id_}".encode()).decode().rstrip("=")


def place(text: str) -> tuple[dt.datetime, UUID]:
    """The date and id that a cursor stands for."""
    try:
        date, id_ = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).split(b"|")
        return dt.datetime.fromisoformat(date.decode()), UUID(id_.decode())
    except (ValueError, binascii.Error):
        raise ValueError("is no cursor of this list") from None


def checked(text: str) -> str:
    """The cursor, if it is one of `cursor`'s. Raises ValueError."""
    date, id_ = place(text)
    if date.tzinfo is None or cursor(date, id_) != text:
        raise ValueError("is no cursor of this list")
    return text


def author(call: Call[Any, Any]) -> Author:
    """Who asks for the change. What a coach writes for a group needs that group's membership, no other's."""
    database = call.services.database
    if not isinstance(database, Guarded):
        return Author(call.user_id, call.caller.subject, call.request_id)
    database.group = getattr(call.body, "group_external_id", None)
    return Author(call.user_id, call.caller.subject, call.request_id, database.access.groups)


def key(call: Call[Any, Any], route: str, body: Document) -> IdempotencyKey | None:
    """The Idempotency-Key of the request, with what it is good for; None without one.

    A coach's is another than the user's own.
    """
    given = call.idempotency_key
    if call.coaching:
        route = f"{call.caller.subject} {route}"
    return None if given is None else IdempotencyKey(route, given, body.digest())


def if_match(call: Call[Any, Any]) -> list[int] | None:
    """The versions that may be changed; None where any may."""
    versions: Versions | None = call.if_match
    return None if versions == "*" else versions


def tag(version: int) -> str:
    """A version as an entity tag."""
    return f'"{version}"'


def headers(written: Written) -> dict[str, str]:
    """The headers of a written document's answer."""
    known = {"ETag": tag(written.version)}
    if written.replayed:
        known["Idempotent-Replayed"] = "true"
    return known


def changed(call: Call[Any, Any], written: Written) -> Reply:
    """The answer to a change of a training."""
    call.services.wake()
    return Reply(200, written.document or b"", headers(written))


def served(call: Call[Any, Any], version: int, document: bytes) -> Reply:
    """The document at that version, or 304 where the client has it."""
    known = call.if_none_match
    if known is not None and (known == "*" or version in known):
        return Reply(304, headers={"ETag": tag(version)})
    return Reply(200, document, {"ETag": tag(version)})


def created(call: Call[Any, Any], written: Written, address: str) -> Reply:
    """The answer to a creation of the document at `address`: 200 where it was there already."""
    call.services.wake()
    return Reply(201 if written.created else 200, written.document or b"", headers(written) | {"Location": address})


def deleted(call: Call[Any, Any], written: Written) -> Reply:
    """The answer to a deletion."""
    call.services.wake()
    return Reply(204, headers={"Idempotent-Replayed": "true"} if written.replayed else {})


def changes(call: Call[Any, Any], found: Sequence[Change], limit: int) -> Reply:
    """One page of a document's history, of which `found` are `limit` changes and the one after them, if there is."""
    items = [
        {"version": change.version, "actor": change.actor}
        | ({"request_id": change.request_id} if change.request_id else {})
        | {"event": orjson.Fragment(change.event)}
        for change in found[:limit]
    ]
    return page(call, items, str(found[limit - 1].version) if len(found) > limit else None)


def page(call: Call[Any, Any], items: Sequence[object], cursor: str | None) -> Reply:
    """One page of a list; `cursor` is where the next one begins, None on the last one."""
    document: dict[str, object] = {"items": items}
    headers = {}
    if cursor is not None:
        document["next_cursor"] = cursor
        headers["Link"] = call.link("next", cursor=cursor)
    return Reply(200, orjson.dumps(document), headers)
