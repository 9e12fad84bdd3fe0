"""The hardened Faust app."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar, cast
from uuid import uuid4

import faust
from aiohttp import web
from faust.app.base import BootStrategy
from faust.types.transports import TransportT
from mode.types import ServiceT

from kafka_access import KafkaAccess
from runtime.batches import WholeFetches
from runtime.consumer import Consumer
from runtime.health import Consumption, consumption
from runtime.recovery import Tables
from runtime.timers import Tasks, Timer, TimerHealth
from runtime.web import Limits, Web
from runtime.worker import Worker, exit_after


class Boot(BootStrategy):
    """F1: the web server first, then timers and tasks, then what needs Kafka, which waits for it.

    Upstream starts its producer before the web server (faust/app/base.py, `BootStrategy.server`; aiokafka's start
    raises without a broker): no broker, no REST. Here that producer is not started at all, since nothing uses it.
    """

    enable_kafka_producer = False

    def server(self) -> Iterable[ServiceT]:
        app = cast("App", self.app)
        return self._chain(
            self.sensors(),
            self.web_server(),
            [app.tasks],
            self.kafka_consumer(),
            self.agents(),
            self.kafka_conductor(),
            self.tables(),
        )


class App(faust.App):
    """A Faust app that serves HTTP and runs its timers with or without Kafka, loses no record, and stops in time.

    `bootstrap` is host:port[,host:port…], reached by `access`; `id` is also the consumer group's. One fetch has at most
    `fetch_records` records. A stop lets requests, agents and timers finish for half of `stop_grace` seconds and is over
    after the whole of it. A worker that dies is noticed by its group after `session_timeout` seconds. Where Kafka's own
    defaults or Faust's would not do, the value here says why.

    Subclasses mount their routes in `setup_web`; agents iterate `runtime.batches.batches(stream)`; `every` makes
    timers. There are no tables (F10): upstream only logs a failed send to a changelog, and commits the offset anyway.
    """

    BootStrategy: ClassVar[type[BootStrategy]] = Boot
    logger = logging.getLogger(__name__)
    mundane_level = "debug"

    def __init__(
        self,
        id: str,  # noqa: A002 - Faust's name for it
        *,
        bootstrap: str,
        access: KafkaAccess | None = None,
        web_host: str,
        web_port: int,
        web_options: Mapping[str, Any] | None = None,
        web_limits: Limits | None = None,
        fetch_records: int = 500,
        stop_grace: float = 8.0,
        session_timeout: float = 6.0,
        heartbeat_interval: float = 1.5,
        rebalance_timeout: float = 6.0,
        request_timeout: float = 10.0,
        commit_interval: float = 1.0,
        metadata_interval: float = 5.0,
    ) -> None:
        self.access = access or KafkaAccess()
        self.stop_grace = stop_grace
        self.drain_timeout = stop_grace / 2
        self.web_limits = web_limits or Limits()
        self.rebalancing_since = time.monotonic()
        self._web_mounted = False
        self._timers: list[Timer] = []
        super().__init__(
            id,
            broker=";".join(f"kafka://{address}" for address in bootstrap.split(",")),
            # F11: without a prefix Faust reads WEB_PORT, BROKER_URL, … from the environment, and they win over what is
            # passed here (faust/types/settings); Kubernetes sets WEB_PORT=tcp://… for a service called `web`.
            env_prefix="RUNTIME_FAUST",
            web_bind=web_host,
            web_port=web_port,
            web_application_options=dict(web_options or {}),
            # Nobody else listens there: a member of this name is this worker, or one that was here before it.
            broker_client_id=f"{id}/{socket.gethostname()}/{web_host}:{web_port or uuid4().hex}",
            broker_session_timeout=session_timeout,
            broker_heartbeat_interval=heartbeat_interval,
            broker_rebalance_timeout=rebalance_timeout,
            broker_request_timeout=request_timeout,
            broker_commit_interval=commit_interval,
            # F5: an agent that is blocked for longer (a database away) leaves the group, and upstream never gets back.
            broker_max_poll_interval=86_400.0,
            broker_max_poll_records=fetch_records,
            # A topic that is made (anew) is noticed after this time.
            consumer_metadata_max_age_ms=int(metadata_interval * 1000),
            consumer_auto_offset_reset="earliest",
            ConsumerScheduler=WholeFetches,
            stream_buffer_maxsize=4,  # fetches (F12): more of them hold memory, and fold no faster
            # Bytes of one partition in one answer; a larger record comes alone. Upstream's 1 MiB holds memory, too.
            consumer_max_fetch_size=262_144,
            stream_recovery_delay=0.0,
            stream_wait_empty=True,
            key_serializer="raw",
            value_serializer="raw",
            table_standby_replicas=0,
            topic_disable_leader=True,
            topic_allow_declare=False,
            TableManager=Tables,
            Worker=Worker,
            worker_redirect_stdouts=False,
        )

    def setup_web(self, web_app: web.Application) -> None:
        """Mount routes, middlewares and cleanup contexts. Called once, before the server starts.

        Cleanup contexts end last, when requests, agents and timers have ended.
        """

    def every(self, interval: float, name: str) -> Callable[[Callable[[], Awaitable[object]]], Timer]:
        """A decorator that makes a function a Faust timer, guarded: it runs every `interval` seconds, one at a time."""

        def decorate(body: Callable[[], Awaitable[object]]) -> Timer:
            timer = Timer(name, body)
            self._timers.append(timer)
            self.timer(interval, name=name)(timer.run)
            return timer

        return decorate

    def timers(self) -> tuple[TimerHealth, ...]:
        """How the timers made by `every` fare."""
        return tuple(timer.health() for timer in self._timers)

    def consumption(self) -> Consumption:
        """How the consumer fares."""
        return consumption(self)

    @cached_property
    def tasks(self) -> Tasks:
        """The service that runs timers and tasks."""
        return Tasks(self._app_tasks, self.drain_timeout, loop=self.loop, beacon=self.beacon)

    def on_webserver_init(self, web: Any) -> None:
        # Called three times by `faust worker` (faust/app/base.py, faust/cli, faust/web/base.py).
        if not self._web_mounted:
            self._web_mounted = True
            self.setup_web(web.web_app)

    def on_rebalance_start(self) -> None:
        if not self.rebalancing:
            self.rebalancing_since = time.monotonic()
        super().on_rebalance_start()

    async def on_started_init_extra_tasks(self) -> None:
        """Nothing: `tasks` has started them."""

    async def on_stop(self) -> None:
        exit_after(self.stop_grace, code=1 if self.crashed else 0)
        await asyncio.gather(cast("Web", self.web).runner.drain(), self.tasks.stop(), super().on_stop())

    async def _producer_flush(self, logger: Any) -> None:
        """Nothing: Faust's producer is not started."""

    def _new_web(self) -> Web:
        return Web(self, grace=self.drain_timeout, limits=self.web_limits)

    def _new_transport(self) -> TransportT:
        transport = super()._new_transport()
        cast("Any", transport).Consumer = Consumer
        return transport

    def _create_directories(self) -> None:
        """None: they would be for tables, and Faust's default is in the working directory."""
