"""All of a user as one document: complete, of one moment, the user's alone, and in bounded memory."""

import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import psutil
import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from models.errors import ArchiveUnavailable
from models.portability import KINDS, LEFT_OUT, UserExport
from storage.database import Database
from storage.documents import CHECK_INS, GOALS, PHASES
from storage.portability import read_all
from storage.training_writes import Author
from tests.support.archives import world
from tests.support.athletes import TOPIC
from tests.support.bodies import squat
from tests.support.coaches import OF_USER, Person
from tests.support.databases import DatabaseUrls
from tests.support.documents import Keeper, keep_one_of_each
from tests.support.imports import form, importer
from tests.support.insights import INSIGHTS
from tests.support.own_exercises import CARRY
from tests.support.strong import HEADER
from tests.support.web import Client, bearer, serve
from web.api import ALL_ROUTES

OLD = datetime(2023, 1, 15, 12, tzinfo=UTC)
DAY = "2026-01-05T12:00:00Z"
DONE = {
    "date": DAY,
    "status": "COMPLETED",
    "exercises": [squat(exercise="pistol-squat"), {"name": "Carry", "sets": []}],
}
PLAN = {"date": DAY, "group_external_id": "team", "notes": "a surprise"}
LOG = f"{HEADER}2026-01-07 12:00:00,Legs,1h,Squat,1,100,5,0,0,,,\n"

# Which rows of its first table an array has, where these are not all of the user's.
SHOWN = {
    "trainings": "NOT hidden",
    "session_volume": "counted",
    "events": "aggregate_id NOT IN (SELECT id FROM trainings WHERE hidden)",
}


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
async def athlete(client: Client, db: Database) -> Person:
    """Who did all that one can, and was coached."""
    athlete, coach = Person(client, sub="ada", groups=["team", "club"]), Person(client, sub="coach", coach_of=["team"])
    for number in range(3):
        await athlete.told("POST", "/api/v1/trainings", DONE | {"date": f"2026-01-0{number + 1}T12:00:00Z"})
    planned = await athlete.told("POST", "/api/v1/trainings", {"status": "PLANNED", "date": DAY})
    gone = await athlete.told("POST", "/api/v1/trainings", DONE | {"title": 'no "longer"', "source_id": "app:1"})
    await athlete.told("DELETE", f"/api/v1/trainings/{gone['id']}")
    workout = {"name": "Pull", "exercises": [{"name": "Row", "sets": 2, "reps": {"min": 8, "max": 12}}]}
    for _ in range(2):
        kept = await athlete.told("POST", athlete.address("/workouts"), workout)
    await athlete.told("DELETE", athlete.address(f"/workouts/{kept['id']}"))
    for name in ("Carry", "Drag"):
        await athlete.told("POST", athlete.address("/own-exercises"), CARRY | {"name": name})
    await athlete.told("DELETE", athlete.address("/own-exercises/drag"))
    for _ in range(2):
        ids = await keep_one_of_each(db, Author(athlete.user_id, "ada"), UUID(planned["id"]))
    for kind in (PHASES, GOALS, CHECK_INS):
        await Keeper(db, kind, Author(athlete.user_id, "ada")).delete(ids[kind.noun])
    await athlete.told("PUT", athlete.address("/exercise-aliases/Squat"), {"exercise": "barbell-back-squat"})
    await athlete.admit("club", "read")
    await athlete.revoke("club")
    await athlete.admit("team", "read", "plan")
    for hidden in (False, True):
        await coach.told("POST", athlete.address("/trainings"), PLAN | {"hidden": hidden})
    await coach.told("GET", athlete.address("/sessions"))
    address = athlete.address("/imports")
    async with client.post(address, data=form({"file": LOG}), headers=bearer(athlete.user_id)) as answer:
        assert answer.status == 202
    await importer(db).work_off()
    await settle(db)
    return athlete


async def settle(db: Database) -> None:
    """Have everything derived."""
    await VolumeFold(db, TOPIC).fold_log()
    await InsightsFold(db, INSIGHTS).run_due()


async def exported(athlete: Person) -> dict[str, Any]:
    """The document, which is what the model says."""
    answer = await athlete.ask("GET", athlete.address("/export"))
    assert answer.status == 200, await answer.text()
    assert answer.content_type == "application/json"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="training-{athlete.user_id}.json"'
    text = await answer.read()
    UserExport.model_validate_json(text)
    document: dict[str, Any] = orjson.loads(text)
    assert list(document) == ["form", "user_id", "as_of", *KINDS]
    assert document["user_id"] == str(athlete.user_id)
    return document


