"""Apache Kafka on the JVM: one broker that is its own controller (KRaft), on free ports of the loopback.

Its jars come by Maven, once, into a cache outside the repository: `$TRAINING_TEST_CACHE`, by default the user's cache
folder. Needs Java 17 or newer, and Maven the first time.
"""

import fcntl
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from embedded.broker import serves
from embedded.process import LOOPBACK, Server, ServerError, free_port

_POM = Path(__file__).with_name("kafka-pom.xml")
VERSION = re.findall(r"<kafka\.version>(.+?)<", _POM.read_text())[0]
_CLUSTER_ID = "dGVzdHMtb2YtdHJhaW5pbg"  # any 16 bytes in base64; each broker is a cluster of its own


def properties(*, bind: str, port: int, controller_port: int, advertised: int, data: str) -> dict[str, str]:
    """Settings of a broker that is its own controller and tells clients to connect to 127.0.0.1:`advertised`."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://{bind}:{port},CONTROLLER://{bind}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{advertised}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": data,
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        # A killed broker, started again, waits for its own former registration to end.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


class Kafka(Server):
    """A broker whose data stands in `folder`/data: stopped or killed, it starts again with its data, on its port.

    `advertised` is the port that clients are told to connect to (a proxy's); by default its own.
    """

    def __init__(self, folder: Path, *, port: int | None = None, advertised: int | None = None) -> None:
        super().__init__(f"Apache Kafka {VERSION}", folder / "kafka.log", port)
        self._folder = folder
        self._advertised = advertised

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"{LOOPBACK}:{self._advertised or self.port}"

    def launch(self) -> None:
        cache = installed()
        data = self._folder / "data"
        if not data.exists():
            shutil.copytree(cache / "formatted", data)
        path = _write(self._folder, data, self.port, free_port(), self._advertised or self.port)
        self.spawn(_java(cache, "-Xms256m", "-Xmx768m", "-XX:+UseG1GC", "kafka.Kafka", str(path)))

    def ready(self) -> bool:
        return self.running and serves(self.port)


@functools.cache
def installed() -> Path:
    """The folder with Kafka's jars (`libs`) and a formatted data folder (`formatted`); fetched and made if missing."""
    root = Path(os.environ.get("TRAINING_TEST_CACHE") or platformdirs.user_cache_path("training-service"))
    cache = root / f"kafka-{VERSION}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one download at a time; kept until the file is closed
        if not cache.exists():
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                made = Path(scratch) / "kafka"
                _fetch(made)
                made.rename(cache)  # whole or not at all
    return cache


def _fetch(folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise ServerError("Apache Kafka's jars are fetched by Maven, and there is no `mvn` on the PATH.")
    libs = f"-DoutputDirectory={folder / 'libs'}"
    _run(["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime", libs])
    path = _write(folder, folder / "formatted", 9092, 9093, 9092)  # formatting opens no port
    _run(_java(folder, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(path)))


def _write(folder: Path, data: Path, port: int, controller_port: int, advertised: int) -> Path:
    settings = properties(
        bind=LOOPBACK, port=port, controller_port=controller_port, advertised=advertised, data=str(data)
    )
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def _java(cache: Path, *arguments: str) -> list[str]:
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [_java_17(), "-cp", f"{cache / 'libs'}/*", quiet, *arguments]


@functools.cache
def _java_17() -> str:
    java = shutil.which("java")
    if java is None:
        raise ServerError("Apache Kafka needs Java 17 or newer, and there is no `java` on the PATH.")
    says = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', says)
    if version is None or int(version[1]) < 17:
        raise ServerError(f"Apache Kafka needs Java 17 or newer; {java} says: {says.strip()}")
    return java


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerError(f"{command[0]} failed (exit {done.returncode}).\n{done.stdout}{done.stderr}")
