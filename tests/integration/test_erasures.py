"""The end of a user: nothing of theirs is left in any table, nothing comes back, and nobody else notices."""

import asyncio
import datetime as dt
import hashlib
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg2
import pytest

import cli
import settings
from agents.erasures import ErasureWorker
from agents.insights import InsightsFold
from agents.volume import VolumeFold
from agents.volume_audit import rebuild, verify
from commands import environment
from models.errors import ArchiveUnavailable, DatabaseUnavailable, NotFound
from storage import archives, erasures
from storage.access import Guarded
from storage.archives import erase as erase_archived
from storage.database import Database
from storage.erasures import Erasures, UnlikeKey, set_key
from storage.retention import purge_access_log
from storage.training_writes import Author
from storage.volume import DeadLetter, fold
from tests.integration.test_archives import old, past  # noqa: F401 - a fixture
from tests.support.archives import World
from tests.support.athletes import TOPIC, published
from tests.support.bodies import squat
from tests.support.coaches import Person, access_of
from tests.support.databases import DatabaseUrls
from tests.support.documents import CONTENTS, keep_one_of_each
from tests.support.erasures import eraser, found, owned
from tests.support.imports import form, importer
from tests.support.load import until
from tests.support.strong import HEADER
from tests.support.web import Client, bearer, serve
from web.api import ALL_ROUTES

NOTE = "the left knee aches"
TRAININGS = "/api/v1/trainings"
COMPLETED = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED", "notes": NOTE, "exercises": [squat(sets=3)]}
PLANNED = {"date": "2026-01-05T12:00:00Z", "title": NOTE, "group_external_id": "team"}
WORKOUT = {"name": "Pull", "notes": NOTE, "group_external_id": "team", "exercises": [{"name": "Row", "sets": 2}]}
OWN = {
    "name": "Zercher carry",
    "category": "Legs",
    "mode": "hold",
    "phases": ["isometric"],
    "equipment": ["barbell"],
    "difficulty": 4,
    "muscles": ["quadriceps"],
    "family": "carry",
}
# Of one user's rows in each table: how many, and a hash of all of them.
HASHES = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} t WHERE user_id = %s"

