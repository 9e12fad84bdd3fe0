"""The relay's core in a simulated world, each duty by itself; any order of faults is in test_outbox_simulation."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.support.simulation import VirtualLoop, Worker, World

Run = Callable[[float], None]


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.end()


@pytest.fixture
def world(loop: VirtualLoop) -> World:
    return World(loop, seed=1)


@pytest.fixture
def run(loop: VirtualLoop) -> Run:
    return lambda seconds: loop.run_until_complete(asyncio.sleep(seconds))


def versions(world: World, aggregate: int) -> list[int]:
    """The versions of an aggregate's records, in the topic's order."""
    training = str(UUID(int=aggregate)).encode()
    records = [dict(headers) for partition in world.topic for *_, headers in partition]
    return [int(fields["ce_sequence"]) for fields in records if fields["ce_subject"] == training]


def finish(world: World, work: Coroutine[Any, Any, None]) -> None:
    world.loop.run_until_complete(work)


def test_a_batch_takes_two_statements_and_an_idle_look_one(world: World, run: Run) -> None:
    worker = Worker(world, "only")
    run(1)
    before = worker.store.calls
    run(1)  # ten looks or a few less
    assert 8 <= worker.store.calls - before <= 10
    world.post(1, 10 * world.batch)
    before, batches = worker.store.calls, worker.relay.state.batches
    run(0.5)
    assert worker.relay.state.batches - batches == 10
    assert worker.store.calls - before <= 2 * 10 + 6  # and the idle looks


def test_one_leads_and_the_other_takes_over_when_it_dies(world: World, run: Run) -> None:
    first, second = Worker(world, "first"), Worker(world, "second")
    run(1)
    assert sorted(worker.relay.state.role for worker in (first, second)) == ["leader", "standby"]
    leader, standby = (first, second) if first.relay.leads else (second, first)
    leader.kill()
    world.post(1, 3)
    run(6.5)
    assert standby.relay.leads
    assert versions(world, 1) == [1, 2, 3]


def test_an_orderly_stop_hands_over_at_once_and_repeats_nothing(world: World, run: Run) -> None:
    first = Worker(world, "first")
    run(0.5)
    second = Worker(world, "second")
    world.post(1, 50)
    run(0.03)
    finish(world, first.finish())
    stopped_at = world.loop.time()
    while not second.relay.leads:
        run(0.05)
    assert world.loop.time() - stopped_at <= 1.2
    run(3)
    assert versions(world, 1) == list(range(1, 51))


def test_a_stop_in_a_window_that_was_taken_over_loses_nothing_of_it(world: World, run: Run) -> None:
    world.broker = "away"
    first = Worker(world, "first")
    world.post(1, 5 * world.batch)
    run(0.5)  # the window is stored
    first.kill()
    second = Worker(world, "second")
    run(6.0)
    assert second.relay.leads
    second.relay.halt()  # in the first batch of the window
    world.broker = "well"
    run(3.0)
    finish(world, second.finish())
    Worker(world, "third")
    run(4.0)
    assert world.lost() == set()
    assert versions(world, 1) == list(range(1, 5 * world.batch + 1))


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_relay_that_was_stopped_beyond_its_lease_begins_no_batch(world: World, run: Run, taken_over: bool) -> None:
    zombie = Worker(world, "zombie")
    run(0.5)
    world.post(1, 200)
    run(0.02)
    zombie.process.frozen = True
    under_way = len(zombie.producer.batches)
    if taken_over:
        Worker(world, "other")
    run(8)
    begun = len(zombie.producer.batches)
    zombie.process.frozen = False
    run(8)
    assert begun == under_way
    assert world.lost() == set()
    assert world.violations == []
    if taken_over:  # what was under way may arrive; nothing was begun after it
        assert len(zombie.producer.batches) <= under_way + 1
        assert not zombie.relay.leads
    else:
        assert zombie.relay.leads


def test_a_worker_that_cannot_reach_the_broker_lets_another_try(world: World, run: Run) -> None:
    alone = Worker(world, "cut off")
    run(0.5)
    alone.producer.cut_off = True
    other = Worker(world, "other")
    world.post(1, 3)
    run(14)
    assert other.relay.leads
    assert versions(world, 1) == [1, 2, 3]


def test_what_waits_for_the_broker_flows_when_it_is_back(world: World, run: Run) -> None:
    world.broker = "away"
    worker = Worker(world, "only")
    world.post(1, 30)
    run(120)
    assert worker.relay.state.error == "ConnectionError: away"
    world.broker = "well"
    run(10)
    assert versions(world, 1) == list(range(1, 31))
    assert worker.relay.state.error is None


def test_poison_holds_back_its_training_only(world: World, run: Run) -> None:
    worker = Worker(world, "only")
    world.poison = {str(UUID(int=1))}
    for _ in range(5):
        for aggregate in range(6):
            world.post(aggregate)
    run(3)
    assert [len(versions(world, aggregate)) for aggregate in range(6)] == [5, 0, 5, 5, 5, 5]
    (held,) = world.quarantine.values()
    assert (held.aggregate_id, held.version, held.state, held.error) == (
        str(UUID(int=1)),
        1,
        "held",
        "ValueError: too large",
    )
    assert worker.relay.state.held == 1

    world.quarantine[held.seq] = held._replace(state="retry")  # in vain
    run(1)
    assert world.quarantine[held.seq].state == "held"

    world.poison = set()
    world.post(1)
    run(1)
    assert versions(world, 1) == []
    world.quarantine[held.seq] = held._replace(state="retry")
    run(1)
    assert versions(world, 1) == [1, 2, 3, 4, 5, 6]
    assert world.quarantine[held.seq].state == "published"
    world.post(1)
    run(1)
    assert versions(world, 1) == [1, 2, 3, 4, 5, 6, 7]
    assert worker.relay.state.held == 0


def test_an_event_that_is_refused_again_is_not_settled_however_soon_somebody_asks_once_more(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(world, "only")
    world.poison = {str(UUID(int=1))}
    world.post(1, 3)
    run(1)
    quarantine = worker.store.quarantine

    async def then_ask(*arguments: Any) -> None:
        await quarantine(*arguments)
        world.poison = set()
        world.ask("retry")

    monkeypatch.setattr(worker.store, "quarantine", then_ask)
    world.ask("retry")
    run(1)
    assert versions(world, 1) == [1, 2, 3]
    assert [held.state for held in world.quarantine.values()] == ["published"]
    assert worker.relay.state.held == 0


def test_a_skip_gives_up_one_event(world: World, run: Run) -> None:
    Worker(world, "only")
    world.post(1)
    run(1)
    world.poison = {str(UUID(int=1))}
    world.post(1, 3)
    run(1)
    (held,) = world.quarantine.values()
    world.poison = set()
    world.quarantine[held.seq] = held._replace(state="skip")
    run(1)
    assert versions(world, 1) == [1, 3, 4]
    assert world.quarantine[held.seq].state == "skipped"


def test_a_held_training_stays_held_after_a_takeover(world: World, run: Run) -> None:
    world.poison = {str(UUID(int=1))}
    first = Worker(world, "first")
    world.post(1)
    run(1)
    first.kill()
    world.poison = set()
    Worker(world, "second")
    world.post(1)
    run(8)
    assert versions(world, 1) == []


def test_a_topic_that_was_lost_is_noticed_once(world: World, run: Run) -> None:
    worker = Worker(world, "only")
    world.post(1, 5)
    run(1)
    assert world.topics["events"]["generation"] == 1
    world.there = False
    world.post(1)
    run(3)
    assert worker.made_anew == ["events"]
    assert world.topics["events"]["generation"] == 2

    world.topic = [[] for _ in world.topic]  # somebody else made it anew
    world.post(1)
    run(3)
    assert worker.made_anew == ["events", "events"]
    assert world.topics["events"]["generation"] == 3


def test_while_the_broker_is_slow_the_lease_is_kept(world: World, run: Run) -> None:
    worker, other = Worker(world, "only"), Worker(world, "other")
    run(0.5)
    leader = worker if worker.relay.leads else other
    fence = world.fence

    async def slow(*_: object) -> Any:
        await asyncio.sleep(20)
        raise AssertionError("it is not waited for that long")

    leader.producer.publish = slow  # type: ignore[method-assign]
    world.post(1)
    run(15)
    assert world.fence == fence
    assert leader.relay.leads


def test_nothing_escapes(world: World, run: Run) -> None:
    worker = Worker(world, "only")
    run(0.5)

    async def break_(*_: object) -> Any:
        raise ZeroDivisionError("a mistake")

    publish, worker.producer.publish = worker.producer.publish, break_  # type: ignore[method-assign]
    world.post(1)
    run(1)
    assert worker.relay.state.error == "ZeroDivisionError: a mistake"
    worker.producer.publish = publish  # type: ignore[method-assign]
    run(4)
    assert versions(world, 1) == [1]


def test_a_database_that_is_away_is_said(world: World, run: Run) -> None:
    worker = Worker(world, "only")
    run(0.5)
    world.database = "away"
    run(3)
    assert worker.relay.state.error == "DatabaseUnavailable: away"
    assert not worker.relay.leads
    world.database = "well"
    world.post(1)
    run(4)
    assert versions(world, 1) == [1]
    assert worker.relay.state.error is None
