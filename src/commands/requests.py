"""`training requests`: what the log of requests holds, for who looks into an abuse or a complaint."""

import argparse
import asyncio
import datetime as dt
import sys

import orjson

from commands.database import opened
from commands.environment import service_settings
from storage.request_log import StoredRequest, read


def requests(args: argparse.Namespace) -> int:
    """`training requests`: print requests as lines of JSON, newest first."""
    for request in asyncio.run(_read(service_settings().owner_url, args)):
        sys.stdout.buffer.write(orjson.dumps(request._asdict(), option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
    return 0


async def _read(url: str, args: argparse.Namespace) -> list[StoredRequest]:
    since = args.since or dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    async with opened(url) as database:
        return await read(
            database,
            user_id=args.user,
            status=args.status,
            since=since,
            until=args.until,
            limit=args.limit,
        )
