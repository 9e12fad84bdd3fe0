"""`training analytics`: hold the derived tables to the log, or make them anew from it."""

import argparse
import asyncio
import sys
import time

from agents.volume_audit import Difference, Rebuilt, Verification
from agents.volume_audit import rebuild as rebuild_tables
from agents.volume_audit import verify as verify_tables
from commands.database import opened
from commands.environment import service_settings
from settings import Settings
from storage.fold_state import read_freshness

_POLL_INTERVAL = 0.2  # seconds between two looks whether the fold is at the log's end


def verify(args: argparse.Namespace) -> int:
    """`training analytics verify`: exit code 0 when every row is what the log says, and none is missing."""
    found = asyncio.run(_verify(service_settings(), args.wait))
    for difference in found.differences:
        print(shown(difference))
    if found.different > len(found.differences):
        print(f"… and {found.different - len(found.differences):,} rows more.")
    print(
        f"{found.users:,} users, {found.trainings:,} trainings compared: {found.different:,} rows differ, "
        f"{found.behind:,} trainings, names or users wait for the agents."
    )
    if found.behind and not found.different:
        print("Agents fold them when they run; --wait SECONDS waits for that.", file=sys.stderr)
    return 0 if found.ok else 1


def rebuild(_: argparse.Namespace) -> int:
    """`training analytics rebuild`: fold the whole log again; agents may go on meanwhile."""
    done = asyncio.run(_rebuild(service_settings()))
    changed = ", ".join(f"{table} {count:,}" for table, count in done.changed.items())
    print(f"{done.events:,} events folded; rows that were not as the log says: {changed}.")
    return 0


async def _verify(settings: Settings, wait: float) -> Verification:
    deadline = time.monotonic() + wait
    async with opened(settings.worker_url) as database:
        while True:
            waiting = time.monotonic() < deadline
            fresh = await read_freshness(database)
            if waiting and (fresh.behind or fresh.stale_users):
                await asyncio.sleep(_POLL_INTERVAL)
                continue
            found = await verify_tables(database, settings.archive_dir)
            # What was written meanwhile may be behind again.
            if found.ok or found.different or not waiting:
                return found


async def _rebuild(settings: Settings) -> Rebuilt:
    async with opened(settings.owner_url) as database:
        return await rebuild_tables(database, settings.archive_dir)


def shown(difference: Difference) -> str:
    """A difference as one line."""
    row = f"{difference.table} ({', '.join(f'{name} {value}' for name, value in difference.key.items())})"
    if difference.found is None:
        return f"{row} is missing"
    if difference.expected is None:
        return f"{row} should not be there"
    columns = [f"{name} is {difference.found[name]}, by the log {value}" for name, value in difference.expected.items()]
    return f"{row}: {'; '.join(columns)}"
