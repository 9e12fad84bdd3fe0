"""A load balancer: it leads each connection to a worker that says it is ready."""

import asyncio
import contextlib
from collections import Counter

from embedded.process import LOOPBACK
from embedded.worker import Worker
from tests.support.load import until

EVERY = 0.3  # seconds between two looks at a worker
FALL = 3  # looks
_CHUNK = 65_536  # bytes
_PATIENCE = 20.0  # seconds


class Balancer:
    """Leads connections to its workers, in turn, but for those that did not answer 200 on /health/ready `FALL` times.

    An async context manager, with the base address `url`. It asks nothing twice: a connection that a worker refuses or
    breaks is broken for the client too.
    """

    def __init__(self) -> None:
        self._workers: list[Worker] = []  # the next to be asked first
        self._ready: set[Worker] = set()
        self._failed: Counter[Worker] = Counter()  # looks, one after another
        self._open: Counter[Worker] = Counter()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> "Balancer":
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._looking.cancel()
        await asyncio.wait({self._looking, *self._connections})

    async def add(self, worker: Worker) -> None:
        """Take a worker in; returns when it is ready, and connections are led to it."""
        self._workers.append(worker)
        await until(lambda: worker in self._ready, _PATIENCE, "a new worker is ready")

    async def retire(self, worker: Worker) -> None:
        """Lead no more connections to a worker; returns when those that it has have ended. Then it may be stopped."""
        self._workers.remove(worker)
        self._ready.discard(worker)
        await until(lambda: not self._open[worker], _PATIENCE, "a worker's connections have ended")

    async def _look(self) -> None:
        while True:
            for worker in tuple(self._workers):
                ready = await asyncio.to_thread(worker.ready)
                self._failed[worker] = 0 if ready else self._failed[worker] + 1
                if ready and worker in self._workers:
                    self._ready.add(worker)
                elif self._failed[worker] >= FALL:
                    self._ready.discard(worker)
            await asyncio.sleep(EVERY)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        worker = self._next()
        with contextlib.closing(writer), contextlib.suppress(OSError):
            if worker is not None:
                self._open[worker] += 1
                try:
                    answers, there = await asyncio.open_connection(LOOPBACK, worker.port)
                    await asyncio.gather(_pipe(reader, there), _pipe(answers, writer))
                finally:
                    self._open[worker] -= 1

    def _next(self) -> Worker | None:
        for worker in tuple(self._workers):
            self._workers.append(self._workers.pop(0))
            if worker in self._ready:
                return worker
        return None


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError), contextlib.closing(writer):  # the other end sees that it is closed
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
