"""Puts the route table into an aiohttp application: dispatch, checks, errors, CORS, log and timing."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog
from aiohttp import ClientSession, web
from pydantic import BaseModel, ValidationError

from models import traces
from models.request_log import LoggedRequest
from web import problems
from web.auth import Authenticator, Caller, KeySet, fetch_from
from web.coaching import coached
from web.forms import Files, read_form
from web.limits import Standing
from web.problems import FORBIDDEN, NOT_FOUND, TIMEOUT, TOO_LARGE, UNSUPPORTED, Problem
from web.routes import JSON, Call, Reply, Route
from web.services import Services

log = structlog.get_logger(__name__)
access_log = structlog.get_logger("web.access")

PREFLIGHT_SECONDS = "600"  # that browsers may remember a preflight's answer
ALLOWED_HEADERS = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-Id, traceparent"
EXPOSED_HEADERS = (
    "ETag, Link, Location, Next-Changed-Since, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, "
    "Idempotent-Replayed, WWW-Authenticate"
)
REQUEST_ID = web.RequestKey("request_id", str)
CALLER = web.RequestKey("caller", Caller)
ABOUT = web.RequestKey("about", UUID)  # the user that the address names, where that is not the caller
STANDING = web.RequestKey("standing", Standing)

# Of every answer, unless its handler says otherwise. What users keep here must not stay behind on a shared machine.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "training-service",
    "X-Content-Type-Options": "nosniff",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_USER = re.compile(r"/users/[^/]+")
_UUID_LENGTH = 36
_LONGEST_NAME = 200
_LOOK_SECONDS = 0.25  # between two looks whether the client of a chunked answer is still there
_STREAM_PATIENCES = 10  # `web_patience`s that the whole of a chunked answer may take,
_STREAM_PACE = 262_144  # bytes of it, each of which give it one more second: 2 Mbit/s

Ids = Mapping[str, UUID]
_Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refusal = Callable[[web.BaseRequest, web.HTTPException], web.StreamResponse]


def setup(app: web.Application, services: Services, routes: Sequence[Route]) -> Refusal:
    """Add the routes, and the middleware that every request goes through. Called once, before the server starts.

    Returns what answers, as problem+json too, a request that aiohttp cannot read and so hands to no middleware.
    """
    server = _Server(services, {route.path for route in routes if route.probe})
    app.middlewares.append(server.middleware)
    app.cleanup_ctx.append(server.lifetime)
    for route in routes:
        endpoint = server.endpoint(route)
        address = route.path
        for name in route.texts:  # aiohttp's own pattern takes no braces
            address = address.replace(f"{{{name}}}", f"{{{name}:[^/]+}}")
        app.router.add_route(route.method, address, endpoint)
        if route.method == "GET":
            app.router.add_route("HEAD", address, endpoint)
        if set(route.path_parameters) <= {"userId"}:
            methods = {"GET", "HEAD"} if route.method == "GET" else {route.method}
            server.literals.setdefault(route.path, set()).update(methods)
        if route.hint:
            server.hints.append((re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path)), route.hint))
    return server.refusal


class _Chunks(web.StreamResponse):
    """An answer in chunks, not begun yet."""

    def __init__(self, reply: Reply, chunks: AsyncGenerator[bytes, None]) -> None:
        super().__init__(status=reply.status, headers={**_HEADERS, **reply.headers, "Content-Type": reply.media})
        self.chunks = chunks
        self.sent = 0  # bytes
        self._said = reply.headers

    async def begin(self, request: web.Request) -> None:
        """Send the head, if it is not sent yet."""
        if not self.prepared:
            for name in self._said:  # the first chunk may have said more
                self.headers.setdefault(name, self._said[name])
        await self.prepare(request)


class _Server:
    def __init__(self, services: Services, probes: set[str]) -> None:
        self._services = services
        self._probes = probes
        self.literals: dict[str, set[str]] = {}  # the methods of each address without parameters but the user
        self.hints: list[tuple[re.Pattern[str], str]] = []  # to who asks for a method that an address lacks
        self._authenticator = Authenticator(services.settings)
        self._origins = frozenset(services.settings.cors_origins)
        self._patience = services.settings.web_patience
        seconds = services.settings.hsts_seconds
        self._transport_security = f"max-age={seconds}" if seconds else None
        self._files = Files(self._patience)

    async def lifetime(self, _app: web.Application) -> AsyncIterator[None]:
        """Holds the client that reads the key set, where there is one, and ends what is under way at a stop."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._services.watch.close)
            url = self._services.settings.jwks_url
            if url is not None:
                session = await stack.enter_async_context(ClientSession())
                keys = KeySet(fetch_from(str(url), session))
                stack.push_async_callback(keys.close)
                self._authenticator = Authenticator(self._services.settings, keys)
            yield

    @web.middleware
    async def middleware(self, request: web.Request, handler: _Endpoint) -> web.StreamResponse:
        """Answer every request: whatever goes wrong becomes problem+json, and all of it is logged and timed."""
        started = time.perf_counter()
        self._name(request, request.headers.getall(traces.HEADER, ()))
        resource = request.match_info.route.resource
        route = "unknown" if resource is None else resource.canonical
        more = {}
        try:
            response = await self._answer(request, handler)
            self._head(request, response)
            if isinstance(response, _Chunks):
                broken = await self._send(request, response, route)
                more = {} if broken is None else {"broken": broken}
        except Exception as error:  # noqa: BLE001 - the boundary: an error becomes an answer, here and nowhere else
            response = self._problem(error, request)
            self._head(request, response)
        self._done(request, response.status, route, started, **more)
        return response

    def refusal(self, request: web.BaseRequest, error: web.HTTPException) -> web.StreamResponse:
        """The answer to a request that aiohttp refused before any middleware."""
        started = time.perf_counter()
        self._name(request)  # its headers are no multidict
        response = self._problem(error, request)
        self._head(request, response)
        self._done(request, response.status, "unknown", started)
        return response

    def endpoint(self, route: Route) -> _Endpoint:
        """aiohttp's handler of a route: checks the request, calls the route's own handler, makes its answer."""
        ids = [name for name in route.path_parameters if name not in route.texts]

        async def reply(request: web.Request, path: Ids, caller: Caller | None, services: Services) -> Reply:
            names = _names(request, route.texts) if route.texts else {}
            query = _query(request, route.query)
            body = None if route.body is None else await _body(request, route.body, self._patience)
            call = Call(services, request, request[REQUEST_ID], path, names, query, body, caller)
            if route.form is None:
                return await route.handler(call)
            async with self._files.place(caller.user_id if caller else None):
                call.body = await read_form(request, route.form, route.form_bytes, self._patience)
                return await route.handler(call)

        async def answer(request: web.Request) -> web.StreamResponse:
            caller = await self._caller(request) if route.auth else None
            if route.role is not None and (caller is None or route.role not in caller.roles):
                raise Problem(FORBIDDEN, f"The token lacks the role `{route.role}`.")
            path = _path(request, ids) if ids else {}
            if caller is not None and path.get("userId", caller.user_id) != caller.user_id:
                request[ABOUT] = path["userId"]
                if route.deputy in caller.roles:
                    answered = await reply(request, path, caller, self._services)
                else:
                    answered = await coached(
                        partial(reply, request, path, caller),
                        self._services,
                        route,
                        user_id=path["userId"],
                        coach=caller,
                        request_id=request[REQUEST_ID],
                    )
            else:
                answered = await reply(request, path, caller, self._services)
            return _response(answered) if answered.chunks is None else _Chunks(answered, answered.chunks)

        return answer

    async def _caller(self, request: web.Request) -> Caller:
        caller = await self._authenticator.caller(request.headers.get("Authorization"))
        request[CALLER] = caller
        if self._services.limits is not None:
            standing = await self._services.limits.ask(caller.user_id, request.method)
            if standing is not None:
                request[STANDING] = standing
                if not standing.admitted:
                    raise problems.rate_limited(standing.limit.quota, standing.limit.name, standing.seconds)
        return caller

    async def _answer(self, request: web.Request, handler: _Endpoint) -> web.StreamResponse:
        refused = self._refused(request)
        if request.method == "OPTIONS":
            return self._options(request, refused)
        if refused is not None:
            raise refused
        return await handler(request)

    def _refused(self, request: web.Request) -> web.HTTPMethodNotAllowed | None:
        """Why the method is none of this address. A route's own address is no value of another's parameter."""
        methods = self.literals.get(_USER.sub("/users/{userId}", request.path, count=1))
        if methods is not None:
            return None if request.method in methods else web.HTTPMethodNotAllowed(request.method, methods)
        error = request.match_info.http_exception
        return error if isinstance(error, web.HTTPMethodNotAllowed) else None

    def _options(self, request: web.Request, error: web.HTTPMethodNotAllowed | None) -> web.StreamResponse:
        if error is None:
            raise Problem(NOT_FOUND, "There is nothing at this address.")
        methods = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
        headers = {"Allow": methods}
        if "Origin" in request.headers and "Access-Control-Request-Method" in request.headers:
            headers |= {
                "Access-Control-Allow-Methods": methods,
                "Access-Control-Allow-Headers": ALLOWED_HEADERS,
                "Access-Control-Max-Age": PREFLIGHT_SECONDS,
            }
        return _response(Reply(204, headers=headers))

    def _problem(self, error: Exception, request: web.BaseRequest) -> web.StreamResponse:
        problem = problems.of(error)
        if problem.kind is problems.INTERNAL:
            log.error("request failed", exc_info=error)
        if problem.kind is problems.METHOD_NOT_ALLOWED:
            problem.detail += self._hint(request)
        body = problem.body(request[REQUEST_ID])
        return _response(Reply(problem.kind.status, body, problem.headers, problems.MEDIA_TYPE))

    def _hint(self, request: web.BaseRequest) -> str:
        return next((f" {hint}" for pattern, hint in self.hints if pattern.fullmatch(request.path)), "")

    def _allow_origin(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin is not None and (origin in self._origins or "*" in self._origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS

    async def _send(self, request: web.Request, response: _Chunks, route: str) -> str | None:
        """Send an answer in chunks. Returns why it was broken off, None where it was not.

        Raises what goes wrong before anything was sent.
        """
        sending = asyncio.create_task(self._pump(request, response))
        began = time.perf_counter()
        broken = None
        try:
            while broken is None and not sending.done():
                await asyncio.wait([sending], timeout=_LOOK_SECONDS)
                if _gone(request):
                    broken = "client"
                elif time.perf_counter() - began > _STREAM_PATIENCES * self._patience + response.sent / _STREAM_PACE:
                    broken = "slow"
        finally:
            sending.cancel()  # which closes the chunks, and ends what they wait for
            (error,) = await asyncio.gather(sending, return_exceptions=True)
        if error is None:
            return None
        if broken is None and isinstance(error, Exception) and not response.prepared:
            raise error
        if broken is None:
            broken = "client" if isinstance(error, ConnectionError) else "slow" if isinstance(error, _Slow) else "error"
        if broken == "error":
            log.error("answer broken off", exc_info=error)
        if request.transport is not None:
            request.transport.abort()  # `close` would wait for a slow reader, and what is sent must have no end
        self._services.measures.broken(route, broken)
        return broken

    async def _pump(self, request: web.Request, response: _Chunks) -> None:
        async with aclosing(response.chunks) as chunks:
            async for chunk in chunks:
                await self._in_time(response.begin(request))
                if request.method == "HEAD":
                    break
                await self._in_time(response.write(chunk))
                response.sent += len(chunk)
        await self._in_time(response.begin(request))
        await self._in_time(response.write_eof())

    async def _in_time(self, writing: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await writing
        except TimeoutError:
            raise _Slow from None

    def _name(self, request: web.BaseRequest, traceparents: Sequence[str] = ()) -> None:
        """Give the request its id, which stands in its answer, and its trace. Both stand in each line of the log until
        the next request, and in the events that it makes."""
        request_id = request.headers.get("X-Request-Id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid4().hex
        request[REQUEST_ID] = request_id
        traceparent = self._services.traceparent(traceparents)
        traces.CURRENT.set(traceparent)
        trace = {} if traceparent is None else {"trace_id": traces.trace_id(traceparent)}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, **trace)

    def _head(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        standing = request.get(STANDING)
        if standing is not None:
            response.headers.update(standing.headers)
        if self._transport_security is not None:
            response.headers["Strict-Transport-Security"] = self._transport_security
        if self._origins:
            self._allow_origin(request, response)

    def _done(self, request: web.BaseRequest, status: int, route: str, started: float, **more: str) -> None:
        seconds = time.perf_counter() - started
        method = request.method if request.method in _METHODS else "other"
        self._services.measures.request(method, route, status, seconds)
        write = access_log.debug if route in self._probes and status < 400 else access_log.info
        milliseconds = round(seconds * 1000, 2)
        caller, request_id = request.get(CALLER), request[REQUEST_ID]
        user, actor = (None, None) if caller is None else (caller.user_id, caller.subject)
        write("request", method=method, route=route, status=status, ms=milliseconds, user=user and str(user), **more)
        if self._services.requests is not None and not (route in self._probes and status < 400):
            about = request.get(ABOUT)
            self._services.requests.add(
                LoggedRequest(started, user, actor, method, route, about, status, request_id, milliseconds)
            )


class _Slow(Exception):
    """The client does not take what is sent to it."""


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _response(reply: Reply) -> web.Response:
    headers = {**_HEADERS, **reply.headers}
    if reply.body:
        headers["Content-Type"] = reply.media
    return web.Response(status=reply.status, body=reply.body, headers=headers)


def _path(request: web.Request, names: Sequence[str]) -> Ids:
    ids: dict[str, UUID] = {}
    for name in names:
        text = request.match_info[name]
        try:
            ids[name] = UUID(text)
        except ValueError:
            raise Problem(NOT_FOUND, f"{name} must be a UUID.") from None
        if len(text) != _UUID_LENGTH:  # Python also reads braces, urn:uuid: and no hyphens
            raise Problem(NOT_FOUND, f"{name} must be a UUID.")
    return ids


def _names(request: web.Request, names: Iterable[str]) -> Mapping[str, str]:
    texts = {name: request.match_info[name] for name in names}
    for name, text in texts.items():
        if not 1 <= len(text) <= _LONGEST_NAME or "\0" in text:
            raise Problem(NOT_FOUND, f"{name} must have 1 to {_LONGEST_NAME} characters, and no NUL.")
    return texts


def _query(request: web.Request, model: type[BaseModel] | None) -> Any:
    given = request.rel_url.query
    if model is None:
        if given:
            raise problems.invalid_parameter(next(iter(given)), "is not known here")
        return None
    parameters = dict(given)
    if len(parameters) < len(given):
        twice = next(name for name in given if len(given.getall(name)) > 1)
        raise problems.invalid_parameter(twice, "is given more than once")
    try:
        return model.model_validate_strings(parameters)
    except ValidationError as error:
        raise problems.invalid_query(error) from None


async def _body(request: web.Request, model: type[BaseModel], patience: float) -> BaseModel:
    if request.content_type != JSON or (request.charset or "utf-8").lower() != "utf-8":
        raise Problem(UNSUPPORTED, f"The body must be {JSON} in UTF-8.", headers={"Accept": JSON})
    if (request.content_length or 0) > request.client_max_size:
        raise Problem(TOO_LARGE, f"The body is larger than {request.client_max_size} bytes.")
    try:
        async with asyncio.timeout(patience):
            raw = await request.read()
    except TimeoutError:
        raise Problem(TIMEOUT, f"The body did not arrive within {patience:g} s.") from None
    except (ConnectionError, web.RequestPayloadError):
        raise problems.malformed("The body is broken off, or not encoded as its headers say.") from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise problems.invalid_body(error) from None
