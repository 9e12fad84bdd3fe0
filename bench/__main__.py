"""`make bench`: the main path, measured on this machine in one run.

Everything runs on the loopback: PostgreSQL from the wheel with fsync on, Apache Kafka in Docker or on a local JVM, one
worker, and the generator in a process of its own. The ratios say more than the figures: both sides of each were
measured in the same run, and a machine with few processors shares them between all of these.
"""

import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
import psycopg2
import uvloop

from bench import fold, latency, posts, relay
from bench.material import percentile
from embedded.postgres import Postgres
from embedded.process import ServerError
from settings import Settings
from storage.database import Database
from storage.fold_state import read_freshness
from storage.outbox import status
from tests.support.brokers import BrokerServer, dispose, new_broker, new_folder
from tests.support.databases import Databases, DatabaseUrls
from tests.support.worker import JWT_SECRET, new_worker

_OPEN = 120.0  # seconds that a writer stays open elsewhere, with posts all the while
_QUIET = 60.0  # seconds that relay and agents may take for what is left


def main() -> int:
    """Run and print; returns the exit code, 1 when something could not be measured."""
    os.environ.setdefault("TRAINING_TEST_BROKER", "kafka")
    began, load = time.monotonic(), os.getloadavg()[0]
    try:
        with ExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(prefix="training-bench-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(temporary))
            databases = stack.enter_context(_postgres(folder))
            broker = stack.enter_context(_broker(folder))
            uvloop.run(_measure(folder, databases, broker))
    except (ServerError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    machine = f"{os.cpu_count()} processors, {platform.platform()}"
    print(f"\n{time.monotonic() - began:.0f} s on {machine}; load average before: {load:.1f}")
    return 0


async def _measure(folder: Path, databases: Databases, broker: BrokerServer) -> None:
    _line("", "measured", "goal")
    urls, idle = databases.urls(databases.create()), databases.urls(databases.create())
    settings = Settings(database_url=urls.worker, jwt_secret=JWT_SECRET, kafka_bootstrap=broker.bootstrap)
    new = partial(
        new_worker,
        folder,
        urls=urls,
        bootstrap=broker.bootstrap,
        idempotent=True,
        topic_partitions=settings.topic_partitions,
    )
    settled = partial(_settled, urls)
    worker = new()
    await asyncio.to_thread(worker.start)
    try:
        _posts(await posts.measure(worker, settled, idle))
        await settled()
        alone = await latency.measure(worker, settings)
        _latency(alone)
        with _open_writer(urls):
            beside = await latency.measure(worker, settings, seconds=_OPEN)
        _beside_writer(alone, beside)
        await settled()
        resident = psutil.Process(worker.pid).memory_info().rss
    finally:
        worker.stop()
    folded = await fold.measure(new(consumer_group="bench", relay_enabled=False), urls, settings)
    rate = f"{folded.agent:,.0f}/s"
    _line(f"fold of {folded.events:,} events, 3 exercises each", rate, "5,000/s", folded.agent >= 5000)
    _line("  the same rows by SQL alone", f"{folded.sql:,.0f}/s")
    _line("  ratio", f"{folded.ratio:.2f}", "0.80", folded.ratio >= 0.8)
    megabytes = max(resident, folded.resident) / 1e6
    _line("resident memory of the worker", f"{megabytes:,.0f} MB", "150 MB", megabytes <= 150)
    fresh = databases.urls(databases.create())
    settings = settings.model_copy(update={"database_url": fresh.worker, "events_topic": "bench_relay"})
    _relay(await relay.measure(fresh, settings))


def _posts(found: posts.Posts) -> None:
    _line("POST through the whole service", f"{found.service:,.0f}/s")
    _line(f"  p50, p99 over {posts.CONNECTIONS} connections", _milliseconds(found.latencies))
    _line("  the generator's share of one processor", f"{found.own_share:.0%}")
    _line("  the bare statement through aiopg", f"{found.statement:,.0f}/s")
    _line("  ratio", f"{found.ratio:.2f}", "0.60", found.ratio >= 0.6)


def _latency(found: latency.Latency) -> None:
    met = percentile(found.events, 0.5) <= 0.010 and percentile(found.events, 0.99) <= 0.030
    _line(f"commit to consumer, {latency.RATE:.0f} posts/s: p50, p99", _milliseconds(found.events), "10, 30 ms", met)
    _line("  the POSTs themselves", _milliseconds(found.requests))


def _beside_writer(alone: latency.Latency, beside: latency.Latency) -> None:
    ratio = percentile(beside.events, 0.99) / percentile(alone.events, 0.99)
    _line(f"  beside a writer that stays open for {_OPEN:.0f} s", _milliseconds(beside.events))
    _line("  ratio of the p99s", f"{ratio:.2f}", "at most 1.50", ratio <= 1.5)


def _relay(found: relay.Drained) -> None:
    _line("relay of 1 KB events, into memory", f"{found.in_memory:,.0f}/s", "50,000/s", found.in_memory >= 50_000)
    _line("relay of 1 KB events, onto Apache Kafka", f"{found.on_broker:,.0f}/s", "30,000/s", found.on_broker >= 30_000)


async def _settled(urls: DatabaseUrls) -> None:
    """Wait until everything that was written is published and folded."""
    database = Database(urls.worker, pool_size=2)
    try:
        async with asyncio.timeout(_QUIET):
            # Other processes do it: there is nothing here to be told by.
            while (await status(database)).depth or (await read_freshness(database)).behind:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    finally:
        await database.close()


def _line(what: str, measured: str, goal: str = "", met: bool | None = None) -> None:
    verdict = {None: "", True: "  reached", False: "  MISSED"}[met]
    print(f"{what:48}{measured:>16}{goal:>12}{verdict}", flush=True)


def _milliseconds(ascending: Sequence[float]) -> str:
    p50, p99 = (percentile(ascending, share) * 1000 for share in (0.5, 0.99))
    return f"{p50:.1f}, {p99:.1f} ms"


@contextmanager
def _open_writer(urls: DatabaseUrls) -> Iterator[None]:
    """A transaction that has written, and holds its place in every snapshot until the block ends."""
    connection = psycopg2.connect(urls.owner)
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE elsewhere AS SELECT pg_current_xact_id()")
        yield
    finally:
        connection.close()


@contextmanager
def _postgres(folder: Path) -> Iterator[Databases]:
    server = Postgres(new_folder(folder, "postgres") / "data", options={"max_wal_size": "4GB"})
    server.start()
    try:
        with Databases(server.url()) as databases:
            yield databases
    finally:
        server.stop()


@contextmanager
def _broker(folder: Path) -> Iterator[BrokerServer]:
    server = new_broker(new_folder(folder, "broker"))
    server.start()
    try:
        yield server
    finally:
        dispose(server)


if __name__ == "__main__":
    sys.exit(main())
