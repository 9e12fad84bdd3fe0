"""The servers of the local stack: start, crash, start again, and end with their parent."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from embedded import process
from embedded.broker import Broker, serves
from embedded.postgres import Postgres
from embedded.process import Child, PortTakenError, Server, ServerError, free_port
from tests.support.brokers import new_folder

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def folder(server_folder: Path) -> Path:
    return new_folder(server_folder, "embedded")


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Callable[[Child], None]:
    """Register a child that must not outlive the test."""
    return lambda child: request.addfinalizer(child.kill)


@pytest.fixture
def server(folder: Path) -> Iterator[Postgres]:
    """A running PostgreSQL, whose every write is flushed as in `make run`."""
    server = Postgres(folder / "postgres")
    server.start()
    yield server
    server.stop()


def run(server: Postgres, statement: str) -> object:
    """Run a statement in a transaction of its own; return the first column of its first row, if any."""
    connection = psycopg2.connect(server.url())
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def test_postgres_keeps_its_data_through_a_crash(server: Postgres) -> None:
    url = server.url()
    run(server, "CREATE TABLE notes AS SELECT 'kept' AS note")
    server.kill()
    assert server.exit_code == -signal.SIGKILL
    assert (server.datadir / "postmaster.pid").exists()  # what a clean stop removes
    server.start()
    assert server.url() == url
    assert run(server, "SELECT note FROM notes") == "kept"


def test_postgres_stops_in_order(server: Postgres) -> None:
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert server.stop() == 0
    assert not any(process.is_running() for process in family)
    assert not (server.datadir / "postmaster.pid").exists()


@pytest.mark.parametrize("stale", ["", "1\n", "not a number\n"], ids=["empty", "of another process", "garbage"])
def test_a_stale_pid_file_stops_no_start(server: Postgres, stale: str) -> None:
    server.stop()
    (server.datadir / "postmaster.pid").write_text(stale)
    server.start()
    assert run(server, "SELECT 1") == 1


def test_a_server_that_a_killed_parent_left_gives_way(server: Postgres) -> None:
    run(server, "CREATE TABLE notes AS SELECT 'kept' AS note")
    successor = Postgres(server.datadir)
    successor.start()
    try:
        assert server.exit_code == 0
        assert run(successor, "SELECT note FROM notes") == "kept"
    finally:
        successor.stop()


def test_postgres_is_what_the_service_counts_on(server: Postgres) -> None:
    assert str(run(server, "SHOW server_version")).startswith("18.")
    assert run(server, "SHOW server_encoding") == "UTF8"
    assert run(server, "SHOW fsync") == "on"
    assert run(server, "SHOW listen_addresses") == "127.0.0.1"


async def test_the_broker_carries_records_and_forgets_them(folder: Path, keep: Callable[[Child], None]) -> None:
    broker = Broker(folder / "broker.log")
    keep(broker)
    broker.start()
    address = broker.bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic("greetings", num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    await producer.send_and_wait("greetings", b"hello")
    await producer.stop()
    consumer = AIOKafkaConsumer("greetings", bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    assert (await consumer.getone()).value == b"hello"
    await consumer.stop()

    assert broker.stop() == 0
    broker.start()
    assert broker.bootstrap == address
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    assert await admin.list_topics() == []
    await admin.close()


def test_a_frozen_server_is_silent_until_it_is_thawed(folder: Path, keep: Callable[[Child], None]) -> None:
    broker = Broker(folder / "broker.log")
    keep(broker)
    broker.start()
    broker.freeze()
    assert not serves(broker.port)
    broker.thaw()
    assert serves(broker.port)


@pytest.mark.parametrize("kind", [Postgres, Broker])
def test_a_taken_port_is_named(folder: Path, server: Postgres, kind: type[Server]) -> None:
    with pytest.raises(PortTakenError, match=f"Port {server.port}, .* is taken"):
        kind(folder / "other", port=server.port).start()


@pytest.mark.parametrize("kind", [Postgres, Broker])
def test_a_port_lost_to_somebody_faster_is_replaced(
    folder: Path, server: Postgres, kind: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = iter([server.port, free_port()])
    monkeypatch.setattr(process, "free_port", lambda: next(choices))
    other = kind(folder / "other")
    other.start()
    try:
        assert other.port != server.port
    finally:
        other.stop()


def test_a_child_that_ends_while_starting_says_why(folder: Path) -> None:
    child = Child("a child", folder / "log")
    child.spawn([sys.executable, "-c", "import sys; sys.exit('no room left')"])
    with pytest.raises(ServerError, match=r"a child ended while starting \(exit 1\)\.\n.*no room left"):
        child.wait_until(lambda: False, timeout=10)


def test_a_child_that_never_answers_is_ended(folder: Path) -> None:
    child = Child("a child", folder / "log")
    child.spawn([sys.executable, "-c", SLEEP])
    with pytest.raises(ServerError, match=r"did not answer within 0\.1 s"):
        child.wait_until(lambda: False, timeout=0.1)
    assert child.exit_code == -signal.SIGKILL


def test_a_child_that_does_not_stop_is_killed_with_its_children(folder: Path, keep: Callable[[Child], None]) -> None:
    deaf = "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
    child = Child("a child", folder / "log")
    keep(child)
    child.spawn([sys.executable, "-c", f"{deaf} subprocess.run([sys.executable, '-c', {SLEEP!r}])"])
    child.wait_until(lambda: bool(psutil.Process(child.pid).children()) and "deaf" in child.tail(), timeout=10)
    grandchildren = psutil.Process(child.pid).children()
    assert child.stop(timeout=0.2) == -signal.SIGKILL
    _gone, alive = psutil.wait_procs(grandchildren, timeout=5)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_servers_end_with_a_parent_that_is_killed(folder: Path) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from embedded.broker import Broker\n"
        "from embedded.postgres import Postgres\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "servers = Broker(folder / 'broker.log'), Postgres(folder / 'postgres')\n"
        "for server in servers: server.start()\n"
        "print(*(server.pid for server in servers), flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        servers += [child for server in servers for child in server.children(recursive=True)]
        assert len(servers) > 2
        parent.kill()
    _gone, alive = psutil.wait_procs(servers, timeout=10)
    assert not alive
