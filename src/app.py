"""The service, wired: `faust -A app -L uvloop worker` hosts REST, the relay and the agents in one process."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from agents.erasures import ErasureWorker
from agents.folding import Fold
from agents.imports import ImportWorker
from agents.insights import InsightsFold
from agents.volume import VolumeFold
from kafka_access import KafkaAccess
from models import traces
from outbox.service import OutboxService
from runtime import logs, tracing
from runtime.app import App
from runtime.batches import batches
from runtime.web import REFUSAL, Limits
from settings import settings
from storage.archives import erase as erase_archived
from storage.database import Database
from storage.erasures import Erasures
from storage.fold_state import read_freshness
from storage.imports import Imports
from storage.outbox import months_ahead, status
from storage.replica import INTERVAL as REPLICA_INTERVAL
from storage.replica import Replica
from web.api import ALL_ROUTES
from web.limits import RateLimits
from web.measures import Measures
from web.request_log import RequestLog
from web.server import setup
from web.services import CATALOGUE_INTERVAL, CatalogueCache, Services
from web.watch import AgentState, Backlog, Watch
from web.watch import RelayState as WatchedRelay

SILENT_TIMER = 60.0  # seconds
STUCK_FOLD = 300.0  # seconds

config = settings()
logs.configure(config.log_level, config.log_format)

database = Database(
    config.worker_url,
    pool_size=config.pool_size,
    pool_timeout=config.pool_timeout,
    statement_timeout=config.statement_timeout,
    name=config.consumer_group,
)
replica = (
    None
    if config.replica_url is None
    else Replica(
        database,
        config.replica_url.get_secret_value(),
        lag=config.pipeline_lag,
        pool_size=config.pool_size,
        pool_timeout=config.pool_timeout,
        statement_timeout=config.statement_timeout,
        name=config.consumer_group,
    )
)
insights = InsightsFold(database, config.insights_topic)
volume = VolumeFold(
    database,
    config.events_topic,
    config.exercise_events_topic,
    stored=insights.folded,
    archive_dir=config.archive_dir,
)
outbox = OutboxService(config, database, on_topic_made_anew=volume.catch_up)
insights.announced = outbox.wake
catalogue = CatalogueCache(database)
imports = ImportWorker(database, config.events_topic, resolve=catalogue.resolve, wake=outbox.wake)
erasures = ErasureWorker(
    database,
    config.events_topic,
    archives=partial(erase_archived, database, config.archive_dir),
    wake=outbox.wake,
    grace_days=config.erasure_grace_days,
    relayed=config.relay_enabled,
)
measures = Measures()
limits = RateLimits(database, measures, reads=config.rate_reads, writes=config.rate_writes)
requests = RequestLog(database, measures)
spans = tracing.begin([route.path for route in ALL_ROUTES if route.probe])


async def lifetime(_app: web.Application) -> AsyncIterator[None]:
    """What is open as long as the web server is: it ends after requests, timers and agents."""
    limits.start()
    requests.start()
    await outbox.start()
    imports.start()
    erasures.start()
    insights.start()
    yield
    await asyncio.gather(requests.stop(), limits.stop(), insights.stop())
    await asyncio.gather(imports.stop(), erasures.stop())
    await outbox.stop()
    if replica is not None:
        await replica.close()
    await database.close()
    if spans is not None:
        await spans.close()


class Service(App):
    """The app."""

    def setup_web(self, web_app: web.Application) -> None:
        """Mount the REST API."""
        watch = Watch(
            database,
            lag_limit=config.pipeline_lag,
            relay=relay_state,
            agents=agent_states,
            dead=dead,
            backlog=read_backlog,
        )
        services = Services(
            config,
            database,
            catalogue,
            watch,
            measures,
            outbox.wake,
            replica,
            imports.wake,
            erasures.wake,
            limits=limits,
            requests=requests,
            traceparent=traces.read if spans is None else spans.traceparent,
        )
        if spans is not None:
            web_app.middlewares.append(spans.middleware)
        web_app.cleanup_ctx.append(lifetime)
        web_app[REFUSAL] = setup(web_app, services, ALL_ROUTES)


app = Service(
    config.consumer_group,
    bootstrap=config.kafka_bootstrap,
    access=KafkaAccess.of(config),
    web_host=config.web_host,
    web_port=config.web_port,
    web_options={"client_max_size": config.max_body_bytes},
    web_limits=Limits(connections=config.web_connections, idle=config.web_idle, patience=config.web_patience),
    fetch_records=config.fold_batch,
    stop_grace=config.stop_grace,
)


@app.every(config.relay_interval, "outbox")
async def drain_outbox() -> None:
    """The relay's floor: whatever woke nobody is published at the next tick."""
    await outbox.tick()


