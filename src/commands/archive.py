"""`training archive`: rows of the log in files, and back."""

import argparse
import asyncio
import datetime as dt
import sys
from pathlib import Path

from commands.database import opened
from commands.environment import CommandError, service_settings
from models.errors import Conflict
from settings import Settings
from storage import archiving
from storage.archives import adopt as adopt_folder
from storage.archives import list_archives

_LOCKS = "-c lock_timeout=5000"  # milliseconds that a month may wait for who reads it
_MARGIN = 31  # days that a broker may keep records beyond their time


def archive(args: argparse.Namespace) -> int:
    """`training archive --before DATE|2y`: move the log rows of trainings that nobody has changed since into files."""
    settings = service_settings()
    if args.before is None:
        raise CommandError("What is to be archived? Give --before, or a command (`training archive --help`).")
    if args.before > dt.datetime.now(dt.UTC).date():
        raise CommandError("--before: the day lies in the future.")
    trainings = asyncio.run(_archive(settings, _folder(settings), args.before))
    if not trainings:
        print(f"No training that is settled was changed last before {args.before}.")
    return 0


def restore(args: argparse.Namespace) -> int:
    """`training archive restore`: put the rows of a month, or all, back into the log."""
    settings = service_settings()
    if not asyncio.run(_restore(settings, _folder(settings), args.month)):
        raise CommandError("No archive is of that month." if args.month else "Nothing is archived.")
    return 0


def adopt(_: argparse.Namespace) -> int:
    """`training archive adopt`: have the folder be this database's, which was moved or promoted."""
    settings = service_settings()
    asyncio.run(_adopt(settings, _folder(settings)))
    return 0


def list_(_: argparse.Namespace) -> int:
    """`training archive list`: a line for each file."""
    asyncio.run(_list(service_settings()))
    return 0


def verify(_: argparse.Namespace) -> int:
    """`training archive verify`: exit code 0 when every file is there, and is what was written."""
    settings = service_settings()
    return asyncio.run(_verify(settings, _folder(settings)))


def _folder(settings: Settings) -> Path:
    if settings.archive_dir is None:
        raise CommandError("TRAINING_ARCHIVE_DIR is not set: it names the folder of archives.")
    return settings.archive_dir


async def _archive(settings: Settings, folder: Path, before: dt.date) -> int:
    trainings = 0
    async with opened(settings.owner_url) as database:
        try:
            async for made in archiving.archive(database, folder, before):
                trainings += made.trainings
                holds = f"{made.trainings:,} trainings, {made.rows:,} rows, {made.bytes:,} bytes"
                print(f"{made.file}: {holds}", flush=True)
        except Conflict as error:
            raise CommandError(str(error)) from None
    # An event that comes back from the topic needs its month.
    kept = dt.timedelta(days=min(settings.topic_retention_days, 36_500) + _MARGIN)
    async with opened(settings.owner_url, _LOCKS) as owner:
        try:
            for month in await archiving.drop_months(owner, min(before, dt.datetime.now(dt.UTC).date() - kept)):
                print(f"{month.name}: empty, " + (f"and kept: {month.kept}" if month.kept else "dropped"))
        except Conflict as error:
            print(error, file=sys.stderr)
    return trainings


async def _restore(settings: Settings, folder: Path, month: dt.date | None) -> int:
    count = 0
    async with opened(settings.owner_url) as database:
        async for done in archiving.restore(database, folder, month):
            count += 1
            erased = f", {done.erased:,} of erased users are gone" if done.erased else ""
            print(f"{done.archive.name}: {done.rows:,} rows are in the log again{erased}", flush=True)
    return count


async def _adopt(settings: Settings, folder: Path) -> None:
    async with opened(settings.owner_url) as database:
        for name in await adopt_folder(database, folder):
            print(f"{name}: this database does not know it; what is archived, restored or erased next removes it")
    print(f"{folder} is this database's.")


async def _list(settings: Settings) -> None:
    async with opened(settings.worker_url) as database:
        for each in await list_archives(database):
            holds = f"{each.trainings:,} trainings, {each.rows:,} rows, {each.bytes:,} bytes"
            print(f"{each.name}: {holds}, sha256 {each.sha256}, {each.created_at:%Y-%m-%d %H:%M:%SZ}")


async def _verify(settings: Settings, folder: Path) -> int:
    faults = count = 0
    async with opened(settings.worker_url) as database:
        async for each, fault in archiving.check(database, folder):
            count += 1
            faults += fault is not None
            print(f"{each.name}: {fault or 'as it was written'}", flush=True)
    print(f"{count:,} archives read, {faults:,} are not as they were written.")
    return 1 if faults else 0
