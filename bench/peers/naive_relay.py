"""The relay that most articles on the outbox show: take some rows that are not marked, send them, mark them, commit.

Run as a process with what it needs in BENCH_PEER; see bench/relay.py. It has a table of its own, with the same rows and
the index that it needs. It is there to be measured: a fault ends it.
"""

import asyncio
import json
import os

import asyncpg
import uvloop
from aiokafka import AIOKafkaProducer

_PAUSE = 0.1  # seconds, when nothing was there

_TAKE = "SELECT seq, user_id, payload FROM naive_outbox WHERE published_at IS NULL ORDER BY seq LIMIT $1 FOR UPDATE"
_MARK = "UPDATE naive_outbox SET published_at = now() WHERE seq = ANY ($1)"


async def main() -> None:
    """Relay until killed."""
    peer = json.loads(os.environ["BENCH_PEER"])
    connection = await asyncpg.connect(peer["database_url"])
    producer = AIOKafkaProducer(bootstrap_servers=peer["bootstrap"], acks="all", enable_idempotence=True)
    await producer.start()
    while True:
        async with connection.transaction():
            rows = await connection.fetch(_TAKE, peer["batch"])
            sent = [
                await producer.send(peer["topic"], row["payload"].encode(), str(row["user_id"]).encode())
                for row in rows
            ]
            await asyncio.gather(*sent)
            await connection.execute(_MARK, [row["seq"] for row in rows])
        if not rows:
            await asyncio.sleep(_PAUSE)


if __name__ == "__main__":
    uvloop.run(main())
