"""What a member of the consumer group commits, and what it no longer may."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from runtime.client import ConsumerThread

FIRST = TP("training_events", 0)


class Coordinator:
    """Of aiokafka's: what a commit looks at. `becomes` is its generation once it was asked for committed offsets."""

    def __init__(self, generation: int, becomes: int) -> None:
        self.generation = generation
        self._becomes = becomes
        self._commit_lock = asyncio.Lock()
        self.committed: dict[TP, OffsetAndMetadata] = {}

    async def fetch_committed_offsets(self, partitions: list[TP]) -> dict[TP, OffsetAndMetadata]:
        self.generation = self._becomes
        return dict.fromkeys(partitions, OffsetAndMetadata(0, ""))

    async def _do_commit_offsets(self, _: None, offsets: dict[TP, OffsetAndMetadata]) -> None:
        self.committed |= offsets


class Thread(ConsumerThread):
    """Of the real one: its commit."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def assignment(self) -> set[TP]:
        return {FIRST}

    def _ensure_consumer(self) -> Any:
        return self


@pytest.mark.parametrize(("before", "after", "done"), [(3, 3, True), (3, 4, False), (3, -1, False), (-1, -1, False)])
async def test_only_a_member_of_the_group_commits_and_only_as_the_member_that_read(
    before: int, after: int, done: bool
) -> None:
    """A broker takes a commit of nobody (generation -1) while the group is empty, for a topic made anew too."""
    coordinator = Coordinator(before, after)
    assert await cast("Any", Thread(coordinator))._store({FIRST: 25}, {}) is done
    assert bool(coordinator.committed) is done


@pytest.mark.parametrize(
    "groups", [[], [(0, "training")], [(0, "training", "", "", "", [("one",)])], KafkaConnectionError()]
)
async def test_a_strange_answer_about_the_group_is_no_reason_not_to_start(
    groups: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Asked:
        """Of aiokafka's coordinator: it knows itself, and has this answer."""

        group_id = "training"

        async def ensure_coordinator_known(self) -> None:
            pass

        async def _send_req(self, _: object) -> object:
            if isinstance(groups, Exception):
                raise groups
            return SimpleNamespace(groups=groups)

    caplog.set_level(logging.INFO)
    await cast("Any", Thread(Coordinator(1, 1)))._remove_predecessor(SimpleNamespace(_coordinator=Asked()))
    assert "the group may wait" in caplog.text