async def test_it_has_everything_that_is_kept(athlete: Person, db: Database, client: Client) -> None:
    document = await exported(athlete)
    of_user = {"user_id": athlete.user_id}
    for kind, portable in KINDS.items():
        shown = SHOWN.get(kind, "true")
        rows = await db.all(
            f"SELECT count(*) FROM {portable.tables[0]} WHERE user_id = %(user_id)s AND {shown}", of_user
        )
        assert [(len(document[kind]),)] == rows, kind
        assert document[kind], kind
    # Each training and workout is what its own address answers, but for those that are deleted.
    for noun, path in (("trainings", "/api/v1/trainings"), ("workouts", athlete.address("/workouts"))):
        deleted = [item for item in document[noun] if "deleted_at" in item]
        assert len(deleted) == 1
        for item in document[noun]:
            answer = await athlete.ask("GET", f"{path}/{item['id']}")
            assert answer.status == 404 if item in deleted else await answer.json() == item
    for noun in ("phases", "goals"):
        (deleted,) = [item for item in document[noun] if "deleted_at" in item]
        (kept,) = [item for item in document[noun] if item != deleted]
        answer = await athlete.ask("GET", athlete.address(f"/{noun}/{deleted['id']}"))
        assert answer.status == 404
        planned = {"trainings": kept["trainings"]} if noun == "phases" else {}
        assert planned | await athlete.told("GET", athlete.address(f"/{noun}/{kept['id']}")) == kept
    for phase in document["phases"]:
        assert [(each["week"], each["slot"]) for each in phase["trainings"]] == [(1, 0)]
        assert phase["trainings"][0]["training_id"] in {item["id"] for item in document["trainings"]}
    (gone,) = [item for item in document["trainings"] if "deleted_at" in item]
    assert (gone["title"], gone["source_id"], len(gone["exercises"])) == ('no "longer"', "app:1", 2)
    own = await athlete.told("GET", athlete.address("/own-exercises"))
    assert [item for item in document["own_exercises"] if "deleted_at" not in item] == own["items"]
    names = await athlete.told("GET", athlete.address("/exercise-aliases"))
    assert [name | {"created_at": None} for name in names["items"]] == [
        name | {"created_at": None} for name in document["exercise_aliases"]
    ]
    assert [item["group_external_id"] for item in document["memberships"] if "revoked_at" in item] == ["club"]
    assert document["accesses"] == (await athlete.accesses())[::-1]
    (imported,) = document["imports"]
    assert imported == await athlete.told("GET", athlete.address(f"/imports/{imported['id']}"))
    # The history is what was published.
    payloads = await db.all(
        f"SELECT payload FROM outbox WHERE user_id = %(user_id)s AND {SHOWN['events']} ORDER BY aggregate_id, version",
        of_user,
    )
    assert [event["event"] for event in document["events"]] == [orjson.loads(payload) for (payload,) in payloads]
    for one, next_ in pairwise(document["events"]):
        if one["aggregate_id"] == next_["aggregate_id"]:
            assert next_["version"] == one["version"] + 1
        else:
            assert next_["version"] == 1


async def test_what_is_hidden_is_in_it_when_it_is_shown(athlete: Person, db: Database) -> None:
    ((hidden,),) = await db.all("SELECT id FROM trainings WHERE hidden")
    assert str(hidden) not in orjson.dumps(await exported(athlete)).decode()
    coach = Person(athlete.client, coach_of=["team"])
    await coach.told("PUT", athlete.address(f"/trainings/{hidden}"), PLAN | {"status": "PLANNED"})
    document = await exported(athlete)
    assert str(hidden) in {item["id"] for item in document["trainings"]}
    assert [item["version"] for item in document["events"] if item["aggregate_id"] == str(hidden)] == [1, 2]


async def test_every_table_with_a_user_is_in_it_or_is_left_out_for_a_reason(db: Database) -> None:
    found = await db.all(
        """SELECT CASE relnamespace WHEN 'public'::regnamespace THEN '' ELSE 'analytics.' END || relname
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id'
        WHERE relnamespace IN ('public'::regnamespace, 'analytics'::regnamespace) AND relkind IN ('r', 'p')
          AND NOT relispartition"""
    )
    told = {table for kind in KINDS.values() for table in kind.tables if not table.startswith("training_")}
    children = {"training_exercises", "training_sets"}
    assert {table for (table,) in found} == told | children | set(LEFT_OUT)
    assert all(LEFT_OUT.values())


async def test_it_is_for_the_user_alone(athlete: Person, client: Client) -> None:
    coach = Person(client, coach_of=["team"])
    assert (await coach.ask("GET", athlete.address("/trainings"))).status == 200
    accesses = await athlete.accesses()
    stranger, admin = Person(client), Person(client, roles=["admin", "analytics"])
    for person in (coach, stranger, admin):
        answer = await person.ask("GET", athlete.address("/export"))
        told = await answer.json()
        nobody = await person.ask("GET", f"{OF_USER.format(userId=uuid4())}/export")
        assert answer.status == nobody.status == 404
        assert told["detail"] == (await nobody.json())["detail"]
    assert await athlete.accesses() == accesses
    assert (await client.get(athlete.address("/export"))).status == 401
    # The service that answers for users may ask; it is none of their coaches.
    identity = Person(client, roles=["identity"])
    answer = await identity.ask("GET", athlete.address("/export"))
    assert (await answer.json())["user_id"] == str(athlete.user_id)
    assert await athlete.accesses() == accesses
    # Of whom nothing is kept, the document says so.
    document = await exported(stranger)
    assert not any(document[kind] for kind in KINDS)


