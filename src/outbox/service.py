"""The outbox in a worker: the relay, what wakes it, and the housekeeping, on the worker's event loop."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import uuid4

from outbox.housekeeping import keep_days, keep_house
from outbox.producer import KafkaProducer
from outbox.relay import Relay, RelayState, end
from outbox.waker import Waker
from settings import Settings
from storage.database import Database
from storage.outbox import OutboxStore
from storage.outbox_statements import PLANNER

log = logging.getLogger(__name__)

PAUSE = 0.001  # seconds between two drains: under load each then takes several events, for a fraction of the work
STOP = 3.0  # seconds that what is under way may take when the worker stops


class OutboxService:
    """What a worker runs of the outbox. Nothing it does raises or waits for Kafka or PostgreSQL but `stop`.

    `database` is the worker's; the relay has connections of its own, so that it never waits behind requests.
    `on_topic_made_anew` is called when a topic was lost and made anew, or the database restored or promoted: what was
    to be read from the topic is in the log.
    """

    def __init__(
        self, settings: Settings, database: Database, *, on_topic_made_anew: Callable[[], Awaitable[None]]
    ) -> None:
        self._settings = settings
        self._database = database
        self._on_topic_made_anew = on_topic_made_anew
        self._relay_database = Database(
            settings.worker_url,
            pool_size=3,
            # Who is not answered for as long as the lease lasts has lost it, and learns so.
            statement_timeout=settings.relay_lease,
            name=f"{settings.consumer_group}-relay",
            options=PLANNER,
        )
        owner = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:12]}"
        self._relay = Relay(
            OutboxStore(self._relay_database, owner, lease=settings.relay_lease, batch=settings.relay_batch),
            KafkaProducer.of(settings),
            lease=settings.relay_lease,
            patience=settings.relay_ack_timeout,
            # What was said of trainings comes back before they do: it is then not said again.
            topics=settings.topics[::-1],
            on_topic_made_anew=self._made_anew,
        )
        self._woken = asyncio.Event()
        self._ear = self._relay_database
        if settings.database_listen_url:
            url = settings.database_listen_url.get_secret_value()
            self._ear = Database(url, pool_size=1, name=f"{settings.consumer_group}-listen")
        self._waker = Waker(self._relay_database, self._ear, leads=lambda: self._relay.leads, wake=self._woken.set)
        self._draining: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> RelayState:
        """What the relay of this worker says of itself."""
        return self._relay.state if self._settings.relay_enabled else RelayState("off")

    async def start(self) -> None:
        """Start what runs beside the requests."""
        self._spawn(keep_house(self._database, idempotency_hours=self._settings.idempotency_hours))
        self._spawn(
            keep_days(
                self._database,
                request_log_days=self._settings.request_log_days,
                access_log_days=self._settings.access_log_days,
                import_days=self._settings.import_days,
            )
        )
        if self._settings.relay_enabled:
            self._draining = self._spawn(self._drain())
            self._spawn(self._waker.run())

    async def tick(self) -> None:
        """The timer's: look what was committed. Returns at once; one drain runs at a time."""
        self._woken.set()

    def wake(self) -> None:
        """After a commit of this worker: publish it now, or tell the worker that relays."""
        if self._relay.leads:
            self._woken.set()
        elif self._draining is not None:
            self._waker.tell()

    async def stop(self) -> None:
        """Finish the batch under way and let another worker take over, in `STOP` seconds at most."""
        self._relay.halt()
        self._woken.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP):
                if self._draining is not None:
                    await asyncio.wait({self._draining}, timeout=STOP / 2)
                for task in self._tasks.copy():
                    await end(task)
                await self._relay.stop()
                await self._ear.close()
                await self._relay_database.close()

    async def _drain(self) -> None:
        while not self._relay.halted:
            try:
                await self._relay.drain()
            except asyncio.CancelledError:
                if (task := asyncio.current_task()) is None or task.cancelling():
                    raise
                # aiokafka and aiopg raise it by themselves too.
                log.exception("the relay was cancelled by nobody")
            await asyncio.sleep(PAUSE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._settings.relay_lease / 5)
            self._woken.clear()

    def _made_anew(self, topic: str) -> None:
        self._spawn(self._tell_made_anew(topic))

    async def _tell_made_anew(self, topic: str) -> None:
        try:
            await self._on_topic_made_anew()
        except Exception:
            log.exception("what follows from a lost topic failed", extra={"topic": topic})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
