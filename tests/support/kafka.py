"""Apache Kafka on the JVM: one broker that is its own controller (KRaft), on free ports of the loopback.

Its jars come by Maven, once, into the cache of tests/support/cache.py. Needs Java 17 or newer, and Maven the first
time.
"""

import functools
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedded.broker import serves
from embedded.process import LOOPBACK, Server, ServerError, free_port
from tests.support.cache import kept

_POM = Path(__file__).with_name("kafka-pom.xml")
VERSION = re.findall(r"<kafka\.version>(.+?)<", _POM.read_text())[0]
_QUICK = "-XX:TieredStopAtLevel=1"  # compiles little: what does not run for long is there in two thirds of the time
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


@dataclass
class Listener:
    """One more way into a broker: `protocol` is Kafka's security protocol, `settings` are the listener's own."""

    name: str
    protocol: str
    settings: Mapping[str, str] = field(default_factory=dict)
    advertised: int | None = None  # the port that clients are told to connect to; by default its own
    port: int = 0  # chosen at the first start

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"{LOOPBACK}:{self.advertised or self.port}"


class Kafka(Server):
    """A broker whose data stands in `folder`/data: stopped or killed, it starts again with its data, on its port.

    `advertised` is the port that clients are told to connect to (a proxy's); by default its own. `listeners` are ways
    in beside the plain one, `more` are further settings of the broker. `steady`: it is compiled for long work, which
    costs time at the start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        advertised: int | None = None,
        listeners: Sequence[Listener] = (),
        more: Mapping[str, str] | None = None,
        steady: bool = False,
    ) -> None:
        super().__init__(f"Apache Kafka {VERSION}", folder / "kafka.log", port)
        self._compiler = [] if steady else [_QUICK]
        self._listeners = listeners
        self._more = dict(more or {})
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
        ports = [self.port]
        for listener in self._listeners:
            listener.port = listener.port or _another_port(ports)
            ports.append(listener.port)
        settings = properties(
            bind=LOOPBACK,
            port=self.port,
            controller_port=_another_port(ports),
            advertised=self._advertised or self.port,
            data=str(data),
        )
        for listener in self._listeners:
            settings["listeners"] += f",{listener.name}://{LOOPBACK}:{listener.port}"
            settings["advertised.listeners"] += f",{listener.name}://{listener.bootstrap}"
            settings["listener.security.protocol.map"] += f",{listener.name}:{listener.protocol}"
            prefix = f"listener.name.{listener.name.lower()}."
            settings |= {prefix + name: value for name, value in listener.settings.items()}
        path = _write(self._folder, settings | self._more)
        heap = ("-Xms256m", "-Xmx768m", "-XX:+UseG1GC")
        self.spawn(_java(cache, *heap, *self._compiler, "kafka.Kafka", str(path)))

    def ready(self) -> bool:
        return self.running and serves(self.port)

    def tool(self, main: str, *arguments: str) -> None:
        """Run one of Kafka's own tools on this broker, over its plain listener. Raises `ServerError`."""
        _run(_java(installed(), _QUICK, main, "--bootstrap-server", self.bootstrap, *arguments))


def _another_port(taken: Sequence[int]) -> int:
    while (port := free_port()) in taken:
        pass
    return port


@functools.cache
def installed() -> Path:
    """The folder with Kafka's jars (`libs`) and a formatted data folder (`formatted`); fetched and made if missing."""
    return kept(f"kafka-{VERSION}", _fetch)


def _fetch(folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise ServerError("Apache Kafka's jars are fetched by Maven, and there is no `mvn` on the PATH.")
    libs = f"-DoutputDirectory={folder / 'libs'}"
    _run(["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime", libs])
    data = str(folder / "formatted")
    path = _write(folder, properties(bind=LOOPBACK, port=9092, controller_port=9093, advertised=9092, data=data))
    _run(_java(folder, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(path)))


def _write(folder: Path, settings: Mapping[str, str]) -> Path:
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