async def test_archived_years_are_in_it(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    """Those of before and of after the archive was made, and none twice: also of what is archived meanwhile."""
    async with world(database_urls, tmp_path) as past:
        athlete = await past.athlete()
        ids = [await athlete.create(exercises=[squat()]) for _ in range(4)]
        await athlete.update(ids[0], exercises=[squat(reps=8)])

        async def seen() -> list[dict[str, Any]]:
            chunks = [chunk async for chunk in read_all(past.database, tmp_path, athlete.user_id)]
            events = [orjson.loads(item) for chunk in chunks for kind, item in chunk.items if kind == "events"]
            return sorted(events, key=lambda event: (event["aggregate_id"], event["version"]))

        for version in (1, 2):
            await past.age(athlete.user_id, ids[0], version, OLD)
        for id_ in ids[1:]:
            await past.age(athlete.user_id, id_, 1, OLD)
        await past.settle()
        before = await seen()
        assert len(before) == 5
        assert len(await past.archive()) == 1
        assert await seen() == before
        # One goes on, and grows old once more: what is archived after the reading began is in the log of then.
        await athlete.update(ids[1], exercises=[squat(reps=9)])
        await past.age(athlete.user_id, ids[1], 2, OLD + timedelta(days=60))
        await past.settle()
        after = await seen()
        assert len(after) == 6
        async with aclosing(read_all(past.database, tmp_path, athlete.user_id)) as chunks:
            first = await anext(chunks)
            await past.archive()
            rest = [chunk async for chunk in chunks]
        read = [orjson.loads(item) for chunk in (first, *rest) for kind, item in chunk.items if kind == "events"]
        assert sorted(read, key=lambda event: (event["aggregate_id"], event["version"])) == after
        # Without the files there is no answer, and not a part of one.
        shutil.rmtree(tmp_path)
        with pytest.raises(ArchiveUnavailable):
            await seen()


# Trainings of 3 exercises with 4 sets, each with an event, as they are stored and published.
_FILL = """
INSERT INTO trainings (user_id, id, status, date, timezone, day, notes, digest)
SELECT %(user_id)s, md5(n::text)::uuid, 'COMPLETED', timestamptz '2010-01-01' + n * interval '1 day', 'UTC',
       date '2010-01-01' + n, repeat('note ', 40), ''
FROM generate_series(1, %(count)s) n;
INSERT INTO training_exercises (user_id, training_id, id, position, name)
SELECT user_id, id, md5(id::text || n)::uuid, n, 'Squat ' || n FROM trainings, generate_series(1, 3) n;
INSERT INTO training_sets (user_id, training_id, exercise_id, id, "order", weight, unit, reps, done, type)
SELECT user_id, training_id, id, md5(id::text || n)::uuid, n, 100.5, 'kg', 5, true, 'working'
FROM training_exercises, generate_series(1, 4) n;
INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, payload)
SELECT md5('e' || id)::uuid, 'training_events', 'training', id, 1, 'training_created', user_id, 'ada',
       json_build_object('event_type', 'training_created', 'payload', repeat('x', 3000))::text
FROM trainings
"""
_MANY = 5_000


@pytest.fixture
async def many(db: Database) -> UUID:
    """A user of 5,000 trainings."""
    user_id = uuid4()
    for statement in _FILL.split(";"):
        await db.execute(statement, {"user_id": user_id, "count": _MANY})
    return user_id


async def test_much_takes_no_more_memory_than_some(client: Client, many: UUID) -> None:
    process, resident, text = psutil.Process(), [], bytearray()
    async with client.get(f"{OF_USER.format(userId=many)}/export", headers=bearer(many)) as answer:
        async for part in answer.content.iter_any():
            text += part
            resident.append((len(text), process.memory_info().rss - len(text)))
    half = next(memory for size, memory in resident if size >= resident[-1][0] / 2)
    assert len(text) > 25 * 2**20
    assert max(memory for _, memory in resident) - half < 16 * 2**20
    document = orjson.loads(text)
    assert [len(document[kind]) for kind in ("trainings", "events")] == [_MANY, _MANY]


async def test_it_is_of_one_moment(db: Database, client: Client, many: UUID) -> None:
    async with aclosing(read_all(db, None, many)) as chunks:
        first = await anext(chunks)
        await Person(client, many).told("POST", "/api/v1/trainings", DONE)
        rest = [chunk async for chunk in chunks]
    assert {chunk.as_of for chunk in (first, *rest)} == {first.as_of}
    kinds = [kind for chunk in (first, *rest) for kind, _ in chunk.items]
    assert [kinds.count(kind) for kind in ("trainings", "events")] == [_MANY, _MANY]
