"""The web server: aiohttp's, with none of Faust's pages."""

import logging
import os
from typing import Any

from aiohttp.web import AppRunner, TCPSite
from faust.web.base import BlueprintManager
from faust.web.drivers import aiohttp as driver

log = logging.getLogger(__name__)

KEEP_ALIVE = 75.0  # seconds that a connection may stay open without a whole request; longer than load balancers do
BACKLOG = 1024  # connections that the kernel accepts for us


class CannotListenError(SystemExit):
    """The address is taken or not ours. Ends the process with code 1, without a traceback."""


class Runner(AppRunner):
    """A runner whose requests can be drained before the application is cleaned up, and is told once."""

    __slots__ = ("_drained",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._drained = False

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
    - Keep-alive is bounded; requests are drained first at a stop and the application is cleaned up last, once
      (upstream: twice, and after 60 s), so that what it opened still serves agents while they finish.
    - An address that is taken ends the worker with one line.
    """

    mundane_level = "debug"

    def __init__(self, app: Any, *, grace: float, **options: Any) -> None:
        super().__init__(app, **options)
        self.blueprints = BlueprintManager([])
        self.runner = Runner(
            self.web_app, access_log=None, shutdown_timeout=grace, keepalive_timeout=KEEP_ALIVE, tcp_keepalive=True
        )

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
