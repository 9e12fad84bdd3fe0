"""The limits that the service cannot pass: PostgreSQL, Kafka and aiokafka on this machine, without the service.

pgbench sends the statement of POST by itself, Kafka's own `kafka-producer-perf-test` sends records, and aiokafka's
`send_batch` sends record batches that were built before.
"""

import asyncio
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.posts import CONNECTIONS, numbered, recorded
from bench.results import Measurement, Target
from bench.stage import Stage
from embedded.postgres import programs
from embedded.process import ServerError
from tests.support import kafka
from tests.support.cache import kept
from tests.support.databases import DatabaseUrls

AREA = "limits"
RECORD_BYTES = 1000
_PARTITIONS = 8
_BATCH_BYTES = 1_000_000
_THREADS = 2  # of pgbench

PGBENCH = "the statement of POST, pgbench"
PERF = "records of 1 KB, kafka-producer-perf-test"
SEND_BATCH = "records of 1 KB, aiokafka's send_batch, batches made beforehand"

TARGETS: tuple[Target, ...] = ()  # what others reach: there is nothing to be met

# A number instead of ids: pgbench draws numbers only. Every use of one id is the same text.
_DRAWN = {
    "id": "lpad(to_hex(:training::bigint), 32, '0')",
    "event_id": "lpad(to_hex(:training::bigint), 32, '0')",
    "user_id": "('01990000-0000-7000-8000-' || lpad(to_hex(:athlete::bigint), 12, '0'))",
}


async def measure(stage: Stage) -> list[Measurement]:
    """Every limit, `stage.rounds` times by turns."""
    urls = stage.urls()
    script = stage.folder / "post.sql"
    script.write_text(await post_script())
    rates: dict[str, list[float]] = {PGBENCH: [], PERF: [], SEND_BATCH: []}
    records = 20_000 if stage.quick else 400_000
    seconds = 1 if stage.quick else 6
    jars = await asyncio.to_thread(_tools)
    topic = await _topic(stage)
    await _send_batches(stage, topic, records // 10)
    for _ in range(stage.rounds):
        rates[PGBENCH].append(await asyncio.to_thread(pgbench, urls, script, seconds))
        rates[PERF].append(await asyncio.to_thread(_perf, stage, jars, topic, records))
        rates[SEND_BATCH].append(await _send_batches(stage, topic, records))
    notes = {
        PGBENCH: f"pgbench -M prepared -c {CONNECTIONS} -j {_THREADS}; one body, ids drawn by pgbench",
        PERF: f"acks=all, idempotent, {_PARTITIONS} partitions, defaults; its JVM starts in every round",
        SEND_BATCH: f"acks=all, idempotent, {_PARTITIONS} partitions, one batch of up to 1 MB under way in each",
    }
    return [Measurement(AREA, name, "/s", tuple(values), notes[name]) for name, values in rates.items()]


async def post_script() -> str:
    """One POST's statement as a pgbench script: constants but for its ids."""
    ((statement, parameters),) = await recorded(1)
    sql, names = numbered(statement)
    # Texts that hold ids (the event) keep those of the first training, which costs the same.
    values = [_DRAWN.get(name) or _literal(parameters[name]) for name in names]
    filled = re.sub(r"\$(\d+)::", lambda match: f"{values[int(match[1]) - 1]}::", sql)
    return f"\\set training random(1, 9000000000000000000)\n\\set athlete random(1, 53)\n{' '.join(filled.split())};\n"


def _literal(value: Any) -> str:
    """A constant of any type, as text, in which pgbench finds no variable: colons are escaped."""
    if value is None:
        return "NULL"
    text = f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace(":", "\\x3a").replace("\n", "\\n")
    return f"E'{escaped}'"


def pgbench(urls: DatabaseUrls, script: Path, seconds: int) -> float:
    """Transactions a second of a script, for so long. Raises RuntimeError where one fails."""
    command = [programs() / "pgbench", "-n", "-M", "prepared", "-c", CONNECTIONS, "-j", _THREADS, "-T", seconds]
    # Of the service's own options this one matters here.
    said = _run([str(part) for part in (*command, "-f", script, f"{urls.worker}?options=-c%20jit%3Doff")])
    if "number of failed transactions: 0 " not in said:
        raise RuntimeError(f"pgbench's transactions failed.\n{said}")
    return float(re.findall(r"tps = ([\d.]+)", said)[0])


def _tools() -> str:
    """The class path of Kafka's command line tools."""

    def fetch(folder: Path) -> None:
        if shutil.which("mvn") is None:
            raise ServerError("Apache Kafka's tools are fetched by Maven, and there is no `mvn` on the PATH.")
        artifact = f"-Dartifact=org.apache.kafka:kafka-tools:{kafka.VERSION}"
        _run(["mvn", "-q", "-B", "dependency:copy", artifact, f"-DoutputDirectory={folder}"])

    return f"{kept(f'kafka-tools-{kafka.VERSION}', fetch)}/*:{kafka.installed() / 'libs'}/*"


def _perf(stage: Stage, jars: str, topic: str, records: int) -> float:
    of = ["--topic", topic, "--num-records", str(records), "--record-size", str(RECORD_BYTES), "--throughput", "-1"]
    producer = ["--producer-props", f"bootstrap.servers={stage.broker.bootstrap}", "acks=all"]
    said = _run(["java", "-cp", jars, "org.apache.kafka.tools.ProducerPerformance", *of, *producer])
    # The last line is the sum; those before are of five seconds each.
    return float(re.findall(r"records sent, ([\d.]+) records/sec", said)[-1])


async def _topic(stage: Stage) -> str:
    name = "bench_limits"
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.broker.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, _PARTITIONS, 1)])
    finally:
        await admin.close()
    return name


async def _send_batches(stage: Stage, topic: str, records: int) -> float:
    """Records a second, counted from the first batch that is sent to the last acknowledgement."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stage.broker.bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=_BATCH_BYTES,
        max_request_size=_BATCH_BYTES,
    )
    await producer.start()
    try:
        value, each = b"x" * RECORD_BYTES, records // _PARTITIONS
        chains: list[list[Any]] = []
        for _ in range(_PARTITIONS):
            batches, left = [], each
            while left:
                batch = producer.create_batch()
                while left and batch.append(timestamp=None, key=b"0" * 36, value=value) is not None:
                    left -= 1
                batches.append(batch)
            chains.append(batches)

        async def send(partition: int, batches: list[Any]) -> None:
            for batch in batches:
                await (await producer.send_batch(batch, topic, partition=partition))

        began = time.perf_counter()
        await asyncio.gather(*(send(partition, batches) for partition, batches in enumerate(chains)))
        return each * _PARTITIONS / (time.perf_counter() - began)
    finally:
        await producer.stop()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise ServerError(f"{command[0]} failed (exit {done.returncode}).\n{done.stdout}{done.stderr}")
    return done.stdout
