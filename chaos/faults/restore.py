"""Faults by which the database goes back behind the topic."""

import asyncio
import time
from pathlib import Path

from chaos.faults.postgres import lead
from chaos.faults.registry import fault
from chaos.load import Load
from chaos.stack import Stack, run
from tests.support.proxy import Proxy
from tests.support.replica import copy_of

_TAIL = 3.0  # seconds of writes that are lost


@fault(
    "replica-promoted",
    "A standby that lost the last seconds is promoted, after the primary's kill -9",
    "postgres",
    cold=True,
)
async def replica_promoted(stack: Stack, _load: Load) -> None:
    await stack.join(2)
    await stack.flows()
    primary = stack.servers.postgres
    with Proxy(primary.port) as stream:
        standby = await asyncio.to_thread(copy_of, primary, _folder(stack, "standby"), primary=stream.port)
        await asyncio.to_thread(standby.start)
        stack.ending.append(standby.stop)
        await asyncio.sleep(2)
        stack.rewinds.append(time.monotonic())
        stream.refuse()
        await asyncio.sleep(_TAIL)
        _lose(stack)
        await asyncio.to_thread(run, standby.url(), "SELECT pg_promote(true, 30)")
    lead(stack, standby)


@fault(
    "restored-to-earlier",
    "PostgreSQL is killed, and a base backup from some seconds earlier takes its place, while the topic is ahead",
    "postgres",
    cold=True,
)
async def restored_to_earlier(stack: Stack, _load: Load) -> None:
    await stack.join(2)
    await stack.flows()
    await asyncio.sleep(2)
    stack.rewinds.append(time.monotonic())
    backup = await asyncio.to_thread(copy_of, stack.servers.postgres, _folder(stack, "backup"))
    await asyncio.sleep(_TAIL)
    _lose(stack)
    await asyncio.to_thread(backup.start)
    stack.ending.append(backup.stop)
    lead(stack, backup)


def _folder(stack: Stack, name: str) -> Path:
    """Beside the server's own, where its system user may go."""
    return stack.servers.postgres.datadir.with_name(f"{name}-{stack.name}")


def _lose(stack: Stack) -> None:
    """The database of until now is gone; its server comes back for the rounds after this one."""
    old, name = stack.servers.postgres, stack.owner_url
    stack.servers.postgres_proxy.refuse()
    old.kill()
    stack.crashes += len(stack.workers)
    stack.ending.append(lambda: stack.servers.drop_database(name))
