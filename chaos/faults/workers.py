"""Faults of the worker processes."""

import asyncio

from chaos.faults.broker import kill_kafka, start_kafka
from chaos.faults.postgres import kill_postgres, start_postgres
from chaos.faults.registry import NotRun, fault
from chaos.load import Load
from chaos.stack import LEASE, Stack
from embedded.process import ServerError
from tests.support.debian import library

_JUMP = 600  # seconds
_CHURN = 5.0  # seconds


async def _kill_and_restart(stack: Stack, worker_of: str) -> None:
    worker = (stack.leader() if worker_of == "leader" else None) or stack.some()
    stack.kill(worker)
    await asyncio.sleep(stack.random.uniform(0.1, 1.0))
    await stack.launch(worker)


@fault(
    "worker-kill-mid-batch",
    "The worker that relays is killed while batches are on their way to Kafka",
    "workers",
    "broker leg",
)
async def kill_mid_batch(stack: Stack, load: Load) -> None:
    stack.servers.kafka_proxy.delay(0.15)
    await asyncio.sleep(stack.random.uniform(1.0, 1.5))
    await _kill_and_restart(stack, "leader")
    stack.servers.kafka_proxy.delay(0)


@fault(
    "worker-kill-mid-request",
    "A worker is killed while statements of requests are on their way",
    "workers",
    "postgres leg",
    "load",
)
async def kill_mid_request(stack: Stack, load: Load) -> None:
    stack.servers.postgres_proxy.delay(0.05)
    load.pace = 3.0
    await asyncio.sleep(stack.random.uniform(0.5, 1.0))
    await _kill_and_restart(stack, "any")
    load.pace = 1.0
    stack.servers.postgres_proxy.delay(0)


@fault("worker-kill-mid-fold", "Both workers are killed while they fold a burst", "workers", "postgres leg", "load")
async def kill_mid_fold(stack: Stack, load: Load) -> None:
    load.pace = 5.0
    await asyncio.sleep(1.0)
    stack.servers.postgres_proxy.delay(0.05)
    await asyncio.sleep(stack.random.uniform(0.3, 0.6))
    killed = stack.workers
    for worker in killed:
        stack.kill(worker)
    load.pace = 1.0
    stack.servers.postgres_proxy.delay(0)
    await asyncio.gather(*(stack.launch(worker) for worker in killed))


@fault(
    "worker-freeze",
    "The worker that relays stops (SIGSTOP) beyond its lease, another takes over, it goes on",
    "workers",
)
async def freeze(stack: Stack, load: Load) -> None:
    worker = stack.leader() or stack.some()
    worker.freeze()
    stack.crashes += 1
    await asyncio.sleep(LEASE + stack.random.uniform(2.0, 4.0))
    worker.thaw()


@fault("workers-come-and-go", "Every 5 s a worker joins and another leaves", "workers")
async def come_and_go(stack: Stack, load: Load) -> None:
    for _ in range(3):
        oldest = stack.workers[0]
        await stack.join()
        await stack.leave(oldest)
        await asyncio.sleep(_CHURN)


@fault("worker-sigterm", "The worker that relays gets SIGTERM under three times the load", "workers", "load")
async def sigterm(stack: Stack, load: Load) -> None:
    load.pace = 3.0
    await asyncio.sleep(stack.random.uniform(1.0, 2.0))
    await stack.leave(stack.leader() or stack.some())
    await stack.join()
    load.pace = 1.0


@fault("worker-clock-jump", "One worker's clock jumps 10 minutes ahead, then 10 minutes behind", "workers", cold=True)
async def clock_jump(stack: Stack, load: Load) -> None:
    try:
        preload = await asyncio.to_thread(library, "libfaketime.so.1", "libfaketime")
    except ServerError as error:
        raise NotRun(str(error)) from None
    clock = stack.folder / "clock"
    clock.write_text("+0s")
    stack.environment = {
        "LD_PRELOAD": str(preload),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",  # seconds until a new offset is read
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",  # its name in older versions
        "NO_FAKE_STAT": "1",
    }
    await stack.join()
    stack.environment = {}
    await stack.join()
    for offset in (f"+{_JUMP}s", f"-{_JUMP}s", "+0s"):
        await asyncio.sleep(3.0)
        clock.write_text(offset)


async def kill_something(stack: Stack) -> str:
    """Kill a worker, Kafka or PostgreSQL, three times as likely the first, and start it again; says which."""
    what = stack.random.choice(["worker", "worker", "worker", "broker", "postgres"])
    away = stack.random.uniform(0.0, 1.0)
    if what == "broker":
        kill_kafka(stack)
        await asyncio.sleep(away)
        await start_kafka(stack)
    elif what == "postgres":
        kill_postgres(stack)
        await asyncio.sleep(away)
        await start_postgres(stack)
    else:
        worker = stack.some()
        stack.kill(worker)
        await asyncio.sleep(away)
        await stack.launch(worker, wait=stack.random.random() < 0.7)
    return f"{what}-kill"
