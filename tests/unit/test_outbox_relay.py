"""The relay's core in a simulated world: any order of faults, and each duty by itself."""

import asyncio
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.simulation import Transaction, VirtualLoop, Worker, World

MOODS = st.sampled_from(["well", "well", "away", "deaf", "moody", "moody"])


class RelayMachine(RuleBasedStateMachine):
    """Two workers, six trainings of three users, three long transactions; whatever can go wrong does."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.loop = VirtualLoop()
        self.world = World(self.loop, seed)
        self.workers = [Worker(self.world, "first"), Worker(self.world, "second")]
        self.transactions = [Transaction(), Transaction(), Transaction()]
        self.locks: dict[int, Transaction] = {}
        self.poisoned = False

    @rule(aggregate=st.integers(0, 5), seq_first=st.booleans(), commit=st.integers(0, 9).map(bool))
    def post(self, aggregate: int, seq_first: bool, commit: bool) -> None:
        if aggregate not in self.locks:
            transaction = Transaction()
            self.world.write(transaction, aggregate, seq_first=seq_first)
            self.world.end(transaction, commit=commit)

    @rule(slot=st.integers(0, 2), aggregate=st.integers(0, 5), seq_first=st.booleans())
    def write(self, slot: int, aggregate: int, seq_first: bool) -> None:
        transaction = self.transactions[slot]
        if self.locks.setdefault(aggregate, transaction) is transaction:
            self.world.write(transaction, aggregate, seq_first=seq_first)

    @rule(slot=st.integers(0, 2), commit=st.booleans())
    def finish(self, slot: int, commit: bool) -> None:
        transaction, self.transactions[slot] = self.transactions[slot], Transaction()
        self.locks = {aggregate: holder for aggregate, holder in self.locks.items() if holder is not transaction}
        self.world.end(transaction, commit=commit)

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.1, 0.5, 2.0, 7.0]))
    def run(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule(number=st.integers(0, 1))
    def kill(self, number: int) -> None:
        self.workers[number].kill()
        self.workers[number] = Worker(self.world, f"worker {self.world.loop.time()} {number}")

    @rule(number=st.integers(0, 1), frozen=st.booleans())
    def freeze(self, number: int, frozen: bool) -> None:
        self.workers[number].process.frozen = frozen

    @rule(broker=MOODS)
    def upset_broker(self, broker: str) -> None:
        self.world.broker = broker

    @rule(database=MOODS)
    def upset_database(self, database: str) -> None:
        self.world.database = database

    @rule(aggregate=st.integers(0, 5))
    def poison(self, aggregate: int) -> None:
        self.poisoned = True
        self.world.poison ^= {str(UUID(int=aggregate))}

    @rule()
    def retry(self) -> None:
        for seq, held in self.world.quarantine.items():
            if held.state == "held":
                self.world.quarantine[seq] = held._replace(state="retry")

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            assert self.world.violations() == []

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.broker = world.database = "well"
        world.poison.clear()
        for number in range(3):
            self.finish(number, commit=True)
        for worker in self.workers:
            worker.process.frozen = False
        self.run(15.0)
        self.retry()
        self.run(15.0)
        lost, violations, copies = world.lost(), world.violations(), world.records - len(world.committed_rows())
        for worker in self.workers:
            worker.kill()
        self.loop.run_until_complete(asyncio.sleep(1))
        self.loop.close()
        assert lost == set(), "I1"
        assert violations == []
        if not self.poisoned:  # each fault and each takeover repeats one batch at most
            assert copies <= world.batch * (world.faults + world.fence)


TestRelay = RelayMachine.TestCase
TestRelay.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
