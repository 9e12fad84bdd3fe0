"""Counts each user's completed trainings from `training_events`, exactly once in effect.

    python consumer.py 127.0.0.1:9092 completed.sqlite

Records come at least once, so the id of every event that counted is stored with the count, in one transaction: a copy
of it changes nothing. The offsets are committed afterwards; what a crash leaves uncommitted comes again.

A training whose payload says `hidden` is PLANNED, and its athlete must not learn of it: it counts for nothing here, and
whoever shows trainings leaves it out. Of a user who was erased nothing is kept.
"""

import asyncio
import json
import sqlite3
import sys
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import CommitFailedError, IllegalStateError

TYPES = {"training_created", "training_updated", "training_deleted", "user_erased"}
TABLES = """
CREATE TABLE IF NOT EXISTS seen (event_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS completed (user_id TEXT PRIMARY KEY, trainings INTEGER NOT NULL);
"""
COUNT = """
INSERT INTO completed VALUES (?, ?) ON CONFLICT (user_id) DO UPDATE SET trainings = trainings + excluded.trainings
"""


def change(event: dict) -> int:
    """By how many completed trainings the event changes its user's count: -1, 0 or 1."""
    payload = event["payload"]
    deleted = event["event_type"] == "training_deleted"
    # A deletion shows the training as it was; the event of a change names the status before it.
    before = payload["status"] if deleted else payload.get("previous_status")
    after = None if deleted else payload["status"]
    return (after == "COMPLETED") - (before == "COMPLETED")


def apply(database: sqlite3.Connection, records: list[ConsumerRecord]) -> None:
    """Count what was not counted before: all of it, or nothing when this raises."""
    with database:  # one transaction
        for record in records:
            headers = dict(record.headers)
            type_, user_id = headers.get("ce_type", b"").decode(), record.key.decode()
            if type_ not in TYPES:
                continue  # a type of a later version
            new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (headers["ce_id"].decode(),)).rowcount
            if new and type_ == "user_erased":
                database.execute("DELETE FROM completed WHERE user_id = ?", (user_id,))
            elif new:
                database.execute(COUNT, (user_id, change(json.loads(record.value))))


async def consume(bootstrap: str, path: str, topic: str = "training_events", group: str = "completed-example") -> None:
    """Until cancelled."""
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                apply(database, records)
            # The group may have given a partition to another member, which is sent these records again.
            with suppress(CommitFailedError, IllegalStateError):
                await consumer.commit()
    finally:
        await consumer.stop()
        database.close()


if __name__ == "__main__":
    try:
        asyncio.run(consume(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
