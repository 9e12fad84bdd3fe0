"""Growth: what 10 k, 100 k and 1 M trainings do to writes, reads, relay, fold, memory and start-up.

One database grows from size to size. Its trainings are made by SQL, with their rows of the log and of the derived
tables: 200 a user, one a day, one exercise of two sets each. What is measured at a size is added to them.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from uuid import UUID

import psutil

from agents.volume import PART, VolumeFold
from analytics.volume import METHOD_VERSION
from bench.material import get, post, run
from bench.relay import Memory, drain
from bench.results import Measurement, Target
from bench.stage import Stage, settled
from embedded.worker import Worker
from settings import Settings
from storage.database import Database
from storage.fold_state import LoggedEvent, read_unfolded
from tests.support.databases import DatabaseUrls
from tests.support.worker import token

AREA = "growth"
SIZES = (10_000, 100_000, 1_000_000)  # trainings
_QUICK_SIZES = (1_000, 10_000)
_CONNECTIONS = 10
_PER_USER = 200  # trainings
_SAMPLE = 53  # users that write and read
_READS = 40  # trainings that each of them reads
_BLOCK = 50_000  # trainings in one transaction
_DAYS = 5_000  # that events folded later are spread over

POST = "POST, whole service"
READ = "GET one training"
LIST = "GET a page of 50 trainings"
METRICS = "GET the weekly volume of a user"
DRAIN = "relay, events into memory"
FOLD = "fold, events into the tables"
MEMORY = "resident memory of the worker after load"
START = "start-up of a worker until it is ready"
RATES = (POST, READ, LIST, METRICS, DRAIN, FOLD)


def label(size: int) -> str:
    """10 k, 1 M."""
    return f"{size // 1_000_000} M" if size >= 1_000_000 else f"{size // 1000} k"


def _named(what: str, size: int) -> str:
    return f"{what}, at {label(size)}"


TARGETS = (
    *(
        Target(
            f"{what}: {label(SIZES[0])} against {label(SIZES[-1])} trainings", _named(what, SIZES[0]), 1.3, at, False
        )
        for what in RATES
        for at in [_named(what, SIZES[-1])]
    ),
    Target(f"{MEMORY}, at {label(SIZES[-1])}", of=_named(MEMORY, SIZES[-1]), bound=150, at_least=False),
    Target(f"{START}, at {label(SIZES[-1])}", of=_named(START, SIZES[-1]), bound=5, at_least=False),
)
_NOTES = {
    POST: f"one worker that relays and folds meanwhile, {_CONNECTIONS} connections",
    READ: f"{_CONNECTIONS} connections",
    LIST: f"{_CONNECTIONS} connections",
    METRICS: f"{_CONNECTIONS} connections",
    DRAIN: "the relay on the log, no broker",
    FOLD: f"read from the log before; parts of {PART}, one after another",
    MEMORY: "after its POSTs and GETs",
    START: "from its start as a process; /health/ready answers 200",
}

_USER = "('01990000-0001-7000-8000-' || lpad(to_hex({0}), 12, '0'))::uuid"
# The event of a training, as the service writes it.
_EVENT = """format('{{"event_id":"%%s","event_type":"training_created","timestamp":"%%s","payload":{{'
    '"training_id":"%%s","user_id":"%%s","version":1,"status":"COMPLETED","date":"%%sT17:00:00Z","timezone":"UTC","day":"%%s",'
    '"duration_seconds":3600,"exercises":[{{"id":"%%s","name":"Squat","sets":['
    '{{"id":"%%s","order":1,"weight":100,"unit":"kg","reps":5,"done":true,"type":"working"}},'
    '{{"id":"%%s","order":2,"weight":110,"unit":"kg","reps":3,"done":true,"type":"working"}}]}}]}}}}',
    event_id, rfc3339(now()), id, user_id, day, day, exercise_id, first_set, second_set)"""
_MADE = f"""
CREATE TEMPORARY TABLE made AS
SELECT n, uuidv7() AS id, {_USER.format("{user}")} AS user_id, {{day}} AS day, uuidv7() AS event_id,
       uuidv7() AS exercise_id, uuidv7() AS first_set, uuidv7() AS second_set
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
"""
_LOG = f"""
INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload)
SELECT event_id, %(topic)s, 'training', id, 1, 'training_created', user_id, user_id::text, {_EVENT.format()}
FROM made ORDER BY n
"""
_KEPT_LOG = f"""
CREATE TEMPORARY TABLE logged (seq bigint, id uuid, at timestamptz);
WITH added AS ({_LOG} RETURNING seq, aggregate_id, created_at) INSERT INTO logged SELECT * FROM added;
CREATE TEMPORARY TABLE folded AS SELECT * FROM made JOIN logged USING (id)
"""
_DAY = "date '2025-01-01' + (n %% {0})::integer"
_STORE = f"""
SET session_replication_role = replica;
SET synchronous_commit = off;
{_MADE.format(user="n / %(per_user)s", day=_DAY.format(_PER_USER))};
INSERT INTO trainings (user_id, id, status, date, timezone, day, duration_seconds, digest)
SELECT user_id, id, 'COMPLETED', day + time '17:00', 'UTC', day, 3600, '' FROM made;
INSERT INTO training_exercises (user_id, training_id, id, position, name)
SELECT user_id, id, exercise_id, 1, 'Squat' FROM made;
INSERT INTO training_sets (user_id, training_id, exercise_id, id, "order", weight, unit, reps, done, type)
SELECT user_id, made.id, exercise_id, s.id, s.place, s.weight, 'kg', s.reps, true, 'working'
FROM made, LATERAL (VALUES (first_set, 1, 100, 5), (second_set, 2, 110, 3)) s(id, place, weight, reps);
{_KEPT_LOG};
INSERT INTO analytics.users SELECT DISTINCT user_id FROM folded ON CONFLICT DO NOTHING;
INSERT INTO analytics.folded_trainings (user_id, training_id, version, deleted, counted, day, date, timezone, sets,
    reps, hard_sets, external_load_kg, system_load_sets, hold_seconds, time_under_tension_seconds, duration_seconds,
    updated_at, source_seq, method)
