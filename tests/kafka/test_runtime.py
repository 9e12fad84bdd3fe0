"""`runtime` on Apache Kafka: what of tests/integration/test_runtime.py meets a broker, and several workers."""

import random
import threading
import time

import pytest

from tests.integration.test_runtime import *  # noqa: F403 - its tests and fixtures, to be run here again
from tests.integration.test_runtime import Start, numbers, stopped_in
from tests.support.brokers import KafkaAddress, OwnBroker
from tests.support.runtime_worker import Broker, RuntimeWorker, eventually

pytestmark = pytest.mark.kafka

# What meets no broker is the same on any.
for alone in (
    "test_f3_sigterm_ends_a_worker_that_never_found_its_broker",
    "test_f3_a_stop_that_hangs_ends_hard",
    "test_f6_a_timer_that_fails_ends_nothing",
    "test_f11_the_environment_changes_nothing",
    "test_what_lives_for_ever_is_kept_out_of_garbage_collection",
    "test_a_taken_port_ends_the_worker_with_a_clear_line",
    "test_signals_for_stacks_end_nothing_and_show_no_values_and_ctrl_c_ends_in_order",
):
    del globals()[alone]

TAKEOVER = 20.0  # seconds, after a kill, until all events are folded


def settled(*workers: RuntimeWorker) -> bool:
    """Whether the four partitions are divided between the workers, and all of it is read."""
    states = [worker.state() for worker in workers]
    divided = sum(len(state["partitions"]) for state in states) == 4 and all(state["partitions"] for state in states)
    return divided and all(state["lag"] == 0 for state in states)


def test_another_worker_takes_over_from_one_that_is_killed(broker: KafkaAddress, start: Start, name: str) -> None:
    there = Broker(broker.bootstrap)
    there.create(name)
    production = {"session_timeout": 8.0, "heartbeat_interval": 2.0, "metadata_interval": 5.0}
    first, second = start(broker.bootstrap, **production), start(broker.bootstrap, **production)
    eventually(lambda: settled(first, second))
    there.send(name, numbers(100))
    eventually(lambda: first.values() | second.values() == set(numbers(100)))

    first.kill()
    there.send(name, numbers(100, first=100))
    eventually(lambda: first.values() | second.values() == set(numbers(200)), TAKEOVER)
    eventually(lambda: settled(second))


def test_a_worker_that_died_and_is_started_again_waits_for_no_session(
    broker: KafkaAddress, start: Start, name: str
) -> None:
    """Its predecessor, and one that died while it joined, would be waited for until their sessions end: a minute."""
    there = Broker(broker.bootstrap)
    there.create(name)
    patient = {"session_timeout": 60.0, "rebalance_timeout": 60.0, "request_timeout": 70.0}
    first, second = start(broker.bootstrap, **patient), start(broker.bootstrap, **patient)
    eventually(lambda: settled(first, second))

    for _ in range(3):
        first.kill()
        first.start()
        time.sleep(0.5)
    there.send(name, numbers(100))
    eventually(lambda: first.values() | second.values() == set(numbers(100)), TAKEOVER)
    eventually(lambda: settled(first, second))


def test_a_worker_stopped_beyond_its_session_joins_again_and_goes_on(
    broker: KafkaAddress, start: Start, name: str
) -> None:
    there = Broker(broker.bootstrap)
    there.create(name)
    first, second = start(broker.bootstrap), start(broker.bootstrap)
    eventually(lambda: settled(first, second))
    there.send(name, numbers(100))
    eventually(lambda: first.values() | second.values() == set(numbers(100)))

    first.freeze()
    there.send(name, numbers(100, first=100))
    eventually(lambda: first.values() | second.values() == set(numbers(200)), TAKEOVER)
    first.thaw()
    eventually(lambda: settled(first, second))
    worked_on = len(first.effects())
    there.send(name, numbers(100, first=200))
    eventually(lambda: first.values() | second.values() == set(numbers(300)))
    assert len(first.effects()) >= worked_on + 50  # its two partitions
    assert stopped_in(first, 4.0 + 1.5) == 0
    assert stopped_in(second, 4.0 + 1.5) == 0
    assert there.committed(name, name) == dict.fromkeys(range(4), 75)


def test_f4_a_broker_frozen_while_workers_join_leaves_no_worker_behind(
    own_broker: OwnBroker, start: Start, name: str
) -> None:
    there = Broker(own_broker.bootstrap)
    there.create(name)
    first = start(own_broker.bootstrap, request_timeout=6.0)
    there.send(name, numbers(100))
    eventually(lambda: len(first.values()) == 100)
    second = start(own_broker.bootstrap, request_timeout=6.0)
    time.sleep(1.3)  # its consumer subscribes a second after its start
    own_broker.server.freeze()
    time.sleep(10.0)  # beyond the session and the requests' timeout
    own_broker.server.thaw()

    there.send(name, numbers(100, first=100))
    eventually(lambda: first.values() | second.values() == set(numbers(200)), 60)
    eventually(lambda: settled(first, second), 60)


def test_f7_f8_no_record_is_lost_when_workers_are_killed_at_random(
    broker: KafkaAddress, start: Start, name: str
) -> None:
    there = Broker(broker.bootstrap)
    there.create(name)
    workers = [start(broker.bootstrap, fetch_records=50), start(broker.bootstrap, fetch_records=50)]
    total, part = 20_000, 500

    def produce() -> None:
        for first in range(0, total, part):
            there.send(name, numbers(part, first=first))

    producing = threading.Thread(target=produce)
    producing.start()
    chance = random.Random(8)
    for _ in range(6):
        time.sleep(chance.uniform(0.5, 3.0))
        victim = chance.choice(workers)
        victim.kill()
        victim.start()
    producing.join()
    eventually(lambda: settled(*workers), 60)
    assert workers[0].values() | workers[1].values() == set(numbers(total))
    for worker in workers:
        assert stopped_in(worker, 4.0 + 1.5) == 0
    assert there.committed(name, name) == dict.fromkeys(range(4), total // 4)
