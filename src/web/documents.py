"""What the handlers of versioned documents (trainings, workouts, phases …) share: who writes, entity tags, pages."""

import base64
import binascii
import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import orjson

from models.fields import moment
from storage.access import Guarded
from storage.pages import Page
from storage.training_writes import Author, IdempotencyKey, Written
from storage.trainings import Change
from web.problems import invalid_header
from web.routes import Call, Reply, Versions

_NONE: Mapping[str, object] = {}


class Said(Protocol):
    """What a client said: a body, or the parameters that count beside it."""

    def digest(self) -> bytes:
        """SHA-256 of it."""
        ...


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
    # In UTC already: at the ends of the calendar another offset would lead beyond it.
    if date.tzinfo != dt.UTC or cursor(date, id_) != text:
        raise ValueError("is no cursor of this list")
    return text


def author(call: Call[Any, Any]) -> Author:
    """Who asks for the change. What a coach writes for a group needs that group's membership, no other's.

    So from here on a coach's statements of this request run under the membership of the group that the body names.
    """
    database = call.services.database
    if not isinstance(database, Guarded):
        return Author(call.user_id, call.caller.subject, call.request_id)
    database.group = getattr(call.body, "group_external_id", None)
    return Author(call.user_id, call.caller.subject, call.request_id, database.access.groups)


def key(call: Call[Any, Any], route: str, *said: Said) -> IdempotencyKey | None:
    """The Idempotency-Key of the request, with what it is good for; None without one. `said` is the body, and the query
    where that counts too: with another of either the key is refused.

    A coach's is another than the user's own.
    """
    given = call.idempotency_key
    if given is None:
        return None
    if call.coaching:
        route = f"{call.caller.subject} {route}"
    digests = [each.digest() for each in said]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()
    return IdempotencyKey(route, given, digest)


def if_match(call: Call[Any, Any]) -> list[int] | None:
    """The versions that may be changed of what is there; None where any may."""
    versions: Versions | None = call.if_match
    return None if versions == "*" else versions


def is_new(call: Call[Any, Any]) -> bool:
    """Whether it is to be made only where there is none yet: `If-None-Match: *`. Raises `Problem` for other values."""
    known = call.if_none_match
    if known is None:
        return False
    if known != "*":
        raise invalid_header("If-None-Match", "must be * here: there is to be none yet")
    if call.if_match is not None:
        raise invalid_header("If-None-Match", "must not be given beside If-Match, which asks that there be one")
    return True


def tag(version: int) -> str:
    """A version as an entity tag."""
    return f'"{version}"'


def headers(written: Written) -> dict[str, str]:
    """The headers of a written document's answer."""
    return {"ETag": tag(written.version)} | _replay(written)


def _replay(written: Written) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if written.replayed else {}


def changed(call: Call[Any, Any], written: Written) -> Reply:
    """The answer to a change of a document."""
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


def added(call: Call[Any, Any], written: Written) -> Reply:
    """The answer to a creation, or a change, of what has no address of its own."""
    call.services.wake()
    return Reply(201 if written.created else 200, written.document or b"", _replay(written))


def deleted(call: Call[Any, Any], written: Written) -> Reply:
    """The answer to a deletion."""
    call.services.wake()
    return Reply(204, headers=_replay(written))


def changes(call: Call[Any, Any], found: Page[Change]) -> Reply:
    """One page of a document's history."""
    items = [
        {"version": change.version, "actor": change.actor}
        | ({"request_id": change.request_id} if change.request_id else {})
        | {"event": orjson.Fragment(change.event)}
        for change in found
    ]
    return page(call, items, str(found[-1].version) if found.more else None)


def page(call: Call[Any, Any], items: object, cursor: str | None, head: Mapping[str, object] = _NONE) -> Reply:
    """One page of a list, with the members of `head` before its items, which are an array as orjson takes it; `cursor`
    is where the next one begins, None on the last one.
    """
    document: dict[str, object] = {**head, "items": items}
    headers = {}
    if cursor is not None:
        document["next_cursor"] = cursor
        headers["Link"] = call.link("next", cursor=cursor)
    return Reply(200, orjson.dumps(document), headers)
