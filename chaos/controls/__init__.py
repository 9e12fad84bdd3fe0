"""Negative controls: implementations that are wrong in ways that are often seen, before the judge of the chaos runs.

A judge that finds nothing is worth as much as what it finds where there is something: each control must be caught by
the invariant that it breaks, and the right implementation must pass in the very same scene.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.insights import InsightsFold
from chaos.controls import folds, relays, scenes
from chaos.controls.world import PARTITIONS, World
from chaos.history import Facts
from chaos.judge import Verdict, judge
from embedded.postgres import Postgres
from tests.support.brokers import KafkaAddress, dispose, is_apache_kafka, new_broker, new_folder
from tests.support.databases import Databases


@dataclass(frozen=True, slots=True)
class Control:
    """One wrong implementation, the scene in which it fails, and the invariants that it breaks."""

    name: str
    wrong: Callable[..., Any]
    right: Callable[..., Any]
    scene: Callable[[World, Any], Awaitable[int]]
    breaks: frozenset[str]


CONTROLS: Sequence[Control] = (
    Control(
        "naive cursor (seq > cursor)",
        relays.CursorOverSeq,
        relays.Right,
        scenes.commits_out_of_order,
        frozenset({"I1"}),
    ),
    Control(
        "SKIP LOCKED without shards, two relays",
        relays.SkipLocked,
        relays.Right,
        scenes.two_relays,
        frozenset({"I3"}),
    ),
    Control(
        "publish before commit (dual write)",
        relays.PublishBeforeCommit,
        relays.Right,
        scenes.rolls_back,
        frozenset({"I2"}),
    ),
    Control(
        "ack before send",
        relays.AckBeforeSend,
        relays.Right,
        scenes.killed_before_the_broker_has_it,
        frozenset({"I1"}),
    ),
    Control(
        "agent without version guard",
        folds.WithoutGuard,
        folds.right,
        scenes.redelivered,
        frozenset({"I6", "I7"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What the judge said of one control, and of the right implementation in the same scene."""

    control: str
    breaks: tuple[str, ...]
    caught_by: tuple[str, ...]
    """The invariants that the judge found broken."""
    right_passes: bool
    violations: tuple[str, ...]
    """Of the wrong one, as text."""
    right_violations: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the judge told wrong from right, by the invariant in question."""
        return set(self.breaks) <= set(self.caught_by) and self.right_passes


async def try_control(control: Control, databases: Databases, kafka: KafkaAddress) -> Result:
    """Play the control's scene with the wrong implementation and with the right one, and judge both."""
    wrong = await _play(control.scene, control.wrong, databases, kafka)
    right = await _play(control.scene, control.right, databases, kafka)
    return Result(
        control.name,
        _sorted(control.breaks),
        _sorted(wrong.broken),
        not right.violations,
        tuple(map(str, wrong.violations)),
        tuple(map(str, right.violations)),
    )


def run_all() -> list[Result]:
    """Try every control on a PostgreSQL and a broker of their own, which are gone afterwards. Takes some 20 s."""
    with tempfile.TemporaryDirectory(prefix="training-controls-", ignore_cleanup_errors=True) as path:
        postgres = Postgres(Path(path) / "postgres", options={"fsync": "off"})
        broker = new_broker(new_folder(Path(path), "broker"))
        postgres.start()
        try:
            broker.start()
            with Databases(postgres.url()) as databases:
                kafka = KafkaAddress(broker.bootstrap, idempotent=is_apache_kafka())
                return asyncio.run(_try_all(databases, kafka))
        finally:
            dispose(broker)
            postgres.stop()


async def _try_all(databases: Databases, kafka: KafkaAddress) -> list[Result]:
    return [await try_control(control, databases, kafka) for control in CONTROLS]


async def _play(
    scene: Callable[[World, Any], Awaitable[int]], make: Callable[..., Any], databases: Databases, kafka: KafkaAddress
) -> Verdict:
    name = databases.create()
    try:
        urls, topic = databases.urls(name), f"control_{uuid4().hex}"
        await _make_topic(kafka, topic)
        async with World.of(urls, kafka, topic) as world:
            crashes = await scene(world, make)
            await InsightsFold(world.worker, f"{topic}_insights").run_due()
            facts = Facts(crashes=crashes, batch=relays.BATCH)
            return await judge(world.history, urls.owner, kafka.bootstrap, {"training": topic}, facts)
    finally:
        databases.drop(name)


async def _make_topic(kafka: KafkaAddress, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    finally:
        await admin.close()


def _sorted(invariants: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(invariants, key=lambda name: int(name[1:])))
