"""`training erasures`: the tombstones of erased users as a file, by which an older backup erases them again."""

import argparse
import asyncio
from datetime import datetime

import orjson

from commands.database import opened
from commands.environment import CommandError, service_settings
from storage.erasures import add_tombstones, read_tombstones

_LONGEST = 3600.0  # seconds: every table is looked through
_BYTES = 32  # of a tombstone


def export(args: argparse.Namespace) -> int:
    """`training erasures export`: one line of JSON a tombstone."""
    found = asyncio.run(_read(service_settings().owner_url))
    lines = [orjson.dumps({"tombstone": tombstone, "erased_at": at}) + b"\n" for tombstone, at in found]
    try:
        args.file.write_bytes(b"".join(lines))
    except OSError as error:
        raise CommandError(f"{args.file} cannot be written: {error.strerror}.") from None
    print(f"{len(found):,} tombstones are in {args.file}.")
    return 0


def import_(args: argparse.Namespace) -> int:
    """`training erasures import`: refuse these users from now on, and have erased who of them is here."""
    try:
        lines = args.file.read_bytes().splitlines()
    except OSError as error:
        raise CommandError(f"{args.file} cannot be read: {error.strerror}.") from None
    tombstones = [_tombstone(number, line) for number, line in enumerate(lines, 1)]
    added, returned = asyncio.run(_add(service_settings().owner_url, tombstones))
    print(f"{added:,} of {len(tombstones):,} tombstones are new; {returned:,} users are being erased again.")
    return 0


def _tombstone(number: int, line: bytes) -> tuple[str, str]:
    try:
        found = orjson.loads(line)
        tombstone, at = found["tombstone"], found["erased_at"]
        known = len(bytes.fromhex(tombstone)) == _BYTES and datetime.fromisoformat(at).tzinfo is not None
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise CommandError(f"Line {number} is no tombstone. Nothing was taken in.")
    return tombstone, at


async def _read(url: str) -> list[tuple[str, str]]:
    async with opened(url) as database:
        return await read_tombstones(database)


async def _add(url: str, tombstones: list[tuple[str, str]]) -> tuple[int, int]:
    async with opened(url) as database:
        return await add_tombstones(database, tombstones, statement_timeout=_LONGEST)
