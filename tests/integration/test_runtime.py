"""`runtime` as real worker processes on a real broker; each departure from upstream by its number.

On Apache Kafka those that meet a broker run again: tests/kafka/test_runtime.py.
"""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from embedded.process import LOOPBACK
from tests.support.brokers import KafkaAddress, OwnBroker, is_apache_kafka
from tests.support.runtime_worker import Broker, RuntimeWorker, eventually

EXIT = 1.5  # seconds that Python and Faust take to end after a stop
Start = Callable[..., RuntimeWorker]


def numbers(count: int, first: int = 0) -> list[str]:
    """Values of records."""
    return [str(number) for number in range(first, first + count)]


@pytest.fixture
def name() -> str:
    """A topic and group of this test's own."""
    return f"runtime_{uuid4().hex}"


@pytest.fixture
def start(tmp_path: Path, name: str) -> Iterator[Start]:
    """`start(bootstrap, **settings)` starts a worker; all of a test share topic and group."""
    # Tansu answers a JoinGroup after half a session; Apache Kafka allows no session under 6 s.
    quick = {"session_timeout": 6.0 if is_apache_kafka() else 2.0, "heartbeat_interval": 0.5, "metadata_interval": 0.5}
    workers: list[RuntimeWorker] = []

    def start(bootstrap: str, *, environment: dict[str, str] | None = None, **settings: object) -> RuntimeWorker:
        worker = RuntimeWorker(
            tmp_path / str(len(workers)), bootstrap=bootstrap, topic=name, group=name, **quick | settings
        )
        worker.environment |= environment or {}
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        worker.kill()
        print(worker.tail(60))  # pytest shows it with a test that failed


def consumes(worker: RuntimeWorker) -> bool:
    """Whether it has partitions and can read them."""
    state = worker.state()
    return state["trouble"] is None and bool(state["partitions"])


def stopped_in(worker: RuntimeWorker, seconds: float) -> int | None:
    """The exit code after SIGTERM; fails when the stop takes longer."""
    began = time.monotonic()
    code = worker.stop(timeout=seconds + 10)
    assert time.monotonic() - began < seconds
    return code


def test_f1_without_a_broker_the_worker_serves_and_joins_when_there_is_one(
    own_broker: OwnBroker, start: Start, name: str
) -> None:
    Broker(own_broker.bootstrap).create(name)
    Broker(own_broker.bootstrap).send(name, numbers(10))
    own_broker.proxy.refuse()
    worker = start(own_broker.bootstrap)

    state = worker.state()
    assert state["trouble"].startswith("Kafka has not been found yet")
    assert state["lag"] is None
    assert state["mounted"] == 1  # although Faust calls its hook three times
    eventually(lambda: worker.state()["timers"]["works"]["runs"] > 5)

    own_broker.proxy.accept()
    eventually(lambda: worker.values() == set(numbers(10)))


def test_f2_a_broker_lost_for_a_while_is_found_again(own_broker: OwnBroker, start: Start, name: str) -> None:
    there = Broker(own_broker.bootstrap)
    there.create(name)
    worker = start(own_broker.bootstrap)
    there.send(name, numbers(12))
    eventually(lambda: len(worker.values()) == 12)

    own_broker.proxy.refuse()  # before the commit
    eventually(lambda: "not answered" in (worker.state()["trouble"] or ""))
    own_broker.proxy.accept()

    eventually(lambda: there.committed(name, name) == dict.fromkeys(range(4), 3))
    there.send(name, numbers(12, first=12))
    eventually(lambda: worker.values() == set(numbers(24)))
    assert worker.running
    assert worker.state()["trouble"] is None
    assert len(worker.log.read_text().splitlines()) < 100  # upstream: 40 a second


def test_f3_sigterm_ends_a_worker_that_never_found_its_broker(own_broker: OwnBroker, start: Start) -> None:
    own_broker.proxy.refuse()
    worker = start(own_broker.bootstrap)
    assert stopped_in(worker, 4.0) == 0


@pytest.mark.parametrize("gone", ["refused", "frozen"])
def test_f3_sigterm_ends_a_worker_whose_broker_is_gone(
    own_broker: OwnBroker, start: Start, name: str, gone: str
) -> None:
    Broker(own_broker.bootstrap).create(name)
    worker = start(own_broker.bootstrap, commit_interval=60.0)  # so that the stop has something to commit
    Broker(own_broker.bootstrap).send(name, numbers(10))
    eventually(lambda: len(worker.values()) == 10)
    if gone == "frozen":
        own_broker.server.freeze()
    else:
        own_broker.proxy.refuse()
    assert stopped_in(worker, 6.0 + EXIT) == 0


