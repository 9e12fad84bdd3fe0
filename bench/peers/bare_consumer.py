"""A bare aiokafka consumer that writes the rows of our agent: the same arithmetic, the same statements, and no Faust.

Run as a process with what it needs in BENCH_PEER; see bench/fold.py. It does one thing after another, as its
documentation shows it: fetch, fold, store, commit. It is there to be measured: a fault ends it.
"""

import json
import os

import uvloop
from aiokafka import AIOKafkaConsumer

from agents.volume import decode
from analytics.volume import fold
from storage.database import Database
from storage.volume import fold as store

_RECORDS = 500  # fetched at once, and stored by one statement: as many as the agent's


async def main() -> None:
    """Consume until killed."""
    peer = json.loads(os.environ["BENCH_PEER"])
    database = Database(peer["database_url"], pool_size=2)
    consumer = AIOKafkaConsumer(
        peer["topic"],
        bootstrap_servers=peer["bootstrap"],
        group_id=peer["group"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    while True:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=_RECORDS)
        trainings = []
        for records in fetched.values():
            for record in records:
                event = decode(record.value)
                if event is not None:
                    seq = int(dict(record.headers)["ce_logseq"])
                    trainings.append(fold(event, {}, seq))
        if trainings:
            await store(database, trainings)
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(main())
