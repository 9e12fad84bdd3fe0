"""Routes as data. From one declaration come the dispatch, the checks of every request, and the OpenAPI document."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from models.memberships import Scope
from web.auth import Caller
from web.problems import Kind, invalid_header
from web.services import Services

BodyT = TypeVar("BodyT")
QueryT = TypeVar("QueryT")

Versions = list[int] | Literal["*"]

JSON = "application/json"
FORM = "multipart/form-data"
NDJSON = "application/x-ndjson"  # one JSON document a line
_QUALITY = re.compile(r"[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*", re.ASCII | re.IGNORECASE)
_ENTITY_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(slots=True)
class Call(Generic[BodyT, QueryT]):
    """One request, checked against its route: `Call[TrainingCreate, None]` has that body and no query parameters."""

    services: Services
    request: web.Request
    request_id: str
    path: Mapping[str, UUID]
    names: Mapping[str, str]
    query: QueryT
    body: BodyT
    known_caller: Caller | None

    @property
    def caller(self) -> Caller:
        """Who calls. A route without authentication has none."""
        if self.known_caller is None:
            raise LookupError("this route has no caller")
        return self.known_caller

    @property
    def user_id(self) -> UUID:
        """Whose data it is about: the user that the address names, else who calls."""
        return self.path.get("userId") or self.caller.user_id

    @property
    def coaching(self) -> bool:
        """Whether a coach calls, for whom the services' database is guarded."""
        return self.user_id != self.caller.user_id

    @property
    def if_match(self) -> Versions | None:
        """The versions that If-Match accepts; a tag that cannot be ours (weak or foreign) accepts none."""
        return _versions(self.request, "If-Match", weak=False)

    @property
    def if_none_match(self) -> Versions | None:
        """The versions that the client has already, by If-None-Match."""
        return _versions(self.request, "If-None-Match", weak=True)

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key: 1 to 255 visible ASCII characters."""
        value = self.request.headers.get("Idempotency-Key")
        if value is not None and not _IDEMPOTENCY_KEY.fullmatch(value):
            raise invalid_header("Idempotency-Key", "must have 1 to 255 visible ASCII characters")
        return value

    @property
    def wants_lines(self) -> bool:
        """Whether Accept names NDJSON, and does not name JSON as something that is liked as well or better."""
        wanted = _qualities(self.request)
        return wanted.get(NDJSON, 0.0) > wanted.get(JSON, 0.0)

    def link(self, rel: str, **query: str) -> str:
        """A value for the header Link: this address with other query parameters, relative to the origin."""
        return f'<{self.request.rel_url.update_query(query)}>; rel="{rel}"'


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `body` is sent as it is.

    Or `chunks` are, each as soon as it is there, status and headers with the first, until which `headers` may get more:
    what they raise before it becomes a problem, and what they raise later breaks the connection off, so that no client
    takes a part for the whole. They are closed at once when the client goes away or reads too slowly.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON
    chunks: AsyncGenerator[bytes, None] | None = None


# A handler's own Call says more of body and query than the dispatcher knows.
Handler = Callable[[Call[Any, Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One documented answer of a route. `headers` are names out of `openapi.RESPONSE_HEADERS`.

    `line` is the model of one line, where the answer may also be had as NDJSON. `also` are other media types that an
    answer without a model may have.
    """

    description: str
    model: type[BaseModel] | None = None
    media: str = JSON
    line: type[BaseModel] | None = None
    also: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation.

    Every `{name}` of `path` is a UUID: another value names nothing and answers 404; `{userId}` must be the caller's
    own, or the answer is 404 as well (D10). Those in `texts` are text instead, of 1 to 200 characters; `schemas` has
    the JSON Schema of each of these that must be more than that, which its handler sees to. `role` is what the caller's
    token must carry among its `roles`, or the answer is 403. `deputy` is a role whose carriers may call it in place of
    any user. `scope` is what the user must have let the coaches of a group do, so that one of them may call it too: the
    handler uses `call.user_id` then, and nothing of the user's but by way of the services' database. Where there is
    none, the route is not there for coaches; `own` is what those with the scope `plan` are told by a 403.

    `query` is a model of strings (unknown or repeated parameters: 422); `body` is the model of the JSON body. Or `form`
    is that of the parts of a `multipart/form-data` body: its fields of bytes are files, the others text. Such a body
    may have `form_bytes`, whatever others may have, and a worker holds a few of them at a time.

    `request_headers` are names out of `openapi.REQUEST_HEADERS`. `problems` are the handler's own; what the dispatcher
    itself may answer is added where it is documented. `probe` marks what machines ask for every few seconds: its
    successes are logged at level debug only. `hint` is added to the 405 of a method that this address does not have.
    """

    method: str
    path: str
    handler: Handler
    operation_id: str
    summary: str
    tag: str
    answers: Mapping[int, Answer]
    description: str = ""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_example: Any = None
    form: type[BaseModel] | None = None
    form_bytes: int = 0
    request_headers: tuple[str, ...] = ()
    problems: tuple[Kind, ...] = ()
    auth: bool = True
    role: str | None = None
    scope: Scope | None = None
    own: str = ""
    deputy: str | None = None
    texts: frozenset[str] = frozenset()
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    probe: bool = False
    hint: str = ""

    @property
    def known_to(self) -> Scope | None:
        """What the user must have let a coach do for the coach to be told more than that there is nothing."""
        return "plan" if self.own else self.scope

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Names of the parameters in the path, in order."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))


def _qualities(request: web.Request) -> dict[str, float]:
    """The media types that Accept names, with how much each is liked; what cannot be read is passed over."""
    named = {}
    for part in ",".join(request.headers.getall("Accept", ())).split(","):
        media, semicolon, parameters = part.partition(";")
        quality = _QUALITY.fullmatch(semicolon + parameters)
        if quality or not semicolon:
            named[media.strip().lower()] = float(quality[1]) if quality else 1.0
    return named


def _versions(request: web.Request, name: str, *, weak: bool) -> Versions | None:
    values = request.headers.getall(name, None)
    if values is None:
        return None
    text = ",".join(values).strip()
    if text == "*":
        return "*"
    versions: list[int] = []
    position = 0
    while position < len(text):
        tag = _ENTITY_TAG.match(text, position)
        if tag is None:
            raise invalid_header(name, 'must be * or a list of entity tags, like "3"')
        position = tag.end()
        if tag[2].isascii() and tag[2].isdigit() and len(tag[2]) < 10 and (weak or not tag[1]):
            versions.append(int(tag[2]))
    return versions