# What the log of accesses leaves behind once it is purged.
PURGED = "INSERT INTO coached (coach_id, user_id, actor) SELECT gen_random_uuid(), u, 'x' FROM unnest(%s::uuid[]) u"


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@pytest.fixture
async def owner(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(database_urls.owner)
    yield database
    await database.close()


async def live(client: Client, db: Database, athlete: Person, coach: Person) -> None:
    """A user of whom every table with a user holds a row, with a note in whatever takes a text."""
    await athlete.admit("team", "read", "plan")
    await athlete.told("PUT", athlete.address("/exercise-aliases/Squat"), {"exercise": "pistol-squat"})
    await athlete.told("POST", athlete.address("/own-exercises"), OWN)
    for day in range(10, 18):
        lift = squat(sets=3, weight=80 + day, notes=NOTE)
        body = COMPLETED | {"date": f"2026-01-{day}T12:00:00Z", "session_rpe": 7, "duration_seconds": 3600}
        await athlete.told("POST", TRAININGS, body | {"exercises": [lift]}, **{"Idempotency-Key": f"key-{day}"})
    workout = await athlete.told("POST", athlete.address("/workouts"), WORKOUT)
    planned = await athlete.told("POST", TRAININGS, {"status": "PLANNED", "date": "2026-02-01T12:00:00Z"})
    await keep_one_of_each(db, Author(athlete.user_id, "athlete"), UUID(planned["id"]), notes=NOTE)
    day = {"date": "2026-01-20T12:00:00Z"}
    await coach.told("POST", athlete.address(f"/workouts/{workout['id']}/trainings"), day, **{"Idempotency-Key": "c"})
    await coach.told("POST", athlete.address("/trainings"), PLANNED)
    log = {"file": f"{HEADER}2026-01-05 12:00:00,Legs,1h,Squat,1,100,5,0,0,{NOTE},,\n"}
    async with client.post(athlete.address("/imports"), data=form(log), headers=bearer(athlete.user_id)) as answer:
        assert answer.status == 202, await answer.text()
    await importer(db).work_off()
    letter = DeadLetter(TOPIC, 0, int(athlete.user_id) % 2**31, None, str(athlete.user_id).encode(), b"{", "no event")
    await fold(db, (), [letter])
    await db.execute(
        "INSERT INTO outbox_quarantine (seq, user_id, aggregate_id, version, topic, error) "
        "SELECT max(seq), user_id, user_id, 1, 'x', 'too large' FROM outbox WHERE user_id = %s GROUP BY user_id",
        [athlete.user_id],
    )
    await settle(db)


async def marked(db: Database, *athletes: Person) -> None:
    """Their load waits to be computed."""
    for athlete in athletes:
        await athlete.told("POST", TRAININGS, COMPLETED | {"date": "2026-01-21T12:00:00Z"})
    await VolumeFold(db, TOPIC).fold_log()


async def settle(db: Database) -> None:
    await VolumeFold(db, TOPIC, "exercise_events").fold_log()
    await InsightsFold(db, "training_insights").run_due()


async def hashes(everything: Database, user_id: UUID) -> dict[str, Any]:
    return {table: await everything.all(HASHES.format(table), [user_id]) for table in await owned(everything, user_id)}


async def erase(client: Client, user: Person) -> dict[str, Any]:
    answer = await user.ask("DELETE", user.address(""))
    assert answer.status == 202, await answer.text()
    assert answer.headers["Location"] == user.address("/erasure")
    document: dict[str, Any] = await answer.json()
    return document


async def report(user: Person) -> dict[str, Any]:
    document: dict[str, Any] = await user.told("GET", user.address("/erasure"))
    return document


def people(client: Client) -> tuple[Person, Person, Person]:
    """Two athletes, and their coach."""
    coach = Person(client, sub=f"coach-{uuid4()}", coach_of=["team"])
    return Person(client, groups=["team", "club"]), Person(client, groups=["team"]), coach


async def test_nothing_of_the_user_is_left_and_nobody_else_notices(
    client: Client, db: Database, everything: Database, owner: Database
) -> None:
    ada, bob, coach = people(client)
    for athlete in (ada, bob):
        await live(client, db, athlete, coach)
    await marked(db, ada, bob)
    await owner.execute(PURGED, [[ada.user_id, bob.user_id]])
    theirs = await owned(everything, ada.user_id)
    empty = {table for table, count in theirs.items() if not count} - {"request_log"}
    assert empty == set(), "each table with a user is swept here, with a row in it"
    others, records = await hashes(everything, bob.user_id), await published(db)
    assert await erase(client, ada) | {"created_at": ""} == {"status": "erasing", "counts": {}, "created_at": ""}

    # From now on nothing is taken, by whichever way it comes.
    for method, path, body in (
        ("POST", TRAININGS, COMPLETED),
        ("POST", f"{TRAININGS}/batch", [COMPLETED]),
        ("POST", ada.address("/sessions"), COMPLETED),
        ("POST", ada.address("/workouts"), WORKOUT),
        ("POST", ada.address("/own-exercises"), OWN | {"name": "Another"}),
        ("POST", ada.address("/phases"), CONTENTS["phase"] | {"schedule": []}),
        ("POST", ada.address("/goals"), CONTENTS["goal"]),
        ("PUT", ada.address("/check-ins/2026-01-06"), {"sleep": 3}),
        ("PUT", ada.address("/exercise-aliases/row"), {"exercise": "pull-up"}),
        ("PUT", ada.address("/memberships/club"), {"scopes": ["read"]}),
        ("PUT", ada.address("/memberships/team"), {"scopes": ["read"]}),
        ("DELETE", ada.address("/memberships/team"), None),
    ):
        answer = await ada.ask(method, path, body)
        assert (answer.status, (await answer.json())["type"]) == (410, "/problems#user-erased"), (method, path)
    log = form({"file": f"{HEADER}2026-01-05 12:00:00,Legs,1h,Squat,1,100,5,0,0,,,\n"})
    async with client.post(ada.address("/imports"), data=log, headers=bearer(ada.user_id)) as answer:
        assert answer.status == 410
    for method, body in (("POST", PLANNED), ("GET", None)):
        assert (await coach.ask(method, ada.address("/trainings"), body)).status == 404

    await eraser(db).work_off()
    assert await found(everything, ada.user_id, ada.user_id.hex) == {}
    assert await hashes(everything, bob.user_id) == others
    told = await report(ada)
    assert told["status"] == "done"
    assert {name: count for name, count in told["counts"].items() if name in theirs} == {
        name: count for name, count in theirs.items() if count
    }
    assert set(told["counts"]) - set(theirs) == {"analytics.dead_letters"}
    assert "topic_copies_until" not in told

    # It is as if there had never been such a user.
    stranger = Person(client)
    for path in (
        "/trainings?limit=5",
        "/workouts",
        "/phases",
        "/goals",
        "/check-ins",
        "/advice/accepted",
        "/own-exercises",
        "/exercise-aliases",
        "/memberships",
        "/accesses",
        "/imports",
        "/metrics/records",
        "/metrics/load",
        "/metrics/volume?period=day",
    ):
        answers = [await person.ask("GET", person.address(path)) for person in (ada, stranger)]
        said = [orjson.loads(await answer.read()) for answer in answers]
        for document in said:
            for name in ("as_of", "user_id"):
                document.pop(name, None)
        assert (answers[0].status, said[0]) == (answers[1].status, said[1]), path
    assert (await ada.ask("POST", TRAININGS, COMPLETED)).status == 410
    assert (await coach.ask("GET", ada.address("/trainings"))).status == 404

    # Nor does a topic that is delivered once more, or the log, bring anything back.
    await VolumeFold(db, TOPIC).fold_records(records)
    agent = VolumeFold(db, TOPIC, "exercise_events")
    await agent.naming.fold_records([each for each in records if b'"names"' in each.value])
    letter = DeadLetter(TOPIC, 0, 1, None, str(ada.user_id).encode(), b"{", "no event")
    await fold(db, (), [letter])
    await InsightsFold(db, "training_insights").run_due()
    assert await found(everything, ada.user_id) == {}
    await settle(db)
    assert (await verify(db)).ok
    assert not any((await rebuild(owner)).changed.values())
    assert await found(everything, ada.user_id) == {}
    again = await ada.ask("DELETE", ada.address(""))
    assert (again.status, await again.json()) == (200, told)

    # Who keeps a copy of the derived tables is told, as long as the log holds the event.
    analyst, gone = Person(client, roles=["analytics"]), {"change": "replace", "user_id": str(ada.user_id)}
    for table in ("session_volume", "daily_load"):  # whose units are trainings, and users
        answer = await analyst.ask("GET", f"/api/v1/training/exports/{table}?format=ndjson&changed_since=0")
        lines = [orjson.loads(line) for line in (await answer.read()).splitlines()]
        assert [line for line in lines if line["user_id"] == str(ada.user_id)] == [gone]

    # Once the other is erased too, the text is gone.
    await erase(client, bob)
    await eraser(db).work_off()
    assert await found(everything, NOTE, ada.user_id, bob.user_id) == {}


async def test_the_last_event_goes_out_and_then_out_of_the_log(client: Client, db: Database) -> None:
    user = Person(client)
    await user.told("POST", TRAININGS, COMPLETED)
    await erase(client, user)
    worker = eraser(db, grace_days=0)
    await worker.work_off()
    ((seq, topic, payload, event_id, erasure),) = await db.all(
        "SELECT seq, topic, payload, event_id, aggregate_id FROM outbox WHERE user_id = %s", [user.user_id]
    )
    event = orjson.loads(payload)
    assert (topic, event["event_id"], event["event_type"]) == (TOPIC, str(event_id), "user_erased")
    assert event["payload"] == {"user_id": str(user.user_id), "erasure_id": str(erasure)}
    await worker.work_off()
    assert "topic_copies_until" not in await report(user)  # it is not published yet
    await db.execute("UPDATE outbox_cursor SET hi = pg_current_snapshot(), done_seq = %s", [seq])
    await worker.work_off()
    told = await report(user)
    assert told["topic_copies_until"] > told["finished_at"][:10]
    await worker.work_off()
    assert await db.all("SELECT FROM outbox WHERE user_id = %s", [user.user_id]) == []
    assert await report(user) == told


async def test_who_may_and_what_is_told(client: Client) -> None:
    user, other, coach = people(client)
    await user.admit("team", "read", "plan")
    service = Person(client, sub="identity", roles=["identity"])
    nobody = await client.delete(user.address(""))
    assert nobody.status == 401
    for person in (other, coach):
        for method, path in (("DELETE", ""), ("GET", "/erasure")):
            assert (await person.ask(method, user.address(path))).status == 404
    assert (await user.ask("GET", user.address("/erasure"))).status == 404
    assert (await service.ask("DELETE", user.address(""))).status == 202
    assert (await service.ask("GET", user.address("/erasure"))).status == 200
    assert (await service.ask("GET", user.address("/trainings"))).status == 404  # it is no key to anything else
    assert (await report(user))["status"] == "erasing"


async def test_a_user_of_whom_nothing_is_known_is_refused_from_then_on(client: Client, db: Database) -> None:
    user = Person(client)
    assert await Erasures(db).backlog() == (0, 0.0)
    await erase(client, user)
    number, age = await Erasures(db).backlog()
    assert number == 1
    assert age > 0
    await eraser(db).work_off()
    assert await Erasures(db).backlog() == (0, 0.0)
    assert (await report(user))["counts"] == {}
    assert (await user.ask("POST", TRAININGS, COMPLETED)).status == 410


async def test_a_coach_leaves_no_name_behind(client: Client, db: Database, everything: Database) -> None:
    ada, bob, coach = people(client)
    other = Person(client, sub=f"coach-{uuid4()}", coach_of=["team"])
    for athlete in (ada, bob):
        await athlete.admit("team", "read", "plan")
        for author in (coach, other):
            await author.told("POST", athlete.address("/trainings"), PLANNED, **{"Idempotency-Key": "a"})
            await author.told("GET", athlete.address("/trainings"))
    subject = (await ada.accesses())[-1]["actor"]
    await erase(client, coach)
    assert (await coach.ask("GET", ada.address("/trainings"))).status == 410
    await eraser(db).work_off()
    assert await found(everything, coach.user_id, subject) == {}
    assert (await report(coach))["counts"] == {"access_log.coach_id": 4, "outbox.actor": 2, "idempotency_keys": 2}
    for athlete in (ada, bob):
        assert Counter(access["actor"] == "erased" for access in await athlete.accesses()) == {True: 2, False: 2}
        trainings = (await athlete.told("GET", athlete.address("/trainings")))["items"]
        actors = [
            (await athlete.told("GET", f"{TRAININGS}/{each['id']}/history"))["items"][0]["actor"] for each in trainings
        ]
        assert Counter(actor == "erased" for actor in actors) == {True: 1, False: 1}


async def test_a_coachs_name_is_found_when_the_log_of_accesses_is_gone(past: World, everything: Database) -> None:  # noqa: F811
    """In the log, and in the archive."""
    async with serve(ALL_ROUTES, database=past.database) as client:
        ada, bob, coach = people(client)
        for athlete in (ada, bob):
            await athlete.admit("team", "read", "plan")
            made = await coach.told("POST", athlete.address("/trainings"), PLANNED)
        subject = (await ada.accesses())[0]["actor"]
        await past.age(bob.user_id, made["id"], 1, dt.datetime(2023, 1, 15, 12, tzinfo=dt.UTC))
        await past.owner.execute("UPDATE access_log SET at = at - interval '400 days'; DELETE FROM idempotency_keys")
        assert await purge_access_log(past.database, days=365) == 2
        await past.settle()
        (file,) = await past.archive()
        assert file.rows == 1
        await Erasures(past.database).begin(coach.user_id)
        await eraser(past.database, archives=partial(erase_archived, past.database, past.folder)).work_off()
        told = await report(coach)
    assert (told["status"], told["counts"]) == ("done", {"coached": 2, "outbox.actor": 1})
    assert await found(everything, coach.user_id, subject) == {}
    assert {row[8] for row in (await past.rows()).values() if row[7] in {ada.user_id, bob.user_id}} == {"erased"}


async def test_rows_of_archives_are_counted_once(past: World, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Also where a worker ends between two files."""
    athlete = await past.athlete()
    for month in (1, 2, 3):
        at = dt.datetime(2023, month, 15, 12, tzinfo=dt.UTC)
        await past.age(athlete.user_id, await athlete.create(date=at.isoformat()), 1, at)
    await past.settle()
    assert len(await past.archive()) == 3
    rewrite, left = archives._rewrite, [True, True, False]

    async def ending(*arguments: Any) -> int:
        if left and not left.pop(0):
            raise DatabaseUnavailable("It ends here.")
        return await rewrite(*arguments)

    monkeypatch.setattr(archives, "_rewrite", ending)
    await Erasures(past.database).begin(athlete.user_id)
    worker = eraser(past.database, archives=partial(erase_archived, past.database, past.folder))
    with pytest.raises(DatabaseUnavailable):
        await worker.work_off()
    assert (await Erasures(past.database).read(athlete.user_id)).counts["archive"] == 2
    await worker.work_off()
    assert (await Erasures(past.database).read(athlete.user_id)).counts["archive"] == 3


async def test_a_group_goes_on_without_who_is_erased(client: Client, db: Database) -> None:
    ada, bob, coach = people(client)
    for athlete in (ada, bob):
        await athlete.admit("team", "read", "plan")
    workout = await coach.told("POST", coach.address("/workouts"), WORKOUT)
    await erase(client, ada)  # and no worker has seen it yet
    group = "/api/v1/training/groups/team"
    for path in ("/load?limit=1", "/leaderboard?metric=sets&limit=1"):
        page = await coach.told("GET", f"{group}{path}")
        items = page["items"]
        while "next_cursor" in page:
            page = await coach.told("GET", f"{group}{path}&cursor={page['next_cursor']}")
            items += page["items"]
        assert [each["user_id"] for each in items] == [str(bob.user_id)], path
    for path, body in (
        ("/workouts", {"workout_id": workout["id"]}),
        ("/trainings", {"workout_id": workout["id"], "date": "2026-12-01T10:00:00Z"}),
    ):
        items = (await coach.told("POST", f"{group}{path}", body))["items"]
        outcomes = {each["user_id"]: each["outcome"] for each in items}
        assert outcomes == {str(ada.user_id): "revoked", str(bob.user_id): "created"}, path
    await erase(client, coach)
    for path in ("/load", "/leaderboard?metric=sets"):
        assert (await coach.ask("GET", f"{group}{path}")).status == 410
    assert (await coach.ask("POST", f"{group}/workouts", {"workout_id": workout["id"]})).status == 410


async def test_a_coach_who_is_erased_within_a_request_writes_no_more(
    client: Client, db: Database, everything: Database
) -> None:
    ada, _, coach = people(client)
    await ada.admit("team", "read", "plan")
    guarded = Guarded(db, access_of(ada.user_id, coach.user_id, scope="plan"))
    await guarded.admit()
    await erase(client, coach)
    await eraser(db).work_off()
    with pytest.raises(NotFound):
        await guarded.execute("UPDATE memberships SET accepted_at = now() WHERE user_id = %(user_id)s")
    assert await found(everything, coach.user_id) == {}


async def test_what_was_under_way_when_it_began_is_waited_for(
    client: Client, db: Database, everything: Database, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that was told that the user is there commits after the tombstone, and after all else is gone."""
    monkeypatch.setattr("agents.erasures.PATIENCE", 0.0)
    user = Person(client)
    await user.told("POST", TRAININGS, COMPLETED)
    with closing(psycopg2.connect(database_urls.worker)) as late, late.cursor() as cursor:
        cursor.execute(
            "WITH made AS (INSERT INTO trainings (user_id, id, status, date, timezone, day, digest) "
            "VALUES (%(user)s, gen_random_uuid(), 'PLANNED', now(), 'UTC', '2026-01-05', '') RETURNING *) "
            "INSERT INTO outbox (event_id, topic, aggregate_type, aggregate_id, version, event_type, user_id, actor, "
            "payload) SELECT gen_random_uuid(), 'x', 'training', id, 1, 'training_created', user_id, 'a', '{}' "
            "FROM made",
            {"user": str(user.user_id)},
        )
        await erase(client, user)
        await eraser(db).work_off()
        told = await report(user)
        assert told["status"] == "waiting"
        assert "under way" in told["waits_for"]
        late.commit()
    assert set(await found(everything, user.user_id)) == {"erasures", "outbox", "trainings"}
    await db.execute("UPDATE erasures SET leased_until = NULL")
    await eraser(db).work_off()
    told = await report(user)
    assert (told["status"], told["counts"]["trainings"], told["counts"]["outbox"]) == ("done", 2, 2)
    assert await found(everything, user.user_id) == {}
    # At another isolation level it would not be seen that somebody is erased.
    with closing(psycopg2.connect(database_urls.worker)) as other, other.cursor() as cursor:
        other.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ)
        with pytest.raises(psycopg2.errors.RaiseException, match="READ COMMITTED"):
            cursor.execute("INSERT INTO memberships VALUES (%s, 'team', '{read}')", [str(uuid4())])


async def test_a_row_that_is_changed_meanwhile_is_not_passed_over(
    client: Client, db: Database, everything: Database, database_urls: DatabaseUrls
) -> None:
    """Whoever changes a row of the user, and writes none, is not waited for by its transaction."""
    user = Person(client)
    await user.told("POST", TRAININGS, COMPLETED)
    await VolumeFold(db, TOPIC).fold_log()
    await erase(client, user)
    erasures = Erasures(db, TOPIC, "me")
    work = await erasures.claim()
    assert work is not None
    with closing(psycopg2.connect(database_urls.worker)) as other, other.cursor() as cursor:
        cursor.execute("UPDATE analytics.users SET refolded = refolded WHERE user_id = %s", [str(user.user_id)])
        sweeping = asyncio.create_task(erasures.step(work, 1000))

        async def waits() -> bool:
            return bool(await everything.all("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

        await until(waits, 10, "the sweep waits for the row")
        other.commit()
        assert await sweeping == (True, True, [])
    assert await erasures.step(work, 1000) == (False, True, [])
    assert set(await found(everything, user.user_id)) == {"erasures"}


async def test_a_prepared_transaction_is_waited_for(client: Client, db: Database, database_urls: DatabaseUrls) -> None:
    user = Person(client)
    erasures = Erasures(db, TOPIC, "me")
    with closing(psycopg2.connect(database_urls.worker)) as late, late.cursor() as cursor:
        late.tpc_begin(f"late {user.user_id}")
        cursor.execute("INSERT INTO memberships VALUES (%s, 'team', '{read}')", [str(user.user_id)])
        late.tpc_prepare()
        await erase(client, user)
        work = await erasures.claim()
        assert work is not None
        assert await erasures.step(work, 100) == (False, False, [])
        late.tpc_commit()
        assert await erasures.step(work, 100) == (False, True, [])
    assert (await report(user))["counts"] == {"memberships": 1}


async def test_a_worker_that_dies_is_followed_by_one_that_goes_on(
    client: Client, db: Database, everything: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often, and wherever: each row is counted once."""
    user, _, coach = people(client)
    await live(client, db, user, coach)
    theirs = await owned(everything, user.user_id)
    await erase(client, user)
    worker = 0
    while (await report(user))["status"] != "done":
        worker += 1
        mine = Erasures(db, TOPIC, f"worker {worker}")
        work = await mine.claim()
        assert work is not None
        assert await Erasures(db, TOPIC, "another").claim() is None
        step = await mine.step(work, 7)
        await db.execute("UPDATE erasures SET leased_until = NULL WHERE status <> 'done'")  # as time does
        assert step is not None
        if not step.more:
            monkeypatch.setattr("agents.erasures.ROWS", 7)
            await eraser(db).work_off()
            assert await mine.step(work, 7) is None  # the job is no longer its own
    assert worker > 20
    told = await report(user)
    assert {name: count for name, count in told["counts"].items() if name in theirs} == {
        name: count for name, count in theirs.items() if count
    }
    assert await found(everything, user.user_id) == {}
    assert await db.all("SELECT count(*) FROM outbox WHERE event_type = 'user_erased'") == [(1,)]


async def test_an_archive_that_is_away_is_waited_for(client: Client, db: Database) -> None:
    user = Person(client)
    await user.told("POST", TRAININGS, COMPLETED)
    await erase(client, user)
    away = True

    async def archives(user_id: UUID, _actors: Sequence[str]) -> int:
        assert user_id == user.user_id
        if away:
            raise ArchiveUnavailable("The archive is needed, and cannot be read.")
        return 0

    await eraser(db, archives=archives).work_off()
    told = await report(user)
    assert (told["status"], told["waits_for"]) == ("waiting", "The archive is needed, and cannot be read.")
    away = False
    await eraser(db, archives=archives).work_off()
    assert (await report(user))["status"] == "waiting"  # it is not asked for all the time
    await db.execute("UPDATE erasures SET leased_until = NULL")
    await eraser(db, archives=archives).work_off()
    told = await report(user)
    assert (told["status"], told["counts"]["trainings"], "waits_for" in told) == ("done", 1, False)


async def test_an_archive_that_takes_long_keeps_the_job(
    client: Client, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.erasures.LEASE", 0.1)
    user = Person(client)
    await erase(client, user)
    go_on = asyncio.Event()

    async def archives(_: UUID, _actors: Sequence[str]) -> int:
        await go_on.wait()
        return 0

    working = asyncio.create_task(eraser(db, archives=archives).work_off())
    leases: set[object] = set()

    async def renewed() -> bool:
        leases.update(await db.all("SELECT leased_until FROM erasures WHERE status = 'waiting'"))
        return len(leases) > 3

    await until(renewed, 20, "the job is kept")
    go_on.set()
    await working
    assert (await report(user))["status"] == "done"


async def test_writers_and_two_workers_at_once(
    client: Client, db: Database, everything: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever writes, folds and computes while the user goes: all of it ends as nothing."""
    monkeypatch.setattr("agents.erasures.ROWS", 10)
    user, other, coach = people(client)
    for athlete in (user, other):
        await athlete.admit("team", "read", "plan")
    statuses: Counter[int] = Counter()
    stopped = asyncio.Event()

    async def write(person: Person, number: int) -> None:
        created = []
        for day in range(10_000):
            if stopped.is_set():
                return
            body = COMPLETED | {"date": f"2025-0{1 + day // 25 % 9}-{1 + day % 25:02}T12:00:00Z"}
            answer = await person.ask("POST", TRAININGS, body, **{"Idempotency-Key": f"{number}-{day}"})
            statuses[answer.status] += 1
            if answer.status == 201:
                created.append((await answer.json())["id"])
            if created and day % 3 == 0:
                await person.ask("PUT", f"{TRAININGS}/{created[day % len(created)]}", body | {"title": "again"})
            if day % 5 == 0:
                await person.ask("PUT", person.address(f"/exercise-aliases/n{number}-{day}"), {"exercise": "pull-up"})
                await coach.ask("GET", person.address("/trainings"))

    async def fold_on() -> None:
        while not stopped.is_set():
            await settle(db)
            await asyncio.sleep(0.01)

    writers = [asyncio.create_task(write(person, number)) for number, person in enumerate((user, user, user, other))]
    folding = asyncio.create_task(fold_on())
    await until(lambda: statuses[201] > 60, 30, "much is written")
    await erase(client, user)
    workers: list[ErasureWorker] = [eraser(db), eraser(db)]
    for worker in workers:
        worker.start()

    async def done() -> bool:
        return (await report(user))["status"] == "done"

    await until(done, 30, "it is erased while writers go on")
    refused = statuses[410]
    assert await found(everything, user.user_id) == {}
    await until(lambda: statuses[410] > refused, 10, "writers are still refused")
    stopped.set()
    await asyncio.gather(*writers, folding)
    for worker in workers:
        await worker.stop()
    await settle(db)
    assert await found(everything, user.user_id) == {}
    assert (await verify(db)).ok
    assert set(statuses) == {201, 410}
    assert (await other.told("GET", other.address("/trainings?limit=1")))["items"]


def test_the_secret_is_a_setting_that_stays(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "settings", settings.Settings)  # not the ones that the process has read
    monkeypatch.setenv("TRAINING_DATABASE_URL", database_urls.owner)
    monkeypatch.setenv("TRAINING_JWT_SECRET", "a secret of 32 bytes, or of more.")

    def migrate(secret: str) -> tuple[int, str]:
        monkeypatch.setenv("TRAINING_ERASURE_SECRET", secret)
        return cli.main(["migrate"]), capsys.readouterr().err

    assert migrate("too short") == (1, "training: TRAINING_ERASURE_SECRET: needs 32 bytes at least\n")
    assert migrate("x" * 32)[0] == 0
    with closing(psycopg2.connect(database_urls.owner)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO tombstones (tombstone) SELECT tombstone(gen_random_uuid())")
    assert migrate("x" * 32)[0] == 0
    code, said = migrate("y" * 32)
    assert code == 1
    assert "TRAINING_ERASURE_SECRET is another than the one" in said


def test_tombstones_are_made_with_the_secret(database_urls: DatabaseUrls) -> None:
    user, secret = uuid4(), b"x" * 100  # longer than a block: HMAC hashes it first
    with closing(psycopg2.connect(database_urls.owner)) as connection, connection.cursor() as cursor:
        for key in (secret, b"a secret of 32 bytes, and no more", secret):  # while nobody is erased
            set_key(cursor, key)
            cursor.execute("SELECT tombstone(%s)", [str(user)])
            assert bytes(cursor.fetchone()[0]) == hmac.digest(key, user.bytes, hashlib.sha256)
        cursor.execute("INSERT INTO tombstones (tombstone) SELECT tombstone(%s)", [str(user)])
        set_key(cursor, secret)
        set_key(cursor, None)
        with pytest.raises(UnlikeKey):
            set_key(cursor, b"another")
        cursor.execute("DELETE FROM erasure_key")
        with pytest.raises(psycopg2.errors.RaiseException, match="training migrate"):
            cursor.execute("SELECT tombstone(%s)", [str(user)])
    with closing(psycopg2.connect(database_urls.worker)) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("SELECT FROM erasure_key")
        connection.rollback()
        with pytest.raises(psycopg2.errors.RaiseException, match="was not erased"):
            cursor.execute("SELECT erase_user(%s, 10)", [str(uuid4())])


def test_only_another_key_waits_for_who_uses_it(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures, "PATIENCE", "100ms")
    with (
        closing(psycopg2.connect(database_urls.worker)) as reader,
        reader.cursor() as asking,
        closing(psycopg2.connect(database_urls.owner, options="-c statement_timeout=5s")) as connection,
        connection.cursor() as cursor,
    ):
        set_key(cursor, b"x" * 32)
        connection.commit()
        asking.execute("SELECT tombstone(%s)", [str(uuid4())])  # until its transaction ends
        for same in (None, b"x" * 32):
            set_key(cursor, same)
            connection.commit()
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            set_key(cursor, b"y" * 32)


async def test_who_was_never_erased_has_no_report(db: Database) -> None:
    with pytest.raises(NotFound):
        await Erasures(db).read(uuid4())


async def test_the_archive_is_erased_with_the_tables(past: World, everything: Database) -> None:  # noqa: F811
    athlete, other = await past.athlete(), await past.athlete()
    for each in (athlete, other):
        for number in (0, 1):
            await old(past, each, number, notes=NOTE)
    await past.settle()
    await past.archive()
    before = Counter(row[7] for row in (await past.rows()).values())
    await Erasures(past.database).begin(athlete.user_id)
    await eraser(past.database, archives=partial(erase_archived, past.database, past.folder)).work_off()
    counts = (await Erasures(past.database).read(athlete.user_id)).counts
    assert (counts["archive"], counts["trainings"], counts.get("outbox")) == (2, 2, None)
    assert await found(everything, athlete.user_id) == {}
    files = [path.read_bytes() for path in past.folder.iterdir()]
    assert not any(str(athlete.user_id).encode() in file for file in files)
    after = Counter(row[7] for row in (await past.rows()).values())
    assert after == before | {athlete.user_id: 1}  # the last event