def test_f3_a_stop_that_hangs_ends_hard(start: Start) -> None:
    worker = start(f"{LOOPBACK}:1", stop_grace=1.0, cleanup_takes=3600)
    assert stopped_in(worker, 1.0 + EXIT) == 0
    assert "not stopped within 1 s" in worker.log.read_text()


def test_a_stop_lets_requests_finish_and_commits_what_is_done(broker: KafkaAddress, start: Start, name: str) -> None:
    Broker(broker.bootstrap).create(name)
    worker = start(broker.bootstrap, commit_interval=60.0)
    Broker(broker.bootstrap).send(name, numbers(20))
    eventually(lambda: len(worker.values()) == 20)
    assert Broker(broker.bootstrap).committed(name, name) == dict.fromkeys(range(4), 0)

    answers: list[str] = []
    request = threading.Thread(target=lambda: answers.append(worker.get("/slow?seconds=2")))
    request.start()
    time.sleep(0.5)
    assert stopped_in(worker, 4.0 + EXIT) == 0
    request.join()
    assert answers == ["cleaned up: False"]
    assert Broker(broker.bootstrap).committed(name, name) == {0: 5, 1: 5, 2: 5, 3: 5}


def test_f6_a_timer_that_fails_ends_nothing(start: Start) -> None:
    worker = start(f"{LOOPBACK}:1")
    eventually(lambda: worker.state()["timers"]["fails"]["failures"] > 3)
    timers = worker.state()["timers"]
    assert timers["fails"]["idle"] is None
    assert timers["works"]["idle"] < 1.0
    assert worker.running


def test_f7_what_an_agent_held_when_it_raised_is_not_committed(broker: KafkaAddress, start: Start, name: str) -> None:
    Broker(broker.bootstrap).create(name)
    worker = start(broker.bootstrap, commit_interval=0.1, stop_grace=2.0)
    Broker(broker.bootstrap).send(name, numbers(5), partition=0)
    eventually(lambda: len(worker.values()) == 5)

    Broker(broker.bootstrap).send(name, ["raise"], partition=0)
    eventually(lambda: "as the record says" in worker.log.read_text())
    Broker(broker.bootstrap).send(name, numbers(5, first=10), partition=0)
    eventually(lambda: len(worker.values()) == 10)  # the agent was started anew
    time.sleep(1.0)  # ten commits
    assert Broker(broker.bootstrap).committed(name, name) == {0: 5, 1: 0, 2: 0, 3: 0}
    assert stopped_in(worker, 2.0 + EXIT) == 0  # upstream spins for ever on what was lost
    assert Broker(broker.bootstrap).committed(name, name) == {0: 5, 1: 0, 2: 0, 3: 0}


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
def test_f7_what_an_agent_held_at_the_end_is_delivered_again(
    broker: KafkaAddress, start: Start, name: str, ending: str
) -> None:
    Broker(broker.bootstrap).create(name)
    worker = start(broker.bootstrap, commit_interval=0.1, stop_grace=2.0)
    Broker(broker.bootstrap).send(name, numbers(5), partition=0)
    eventually(lambda: len(worker.values()) == 5)
    Broker(broker.bootstrap).send(name, ["hang", *numbers(5, first=5)], partition=0)
    eventually(lambda: len(worker.state()["batch_sizes"]) > 1)
    time.sleep(0.5)

    if ending == "SIGTERM":
        assert stopped_in(worker, 2.0 + EXIT) == 0
    else:
        worker.kill()
    assert Broker(broker.bootstrap).committed(name, name) == {0: 5, 1: 0, 2: 0, 3: 0}


def test_f10_no_topic_is_made_for_tables_and_no_folder(broker: KafkaAddress, start: Start, name: str) -> None:
    Broker(broker.bootstrap).create(name)
    before = Broker(broker.bootstrap).topics()
    worker = start(broker.bootstrap)
    Broker(broker.bootstrap).send(name, numbers(10))
    eventually(lambda: len(worker.values()) == 10)
    assert Broker(broker.bootstrap).topics() - before <= {"__consumer_offsets"}
    assert worker.state()["tables"] == []
    assert not Path(worker.state()["datadir"]).exists()


def test_what_lives_for_ever_is_kept_out_of_garbage_collection(start: Start) -> None:
    assert start(f"{LOOPBACK}:1").state()["frozen"] > 10_000


def test_f11_the_environment_changes_nothing(start: Start) -> None:
    worker = start(
        f"{LOOPBACK}:1",
        environment={"WEB_PORT": "tcp://10.0.0.1:80", "WEB_BIND": "10.0.0.1", "BROKER_URL": "kafka://10.0.0.1"},
    )
    assert worker.state()["trouble"].startswith("Kafka has not been found yet")


