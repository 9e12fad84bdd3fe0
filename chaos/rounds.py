"""One round: a stack, a load, a fault or several, and the judgement."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from chaos.faults.registry import Fault, NotRun, mixed
from chaos.faults.workers import kill_something
from chaos.history import Facts, Rewind
from chaos.judge import judge
from chaos.load import Load
from chaos.rules import Violation
from chaos.stack import BATCH, POOL_SIZE, Servers, Stack
from chaos.watch import PATIENCE, Watch

WORKERS = 2
_BEFORE = 2.0  # seconds of load before the fault
_CALM_AFTER = 1 / 3  # the part of kills whose recovery is waited for; the others come into one
_AFTER = 1.0  # seconds of load after the recovery
_RATE = 40.0  # calls a second
_LONGEST = 90.0  # seconds that a round's load may last: bounds what may wait in the outbox


@dataclass(frozen=True)
class Result:
    """What came of a round. `not_run` says why it did not take place."""

    fault: str
    seed: int
    number: int
    seconds: float = 0.0
    recoveries: tuple[tuple[str, float | None], ...] = ()
    """What healed, and the seconds until the lag was 0 again; None where it never was."""
    events: int = 0
    duplicates: int = 0
    calls: int = 0
    crashes: int = 0
    moves: tuple[int, ...] = ()
    """The rows of the log at each move to another cluster."""
    kills: dict[str, int] = field(default_factory=dict)
    violations: tuple[str, ...] = ()
    peak_memory: int = 0
    peak_connections: int = 0
    outbox_rows: int = 0
    stops: tuple[float, ...] = ()
    not_run: str = ""
    series: tuple[tuple[float, int, int, float | None], ...] = ()
    """Seconds, calls answered 2xx until then, calls without an answer until then, lag in seconds."""
    marks: tuple[tuple[float, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


Suffering = Callable[[Stack, Load, Watch], Awaitable[None]]


async def play(servers: Servers, seed: int, number: int, faults: Sequence[Fault]) -> Result:
    """Play one round with all of `faults` at once. Everything random follows from `seed` and `number`."""
    name = " + ".join(fault.name for fault in faults)
    cold = any(fault.cold for fault in faults)

    async def suffer(stack: Stack, load: Load, watch: Watch) -> None:
        for fault in faults:
            watch.mark(fault.name)
        await mixed(faults, stack, load, lambda fault: watch.mark(f"{fault.name} ends"))
        await watch.recovered(name)
        if stack.rewinds:
            await watch.flowed()

    return await _round(servers, seed, number, name, suffer, cold=cold)


async def play_kills(servers: Servers, seed: int, number: int, count: int) -> Result:
    """Play one round in which so many random processes are killed, one after another."""

    async def suffer(stack: Stack, _load: Load, watch: Watch) -> None:
        for _ in range(count):
            what = await kill_something(stack)
            watch.mark(what)
            if stack.random.random() < _CALM_AFTER:
                await stack.serves()
                await watch.recovered(what)
            else:
                await asyncio.sleep(stack.random.uniform(0.1, 1.5))
        await stack.serves()
        await watch.recovered("random-kills")

    return await _round(servers, seed, number, "random-kills", suffer, cold=False)


async def _round(servers: Servers, seed: int, number: int, name: str, suffer: Suffering, *, cold: bool) -> Result:
    began = time.monotonic()
    stack = Stack(servers, random.Random(f"{seed}/{number}/{name}"))
    load = Load(stack.targets, f"{seed}/{number}", rate=_RATE)
    watch = Watch(stack, load.history)
    broken: list[Violation] = []
    try:
        async with watch:
            if not cold:
                await stack.join(WORKERS)
                await stack.flows()
            async with load:
                if not cold:
                    await asyncio.sleep(_BEFORE)
                await suffer(stack, load, watch)
                await asyncio.sleep(_AFTER)
            if not await watch.rested():
                broken.append(Violation("I5", f"not all was published and folded within {PATIENCE:g} s of quiet"))
        await stack.end()
        facts = _facts(stack, watch)
        verdict = await judge(
            load.history, stack.owner_url, stack.bootstrap, stack.topics, facts, archive_dir=stack.archive_dir
        )
        broken += verdict.violations
        return Result(
            fault=name,
            seed=seed,
            number=number,
            seconds=round(time.monotonic() - began, 1),
            recoveries=tuple((found.fault, found.seconds) for found in watch.recoveries),
            events=verdict.events,
            duplicates=verdict.duplicates,
            calls=len(load.history),
            crashes=stack.crashes,
            moves=tuple(stack.moves),
            kills=dict(stack.kills),
            violations=tuple(map(str, broken)),
            peak_memory=watch.peak_memory,
            peak_connections=watch.peak_connections,
            outbox_rows=watch.outbox_rows,
            stops=tuple(round(stop.seconds, 2) for stop in stack.stops),
            series=tuple((look.at, look.answered, look.unanswered, look.lag) for look in watch.looks),
            marks=tuple(watch.marks),
        )
    except NotRun as reason:
        return Result(name, seed, number, not_run=str(reason))
    except Exception as error:  # noqa: BLE001 - whatever it was, the other rounds go on
        seconds = round(time.monotonic() - began, 1)
        why = f"The round ended early: {type(error).__name__}: {error}"
        return Result(name, seed, number, seconds, violations=(why,))
    finally:
        await asyncio.to_thread(servers.heal)
        stack.close()


def _facts(stack: Stack, watch: Watch) -> Facts:
    memory, memory_limit = watch.memory
    return Facts(
        crashes=stack.crashes,
        batch=BATCH,
        recoveries=tuple(watch.recoveries),
        stops=tuple(stack.stops),
        peak_memory=memory,
        peak_connections=watch.peak_connections,
        connection_limit=(POOL_SIZE + 3) * (stack.most_workers + 1),  # one that died may not have ended yet
        memory_limit=memory_limit,
        outbox_rows=watch.outbox_rows,
        outbox_limit=int(_RATE * 10 * _LONGEST),
        poison=stack.poison,
        moves=tuple(stack.moves),
        rewinds=tuple(Rewind(since, watch.flowed_at or time.monotonic()) for since in stack.rewinds),
    )
