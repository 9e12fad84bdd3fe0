"""The relay's core in a simulated world, whatever goes wrong in whatever order: I1–I4, fence, bounds, liveness."""

import asyncio
import logging
import os
from collections.abc import Callable
from uuid import UUID

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.simulation import LATE, Transaction, VirtualLoop, Worker, World

SEED = int(os.environ.get("TRAINING_TEST_SIMULATION_SEED", "1"))
STEPS = 100_000  # at least: each an act of the world upon relays, broker, database, writers, operators, or time
LEASE, PATIENCE, PAUSE = 2.0, 3.0, 0.2  # seconds
RESTART = 2.0  # seconds at most until a worker that ended is started again
TRAININGS = st.integers(0, 5)
WORKERS = st.integers(0, 2)
MOODS = st.sampled_from(["well", "well", "moody", "moody", "moody", "away", "deaf", "late", "slow"])


class RelayMachine(RuleBasedStateMachine):
    """Two or three workers, six trainings of three users, three long transactions; whatever can go wrong does."""

    steps = calls = published = 0  # of all runs

    @initialize(seed=st.integers(0, 2**32), relays=st.sampled_from([2, 3]))
    def begin(self, seed: int, relays: int) -> None:
        self.loop = VirtualLoop()
        self.world = World(self.loop, seed)
        self.started = 0
        self.workers: list[Worker] = []
        self.retiring: list[asyncio.Task[None]] = []
        for number in range(relays):
            self.workers.append(self.start(number))
        self.transactions = [Transaction(), Transaction(), Transaction()]
        self.locks: dict[int, Transaction] = {}

    def start(self, number: int) -> Worker:
        self.started += 1
        worker = Worker(self.world, f"{number}.{self.started}", lease=LEASE, patience=PATIENCE, pause=PAUSE)
        delay = self.world.random.random() * RESTART
        worker.task.add_done_callback(lambda _: self.loop.call_later(delay, self.replace, number))
        return worker

    def replace(self, number: int) -> None:
        self.workers[number] = self.start(number)

    # Writers

    @rule(aggregate=TRAININGS, seq_first=st.booleans(), commit=st.integers(0, 9).map(bool))
    def post(self, aggregate: int, seq_first: bool, commit: bool) -> None:
        if aggregate not in self.locks:
            transaction = Transaction()
            self.world.write(transaction, aggregate, seq_first=seq_first)
            self.world.end(transaction, commit=commit)

    @rule(count=st.integers(1, 4))
    def burst(self, count: int) -> None:
        for aggregate in range(6):
            if aggregate not in self.locks:
                self.world.post(aggregate, count)

    @rule(slot=st.integers(0, 2), aggregate=TRAININGS, seq_first=st.booleans())
    def write(self, slot: int, aggregate: int, seq_first: bool) -> None:
        transaction = self.transactions[slot]
        if self.locks.setdefault(aggregate, transaction) is transaction:
            self.world.write(transaction, aggregate, seq_first=seq_first)

    @rule(slot=st.integers(0, 2), commit=st.booleans())
    def finish(self, slot: int, commit: bool) -> None:
        transaction, self.transactions[slot] = self.transactions[slot], Transaction()
        self.locks = {aggregate: holder for aggregate, holder in self.locks.items() if holder is not transaction}
        self.world.end(transaction, commit=commit)

    # Time

    @rule(seconds=st.sampled_from([0.001, 0.003, 0.01, 0.03]))
    def run_little(self, seconds: float) -> None:
        self.run(seconds)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
    def run_long(self, seconds: float) -> None:
        self.run(seconds)

    def run(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    # Processes

    @rule(number=WORKERS)
    def kill(self, number: int) -> None:
        self.worker(number).kill()

    @rule(number=WORKERS, gates=st.integers(0, 12), fate=st.sampled_from(["killed", "frozen", "cancelled"]))
    def doom(self, number: int, gates: int, fate: str) -> None:
        worker = self.worker(number)
        fates: dict[str, Callable[[], None]] = {
            "killed": worker.kill,
            "frozen": lambda: setattr(worker.process, "frozen", True),
            "cancelled": lambda: self.loop.call_soon(worker.task.cancel),
        }
        worker.process.doom(gates, fates[fate])

    @rule(number=WORKERS, frozen=st.booleans())
    def freeze(self, number: int, frozen: bool) -> None:
        self.worker(number).process.frozen = frozen

    @rule(number=WORKERS, within=st.sampled_from([0.0, 0.005, 1.5]))
    def stop(self, number: int, within: float) -> None:
        self.retiring.append(self.loop.create_task(self.worker(number).finish(within)))

    def worker(self, number: int) -> Worker:
        return self.workers[number % len(self.workers)]

    # Servers

    @rule(number=WORKERS, broker=st.booleans(), database=st.booleans())
    def cut_off(self, number: int, broker: bool, database: bool) -> None:
        worker = self.worker(number)
        worker.producer.cut_off, worker.store.cut_off = broker, database

    @rule(broker=MOODS)
    def upset_broker(self, broker: str) -> None:
        self.world.broker = broker

    @rule(database=MOODS)
    def upset_database(self, database: str) -> None:
        self.world.database = database

    @rule()
    def lose_topic(self) -> None:
        self.world.lose_topic()

    # What is refused, and those who decide on it

    @rule(aggregate=TRAININGS)
    def refuse_training(self, aggregate: int) -> None:
        self.world.poison ^= {str(UUID(int=aggregate))}

    @rule(aggregate=TRAININGS)
    def refuse_event(self, aggregate: int) -> None:
        if aggregate not in self.locks:
            transaction = Transaction()
            self.world.poison.add(self.world.write(transaction, aggregate, seq_first=False).event_id)
            self.world.end(transaction, commit=True)

    @rule()
    def mend(self) -> None:
        self.world.poison.clear()

    @rule(state=st.sampled_from(["retry", "retry", "skip"]), every=st.booleans())
    def ask(self, state: str, every: bool) -> None:
        held = [held.seq for held in self.world.quarantine.values() if held.state == "held"]
        if held:
            self.world.ask(state, None if every else min(held))

    # Judgement

    @invariant()
    def holds(self) -> None:
        RelayMachine.steps += 1
        if hasattr(self, "world"):
            assert self.world.violations == [], self.world.violations[:3]

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.heal()
        finally:
            self.loop.end()
        RelayMachine.calls += self.world.calls
        RelayMachine.published += len(self.world.first)

    def heal(self) -> None:
        """The faults stop: all is published soon, and nothing is repeated after it."""
        world = self.world
        world.broker = world.database = "well"
        world.poison.clear()
        for slot in range(3):
            self.finish(slot, commit=True)
        for worker in self.workers:
            worker.process.frozen = worker.store.cut_off = worker.producer.cut_off = False
            worker.process.doom(0, lambda: None)
        # What is late arrives, what is started again looks in, the lease runs out, and who waits looks again.
        waiting = len(world.lost())
        self.rest(LATE + RESTART + LEASE + 4.0, waiting)
        world.ask("retry")
        self.rest(LEASE + 2.0, len(world.committed_rows()))
        assert world.violations == [], world.violations[:3]
        assert world.lost() == set(), f"I1: {world.lost()}"
        states = {held.state for held in world.quarantine.values()}
        assert states <= {"published", "skipped"}, f"an asked event is not settled: {states}"
        records = [len(partition) for partition in world.topic]
        self.run(1.0)
        assert records == [len(partition) for partition in world.topic], "nothing is sent when all is published"
        assert all(mark["generation"] <= 1 + world.made for mark in world.topics.values()), "a false alarm"

    def rest(self, seconds: float, events: int) -> None:
        """Let time pass, in which that many events can be published, at so many calls each and for each idle look."""
        before = self.world.calls
        self.run(seconds)
        assert self.world.calls - before <= 2 * len(self.workers) * seconds / PAUSE + 12 * events, "liveness"


def test_whatever_goes_wrong_the_contract_holds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("outbox.relay"), "disabled", True)  # hundreds of thousands of lines
    try:
        run_state_machine_as_test(
            hypothesis.seed(SEED)(RelayMachine),
            settings=settings(
                max_examples=300,
                stateful_step_count=500,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        print(f"To repeat it: TRAINING_TEST_SIMULATION_SEED={SEED}")
    with capsys.disabled():
        print(f" seed {SEED}: {RelayMachine.steps} steps, {RelayMachine.calls} calls, {RelayMachine.published} events")
    assert RelayMachine.steps >= STEPS