def test_f12_an_agent_is_given_whole_fetches(broker: KafkaAddress, start: Start, name: str) -> None:
    Broker(broker.bootstrap).create(name)
    Broker(broker.bootstrap).send(name, numbers(1000))
    worker = start(broker.bootstrap, fetch_records=500)
    eventually(lambda: len(worker.effects()) == 1000)
    state = worker.state()
    assert state["fetches"] <= 8  # one for each of 4 partitions; a fetch may be cut once
    assert len(state["batch_sizes"]) <= 8
    for partition in range(4):
        offsets = [offset for of_partition, offset, _ in worker.effects() if of_partition == partition]
        assert offsets == list(range(250))


def test_a_missing_topic_is_not_made_by_asking_and_is_read_once_it_is_made(
    broker: KafkaAddress, start: Start, name: str
) -> None:
    worker = start(broker.bootstrap)
    eventually(lambda: worker.state()["trouble"] is None)
    assert worker.state()["partitions"] == []
    assert name not in Broker(broker.bootstrap).topics()

    Broker(broker.bootstrap).create(name)
    Broker(broker.bootstrap).send(name, numbers(10))
    eventually(lambda: worker.values() == set(numbers(10)))


@pytest.mark.parametrize(("pause", "count"), [(3.0, 20), (0.0, 200)])
def test_a_topic_lost_and_made_anew_is_read_from_its_beginning(
    own_broker: OwnBroker, start: Start, name: str, pause: float, count: int
) -> None:
    """Upstream drops what lies below the offset that it had read, retries its commit for ever and hangs at the stop.

    A new topic that is already longer than the old one was looks as if nothing had happened.
    """
    there = Broker(own_broker.bootstrap)
    there.create(name)
    worker = start(own_broker.bootstrap)
    there.send(name, numbers(100))
    eventually(lambda: there.committed(name, name) == dict.fromkeys(range(4), 25))

    there.delete(name)
    time.sleep(pause)
    there.create(name)
    there.send(name, numbers(count, first=100))
    eventually(lambda: worker.values() == set(numbers(100 + count)))
    eventually(lambda: worker.state()["lag"] == 0)
    assert worker.running
    assert stopped_in(worker, 4.0 + EXIT) == 0
    assert there.committed(name, name) == dict.fromkeys(range(4), count // 4)


def test_a_topic_made_anew_before_anything_of_it_was_committed_is_read_from_its_beginning(
    own_broker: OwnBroker, start: Start, name: str
) -> None:
    """Without a committed offset upstream sees no difference."""
    there = Broker(own_broker.bootstrap)
    there.create(name)
    worker = start(own_broker.bootstrap, commit_interval=5.0)
    there.send(name, numbers(100))
    eventually(lambda: len(worker.values()) == 100)

    there.delete(name)
    there.create(name)
    there.send(name, numbers(200, first=100))
    eventually(lambda: worker.values() == set(numbers(300)))


def test_a_broker_killed_and_started_again_is_read_on(own_broker: OwnBroker, start: Start, name: str) -> None:
    """Apache Kafka comes back with its topics, the embedded broker with nothing at all."""
    there = Broker(own_broker.bootstrap)
    there.create(name)
    worker = start(own_broker.bootstrap)
    there.send(name, numbers(100))
    eventually(lambda: len(worker.values()) == 100)

    own_broker.server.kill()
    time.sleep(1.0)
    own_broker.server.start()
    if name not in there.topics():
        time.sleep(2.0)  # the worker sees that it is gone
        there.create(name)
    there.send(name, numbers(20, first=100))
    eventually(lambda: worker.values() == set(numbers(120)))
    eventually(lambda: worker.state()["lag"] == 0)
    assert stopped_in(worker, 4.0 + EXIT) == 0


def test_a_taken_port_ends_the_worker_with_a_clear_line(start: Start, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        worker = RuntimeWorker(tmp_path / "w", bootstrap=f"{LOOPBACK}:1", topic="t", group="g")
        worker.port = port
        worker.launch()
        eventually(lambda: not worker.running)
    assert worker.exit_code == 1
    log = worker.log.read_text()
    assert f"cannot listen on {LOOPBACK} port {port}: address already in use" in log.lower()
    assert "Traceback" not in log


def test_signals_for_stacks_end_nothing_and_show_no_values_and_ctrl_c_ends_in_order(start: Start) -> None:
    worker = start(f"{LOOPBACK}:1")
    assert worker.process is not None
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        worker.process.send_signal(number)
    eventually(lambda: worker.log.read_text().count("most recent call first") >= 2)
    assert worker.get("/state")
    assert "LOCAL VARIABLES" not in worker.log.read_text()

    worker.process.send_signal(signal.SIGINT)
    eventually(lambda: not worker.running, 5.0)
    assert worker.exit_code == 0