@app.every(5.0, "catch up")
async def catch_up() -> None:
    """Folds from the log what a lost topic no longer holds, and moves the mark of what is folded."""
    await volume.catch_up()


@app.every(60.0, "missed")
async def fold_missed() -> None:
    """Folds from the log what has not come by the topic, once there is nothing left to come."""
    if app.consumption().lag == 0:
        await volume.fold_missed()


@app.every(30.0, "rules")
async def renew() -> None:
    """Computes anew what was computed by rules before these: after an upgrade, and while it is under way."""
    await volume.renew()


@app.every(60.0, "days")
async def judge_days() -> None:
    """Has the load of those judged whose local day has changed."""
    await insights.judge_days()


@app.every(CATALOGUE_INTERVAL, "catalogue")
async def refresh_catalogue() -> None:
    """Has trainings name the latest revisions of movements, whichever worker they were edited by."""
    await catalogue.refresh()


if replica is not None:
    app.every(REPLICA_INTERVAL, "replica")(replica.look)


@app.agent(app.topic(config.events_topic), name="volume")
async def fold_volume(stream: Any) -> None:
    """Keeps the volume tables."""
    await volume.run(batches(stream, spans))


@app.agent(app.topic(config.exercise_events_topic), name="naming")
async def fold_names(stream: Any) -> None:
    """Keeps what users mean by names, in the volume of the past too."""
    await volume.naming.run(batches(stream, spans))


def relay_state() -> WatchedRelay:
    """The relay of this worker, for health and metrics."""
    state = outbox.state
    return WatchedRelay(
        role=state.role,
        silent=None if state.last_success is None else time.monotonic() - state.last_success,
        error=state.error,
        published=state.published,
        batches=state.batches,
        last_batch=state.last_batch,
    )


def agent_states() -> Sequence[AgentState]:
    """The agents of this worker, for health and metrics."""
    return (
        _agent_state("volume", config.events_topic, volume),
        _agent_state("naming", config.exercise_events_topic, volume.naming),
        _insights_state(),
    )


def _agent_state(name: str, topic: str, fold: Fold) -> AgentState:
    consumption = app.consumption().of(topic)
    health = fold.health
    return AgentState(
        name=name,
        partitions=len(consumption.partitions),
        lag=consumption.lag,
        trouble=consumption.trouble,
        folded=health.events,
        last_batch=health.last_batch,
        failures=health.failures,
        rebalances=consumption.rebalances,
    )


def _insights_state() -> AgentState:
    """It reads no topic: how far it is stands in the backlog."""
    health = insights.health
    return AgentState(
        "insights",
        partitions=None,
        folded=health.events,
        last_batch=health.last_batch,
        failures=health.failures,
    )


def dead() -> str | None:
    """Why only a restart helps this worker, or None. What heals by itself (Kafka or PostgreSQL away) is no reason."""
    tick = drain_outbox.health()
    if tick.idle is not None and tick.idle > SILENT_TIMER:
        return f"The relay's timer has not run for {tick.idle:.0f} s."
    consumption = app.consumption()
    stuck = consumption.idle is not None and consumption.idle > STUCK_FOLD and bool(consumption.lag)
    if stuck and consumption.trouble is None and outbox.state.error is None:
        return f"Kafka and PostgreSQL answer, and nothing was folded for {consumption.idle:.0f} s."
    return None


async def read_backlog() -> Backlog:
    """What the database says of the log, for health and metrics."""
    log, fold, ahead = await status(database), await read_freshness(database), await months_ahead(database)
    waiting, age = await Imports(database, config.events_topic).backlog()
    erasing, erasing_for = await Erasures(database).backlog()
    return Backlog(
        depth=log.depth,
        relay_lag=log.lag,
        fold_lag=fold.lag_seconds,
        leader=log.owner or None,
        quarantined=log.quarantined,
        stale_users=fold.stale_users,
        imports=waiting,
        imports_lag=age,
        erasures=erasing,
        erasures_lag=erasing_for,
        dead_letters=fold.dead_letters,
        epoch=log.epoch,
        months_ahead=ahead,
    )
