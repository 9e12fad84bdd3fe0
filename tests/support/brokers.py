"""Which broker the tests run on, and how one is started."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embedded.broker import Broker
from tests.support.containers import DockerKafka, docker_answers
from tests.support.kafka import Kafka
from tests.support.proxy import Proxy


class BrokerServer(Protocol):
    """What a test may do to a broker of its own: `Kafka`, `DockerKafka` and `Broker` have it."""

    port: int

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""

    def start(self) -> None:
        """Start, or start again on the same port; Apache Kafka has its data still, the embedded broker has none."""

    def stop(self) -> object:
        """Stop in order."""

    def kill(self) -> None:
        """A crash."""

    def freeze(self) -> None:
        """Alive, silent, its connections open."""

    def thaw(self) -> None:
        """Goes on after `freeze`."""


@dataclass(frozen=True)
class KafkaAddress:
    """A broker that tests share."""

    bootstrap: str
    idempotent: bool  # whether it knows the idempotent producer


@dataclass(frozen=True)
class OwnBroker:
    """A broker that one test may break. Clients reach it through `proxy`; `server` is the process behind."""

    proxy: Proxy
    server: BrokerServer
    idempotent: bool

    @property
    def bootstrap(self) -> str:
        """host:port of the proxy."""
        return self.server.bootstrap


def is_apache_kafka() -> bool:
    """Whether brokers that tests start are Apache Kafka's: in Docker where it answers, else on a JVM when asked for."""
    return docker_answers() or os.environ.get("TRAINING_TEST_BROKER") == "kafka"


def new_broker(folder: Path, *, advertised: int | None = None, steady: bool = False) -> BrokerServer:
    """A broker, not started yet; `advertised` is the port that clients are told to connect to.

    `steady` is for who measures it (see `Kafka`).
    """
    if docker_answers():
        return DockerKafka(advertised=advertised)
    if is_apache_kafka():
        return Kafka(folder, advertised=advertised, steady=steady)
    return Broker(folder / "broker.log", advertised=advertised)


def new_folder(parent: Path, name: str) -> Path:
    """A new folder for one server, in `parent`."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))


def dispose(server: BrokerServer) -> None:
    """Stop a broker and leave nothing of it but its folder."""
    if isinstance(server, DockerKafka):
        server.remove()
    else:
        server.thaw()
        server.stop()
