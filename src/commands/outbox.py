"""`training outbox`: how the relay stands, and what to do about events that the broker refused."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Iterator

import orjson
from aiokafka.errors import KafkaConnectionError, KafkaError

from commands.database import opened
from commands.environment import CommandError, one_line, service_settings
from models.outbox import Held, OutboxStatus
from outbox.replay import Replayed
from outbox.replay import replay as publish_again
from settings import Settings
from storage.outbox import ask, quarantined
from storage.outbox import status as read_status


def status(args: argparse.Namespace) -> int:
    """`training outbox status`: as a table, or with `--json` as one document."""
    found, held = asyncio.run(_status(service_settings().worker_url))
    if args.json:
        document = {**found._asdict(), "held": [event._asdict() for event in held]}
        sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    else:
        print("\n".join(table(found, held)))
    return 0


def retry(args: argparse.Namespace) -> int:
    """`training outbox retry`: have refused events published again."""
    return _ask("retry", args)


def skip(args: argparse.Namespace) -> int:
    """`training outbox skip`: give refused events up, so that later ones of the same kind and id are published."""
    return _ask("skip", args)


def table(found: OutboxStatus, held: list[Held]) -> Iterator[str]:
    """The lines of `training outbox status`."""
    leader = f"{found.owner} (lease: {found.lease_left:.1f} s left)" if found.owner else "nobody"
    yield f"waiting      {found.depth:,} events"
    yield f"lag          {found.lag:.1f} s"
    yield f"relay        {leader}"
    yield f"epoch        {found.epoch}{', recovering' if found.recovering else ''}"
    for topic, generation in found.generations.items():
        yield f"topic        {topic}, made {generation} times"
    yield f"quarantined  {found.quarantined:,} events"
    for event in held:
        asked = "" if event.state == "held" else f", {event.state} is asked for"
        yield (
            f"  seq {event.seq} for {event.topic}: {event.aggregate_id} version {event.version} of user "
            f"{event.user_id}, since {event.since:%Y-%m-%d %H:%M:%SZ}{asked}: {event.error}"
        )


def replay(args: argparse.Namespace) -> int:
    """`training outbox replay`: publish again what was published of a user, a training, a workout or a time."""
    if not (args.user or args.training or args.workout or args.since or args.until):
        raise CommandError("What is to be replayed? Give --user, --training, --workout, --from or --to.")
    done = asyncio.run(_replay(service_settings(), args))
    if done.records:
        print(f"{done.records:,} events are on {' and '.join(done.topics)} again, with the header replay {done.id}.")
    else:
        print("No event that was published is one of these.")
    return 0


async def _replay(settings: Settings, args: argparse.Namespace) -> Replayed:
    async with opened(settings.worker_url) as database:
        try:
            return await publish_again(
                settings,
                database,
                user_id=args.user,
                training_id=args.training,
                workout_id=args.workout,
                since=args.since,
                until=args.until,
                topic=args.to_topic,
                broadcast=args.broadcast,
            )
        except KafkaConnectionError as error:
            raise CommandError(f"No broker answers at {settings.kafka_bootstrap}: {one_line(error)}") from None
        except KafkaError as error:
            raise CommandError(one_line(error)) from None


async def _status(url: str) -> tuple[OutboxStatus, list[Held]]:
    async with opened(url) as database:
        return await read_status(database), await quarantined(database)


def _ask(state: str, args: argparse.Namespace) -> int:
    count = asyncio.run(_asked(service_settings().worker_url, state, args))
    if count == 0:
        raise CommandError("No such event is held in quarantine (`training outbox status` lists them).")
    print(f"{count:,} events: the relay will {state} them.")
    return 0


async def _asked(url: str, state: str, args: argparse.Namespace) -> int:
    async with opened(url) as database:
        return await ask(database, state, seq=args.seq, asked_by=getpass.getuser(), reason=args.reason)
