"""Debezium's PostgreSQL connector with the Outbox Event Router, on Kafka Connect standalone: a JVM of its own.

What it is configured with is deploy/debezium-outbox.properties, without the headers that make its records the relay's:
so it does the least that it can. Its jars come by Maven, once, into the cache of tests/support/cache.py.
"""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from bench.material import run
from embedded.postgres import OWNER
from embedded.process import LOOPBACK, Server, ServerError
from tests.support.cache import kept
from tests.support.databases import DatabaseUrls
from tests.support.kafka import VERSION as KAFKA

_POM = Path(__file__).with_name("debezium-pom.xml")
_DEPLOYED = Path(__file__).parents[2] / "deploy" / "debezium-outbox.properties"
VERSION = re.findall(r"<debezium\.version>(.+?)<", _POM.read_text())[0]

# Beside what is deployed, everything is at its default: poll.interval.ms=500, max.batch.size=2048, max.queue.size=8192.
DEFAULT: Mapping[str, str] = {}
TUNED: Mapping[str, str] = {
    "poll.interval.ms": "5",
    "max.batch.size": "8192",
    "max.queue.size": "32768",
    "producer.override.linger.ms": "0",
    "producer.override.batch.size": "131072",
}
_SETTINGS = """\
bootstrap.servers={bootstrap}
listeners=http://{host}:{port}
plugin.discovery=only_scan
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=1000
"""
# What Kafka's own scripts start Connect with.
_JVM = (
    "-Xms256M",
    "-Xmx2G",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_PATIENCE = 60.0  # seconds


def told(settings: Mapping[str, str]) -> str:
    """The settings, as a note."""
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "its default settings"


def superuser(urls: DatabaseUrls) -> DatabaseUrls:
    """The addresses with the server's superuser for the owner: a slot, or a checkpoint, is nobody else's to make."""
    parts = urlsplit(urls.owner)
    return replace(urls, owner=parts._replace(netloc=f"{OWNER}@{parts.hostname}:{parts.port}").geturl())


class Connect(Server):
    """Kafka Connect with one connector, which reads the outbox of one database through a slot of its own."""

    def __init__(self, folder: Path, bootstrap: str, urls: DatabaseUrls) -> None:
        super().__init__(f"Kafka Connect {KAFKA} with Debezium {VERSION}", folder / "connect.log")
        self._folder = folder
        self._bootstrap = bootstrap
        self._urls = superuser(urls)
        self.slot = f"bench_{urlsplit(urls.owner).path.rpartition('_')[2][:12]}"
        self._configured = False

    def launch(self) -> None:
        java = shutil.which("java")
        if java is None:
            raise ServerError("Kafka Connect needs Java 17 or newer, and there is no `java` on the PATH.")
        path = self._folder / "connect.properties"
        path.write_text(_SETTINGS.format(bootstrap=self._bootstrap, host=LOOPBACK, port=self.port, folder=self._folder))
        libs = f"{installed() / 'libs'}/*"
        self.spawn([java, *_JVM, "-cp", libs, "org.apache.kafka.connect.cli.ConnectStandalone", str(path)])

    def ready(self) -> bool:
        try:
            self._ask("GET", "/connectors")
        except OSError:
            return False
        return True

    def attach(self) -> None:
        """Make publication and slot: from here on nothing that is committed passes it by."""
        of = "FOR TABLE outbox WITH (publish = 'insert', publish_via_partition_root = true)"
        run(self._urls, f"CREATE PUBLICATION {self.slot} {of}")
        run(self._urls, f"SELECT pg_create_logical_replication_slot('{self.slot}', 'pgoutput')")

    def detach(self) -> None:
        """Drop the slot, which would keep the write-ahead log for ever, once the process has ended."""
        deadline = time.monotonic() + _PATIENCE
        while run(self._urls, f"SELECT active FROM pg_replication_slots WHERE slot_name = '{self.slot}'") == [(True,)]:
            if time.monotonic() > deadline:
                raise ServerError(f"the slot {self.slot} stays in use")
            time.sleep(0.1)
        run(self._urls, f"SELECT pg_drop_replication_slot('{self.slot}')")

    def pause(self) -> None:
        """End the connector's task; the JVM stays, and stays warm."""
        if self._configured:
            self._ask("PUT", "/connectors/outbox/stop")
            self._wait_for("STOPPED", tasks=0)

    def go(self, settings: Mapping[str, str]) -> None:
        """Run the connector with these settings besides its own; returns when it says that it runs."""
        self._ask("PUT", "/connectors/outbox/config", self.config(settings))
        if self._configured:
            self._ask("PUT", "/connectors/outbox/resume")
        self._configured = True
        self._wait_for("RUNNING", tasks=1)

    def config(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The connector's configuration: the deployed one, less its headers, with these settings."""
        lines = [line for line in _DEPLOYED.read_text().splitlines() if line and not line.startswith("#")]
        deployed = dict(line.split("=", 1) for line in lines)
        parts = urlsplit(self._urls.owner)
        left_out = ("transforms.", "poll.", "max.", "name")
        kept_as_is = {name: value for name, value in deployed.items() if not name.startswith(left_out)}
        router = {name: value for name, value in deployed.items() if name.startswith("transforms.outbox.")}
        router.pop("transforms.outbox.table.fields.additional.placement")
        return {
            **kept_as_is,
            **router,
            "transforms": "outbox",
            "database.hostname": str(parts.hostname),
            "database.port": str(parts.port),
            "database.dbname": parts.path[1:],
            "database.user": str(parts.username),
            "database.password": str(parts.password or ""),
            "slot.name": self.slot,
            "publication.name": self.slot,
            **settings,
        }

    def _wait_for(self, state: str, *, tasks: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                status = self._ask("GET", "/connectors/outbox/status")
            except urllib.error.HTTPError as error:  # it is being made
                status = {"connector": {"state": str(error)}, "tasks": []}
            states = [task["state"] for task in status["tasks"]]
            if status["connector"]["state"] == state and states == [state] * tasks:
                return
            if "FAILED" in states or not self.running or time.monotonic() > deadline:
                raise ServerError(f"The connector is not {state}: {status}\n{self.tail()}")
            time.sleep(0.05)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def connected(folder: Path, bootstrap: str, urls: DatabaseUrls) -> Iterator[Connect]:
    """Kafka Connect, running, attached to the outbox; at the end nothing of it is left in PostgreSQL."""
    home = folder / f"connect-{uuid4().hex[:8]}"
    home.mkdir()
    connect = Connect(home, bootstrap, urls)
    connect.attach()
    try:
        connect.start(_PATIENCE)
        yield connect
    finally:
        connect.kill()
        connect.detach()


def installed() -> Path:
    """The folder whose `libs` has the jars; fetched if missing."""
    return kept(f"debezium-{VERSION}-kafka-{KAFKA}", _fetch)


def _fetch(folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise ServerError("Debezium's jars are fetched by Maven, and there is no `mvn` on the PATH.")
    where = (f"-Dkafka.version={KAFKA}", f"-DoutputDirectory={folder / 'libs'}")
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime", *where]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerError(f"mvn failed (exit {done.returncode}).\n{done.stdout}{done.stderr}")
