"""What is done to a relay or an agent, step by step, the same to the wrong one and to the right one.

Nothing is left to chance: each scene drives the one order of steps in which its wrong implementation fails, and leaves
all at rest. It returns how many crashes there were.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from uuid import uuid4

from chaos.controls.folds import Agent, consume, right
from chaos.controls.relays import Killed, Pause, Publisher, Right, at_once
from chaos.controls.world import World
from tests.support.topic import read_topic

MakeRelay = Callable[[World, Pause], Publisher]
MakeAgent = Callable[[World], Agent]


async def commits_out_of_order(world: World, make: MakeRelay) -> int:
    """The event with the smaller seq is committed after the relay has published the larger one."""
    async with _relay(make, world) as relay:
        async with world.worker.transaction() as slow:
            call = await world.create_in(slow, uuid4())
            await world.create(uuid4())
            await relay.drain()
        world.history.append(call)
        await relay.settle()
    await _fold(world)
    return 0


async def two_relays(world: World, make: MakeRelay) -> int:
    """One stops for a moment between reading and sending; the other goes on meanwhile."""
    reading, sending = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reading.set()
        await sending.wait()

    id_ = uuid4()
    await world.create(id_)
    await world.correct(id_, weight=110)
    await world.correct(id_, weight=120)
    async with _relay(make, world, wait) as slow, _relay(make, world) as quick:
        draining = asyncio.create_task(slow.drain())
        await reading.wait()
        await quick.drain()
        sending.set()
        await draining
        await slow.settle()
        await quick.settle()
    await _fold(world)
    return 0


async def rolls_back(world: World, make: MakeRelay) -> int:
    """A transaction that wrote is rolled back: its connection broke before COMMIT."""
    async with _relay(make, world) as relay:
        with suppress(ConnectionError):
            async with world.worker.transaction() as broken:
                call = await world.create_in(broken, uuid4())
                await relay.wrote(broken)
                raise ConnectionError
        world.history.append(replace(call, outcome="unknown", status=0, version=None))
        async with world.worker.transaction() as whole:
            call = await world.create_in(whole, uuid4())
            await relay.wrote(whole)
        world.history.append(call)
        await relay.settle()
    await _fold(world)
    return 0


async def killed_before_the_broker_has_it(world: World, make: MakeRelay) -> int:
    """The relay dies between reading a batch and sending it; another one takes over."""

    async def die() -> None:
        raise Killed

    await world.create(uuid4())
    async with _relay(make, world, die) as first, _relay(make, world) as second:
        with suppress(Killed):
            await first.drain()
        await second.settle()
        await world.create(uuid4())
        await second.settle()
    await _fold(world)
    return 1


async def redelivered(world: World, make: MakeAgent) -> int:
    """Records come again after newer ones, as after a rebalance whose offsets were not committed."""
    corrected, deleted = uuid4(), uuid4()
    for id_ in (corrected, deleted):
        await world.create(id_)
    await world.correct(corrected, weight=120)
    await world.delete(deleted)
    async with _relay(Right, world) as relay:
        await relay.settle()
    records = await consume(world, 4)
    agent = make(world)
    await agent.fold_records(records)
    await agent.fold_records(records[:2])
    return 0


@asynccontextmanager
async def _relay(make: MakeRelay, world: World, before_send: Pause = at_once) -> AsyncIterator[Publisher]:
    relay = make(world, before_send)
    try:
        yield relay
    finally:
        await relay.close()


async def _fold(world: World) -> None:
    """The right agent folds what is in the topic."""
    records = await read_topic(world.kafka.bootstrap, world.topic)
    await right(world).fold_records(await consume(world, len(records)))
