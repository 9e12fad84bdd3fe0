"""Faults of PostgreSQL, and of what holds its locks."""

import asyncio
import subprocess
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
from alembic.script import ScriptDirectory
from psycopg2 import extensions

from chaos.faults.registry import NotRun, fault
from chaos.load import Load
from chaos.stack import POSTGRES_OPTIONS, Stack, rows, run
from embedded.postgres import Postgres, programs
from embedded.process import Server
from storage.migrate import migrate
from storage.schema import MIGRATIONS
from tests.support.brokers import new_folder

_WORKERS = "usename = 'training_worker' AND datname = current_database()"
_CUT = (psycopg2.OperationalError, psycopg2.InterfaceError)  # the server went away
_FULL = 140  # megabytes of the small disk: a fresh cluster, its WAL, and little more


def kill_postgres(stack: Stack) -> None:
    """SIGKILL all of PostgreSQL's processes."""
    stack.servers.postgres.kill()
    stack.crashes += 1
    stack.kills["postgres"] += 1


async def start_postgres(stack: Stack) -> None:
    """Start PostgreSQL again, after a crash of it."""
    await asyncio.to_thread(stack.servers.postgres.start)


@fault("postgres-kill", "PostgreSQL is killed, all of its processes, and started again", "postgres")
async def kill(stack: Stack, load: Load) -> None:
    kill_postgres(stack)
    await asyncio.sleep(stack.random.uniform(0.0, 2.0))
    await start_postgres(stack)


@fault("postgres-restart", "PostgreSQL is restarted (fast: sessions are ended)", "postgres")
async def restart(stack: Stack, load: Load) -> None:
    await asyncio.to_thread(stack.servers.postgres.stop)
    stack.crashes += 1
    await start_postgres(stack)


@fault("postgres-freeze", "PostgreSQL stops (SIGSTOP) for 8 s with its connections open", "postgres")
async def freeze(stack: Stack, load: Load) -> None:
    stack.servers.postgres.freeze()
    stack.crashes += 1
    await asyncio.sleep(8)
    stack.servers.postgres.thaw()


@fault("sessions-terminated", "pg_terminate_backend ends five of the workers' sessions a second", "postgres")
async def terminated(stack: Stack, load: Load) -> None:
    one = f"SELECT pid FROM pg_stat_activity WHERE {_WORKERS} ORDER BY random() LIMIT 1"
    sql = f"SELECT pg_terminate_backend(({one}))"
    for _ in range(25):
        await asyncio.to_thread(rows, stack.owner_url, sql)
        stack.crashes += 1
        await asyncio.sleep(0.2)


@fault("pool-exhausted", "A table lock holds up every write for 7 s: the pools are exhausted", "log")
async def pool_exhausted(stack: Stack, load: Load) -> None:
    await _holding(stack, 7, "LOCK TABLE trainings IN ACCESS EXCLUSIVE MODE")


@fault(
    "no-connections-left",
    "Somebody takes every connection that PostgreSQL has left, and the workers' are ended",
    "postgres",
)
async def no_connections_left(stack: Stack, load: Load) -> None:
    with ExitStack() as taken:
        url = stack.urls.worker.replace(f":{stack.servers.postgres_proxy.port}/", f":{stack.servers.postgres.port}/")
        while True:
            try:
                taken.enter_context(closing(psycopg2.connect(url)))
            except psycopg2.OperationalError:
                break
        sql = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_WORKERS} AND application_name <> ''"
        await asyncio.to_thread(rows, stack.owner_url, sql)
        stack.crashes += 1
        await asyncio.sleep(5)


