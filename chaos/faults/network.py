"""Faults of the connections, on each leg: what the TCP proxies do."""

import asyncio
import math
from collections.abc import Callable
from functools import partial

from chaos.faults.registry import fault
from chaos.load import Load
from chaos.stack import ACK_TIMEOUT, Stack
from tests.support.proxy import Proxy

_SECONDS = 6.0  # that a leg is in trouble
_PRODUCE = 0  # Kafka's api_key: https://kafka.apache.org/protocol#protocol_api_keys

Legs = {"postgres": "PostgreSQL", "kafka": "Kafka"}


def _proxy(stack: Stack, leg: str) -> Proxy:
    return stack.servers.postgres_proxy if leg == "postgres" else stack.servers.kafka_proxy


async def _for_a_while(leg: str, begin: Callable[[Proxy], None], stack: Stack, load: Load) -> None:
    proxy = _proxy(stack, leg)
    begin(proxy)
    await asyncio.sleep(_SECONDS)
    stack.crashes += 1 + math.ceil(_SECONDS / ACK_TIMEOUT)  # each attempt may be stored and not heard of
    proxy.heal()


async def _reset(leg: str, stack: Stack, load: Load) -> None:
    for _ in range(8):
        await asyncio.sleep(stack.random.uniform(0.2, 1.0))
        _proxy(stack, leg).reset()
        stack.crashes += 1


async def _away(leg: str, stack: Stack, load: Load) -> None:
    _proxy(stack, leg).refuse()
    stack.crashes += 1
    await asyncio.sleep(_SECONDS)
    _proxy(stack, leg).accept()


_TROUBLES: dict[str, tuple[str, Callable[[Proxy], None]]] = {
    "slow": ("Each packet to and from {} takes 100 ms", lambda proxy: proxy.delay(0.1)),
    "throttled": ("Connections to {} carry 20 KB/s", lambda proxy: proxy.throttle(20_000)),
    "sliced": ("Connections to {} carry 7 bytes at a time", lambda proxy: proxy.slice(7)),
    "deaf": ("What is sent to {} is lost, connections stay open (half-open)", lambda proxy: proxy.swallow("there")),
    "mute": ("What {} answers is lost, connections stay open (half-open)", lambda proxy: proxy.swallow("back")),
}

for _leg, _server in Legs.items():
    _part = "postgres leg" if _leg == "postgres" else "broker leg"
    for _name, (_prose, _begin) in _TROUBLES.items():
        fault(f"{_leg}-{_name}", _prose.format(_server), _part)(partial(_for_a_while, _leg, _begin))
    fault(f"{_leg}-reset", f"Connections to {_server} are reset, eight times", _part)(partial(_reset, _leg))
    fault(f"{_leg}-refused", f"{_server} refuses connections for 6 s", _part)(partial(_away, _leg))


async def _lose_some(stack: Stack, proxy: Proxy, to: Callable[[bytes], bool]) -> None:
    """Lose about every seventh of such answers, for a while, and until one was lost."""
    lost = 0

    def chosen(data: bytes) -> bool:
        nonlocal lost
        if to(data) and stack.random.random() < 0.15:
            lost += 1
            stack.crashes += 1
            return True
        return False

    proxy.lose_answers(chosen)
    await asyncio.sleep(_SECONDS)
    await stack.until(lambda: lost, 30, "such an answer was lost")
    proxy.heal()


@fault(
    "commit-unanswered",
    "PostgreSQL commits a write, and its answer is lost with the connection",
    "postgres leg",
    "postgres",
)
async def commit_unanswered(stack: Stack, load: Load) -> None:
    writes = (b"EXECUTE training_", b"EXECUTE set_", b"EXECUTE workout_", b"EXECUTE own_")
    await _lose_some(stack, stack.servers.postgres_proxy, lambda data: any(write in data for write in writes))


@fault(
    "fold-unanswered",
    "PostgreSQL commits a fold, and its answer is lost with the connection",
    "postgres leg",
    "postgres",
    "broker leg",
    "broker",
)
async def fold_unanswered(stack: Stack, load: Load) -> None:
    await _lose_some(stack, stack.servers.postgres_proxy, lambda data: b"INSERT INTO analytics.users" in data)


@fault(
    "ack-unanswered",
    "Kafka stores a batch, and its acknowledgement is lost with the connection",
    "broker leg",
    "broker",
    "postgres leg",
    "postgres",
)
async def ack_unanswered(stack: Stack, load: Load) -> None:
    produce = _PRODUCE.to_bytes(2, "big")
    await _lose_some(stack, stack.servers.kafka_proxy, lambda data: data[4:6] == produce)
