"""`make run`, from the first start to the second: what a newcomer sees."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from embedded.broker import PARTITIONS
from embedded.process import free_port
from tests.support.brokers import new_folder


class Run:
    """`python -m embedded`, which is what `make run` runs, in a folder of its own. A context manager."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRAINING_")}
        self.output = folder / f"output-{port}"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "embedded"],
                cwd=folder,
                env=inherited | {"TRAINING_WEB_PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C reaches the whole group
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_until_said(self, words: str, timeout: float) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() - began < timeout, self.said()
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_until_ready(self) -> float:
        """Seconds until the banner stood there."""
        return self.wait_until_said("Training service is ready", 60)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker(self) -> psutil.Process:
        return next(child for child in self.family() if "faust" in child.cmdline())

    def settings(self) -> dict[str, str]:
        """What commands in another terminal read."""
        lines = (self.folder / ".state" / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def stop(self, number: signal.Signals) -> float:
        """Signal the whole group; returns the seconds until all of it was gone."""
        family = self.family()
        began = time.monotonic()
        os.killpg(self.process.pid, number)
        assert self.process.wait(timeout=15) == 0, self.said()
        took = time.monotonic() - began
        assert not alive(family)
        return took

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*self.family(), psutil.Process(self.process.pid)]:
                process.kill()
        self.process.wait()
        print(self.said())  # pytest shows it with a test that failed
        for log in sorted((self.folder / ".state").glob("*.log")):
            print(log.name, log.read_text()[-5000:], sep="\n")


@pytest.fixture
def folder(server_folder: Path) -> Path:
    return new_folder(server_folder, "run")


@pytest.fixture(scope="module")
def running(server_folder: Path) -> Iterator[Run]:
    """One that tests share, which leave it running."""
    with Run(new_folder(server_folder, "run"), free_port()) as run:
        run.wait_until_ready()
        yield run


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that run still. A zombie does not: nobody may be there to reap what a killed parent left."""
    left = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE and process.is_running():
                left.append(process)
    return left


def paste(line: str) -> tuple[int, dict[str, str], dict[str, object]]:
    """Do what the shell and curl would do with `line`: returns status, headers and JSON body of the answer."""
    program, *arguments = shlex.split(line)
    assert program == "curl"
    headers, address, data = {}, "", ""
    words = iter(arguments)
    for word in words:
        if word == "-H":
            name, value = next(words).split(": ", 1)
            headers[name] = value
        elif word == "-d":
            data = next(words)
        elif word != "-i":
            address = word
    url = urlsplit(address)
    return request(url.port or 80, "POST", url.path, headers, data)


def request(
    port: int, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> tuple[int, dict[str, str], dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), json.loads(response.read())
    finally:
        connection.close()


async def first_record(bootstrap: str, topic: str, partitions: int) -> dict[str, object]:
    """The first record of a topic, whichever partition it came to."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        record = await asyncio.wait_for(consumer.getone(), 30)
        value: dict[str, object] = json.loads(record.value)
        return value
    finally:
        await consumer.stop()


async def test_a_newcomer_starts_it_logs_a_training_stops_it_and_finds_it_again(folder: Path) -> None:
    port = free_port()
    with Run(folder, port) as run:
        run.wait_until_ready()
        curl = re.search(r"^curl .*$", run.said(), re.MULTILINE)
        assert curl is not None
        assert f"http://127.0.0.1:{port}/docs" in run.said()
        status, headers, training = paste(curl[0])
        assert status == 201, training
        event = await first_record(run.settings()["TRAINING_KAFKA_BOOTSTRAP"], "training_events", PARTITIONS)
        assert event["event_type"] == "training_created"
        run.wait_until_said("Events flow.", 60)
        assert event["payload"]["training_id"] == training["id"]  # type: ignore[index]
        assert run.stop(signal.SIGINT) < 10
        assert "Traceback" not in run.said()

    with Run(folder, port) as run:
        assert run.wait_until_ready() < 10
        authorization = {"Authorization": f"Bearer {run.settings()['TRAINING_TOKEN']}"}
        status, _headers, again = request(port, "GET", headers["Location"], authorization)
        assert (status, again) == (200, training)
        assert run.stop(signal.SIGTERM) < 10
        assert "Traceback" not in run.said()


def test_a_worker_that_dies_is_started_again(running: Run) -> None:
    worker = running.worker()
    worker.kill()
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if request(running.port, "GET", "/health/ready", {})[0] == 200:
                break
        assert time.monotonic() < deadline, running.said()
        time.sleep(0.1)
    assert running.worker().pid != worker.pid
    assert "Ended: the worker (exit -9). It starts again in 0.5 s." in running.said()


def test_a_second_one_in_the_same_folder_is_refused(running: Run) -> None:
    with Run(running.folder, free_port()) as second:
        assert second.process.wait(timeout=30) == 1
        assert f"It runs already in this folder (process {running.process.pid})" in second.said()


def test_a_taken_port_is_said_before_anything_starts(running: Run, server_folder: Path) -> None:
    with Run(new_folder(server_folder, "run"), running.port) as second:
        assert second.process.wait(timeout=30) == 1
        assert f"Port {running.port} is taken." in second.said()
        assert f"TRAINING_WEB_PORT={running.port + 1}" in second.said()
        assert not (second.folder / ".state" / "postgres").exists()


def test_secrets_are_for_their_owner_only(running: Run) -> None:
    state = running.folder / ".state"
    assert {path.name: path.stat().st_mode & 0o777 for path in (state / "env", state / "jwt-secret")} == {
        "env": 0o600,
        "jwt-secret": 0o600,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_kill_of_the_whole_leaves_no_process(folder: Path) -> None:
    with Run(folder, free_port()) as run:
        run.wait_until_ready()
        family = run.family()
        assert len(family) > 3
        run.process.kill()
        run.process.wait()
        deadline = time.monotonic() + 10
        while alive(family):
            assert time.monotonic() < deadline, alive(family)
            time.sleep(0.05)