SELECT user_id, id, 1, false, true, day, day + time '17:00', 'UTC', 2, 8, 2, 830, 0, 0, 0, 3600, at, seq,
       {METHOD_VERSION}
FROM folded;
INSERT INTO analytics.exercise_volume (user_id, training_id, position, day, name, sets, reps, hard_sets,
    external_load_kg, system_load_sets, hold_seconds, time_under_tension_seconds, max_weight_kg, updated_at,
    source_seq)
SELECT user_id, id, 1, day, 'Squat', 2, 8, 2, 830, 0, 0, 0, 110, at, seq FROM folded;
INSERT INTO analytics.daily_volume (user_id, day, sessions, sets, reps, hard_sets, external_load_kg, system_load_sets,
    hold_seconds, time_under_tension_seconds, duration_seconds, updated_at, source_seq)
SELECT user_id, day, 1, 2, 8, 2, 830, 0, 0, 0, 3600, at, seq FROM folded
"""
_SETTLE = "VACUUM ANALYZE; CHECKPOINT"
# By the present rules: a worker would compute all of it anew meanwhile.
_FOLDED = f"""
UPDATE analytics.fold_state
SET folded_seq = (SELECT max(seq) FROM outbox), generation = 1, method = {METHOD_VERSION}"""
# Events of more trainings of the users that there are, each on a day of its own.
_MORE = f"{_MADE.format(user='n %% %(users)s', day=_DAY.format(_DAYS))}; {_LOG}"


async def measure(stage: Stage) -> list[Measurement]:
    """Grow and measure, size by size."""
    urls = stage.urls()
    settings = stage.settings(urls)
    found: list[Measurement] = []
    before = 0
    for size in _QUICK_SIZES if stage.quick else SIZES:
        found += await _grow(urls, settings, before, size)
        found += await _at(stage, urls, settings, size)
        before = size
    return found


async def _grow(urls: DatabaseUrls, settings: Settings, before: int, size: int) -> list[Measurement]:
    began = time.perf_counter()

    def fill() -> int:
        for first in range(before, size, _BLOCK):
            last = min(first + _BLOCK, size) - 1
            run(urls, _STORE, {"first": first, "last": last, "per_user": _PER_USER, "topic": settings.events_topic})
        return size - before

    await drain(settings, Memory(), [fill])
    run(urls, _FOLDED)
    run(urls, _SETTLE)
    note = "trainings, log and derived tables by SQL; the relay's cursor moved past them; VACUUM ANALYZE"
    return [Measurement(AREA, _named("making the trainings", size), "s", (time.perf_counter() - began,), note)]


async def _at(stage: Stage, urls: DatabaseUrls, settings: Settings, size: int) -> list[Measurement]:
    seconds = 0.5 if stage.quick else 3.0
    rounds = min(stage.rounds, 3)
    values: dict[str, list[float]] = {name: [] for name in (*RATES, MEMORY, START)}
    worker = stage.worker(urls, settings)
    try:
        for _ in range(rounds):
            worker.stop()
            began = time.perf_counter()
            await asyncio.to_thread(worker.start)
            values[START].append(time.perf_counter() - began)
        users = [_user(n * (size // _PER_USER) // _SAMPLE) for n in range(_SAMPLE)]
        reads = _addresses(worker, urls, users)
        for addresses in reads.values():  # a warm-up
            await get(addresses, connections=_CONNECTIONS, seconds=seconds / 3)
        await post(worker.url, connections=_CONNECTIONS, seconds=seconds / 3, users=users)
        for _ in range(rounds):
            for name, addresses in reads.items():
                values[name].append((await get(addresses, connections=_CONNECTIONS, seconds=seconds)).per_second)
            done = await post(worker.url, connections=_CONNECTIONS, seconds=seconds, users=users)
            values[POST].append(done.per_second)
            await settled(urls)
            values[MEMORY].append(psutil.Process(worker.pid).memory_info().rss / 1e6)
    finally:
        worker.stop()
    count = 2_000 if stage.quick else 20_000
    for number in range(rounds):
        drained, folded = await _events(urls, settings, size, count, number)
        values[DRAIN].append(drained)
        values[FOLD].append(folded)
    units = {MEMORY: "MB", START: "s"}
    return [
        Measurement(AREA, _named(name, size), units.get(name, "/s"), tuple(rates), _NOTES[name])
        for name, rates in values.items()
    ]


def _addresses(worker: Worker, urls: DatabaseUrls, users: Sequence[UUID]) -> dict[str, list[tuple[str, str]]]:
    """What the sample of users reads, with their tokens, in an order that jumps from user to user."""
    tokens = {user: token(str(user)) for user in users}
    api, kept = (
        f"{worker.url}/api/v1",
        run(
            urls,
            """SELECT user_id, id FROM unnest(%(users)s::uuid[]) u(user_id), LATERAL (
            SELECT id FROM trainings t WHERE t.user_id = u.user_id ORDER BY id LIMIT %(limit)s) t""",
            {"users": [str(user) for user in users], "limit": _READS},
        ),
    )
    random.Random(1).shuffle(kept)
    volume = "metrics/volume?period=week"
    return {
        READ: [(f"{api}/trainings/{id_}", tokens[UUID(str(user))]) for user, id_ in kept],
        LIST: [(f"{api}/trainings", tokens[user]) for user in users],
        METRICS: [(f"{api}/training/users/{user}/{volume}", tokens[user]) for user in users],
    }


async def _events(urls: DatabaseUrls, settings: Settings, size: int, count: int, number: int) -> tuple[float, float]:
    """Events a second, relayed into memory and folded: `count` new ones of the users that there are."""
    first = number * count
    ((last_seq,),) = run(urls, "SELECT max(seq) FROM outbox")
    more = {"first": first, "last": first + count - 1, "users": size // _PER_USER, "topic": settings.events_topic}

    def fill() -> int:
        run(urls, _MORE, more)
        return count

    (drained,) = await drain(settings, Memory(), [fill])
    database = Database(settings.worker_url, pool_size=4)
    try:
        events: list[LoggedEvent] = []
        while part := await read_unfolded(database, events[-1].offset if events else last_seq, 10_000):
            events += part
        if len(events) != count:
            raise RuntimeError(f"{count} events were to be folded, {len(events)} are in the log")
        fold = VolumeFold(database, settings.events_topic)
        began = time.perf_counter()
        for start in range(0, count, PART):
            await fold.fold_records(events[start : start + PART])
        folded = time.perf_counter() - began
    finally:
        await database.close()
    run(urls, _FOLDED)
    return count / drained, count / folded


def _user(number: int) -> UUID:
    return UUID(f"01990000-0001-7000-8000-{number:012x}")
