"""The rolling upgrade: from the version before the newest migration to this one, while clients write and read."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from drills.balancer import Balancer
from drills.clients import Clients
from drills.judgement import Outcome, judge
from drills.previous import Version, present_version, previous_version
from drills.stack import Stack
from embedded.worker import Worker
from tests.support.brokers import KafkaAddress
from tests.support.databases import Databases

WORKERS = 2
_PHASE = 60  # writes in each phase of the upgrade, at least
_ATTEMPTS = 5  # of a migration that something held up
_STOP = 15.0  # seconds until a worker that was asked to stop is killed


@dataclass(frozen=True, kw_only=True)
class Upgrade(Outcome):
    """What came of it. Times are in seconds."""

    before: Version
    after: Version
    migration: float
    attempts: int
    """Runs of `training migrate` until one succeeded."""
    slowest: float
    """The longest answer while it ran."""
    replacements: tuple[float, ...]
    """From the end of a worker's connections to its successor's being ready."""
    requests: int
    failed: int
    """Requests that got no answer, or a wrong one."""
    writes: int
    """Writes that were acknowledged."""

    def report(self) -> str:
        """For operators."""
        figures = {
            "training migrate": f"{self.migration:.1f} s, attempts: {self.attempts}",
            "longest answer meanwhile": f"{self.slowest:.2f} s",
            "each worker replaced within": ", ".join(f"{took:.1f} s" for took in self.replacements),
            "requests": self.requests,
            "failed": self.failed,
            "writes acknowledged": self.writes,
            "not in the log": len(self.judgement.lost),
        }
        return self._told(f"Rolling upgrade from {self.before} to {self.after}", figures)


async def upgrade(folder: Path, admin_url: str, kafka: KafkaAddress, commit: str | None = None) -> Upgrade:
    """Upgrade a service of two workers on a database of its own, of the server where `admin_url` is a superuser.

    `commit` names the version to begin with, `previous_version` says which else. Raises `NoPreviousVersionError`, and
    an error that says why where the upgrade cannot be ended.
    """
    (folder / "before").mkdir()
    before, after = previous_version(folder / "before", commit), present_version()
    with Databases(admin_url) as databases:
        name = databases.create_empty()
        stack = Stack(folder, databases.urls(name), kafka)
        try:
            return await _upgrade(stack, before, after)
        finally:
            stack.close()
            databases.drop(name)


async def _upgrade(stack: Stack, before: Version, after: Version) -> Upgrade:
    await stack.migrate(before)
    old = await asyncio.gather(*(stack.start(before) for _ in range(WORKERS)))
    new: list[Worker] = []
    replacements: list[float] = []
    faults: list[str] = []
    async with Balancer() as balancer:
        for worker in old:
            await balancer.add(worker)
        await stack.flows(*old)
        async with Clients(balancer.url) as clients:
            told = clients.told
            await clients.write(_PHASE)
            told.slowest = 0.0
            began = monotonic()
            attempts = await stack.migrate(after, _ATTEMPTS)
            migration, slowest = monotonic() - began, told.slowest
            await clients.write(_PHASE)  # the old code on the new schema
            for worker in old:
                await balancer.retire(worker)
                began = monotonic()
                code = await asyncio.to_thread(worker.stop, _STOP)
                if code != 0:
                    faults.append(f"a worker of {before} stopped with exit code {code}\n{worker.tail()}")
                successor = await stack.start(after)
                await balancer.add(successor)
                replacements.append(monotonic() - began)
                new.append(successor)
                await clients.write(_PHASE)  # both side by side, and in the end the new code alone
        await stack.flows(*new)
    judgement = await judge(stack, after, told.writes)
    if judgement.lost:
        faults.append(f"{len(judgement.lost)} writes that were acknowledged are not in the log")
    return Upgrade(
        before=before,
        after=after,
        migration=migration,
        attempts=attempts,
        slowest=slowest,
        replacements=tuple(replacements),
        requests=told.requests,
        writes=len(told.writes),
        judgement=judgement,
        failed=len(told.failures),
        faults=(*told.failures, *faults, *judgement.faults),
        errors=tuple(stack.errors()),
    )
