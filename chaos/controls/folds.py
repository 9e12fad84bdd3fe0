"""An agent that is wrong, and the right one."""

from collections.abc import Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from agents.folding import Record
from agents.volume import VolumeFold
from chaos.controls.world import World
from models.events import TrainingEvent


class Agent(Protocol):
    """What keeps the derived tables, right or wrong."""

    async def fold_records(self, records: Sequence[Record]) -> None:
        """Store what these records say."""


def right(world: World) -> Agent:
    """The service's own."""
    return VolumeFold(world.worker, world.topic)


class WithoutGuard:
    """Believes whatever comes last: before it folds an event, it forgets which version the tables have."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fold = VolumeFold(world.worker, world.topic)

    async def fold_records(self, records: Sequence[Record]) -> None:
        """As the right one, but for the guard."""
        for record in records:
            training = TrainingEvent.model_validate_json(record.value or b"").payload.training_id
            forget = "UPDATE analytics.folded_trainings SET version = 0 WHERE training_id = %s"
            await self._world.worker.execute(forget, [training])
            await self._fold.fold_records([record])


async def consume(world: World, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    """The first `count` records of the topic, partition by partition, as an agent is given them."""
    consumer = AIOKafkaConsumer(
        world.topic, bootstrap_servers=world.kafka.bootstrap, group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        records: list[ConsumerRecord[bytes, bytes]] = []
        while len(records) < count:
            for fetched in (await consumer.getmany(timeout_ms=1000)).values():
                records += fetched
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()