@fault("long-reader", "A REPEATABLE READ transaction stays open (xmin is held)", "log")
async def long_reader(stack: Stack, load: Load) -> None:
    await _holding(stack, 12, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM outbox")


@fault("long-writer", "A transaction that has written stays open", "log")
async def long_writer(stack: Stack, load: Load) -> None:
    await _holding(stack, 12, "CREATE TABLE elsewhere AS SELECT pg_current_xact_id()")


@fault("hot-row", "The rows of some users' trainings stay locked for 6 s", "log")
async def hot_row(stack: Stack, load: Load) -> None:
    await _holding(stack, 6, "SELECT FROM trainings ORDER BY user_id, id LIMIT 200 FOR UPDATE")


@fault(
    "partition-missing", "The log has no partition for this month or any later one when workers start", "log", cold=True
)
async def partition_missing(stack: Stack, load: Load) -> None:
    partitions = rows(
        stack.owner_url, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox'::regclass"
    )
    for (name,) in partitions:
        run(stack.owner_url, f"DROP TABLE {name}")
    assert len(partitions) >= 4
    await stack.join(2)


@fault("disk-full", "The disk of PostgreSQL is full for some seconds", "postgres", cold=True)
async def disk_full(stack: Stack, load: Load) -> None:
    disk = new_folder(stack.servers.folder, "disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_FULL}m", "tmpfs", str(disk)]
    done = await asyncio.to_thread(subprocess.run, mount, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotRun(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    stack.ending.append(lambda: subprocess.run(["umount", "-l", str(disk)], check=True))
    small = Postgres(disk / "data", options=POSTGRES_OPTIONS | {"max_wal_size": "64MB", "min_wal_size": "32MB"})
    url = await beside(stack, small)
    await asyncio.to_thread(migrate, url)
    stack.servers.drop_database(stack.owner_url)
    lead(stack, small)
    await stack.join(2)
    await stack.flows()
    await asyncio.sleep(2)
    filler = disk / "filler"
    await asyncio.to_thread(_fill, filler)
    stack.crashes += 2  # it may crash of it, and be started again
    await asyncio.sleep(6)
    filler.unlink()
    if not small.running:
        await asyncio.to_thread(small.start)


@fault(
    "migration-under-traffic",
    "Workers start on the schema before the last migration, and clients write; the operator migrates",
    "postgres",
    cold=True,
)
async def migration(stack: Stack, load: Load) -> None:
    new, (last,) = stack.owner_url, ScriptDirectory(str(MIGRATIONS)).get_revisions("head")
    stack.owner_url = stack.servers.new_database(str(last.down_revision))
    stack.servers.drop_database(new)
    # Rights are granted when all is migrated. That database was at its head once, and its workers had theirs.
    run(stack.owner_url, "GRANT USAGE ON SCHEMA analytics TO training_worker")
    run(stack.owner_url, "GRANT ALL ON ALL TABLES IN SCHEMA public, analytics TO training_worker")
    run(stack.owner_url, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO training_worker")
    workers = await stack.join(2, wait=False)
    await stack.until(lambda: all(b"schema" in worker.get("/health/ready")[1] for worker in workers), 30, "they say so")
    await asyncio.sleep(2)
    done = await stack.command("migrate")
    assert done.returncode == 0, done.stdout + done.stderr


@fault(
    "dump-and-restore",
    "The database is dumped and restored into a new cluster, which the workers are led to",
    "postgres",
    cold=True,
)
async def dump_and_restore(stack: Stack, load: Load) -> None:
    await stack.join(2)
    await stack.flows()
    await asyncio.sleep(3)
    old = stack.owner_url
    stack.servers.postgres_proxy.refuse()
    stack.crashes += 1
    # What an old session still had under way is done, or undone, when it has ended.
    left = f"SELECT count(*) FROM pg_stat_activity WHERE {_WORKERS}"
    await stack.until(lambda: rows(old, left) == [(0,)], 20, "no session of a worker is left")
    fresh = Postgres(new_folder(stack.servers.folder, "restored") / "data", options=POSTGRES_OPTIONS)
    url = await beside(stack, fresh)
    await asyncio.to_thread(_copy, old, url)
    stack.moves.append(rows(url, "SELECT count(*) FROM outbox")[0][0])
    lead(stack, fresh)
    stack.ending.append(lambda: stack.servers.drop_database(old))


async def beside(stack: Stack, server: Postgres) -> str:
    """Start another PostgreSQL, for the rest of the round; returns the owner's URL of an empty database of it, which
    has the name of the present one, since workers go on asking for that."""
    await asyncio.to_thread(server.start)
    stack.ending.append(lambda: _end(server))
    run(server.url(), f'CREATE DATABASE "{_name(stack)}"')
    return server.url(database=_name(stack))


def lead(stack: Stack, server: Postgres) -> None:
    """From now on the stack's database is the one of the same name there, and workers are let in to it."""
    stack.owner_url = server.url(database=_name(stack))
    stack.servers.postgres_proxy.target = server.port
    stack.servers.postgres_proxy.accept()


def _name(stack: Stack) -> str:
    return urlsplit(stack.owner_url).path[1:]


def _end(server: Server) -> None:
    server.thaw()
    server.stop()


def _copy(source: str, target: str) -> None:
    psql, pg_dump = programs() / "psql", programs() / "pg_dump"
    roles = subprocess.run([programs() / "pg_dumpall", "--roles-only", "-d", source], check=True, capture_output=True)
    subprocess.run([psql, "-q", "-d", target], input=roles.stdout, check=True, capture_output=True)
    dump = subprocess.run([pg_dump, "-d", source], check=True, capture_output=True)
    strict = [psql, "-q", "-v", "ON_ERROR_STOP=1", "-d", target]
    subprocess.run(strict, input=dump.stdout, check=True, capture_output=True)


def _fill(path: Path) -> None:
    """Take all that is left of the disk."""
    block = bytes(65_536)
    try:
        with path.open("wb", buffering=0) as file:
            while True:
                file.write(block)
    except OSError:
        pass


async def _holding(stack: Stack, seconds: float, *statements: str) -> None:
    """Keep a transaction open that ran these statements, and roll it back; another fault may end it before."""
    with closing(await _connected(stack.owner_url)) as connection, connection.cursor() as cursor, suppress(*_CUT):
        for statement in statements:
            await asyncio.to_thread(cursor.execute, statement)
        await asyncio.sleep(seconds)
        assert connection.status == extensions.STATUS_BEGIN
        await asyncio.to_thread(connection.rollback)


async def _connected(url: str) -> extensions.connection:
    """A connection, as soon as PostgreSQL takes one; in a thread, since another fault may have frozen it."""
    for _ in range(60):
        try:
            return await asyncio.to_thread(psycopg2.connect, url, connect_timeout=2)
        except psycopg2.OperationalError:
            await asyncio.sleep(0.5)
    raise TimeoutError("PostgreSQL took no connection in a minute")
