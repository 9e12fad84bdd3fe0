"""Health for load balancers and alerts, and measures for Prometheus."""

import asyncio
from collections.abc import Iterable, Iterator
from importlib.metadata import version

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel, ConfigDict

from models.errors import DatabaseUnavailable
from web.routes import Answer, Call, Reply, Route
from web.services import Services
from web.watch import Backlog, Trouble

_VERSION = version("training-service")
METRICS_MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_NO_STORE = {"Cache-Control": "no-store"}


class HealthTrouble(BaseModel):
    """One thing that is not well."""

    part: str
    reason: str


class HealthDocument(BaseModel):
    """An answer about health."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ok: bool
    """Whether the status is 200."""
    reasons: list[HealthTrouble]
    """Why it is not."""
    degraded: list[HealthTrouble] | None = None
    """What is not well and does not keep this worker from serving REST."""


async def live(call: Call[None, None]) -> Reply:
    """GET /health/live."""
    reason = call.services.watch.dead()
    return _reply([] if reason is None else [Trouble("worker", reason)])


async def ready(call: Call[None, None]) -> Reply:
    """GET /health/ready."""
    watch = call.services.watch
    return _reply(*await asyncio.gather(watch.serving(), watch.pipeline()))


async def pipeline(call: Call[None, None]) -> Reply:
    """GET /health/pipeline."""
    return _reply(await call.services.watch.pipeline())


async def metrics(call: Call[None, None]) -> Reply:
    """GET /metrics."""
    services = call.services
    unfit = await services.watch.serving()
    try:
        backlog = None if unfit else await services.watch.backlog.get()
    except DatabaseUnavailable:
        backlog = None
    registry = CollectorRegistry()
    registry.register(_Snapshot(services, backlog, ready=not unfit))
    body = generate_latest(services.measures.registry) + generate_latest(registry)
    return Reply(200, body, _NO_STORE, METRICS_MEDIA)


def _reply(reasons: list[Trouble], degraded: list[Trouble] | None = None) -> Reply:
    document = {"ok": not reasons, "reasons": reasons}
    if degraded is not None:
        document["degraded"] = degraded
    return Reply(503 if reasons else 200, orjson.dumps(document), _NO_STORE)


class _Snapshot:
    """What Prometheus reads besides the requests, as of one scrape."""

    def __init__(self, services: Services, backlog: Backlog | None, *, ready: bool) -> None:
        self._database = services.database
        self._watch = services.watch
        self._backlog = backlog
        self._ready = ready

    def collect(self) -> Iterator[Metric]:
        relay = self._watch.relay()
        yield _gauge("training_relay_leader", "Whether this worker relays", relay.role == "leader")
        yield _gauge("training_relay_failing", "Whether the relay's last attempt failed", relay.error is not None)
        if relay.silent is not None:
            yield _gauge("training_relay_silent_seconds", "Seconds since the relay's last success", relay.silent)
        yield _counter("training_relay_published", "Events acknowledged by Kafka", relay.published)
        yield _counter("training_relay_batches", "Batches acknowledged by Kafka", relay.batches)
        yield _gauge("training_relay_last_batch", "Events in the last batch acknowledged by Kafka", relay.last_batch)
        agents = self._watch.agents()
        assigned = ((agent.name, agent.partitions) for agent in agents if agent.partitions is not None)
        yield _agents("partitions", "Partitions assigned", assigned)
        lags = ((agent.name, agent.lag) for agent in agents if agent.lag is not None)
        yield _agents("lag", "Records not folded yet in the partitions assigned", lags)
        yield _agents(
            "last_batch", "Records folded together last", ((agent.name, agent.last_batch) for agent in agents)
        )
        failing = ((agent.name, agent.trouble is not None) for agent in agents)
        yield _agents("failing", "Whether the agent folds nothing now", failing)
        for name, text, values in (
            ("folded", "Records folded", [(agent.name, agent.folded) for agent in agents]),
            (
                "failures",
                "Batches that failed and were tried again",
                [(agent.name, agent.failures) for agent in agents],
            ),
            ("rebalances", "Rebalances of the consumer group", [(agent.name, agent.rebalances) for agent in agents]),
        ):
            counter = CounterMetricFamily(f"training_agent_{name}", text, labels=["agent"])
            for agent, value in values:
                counter.add_metric([agent], value)
            yield counter
        yield _gauge("training_database_connections", "Connections open", self._database.size)
        yield _gauge("training_database_connections_idle", "Connections that nobody uses", self._database.idle)
        yield _counter("training_database_statements", "Statements sent", self._database.statements)
        yield _gauge("training_ready", "Whether this worker can serve REST", self._ready)
        build = GaugeMetricFamily("training_build_info", "1, with the version of this worker", labels=["version"])
        build.add_metric([_VERSION], 1)
        yield build
        if self._backlog is not None:
            yield from _backlog(self._backlog)


def _backlog(backlog: Backlog) -> Iterator[Metric]:
    yield _gauge("training_outbox_depth", "Events not published yet", backlog.depth)
    yield _gauge("training_outbox_lag_seconds", "Age of the oldest event not published yet", backlog.relay_lag)
    yield _gauge("training_outbox_quarantined", "Aggregates held back", backlog.quarantined)
    yield _gauge("training_outbox_leader_known", "Whether a worker holds the lease", backlog.leader is not None)
    yield _gauge("training_outbox_epoch", "Epoch of the log's cursor", backlog.epoch)
    yield _gauge("training_outbox_months_ahead", "Partitions beyond this month's", backlog.months_ahead)
    yield _gauge("training_fold_lag_seconds", "Age of the oldest change not in all derived tables", backlog.fold_lag)
    yield _gauge("training_stale_users", "Users whose load and records are out of date", backlog.stale_users)
    yield _gauge("training_imports", "Imports that wait or run", backlog.imports)
    yield _gauge("training_imports_lag_seconds", "Age of the oldest import that waits or runs", backlog.imports_lag)
    yield _gauge("training_erasures", "Erasures that are not done", backlog.erasures)
    yield _gauge("training_erasures_lag_seconds", "Age of the oldest erasure that is not done", backlog.erasures_lag)
    yield _gauge("training_dead_letters", "Records that could not be decoded", backlog.dead_letters)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _agents(name: str, text: str, values: Iterable[tuple[str, float]]) -> Metric:
    gauge = GaugeMetricFamily(f"training_agent_{name}", text, labels=["agent"])
    for agent, value in values:
        gauge.add_metric([agent], value)
    return gauge


ROUTES = (
    Route(
        method="GET",
        path="/health/live",
        handler=live,
        operation_id="readLiveness",
        summary="Whether this process is worth keeping",
        description="503 when only a restart can help. For a supervisor's liveness probe.",
        tag="Operations",
        answers={200: Answer("It lives", HealthDocument), 503: Answer("Restart it", HealthDocument)},
        auth=False,
        probe=True,
    ),
    Route(
        method="GET",
        path="/health/ready",
        handler=ready,
        operation_id="readReadiness",
        summary="Whether this worker can serve REST",
        description="Database and schema decide; what else is not well stands in `degraded`. For load balancers.",
        tag="Operations",
        answers={200: Answer("It can", HealthDocument), 503: Answer("It cannot", HealthDocument)},
        auth=False,
        probe=True,
    ),
    Route(
        method="GET",
        path="/health/pipeline",
        handler=pipeline,
        operation_id="readPipelineHealth",
        summary="Whether events flow and are folded",
        description="For alerts, never for load balancers: an outage of Kafka must not take REST away.",
        tag="Operations",
        answers={200: Answer("They flow", HealthDocument), 503: Answer("They do not", HealthDocument)},
        auth=False,
        probe=True,
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        operation_id="readMeasures",
        summary="Measures for Prometheus",
        tag="Operations",
        answers={200: Answer("Prometheus' text format", media=METRICS_MEDIA)},
        auth=False,
        probe=True,
    ),
)
