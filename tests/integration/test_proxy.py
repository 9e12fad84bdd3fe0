"""The proxy that tests put before a broker."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from embedded.process import LOOPBACK
from tests.support.brokers import OwnBroker
from tests.support.proxy import Proxy, Way


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1024):
            self.request.sendall(data)


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that sends back what it gets."""
    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=5)


def ask(connection: socket.socket, data: bytes = b"ping") -> bytes:
    connection.sendall(data)
    return connection.recv(1024)


def ended(connection: socket.socket) -> bool:
    try:
        return ask(connection) == b""
    except ConnectionError:
        return True


def test_it_forwards_both_ways(echo: int) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection:
        assert ask(connection) == b"ping"


def test_refused_connections_are_refused_and_old_ones_cut(echo: int) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection:
        assert ask(connection) == b"ping"
        proxy.refuse()
        assert ended(connection)
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        proxy.accept()
        with connect(proxy) as again:
            assert ask(again) == b"ping"


def test_cut_lets_new_connections_in(echo: int) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection:
        assert ask(connection) == b"ping"
        proxy.cut()
        assert ended(connection)
        with connect(proxy) as again:
            assert ask(again) == b"ping"


def test_a_reset_is_one(echo: int) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection:
        assert ask(connection) == b"ping"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1024)


def test_delay_holds_both_directions_back(echo: int) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection:
        proxy.delay(0.1)
        began = time.monotonic()
        assert ask(connection) == b"ping"
        assert time.monotonic() - began >= 0.2


def test_throttled_and_sliced_bytes_all_arrive_late_and_apart(echo: int) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection:
        proxy.slice(3)
        proxy.throttle(50)
        began, received = time.monotonic(), []
        connection.sendall(b"0123456789")
        while sum(map(len, received)) < 10:
            received.append(connection.recv(1024))
        assert b"".join(received) == b"0123456789"
        assert len(received) > 1
        assert time.monotonic() - began >= 0.15
        assert proxy.passed == 20
        proxy.heal()
        assert ask(connection, b"x" * 500) == b"x" * 500


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_connection_that_lost_bytes_stays_half_open(echo: int, way: Way) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection, connect(proxy) as idle:
        assert ask(idle) == b"ping"
        proxy.swallow(way)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            ask(connection)
        proxy.heal()
        with pytest.raises(TimeoutError):
            ask(connection)
        assert ask(idle) == b"ping"  # nothing of it was lost
        with connect(proxy) as fresh:
            assert ask(fresh) == b"ping"


def test_a_lost_answer_is_to_a_request_that_arrived() -> None:
    arrived: list[bytes] = []

    class Server(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(1024):
                arrived.append(data)
                self.request.sendall(b"done")

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Server) as server:
        threading.Thread(target=server.serve_forever).start()
        with Proxy(server.server_address[1]) as proxy, connect(proxy) as connection:
            proxy.lose_answers(lambda data: b"COMMIT" in data)
            assert ask(connection, b"SELECT") == b"done"
            with pytest.raises(ConnectionResetError):
                ask(connection, b"COMMIT")
            assert arrived == [b"SELECT", b"COMMIT"]
            proxy.heal()
            with connect(proxy) as again:
                assert ask(again, b"COMMIT") == b"done"
        server.shutdown()


def test_nothing_behind_it_is_an_end(echo: int) -> None:
    with Proxy(1) as proxy, connect(proxy) as connection:
        assert ended(connection)


def test_a_broker_behind_it_keeps_its_port_and_state(own_broker: OwnBroker) -> None:
    assert own_broker.bootstrap == f"{LOOPBACK}:{own_broker.proxy.port}"
    assert own_broker.proxy.target == own_broker.server.port != own_broker.proxy.port
