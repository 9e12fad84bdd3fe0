"""The contract between log and topic (I1–I4), judged from outside by what stands in both."""

from collections import Counter, defaultdict
from dataclasses import dataclass

import psycopg2

from tests.support.topic import Record, read_topic


@dataclass(frozen=True)
class Verdict:
    """What was found: the violations, and how many copies of events there were beyond the first."""

    violations: tuple[str, ...]
    events: int
    duplicates: int


async def judge(owner_url: str, bootstrap: str, topic: str) -> Verdict:
    """Compare the log in PostgreSQL with the topic."""
    return compare(read_log(owner_url, topic), await read_topic(bootstrap, topic))


def read_log(owner_url: str, topic: str) -> dict[str, tuple[str, str]]:
    """The log's events for a topic: event_id → (user_id, payload)."""
    connection = psycopg2.connect(owner_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT event_id::text, user_id::text, payload FROM outbox WHERE topic = %s", (topic,))
            return {event_id: (user_id, payload) for event_id, user_id, payload in cursor}
    finally:
        connection.close()


def compare(log: dict[str, tuple[str, str]], records: list[Record]) -> Verdict:
    """Judge I1–I4."""
    violations: list[str] = []
    copies: dict[str, list[Record]] = defaultdict(list)
    versions: dict[str, list[int]] = defaultdict(list)
    for record in records:
        event = record.event
        if not copies[record.event_id]:
            versions[event["payload"]["training_id"]].append(event["payload"]["version"])
        copies[record.event_id].append(record)
    violations += [f"I1 lost: {event_id}" for event_id in log.keys() - copies.keys()]
    violations += [f"I2 phantom: {event_id}" for event_id in copies.keys() - log.keys()]
    for training, found in versions.items():
        if found != list(range(1, len(found) + 1)):
            violations.append(f"I3 order: {training} {found}")
    for event_id, found in copies.items():
        if len({(copy.partition, copy.key, copy.value, copy.headers) for copy in found}) > 1:
            violations.append(f"I4 copies differ: {event_id}")
        if event_id in log and (found[0].key.decode(), found[0].value.decode()) != log[event_id]:
            violations.append(f"I4 not what the log has: {event_id}")
    counts = Counter({event_id: len(found) - 1 for event_id, found in copies.items()})
    return Verdict(tuple(violations), len(copies), counts.total())
