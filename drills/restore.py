"""The restore: a base backup is made while clients write, the database is lost, and the backup takes its place."""

import asyncio
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from drills.clients import Clients
from drills.judgement import Outcome, judge
from drills.previous import Version, present_version
from drills.stack import Stack
from embedded.postgres import Postgres, programs
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.replica import copy_of

_PHASE = 100  # writes before the backup and after it, at least
_STOP = 15.0  # seconds until a worker that was asked to stop is killed


@dataclass(frozen=True, kw_only=True)
class Restore(Outcome):
    """What came of it. Times are in seconds."""

    version: Version
    backup: float
    """Making it and verifying it."""
    size: int
    """Bytes of the backup."""
    ready: float
    """From the beginning of the restore to a worker that serves."""
    whole: float
    """… and until what was lost and published is back, and folded."""
    writes: int
    """Writes that were acknowledged before the loss."""

    def report(self) -> str:
        """For operators."""
        figures = {
            "backup": f"{self.size / 2**20:.0f} MiB, made and verified within {self.backup:.1f} s",
            "restore until a worker is ready": f"{self.ready:.1f} s",
            "until all is back and folded": f"{self.whole:.1f} s",
            "writes acknowledged before the loss": self.writes,
            "events taken back from the topics": self.judgement.restored,
            "writes lost, not published yet": len(self.judgement.lost),
        }
        return self._told(f"Restore of {self.version} from a base backup", figures)


async def restore(folder: Path, server: Postgres, urls: DatabaseUrls, kafka: KafkaAddress) -> Restore:
    """Lose the migrated database `urls` with the whole `server`, and restore both.

    The server that takes its place has its address; it is stopped in the end. Raises an error that says why where the
    restore cannot be ended.
    """
    stack = Stack(folder, urls, kafka)
    successor = Postgres(server.datadir.with_name("backup"), port=server.port, options=server.options)
    try:
        return await _restore(stack, server, successor)
    finally:
        stack.close()
        successor.stop()


async def _restore(stack: Stack, server: Postgres, successor: Postgres) -> Restore:
    version = present_version()
    worker = await stack.start(version)
    await stack.flows(worker)
    async with Clients(worker.url) as clients:
        before = clients.told
        await clients.write(_PHASE)
        began = monotonic()
        size = await asyncio.to_thread(_back_up, server, successor.datadir)
        backup = monotonic() - began
        await clients.write(_PHASE)
        failures = tuple(before.failures)
        server.kill()
    await asyncio.to_thread(worker.stop, _STOP)
    shutil.rmtree(server.datadir)

    began = monotonic()
    successor.start()
    await stack.migrate(version)
    worker = await stack.start(version)
    ready = monotonic() - began
    await stack.flows(worker)
    whole = monotonic() - began

    async with Clients(worker.url) as clients:
        after = clients.told
        await clients.write(_PHASE)
    await stack.flows(worker)
    found = await judge(stack, version, (*before.writes, *after.writes))
    faults = [*failures, *after.failures, *found.faults]
    if not found.lost.isdisjoint(after.writes):
        faults.append("writes that were acknowledged after the restore are not in the log")
    if not found.restored:
        faults.append("nothing came back from the topics: the drill lost nothing that was published")
    return Restore(
        version=version,
        backup=backup,
        size=size,
        ready=ready,
        whole=whole,
        writes=len(before.writes),
        judgement=found,
        faults=tuple(faults),
        errors=tuple(stack.errors()),
    )


def _back_up(server: Postgres, folder: Path) -> int:
    """Make a base backup in `folder`, and verify it; returns its size in bytes."""
    copy_of(server, folder)
    subprocess.run([str(programs() / "pg_verifybackup"), str(folder)], check=True, capture_output=True, timeout=120)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
