"""The web server: aiohttp's, bounded, with none of Faust's pages."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from operator import itemgetter
from typing import Any, cast

from aiohttp.http_exceptions import LineTooLong
from aiohttp.web import (
    AppKey,
    Application,
    AppRunner,
    BaseRequest,
    HTTPBadRequest,
    HTTPException,
    HTTPRequestHeaderFieldsTooLarge,
    RequestHandler,
    Server,
    StreamResponse,
    TCPSite,
)
from faust.web.base import BlueprintManager
from faust.web.drivers import aiohttp as driver

log = logging.getLogger(__name__)

BACKLOG = 1024  # connections that the kernel accepts for us
LINGERING = 10.0  # seconds

# An application says by it how it answers a request that none of its middlewares gets to see.
Refusal = Callable[[BaseRequest, HTTPException], StreamResponse]
REFUSAL: AppKey[Refusal] = AppKey("refusal")


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take of the server.

    At most `connections` are open: one more closes the one that has waited longest for a request, or is closed itself
    where all have one. A connection without a request is closed after `idle` seconds. Sending a request's head and
    reading the answer may each take `patience` seconds; a body's time is the application's affair.
    """

    connections: int = 1000
    idle: float = 75.0
    patience: float = 30.0


class CannotListenError(SystemExit):
    """The address is taken or not ours. Ends the process with code 1, without a traceback."""


class _Connection(RequestHandler):
    """Upstream's (aiohttp/web_protocol.py) with `Limits`, and with the application's own answer to broken requests.

    Upstream answers these as text/plain and logs a traceback for each, waits for the rest of a head as long as for a
    request, and for a client that reads no answer as long as that keeps its connection. It bounds no connections.
    """

    __slots__ = ("_head_timer", "_server")

    def __init__(self, server: "_Server", **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._head_timer: asyncio.TimerHandle | None = None

    @property
    def idle_until(self) -> float | None:
        """When (by the loop's clock) it is closed for want of a request; None while it has one."""
        waiting = self._waiter is not None and not self._waiter.done()
        return self._next_keepalive_close_time if waiting else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # The kernel gives up what the client does not take, also after the connection was closed on this side.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = int(self._server.limits.patience * 1000)
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        self._server.make_room(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.idle_until is None:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(self._server.limits.patience, self.force_close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    async def finish_response(
        self, request: BaseRequest, resp: StreamResponse, start_time: float | None
    ) -> tuple[StreamResponse, bool]:
        try:
            async with asyncio.timeout(self._server.limits.patience):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            if self.transport is not None:
                self.transport.abort()  # `close` would wait until the rest is sent
            return resp, True

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        # Only what cannot be read: an application that answers for itself lets no error out.
        if self._server.refusal is None or status != HTTPStatus.BAD_REQUEST:
            return super().handle_error(request, status, exc, message)
        error = HTTPRequestHeaderFieldsTooLarge() if isinstance(exc, LineTooLong) else HTTPBadRequest()
        answer = self._server.refusal(request, error)
        answer.force_close()
        return answer


class _Server(Server):
    """Upstream's, of such connections."""

    def __init__(self, plain: Server, limits: Limits, refusal: Refusal | None) -> None:
        super().__init__(
            cast("Any", self._handle), request_factory=plain.request_factory, loop=plain._loop, **plain._kwargs
        )
        self.limits = limits
        self.refusal = refusal
        self._application = plain.request_handler

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        try:
            return await self._application(request)
        except HTTPException as error:  # of the header Expect, which is judged before the application's middlewares
            if self.refusal is None:
                raise
            return self.refusal(request, error)

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def make_room(self, newest: _Connection) -> None:
        """Close a connection if there are more than the limit."""
        if len(self._connections) > self.limits.connections:
            connections = cast("list[_Connection]", self.connections)
            idle = [(until, connection) for connection in connections if (until := connection.idle_until) is not None]
            victim = min(idle, key=itemgetter(0), default=(0.0, newest))[1]
            victim.force_close()


class Runner(AppRunner):
    """A runner with limits, whose requests can be drained before the application is cleaned up, and is told once."""

    __slots__ = ("_drained", "_limits")

    def __init__(self, app: Application, *, limits: Limits, **options: Any) -> None:
        # Lingering: a body that was answered before it came is read so long, or its client would not get the answer.
        super().__init__(app, keepalive_timeout=limits.idle, lingering_time=min(LINGERING, limits.patience), **options)
        self._drained = False
        self._limits = limits

    async def _make_server(self) -> Server:
        return _Server(await super()._make_server(), self._limits, self.app.get(REFUSAL))

    async def drain(self) -> None:
        """Accept no more and let requests finish, for `shutdown_timeout` seconds; the application stays whole."""
        if self._drained or self.server is None:
            return
        self._drained = True
        for site in self.sites:
            await site.stop()
        self.server.pre_shutdown()
        await super().shutdown()
        await self.server.shutdown(self._shutdown_timeout)

    async def shutdown(self) -> None:
        await self.drain()


class Web(driver.Web):
    """Upstream's (faust/web/drivers/aiohttp.py) with these departures.

    - No page of Faust's own: `/router/` tells the cluster's addresses, `/table/` data.
    - No CORS of aiohttp-cors: native routes pass it by, and it warns.
    - Clients are bounded; requests are drained first at a stop and the application is cleaned up last, once
      (upstream: twice, and after 60 s), so that what it opened still serves agents while they finish.
    - An address that is taken ends the worker with one line.
    """

    mundane_level = "debug"

    def __init__(self, app: Any, *, grace: float, limits: Limits, **options: Any) -> None:
        super().__init__(app, **options)
        self.blueprints = BlueprintManager([])
        self.runner = Runner(self.web_app, limits=limits, access_log=None, shutdown_timeout=grace, tcp_keepalive=True)

    async def on_start(self) -> None:
        self.init_server()
        await self.runner.setup()
        conf = self.app.conf
        try:
            await TCPSite(self.runner, conf.web_bind, conf.web_port, backlog=BACKLOG).start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            log.critical("cannot listen on %s port %s: %s", conf.web_bind, conf.web_port, why)
            raise CannotListenError(1) from None

    async def on_stop(self) -> None:
        await self.runner.cleanup()
