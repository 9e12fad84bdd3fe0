"""What a fault is: a small function that breaks something, heals it, and returns when it is healed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.load import Load
from chaos.stack import Stack

Part = Literal["workers", "broker", "postgres", "broker leg", "postgres leg", "load", "topic", "log"]
Action = Callable[[Stack, Load], Awaitable[None]]


class NotRun(Exception):
    """This machine cannot do it; the text says why."""


@dataclass(frozen=True)
class Fault:
    """`parts` is what it breaks, the most important first, or needs whole: of two with a part in common one waits for
    the other's end.

    A `cold` fault begins before there is a worker, starts the workers itself, and has a round of its own. It is called
    under a load that began already.
    """

    name: str
    prose: str
    run: Action
    parts: tuple[Part, ...]
    cold: bool = False


FAULTS: dict[str, Fault] = {}


def fault(name: str, prose: str, *parts: Part, cold: bool = False) -> Callable[[Action], Action]:
    """Register a fault."""

    def register(action: Action) -> Action:
        if name in FAULTS:
            raise ValueError(f"two faults are named {name}")
        FAULTS[name] = Fault(name, prose, action, parts, cold)
        return action

    return register


async def mixed(faults: Sequence[Fault], stack: Stack, load: Load, done: Callable[[Fault], None]) -> None:
    """Run faults at the same time, each begun at a random moment; `done` is called with each when it is healed."""
    if len(faults) == 1:
        await faults[0].run(stack, load)
        done(faults[0])
        return
    locks: dict[Part, asyncio.Lock] = {part: asyncio.Lock() for fault in faults for part in fault.parts}

    async def one(fault: Fault, delay: float) -> None:
        await asyncio.sleep(delay)
        await _holding([locks[part] for part in sorted(fault.parts)], fault.run(stack, load))
        done(fault)

    tasks = [asyncio.create_task(one(each, stack.random.uniform(0, 4))) for each in faults]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _holding(locks: Iterable[asyncio.Lock], work: Awaitable[None]) -> None:
    first, *others = [*locks, None]
    if first is None:
        await work
        return
    async with first:
        await _holding([lock for lock in others if lock is not None], work)
