"""A TCP proxy on the loopback that can be away, slow or deceitful: what stands behind it keeps its state meanwhile."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from embedded.process import LOOPBACK

_CHUNK = 65_536  # bytes
_SLICE_PAUSE = 0.001  # seconds between two slices, so that each travels alone

Way = Literal["there", "back"]  # from the client to the server, and from the server to the client


@dataclass
class _Pair:
    """A client's connection and the one behind it."""

    ends: tuple[asyncio.WriteTransport, asyncio.WriteTransport]
    dead: set[Way] = field(default_factory=set)  # directions in which something was lost
    unanswered: bool = False  # whether the next answer is one to lose


class Proxy:
    """Forwards connections on `port`, fixed for its life, to `target` (a port, set before the first connection).

    It runs in a thread of its own, so that its methods may be called from tests of any kind; each returns when done.
    A context manager; it starts accepting. `passed` counts the bytes that went through.
    """

    def __init__(self, target: int | None = None) -> None:
        self.target = target
        self.passed = 0
        self._delay = 0.0
        self._rate = 0.0
        self._slice = 0
        self._swallowed: frozenset[Way] = frozenset()
        self._unanswered: Callable[[bytes], bool] | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        # Bound and never listened on: nobody else gets the port while the proxy refuses.
        self._holder = _bound(0)
        self.port = int(self._holder.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def accept(self) -> None:
        """Let connections in (again)."""
        self._run(self._listen())

    def refuse(self) -> None:
        """End every connection and refuse new ones: what clients see of a server that is down."""
        self._run(self._unlisten())
        self.cut()

    def cut(self) -> None:
        """End every connection; new ones are let in."""
        self._run(self._cut())

    def reset(self) -> None:
        """End every connection by a TCP reset; new ones are let in."""
        self._run(self._reset())

    def delay(self, seconds: float) -> None:
        """From now on hold back what is sent, in both directions, for that long."""
        self._delay = seconds

    def throttle(self, rate: float) -> None:
        """From now on let so many bytes a second through, by connection and direction; 0 is no limit."""
        self._rate = rate

    def slice(self, size: int) -> None:
        """From now on forward at most so many bytes at a time, each piece alone; 0 is no limit."""
        self._slice = size

    def swallow(self, *ways: Way) -> None:
        """From now on take what is sent in these directions, and lose it; without arguments nothing is lost.

        A connection that lost something stays half-open, whatever is said later, until one of its ends gives it up.
        """
        self._swallowed = frozenset(ways)

    def lose_answers(self, to: Callable[[bytes], bool] | None) -> None:
        """From now on forward a request for which `to(bytes)` holds, and reset the connection when its answer comes.

        So what was asked for is done, and nobody hears of it. None ends it.
        """
        self._unanswered = to

    def heal(self) -> None:
        """Let connections in and forward what they send at once; half-open connections stay what they are."""
        self._delay, self._rate, self._slice = 0.0, 0.0, 0
        self._swallowed, self._unanswered = frozenset(), None
        self.accept()

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._run(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=_bound(self.port))

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        for writer in self._connections:
            writer.transport.abort()

    async def _reset(self) -> None:
        for writer in self._connections:
            _reset(writer.transport)

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            answers, there = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            self._connections.discard(writer)
            writer.transport.abort()
            return
        self._connections.add(there)
        if writer.is_closing():  # cut meanwhile
            there.transport.abort()
        pair = _Pair((writer.transport, there.transport))
        await asyncio.gather(self._pipe(reader, there, "there", pair), self._pipe(answers, writer, "back", pair))
        self._connections -= {writer, there}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, pair: "_Pair") -> None:
        try:
            while data := await reader.read(_CHUNK):
                if way in self._swallowed or way in pair.dead:
                    pair.dead.add(way)
                    continue
                if way == "there":
                    pair.unanswered |= self._unanswered is not None and self._unanswered(data)
                elif pair.unanswered:
                    for end in pair.ends:
                        _reset(end)
                    return
                await self._forward(data, writer)
        except OSError:
            pass  # ended by either side, or by `cut`: told to the other side by what follows
        finally:
            writer.close()

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        for piece in _pieces(data, self._slice):
            self.passed += len(piece)
            writer.write(piece)
            await writer.drain()
            pause = len(piece) / self._rate if self._rate else _SLICE_PAUSE if self._slice else 0.0
            if pause:
                await asyncio.sleep(pause)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    size = size or len(data)
    return (data[at : at + size] for at in range(0, len(data), size))


def _reset(transport: asyncio.WriteTransport) -> None:
    end = transport.get_extra_info("socket")
    if end is not None and end.fileno() >= 0:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _bound(port: int) -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((LOOPBACK, port))
    return held
