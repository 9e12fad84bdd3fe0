"""A TCP proxy on the loopback that can be away: what stands behind it keeps its state meanwhile."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from embedded.process import LOOPBACK

_CHUNK = 65_536  # bytes


class Proxy:
    """Forwards connections on `port`, fixed for its life, to `target` (a port, set before the first connection).

    It runs in a thread of its own, so that its methods may be called from tests of any kind; each returns when done.
    A context manager; it starts accepting.
    """

    def __init__(self, target: int | None = None) -> None:
        self.target = target
        self._delay = 0.0
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

    def delay(self, seconds: float) -> None:
        """From now on hold back what is sent, in both directions, for that long."""
        self._delay = seconds

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
        await asyncio.gather(self._pipe(reader, there), self._pipe(answers, writer))
        self._connections -= {writer, there}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # ended by either side, or by `cut`: told to the other side by what follows
        finally:
            writer.close()


def _bound(port: int) -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((LOOPBACK, port))
    return held
