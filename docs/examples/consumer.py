"""Counts each user's completed trainings from `training_events`, exactly once in effect.

    python consumer.py 127.0.0.1:9092 completed.sqlite
    sqlite3 completed.sqlite 'SELECT user_id, trainings FROM completed'

A row for each training says at which version it is known, and whether it is completed; the counts follow from the rows.
Records come at least once, and a copy may come late: what is no newer than the row changes nothing. A deleted training
keeps its row, or an old copy would bring it back; where it is restored, a newer version says so. The offsets are
committed after the rows; what a crash leaves uncommitted comes again.

A training whose payload says `hidden` is PLANNED, and its athlete must not learn of it: it counts for nothing here, and
whoever shows trainings leaves it out. Of a user who was erased the id alone is kept, by which late copies are known.
"""

import asyncio
import json
import sqlite3
import sys
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import CommitFailedError, IllegalStateError

TABLES = """
CREATE TABLE IF NOT EXISTS trainings (
    user_id TEXT, training_id TEXT, version INTEGER NOT NULL, completed INTEGER NOT NULL,
    PRIMARY KEY (user_id, training_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (user_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS completed AS
SELECT user_id, sum(completed) AS trainings FROM trainings GROUP BY user_id;
"""
KEEP = """
INSERT INTO trainings
SELECT :user_id, :training_id, :version, :completed WHERE :user_id NOT IN (SELECT user_id FROM erased)
ON CONFLICT (user_id, training_id) DO UPDATE SET version = excluded.version, completed = excluded.completed
WHERE excluded.version > trainings.version
"""


def apply(database: sqlite3.Connection, records: list[ConsumerRecord]) -> None:
    """Keep what is new: all of it, or nothing when this raises."""
    with database:  # one transaction
        for record in records:
            headers, user_id = {name: value.decode() for name, value in record.headers}, record.key.decode()
            match headers.get("ce_type"):
                case "user_erased":
                    database.execute("INSERT OR IGNORE INTO erased VALUES (?)", (user_id,))
                    database.execute("DELETE FROM trainings WHERE user_id = ?", (user_id,))
                case "training_created" | "training_updated":
                    keep(database, user_id, headers, json.loads(record.value)["payload"]["status"] == "COMPLETED")
                case "training_deleted":
                    keep(database, user_id, headers, False)
                case _:
                    pass  # a type of a later version


def keep(database: sqlite3.Connection, user_id: str, headers: dict[str, str], completed: bool) -> None:
    """Keep the training as the record has it, where that is newer than what is known of it."""
    training_id, version = headers["ce_subject"], int(headers["ce_sequence"])
    row = {"user_id": user_id, "training_id": training_id, "version": version, "completed": completed}
    database.execute(KEEP, row)


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
