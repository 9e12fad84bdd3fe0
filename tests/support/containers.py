"""Servers in containers, through testcontainers, where a Docker engine answers."""

import functools
import os
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from docker.utils import parse_host
from testcontainers.core.container import DockerContainer

from embedded.broker import serves
from embedded.process import LOOPBACK, ServerError, free_port
from tests.support.kafka import VERSION, properties

_LISTENER = 9092
_START_TIMEOUT = 60.0  # seconds


@functools.cache
def docker_answers() -> bool:
    """Whether a Docker engine accepts connections here. Not asked through docker-py: it leaks the socket that fails."""
    address = urlsplit(parse_host(os.environ.get("DOCKER_HOST")))
    try:
        if address.scheme == "http+unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(address.path)
        else:
            socket.create_connection((address.hostname or "", address.port or 22), timeout=3).close()
    except OSError:
        return False
    return True


class DockerPostgres:
    """PostgreSQL 18 in a container."""

    def __init__(self) -> None:
        self._container = (
            DockerContainer("postgres:18")
            .with_env("POSTGRES_PASSWORD", "postgres")
            .with_command(
                "postgres -c fsync=off -c wal_level=logical -c max_connections=200 -c max_prepared_transactions=2"
            )
            .with_exposed_ports(5432)
        )

    @property
    def url(self) -> str:
        """libpq's URL of the superuser."""
        host, port = self._container.get_container_host_ip(), self._container.get_exposed_port(5432)
        return f"postgresql://postgres:postgres@{host}:{port}/postgres"

    def start(self) -> None:
        """Start; returns when it listens for good: its entry point starts it twice, the first time for itself only."""
        self._container.start()
        command = ["pg_isready", "--host=127.0.0.1", "--username=postgres"]
        _wait_until(lambda: self._container.exec(command).exit_code == 0, "PostgreSQL")

    def stop(self) -> None:
        """Stop and remove it."""
        self._container.stop()


class DockerKafka:
    """Apache Kafka in a container, with the methods of `tests.support.kafka.Kafka`."""

    def __init__(self, *, advertised: int | None = None) -> None:
        self.port = free_port()
        self._advertised = advertised or self.port
        self._container = DockerContainer(f"apache/kafka:{VERSION}").with_bind_ports(_LISTENER, self.port)
        settings = properties(
            bind="0.0.0.0", port=_LISTENER, controller_port=9093, advertised=self._advertised, data="/tmp/data"
        )
        for name, value in settings.items():
            self._container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        self._made = False

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"{LOOPBACK}:{self._advertised}"

    def start(self) -> None:
        """Start, or start again with the same data and port; returns when a leader is named."""
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        _wait_until(lambda: serves(self.port), "Apache Kafka")

    def stop(self) -> None:
        """SIGTERM; the container and its data stay for the next start."""
        self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        """SIGKILL."""
        self._container.get_wrapped_container().kill()

    def freeze(self) -> None:
        """Alive, silent, its connections open."""
        self._container.get_wrapped_container().pause()

    def thaw(self) -> None:
        """Goes on after `freeze`."""
        self._container.get_wrapped_container().unpause()

    def remove(self) -> None:
        """Stop and remove it with its data."""
        self._container.stop()


def _wait_until(ready: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while not ready():
        if time.monotonic() > deadline:
            raise ServerError(f"{name} in a container did not answer within {_START_TIMEOUT:g} s.")
        time.sleep(0.1)
