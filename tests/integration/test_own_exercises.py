"""Own exercises and names, on a real PostgreSQL and over HTTP: one statement a write, events that tell all of it."""

import asyncio
import random
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import Conflict, IdempotencyKeyReused, NotFound, PreconditionFailed, UnknownExercise
from models.exercises import MovementUpdate, folded
from models.own_exercises import MOST_NAMES, MOST_NAMES_OF_ONE, MOST_OWN, AliasBody, OwnExerciseDocument
from outbox.replay import replay
from storage.database import Database
from storage.exercises import Exercises, read_catalogue
from storage.outbox import status
from storage.trainings import Author, IdempotencyKey
from tests.support.athletes import Athlete
from tests.support.bodies import squat
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.outbox import outbox, settings_for
from tests.support.own_exercises import CARRY, REST, Namer, folded_events, key, said
from tests.support.topic import read_topic
from tests.support.web import USER, Client, bearer, serve
from web import own_exercises

on_one_database = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def user(db: Database) -> Namer:
    return Namer(db)


async def test_an_own_exercise_from_its_creation_to_its_end(user: Namer) -> None:
    created = await user.create()
    document = said(created)
    OwnExerciseDocument.model_validate_json(created.document or b"", strict=True, extra="forbid")
    moments = {name: document.pop(name) for name in ("created_at", "updated_at")}
    assert document == {"slug": "zercher-carry", "revision": 1} | CARRY | REST
    stored = await user.exercises.read(user.user_id, "zercher-carry")
    assert (stored.revision, stored.document) == (1, created.document)

    updated = await user.update("zercher-carry", [1], name="Front carry", bw_fraction=None, image_id="i")
    now = said(updated)
    changed = {name: value for name, value in CARRY.items() if name != "bw_fraction"} | REST
    changed |= {"name": "Front carry", "image_id": "i"}
    assert (now.pop("created_at"), now.pop("updated_at") >= moments["updated_at"]) == (moments["created_at"], True)
    assert now == {"slug": "zercher-carry", "revision": 2} | changed
    assert await user.own() == [said(updated)]
    assert await user.set("Zercher walk", own_exercise="zercher-carry") == {
        "name": "zercher walk",
        "own_exercise": "zercher-carry",
    }
    names = ["front carry", "zercher carry", "zercher walk"]
    assert await user.aliases() == {name: {"own_exercise": "zercher-carry"} for name in names}
    await user.update("zercher-carry", name="Front carry", bw_fraction=None, image_id="i")

    assert (await user.delete("zercher-carry", [3])).document is None
    assert (await user.own(), await user.aliases()) == ([], {})
    for attempt in (
        user.exercises.read(user.user_id, "zercher-carry"),
        user.update("zercher-carry"),
        user.delete("zercher-carry"),
    ):
        with pytest.raises(NotFound):
            await attempt
    own = {"slug": "zercher-carry", "own": True}
    assert await user.told() == [
        ("exercise_created", ["zercher carry"], own | {"revision": 1} | CARRY | REST),
        ("exercise_updated", names[:2], own | {"revision": 2} | changed),
        ("exercise_alias_set", names[2:], own | {"revision": 2} | changed),
        ("exercise_updated", names, own | {"revision": 3} | changed),
        ("exercise_deleted", names, None),
    ]

    again = said(await user.create(name="Zercher carry"))  # no revision stands for two contents
    assert (again["revision"], again["created_at"]) == (4, moments["created_at"])
    assert await user.aliases() == {"zercher carry": {"own_exercise": "zercher-carry"}}


async def test_names_mean_movements_of_the_catalogue_in_the_revision_of_that_moment(user: Namer, db: Database) -> None:
    meaning = {"exercise": "pistol-squat", "exercise_revision": 1}
    assert await user.set("  One-leg\tSQUAT ", exercise="pistol-squat") == {"name": "one-leg squat"} | meaning
    assert await user.set("one-leg squat", exercise="pistol-squat") == {"name": "one-leg squat"} | meaning
    assert await user.set("ONE-LEG squat", key(), exercise="pistol-squat") == {"name": "one-leg squat"} | meaning
    (event,) = await user.told()
    catalogue = Exercises(db)
    movement = orjson.loads((await catalogue.read("pistol-squat")).document)
    for name in ("easier_slugs", "created_at"):
        del movement[name]
    assert event == ("exercise_alias_set", ["one-leg squat"], movement | {"own": False})

    edit = orjson.loads((await catalogue.read("pistol-squat")).document) | {"difficulty": 9}
    await catalogue.update("pistol-squat", MovementUpdate.model_validate_json(orjson.dumps(edit)))
    assert await user.aliases() == {"one-leg squat": meaning}
    with pytest.raises(Conflict):
        await catalogue.delete("pistol-squat")
    assert (await user.set("one-leg squat", exercise="pistol-squat"))["exercise_revision"] == 2
    await user.create()
    await user.set("one-leg squat", own_exercise="zercher-carry")
    await user.remove("One-leg squat")
    told = await user.told()
    assert [(type_, names) for type_, names, _ in told[1:]] == [
        ("exercise_alias_set", ["one-leg squat"]),
        ("exercise_created", ["zercher carry"]),
        ("exercise_alias_set", ["one-leg squat"]),
        ("exercise_alias_removed", ["one-leg squat"]),
    ]
    assert (told[1][2]["difficulty"], told[3][2]["slug"], told[4][2]) == (9, "zercher-carry", None)
    for attempt in (user.remove("one-leg squat"), user.remove("one-leg squat", key("d")), user.remove("never")):
        with pytest.raises(NotFound):
            await attempt
    for unknown, pointer in (({"exercise": "no-such"}, "/exercise"), ({"own_exercise": "no-such"}, "/own_exercise")):
        for named in (None, key("u")):
            with pytest.raises(UnknownExercise) as refused:
                await user.set("x", named, **unknown)
            assert refused.value.pointer == pointer
    assert len(await user.events()) == 5


async def test_the_own_name_of_an_own_exercise_always_means_it(user: Namer) -> None:
    await user.set("zercher carry", exercise="pistol-squat")
    await user.create()
    await user.create(name="Yoke walk")
    assert await user.aliases() == {
        "zercher carry": {"own_exercise": "zercher-carry"},
        "yoke walk": {"own_exercise": "yoke-walk"},
    }
    before = await user.events()
    assert (await user.set("Zercher carry", own_exercise="zercher-carry"))["own_exercise"] == "zercher-carry"
    for attempt in (
        user.set("Zercher carry", exercise="pistol-squat"),
        user.set("zercher carry", own_exercise="yoke-walk"),
        user.remove("Zercher Carry"),
        user.remove("Zercher Carry", key()),
        user.create(name="ZERCHER carry", slug="another"),
        user.create(name="Another", slug="yoke-walk"),
        user.create(key("c"), name="Yoke - walk"),
        user.update("yoke-walk", name="zercher carry"),
    ):
        with pytest.raises(Conflict):
            await attempt
    assert await user.events() == before
    await user.update("yoke-walk", name="Farmer's walk")
    await user.set("Yoke walk", own_exercise="zercher-carry")  # no longer an own name
    await user.update("yoke-walk", name="Yoke walk")
    assert (await user.aliases())["yoke walk"] == {"own_exercise": "yoke-walk"}
    assert (await user.told())[-1][1] == ["yoke walk", "farmer's walk"]


async def test_there_is_room_for_so_many(user: Namer, db: Database) -> None:
    await user.create()
    await db.execute(
        "INSERT INTO own_exercises SELECT (made.e).* FROM ("
        "SELECT jsonb_populate_record(e, jsonb_build_object('slug', 's-' || n, 'folded', 's ' || n)) AS e "
        "FROM own_exercises e, generate_series(2, %s) n WHERE user_id = %s) made",
        [MOST_OWN, user.user_id],
    )
    with pytest.raises(Conflict, match="500 own exercises"):
        await user.create(name="One more")
    await user.delete("s-2")
    await user.create(name="One more")

    names = "INSERT INTO exercise_aliases (user_id, name, own) SELECT %s, 'n' || n, 'zercher-carry' "
    await db.execute(f"{names} FROM generate_series(2, %s) n", [user.user_id, MOST_NAMES_OF_ONE])
    for attempt in (user.set("n1", own_exercise="zercher-carry"), user.update("zercher-carry", name="Other")):
        with pytest.raises(Conflict, match="500 names mean this own exercise"):
            await attempt
    await user.update("zercher-carry", difficulty=5)
    assert len((await user.told())[-1][1]) == MOST_NAMES_OF_ONE
    others = "INSERT INTO exercise_aliases (user_id, name, exercise, exercise_revision) SELECT %s, 'm' || n, 'dip', 1"
    await user.delete("s-3")
    count = MOST_NAMES - len(await user.aliases())
    await db.execute(f"{others} FROM generate_series(1, %s) n", [user.user_id, count])
    for attempt in (user.set("x", exercise="dip"), user.set("x", key(), exercise="dip"), user.create(name="x")):
        with pytest.raises(Conflict, match="1,000 names"):
            await attempt
    await user.set("m1", exercise="pistol-squat")
    await user.remove("m1")
    await user.set("x", exercise="dip")


async def test_preconditions(user: Namer) -> None:
    await user.create()
    await user.update("zercher-carry", [1])
    for attempt in (user.update("zercher-carry", [1]), user.delete("zercher-carry", [1, 3], key())):
        with pytest.raises(PreconditionFailed) as refused:
            await attempt
        assert refused.value.version == 2
    await user.delete("zercher-carry", [7, 2])


async def test_a_key_is_answered_once_and_then_replayed(user: Namer, db: Database) -> None:
    writes = [
        (lambda: user.create(key()), True),
        (lambda: user.update("zercher-carry", [1], key("u", route="PUT"), name="Carry"), True),
        (lambda: user.exercises.set_alias(user.author, "a", AliasBody(exercise="dip"), key=key("a")), True),
        (
            lambda: user.exercises.set_alias(user.author, "b", AliasBody(own_exercise="zercher-carry"), key=key("b")),
            True,
        ),
        (lambda: user.remove("a", key("r")), False),
        (lambda: user.delete("zercher-carry", [2], key("d")), False),
    ]
    answers = []
    for write, tells in writes:
        first, then = await write(), await write()
        assert (first.document is not None, first.replayed, then.replayed) == (tells, False, True)
        assert (first.document, first.revision) == (then.document, then.revision)
        answers.append(first.document)
    assert [(await write()).document for write, _ in writes] == answers
    assert len(await user.events()) == len(writes)
    with pytest.raises(IdempotencyKeyReused):
        await user.create(key(digest=b"another"))
    # A write that changed nothing keeps no key.
    with pytest.raises(NotFound):
        await user.delete("zercher-carry", key=key("gone"))
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (len(writes),)


async def test_one_statement_each(user: Namer, db: Database) -> None:
    async def writes(name: str | None) -> None:
        def named(route: str) -> IdempotencyKey | None:
            return key(name, route=route) if name else None

        await user.create(named("POST"))
        await user.update("zercher-carry", key=named("PUT"))
        await user.set("a", named("a"), exercise="dip")
        await user.remove("a", named("r"))
        await user.delete("zercher-carry", key=named("DELETE"))

    for first, then in ((None, None), ("a", "b")):
        await writes(first)  # the connection prepares each statement once
        before = db.statements
        await writes(then)
        assert db.statements - before == 5
    await user.create()
    before = db.statements
    await user.exercises.read(user.user_id, "zercher-carry")
    await user.own()
    await user.aliases()
    await user.unmapped()
    assert db.statements - before == 4


async def test_they_are_each_users_own(user: Namer, db: Database) -> None:
    stranger = Namer(db)
    await user.create(key())
    await user.set("a", exercise="dip")
    assert await stranger.own() == []
    assert await stranger.aliases() == {}
    for attempt in (
        stranger.exercises.read(stranger.user_id, "zercher-carry"),
        stranger.update("zercher-carry"),
        stranger.delete("zercher-carry"),
        stranger.remove("a"),
    ):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(UnknownExercise):
        await stranger.set("b", own_exercise="zercher-carry")
    assert not (await stranger.create(key())).replayed
    await stranger.delete("zercher-carry")
    assert await user.aliases() == {
        "a": {"exercise": "dip", "exercise_revision": 1},
        "zercher carry": {"own_exercise": "zercher-carry"},
    }
    assert (len(await user.events()), len(await stranger.events())) == (2, 2)


@on_one_database
@given(st.integers(0, 2**32))
async def test_concurrent_writers_leave_what_the_events_tell(db: Database, seed: int) -> None:
    """Whatever one user's devices say at the same moment: versions 1 to n, whose fold is what is stored (D4)."""
    user, chance = Namer(db), random.Random(seed)
    slugs, names = ("a", "b"), ("a", "b", "c", "d")

    async def attempt(n: int) -> None:
        slug, name = chance.choice(slugs), chance.choice(names)
        what = chance.choice(["create", "update", "delete", "own", "catalogue", "catalogue", "remove"])
        named = key(str(n % 3), route=f"{what} {slug} {name}") if chance.random() < 0.4 else None
        try:
            match what:
                case "create":
                    await user.create(named, slug=slug, name=name, difficulty=1 + n % 10)
                case "update":
                    await user.update(slug, key=named, name=name, difficulty=1 + n % 10)
                case "delete":
                    await user.delete(slug, key=named)
                case "own":
                    await user.set(name, named, own_exercise=slug)
                case "catalogue":
                    await user.set(name, named, exercise=chance.choice(["dip", "pistol-squat"]))
                case _:
                    await user.remove(name, named)
        except (Conflict, NotFound, UnknownExercise):
            pass

    for _ in range(3):
        await asyncio.gather(*(attempt(n) for n in range(6)))
    meanings, contents = folded_events(await user.events())
    assert await user.aliases() == meanings
    assert [{k: v for k, v in own.items() if not k.endswith("_at")} for own in await user.own()] == contents
    (row,) = await db.all("SELECT version FROM exercise_namings WHERE user_id = %s", [user.user_id]) or [(0,)]
    assert row == (len(await user.events()),)


@on_one_database
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\x00")), max_size=30))
async def test_names_are_compared_alike_by_the_database(db: Database, names: list[str]) -> None:
    spaces = ["Straße\x1f\u2028 ΣΊΣΥΦΟΣ\xa0İ", *(f"a{chr(code)}b" for code in range(1, 0x3001) if chr(code).isspace())]
    rows = await db.all("SELECT name, folded_name(name) FROM unnest(%s::text[]) name", [[*names, *spaces]])
    assert dict(rows) == {name: folded(name) for name in (*names, *spaces)}


async def test_names_without_a_meaning_are_counted_and_something_is_suggested(user: Namer, db: Database) -> None:
    catalogue = await read_catalogue(db)
    athlete, other = Athlete(db, catalogue), Athlete(db, catalogue)
    user = Namer(db, athlete.user_id)
    assert await user.unmapped() == []
    free = squat(name="Pistol  Squats", sets=2)
    undone = {"name": "pistol squats", "sets": [{"reps": 5}, {"reps": 5, "done": False}]}
    await athlete.create(date="2026-01-07T12:00:00Z", exercises=[free, undone])
    await athlete.create(date="2026-01-05T12:00:00Z", exercises=[squat(name="PISTOL SQUATS"), squat(name="Zorb")])
    await athlete.create(date="2026-01-06T23:30:00Z", timezone="Europe/Berlin", exercises=[squat(name="zorb", sets=3)])
    await athlete.create(exercises=[squat(name="Squat", exercise="squat")])
    await athlete.create(exercises=[squat(name="planned")], status="PLANNED")
    await athlete.delete(await athlete.create(exercises=[squat(name="deleted")]))
    await other.create(exercises=[squat(name="other's")])

    found = await user.unmapped()
    assert [{name: value for name, value in each.items() if name != "suggestions"} for each in found] == [
        {"name": "Pistol  Squats", "exercises": 3, "sets": 4, "last_day": "2026-01-07"},
        {"name": "zorb", "exercises": 2, "sets": 4, "last_day": "2026-01-07"},
    ]
    first, *more = found[0]["suggestions"]
    assert (first["exercise"], first["name"]) == ("pistol-squat", "Pistol squat")
    assert 0.4 <= more[-1]["score"] <= more[0]["score"] <= first["score"] <= 1
    assert found[1]["suggestions"] == []
    await user.create(name="Zorbing")
    await Namer(db).create(name="Zorb")
    (suggestion,) = (await user.unmapped())[1]["suggestions"]
    assert suggestion | {"score": 0} == {"own_exercise": "zorbing", "name": "Zorbing", "score": 0}

    await user.set("pistol squats", exercise="pistol-squat")
    assert [each["name"] for each in await user.unmapped()] == ["zorb"]
    await user.remove("pistol squats")
    await user.delete("zorbing")
    await athlete.create(exercises=[squat(name="push up")])
    assert [(each["name"], len(each["suggestions"])) for each in (await user.unmapped())[1:]] == [
        ("zorb", 0),
        ("push up", 5),
    ]


async def test_they_are_published_in_order_and_replayed(
    db: Database, database_urls: DatabaseUrls, broker: KafkaAddress
) -> None:
    settings = settings_for(database_urls, broker, f"test_{uuid4().hex}")
    topic = settings.exercise_events_topic
    user, other = Namer(db, topic=topic), Namer(db, topic=topic)
    async with outbox(settings) as service:
        await user.create()
        await other.set("a", exercise="dip")
        await user.set("a", own_exercise="zercher-carry")
        await user.delete("zercher-carry")
        service.wake()
        await until(lambda: empty(db), 15, "it is published")
        assert service.state.error is None
    records = await read_topic(broker.bootstrap, topic)
    for each in (user, other):
        own = [record for record in records if record.key == str(each.user_id).encode()]
        assert [record.event for record in own] == await each.events()
        assert {dict(record.headers)["ce_subject"].decode() for record in own} == {str(each.user_id)}
        assert len({record.partition for record in own}) == 1
    again = await replay(settings, db, user_id=user.user_id)
    assert (again.topics, again.records) == ((f"{topic}.replay",), 3)
    copies = await read_topic(broker.bootstrap, f"{topic}.replay")
    assert [record.event for record in copies] == await user.events()


async def empty(database: Database) -> bool:
    return (await status(database)).depth == 0


ADDRESS = f"/api/v1/training/users/{USER}/own-exercises"
ALIASES = f"/api/v1/training/users/{USER}/exercise-aliases"
UNMAPPED = f"/api/v1/training/users/{USER}/exercises/unmapped"


@pytest.fixture
async def client(db: Database) -> Any:
    async with serve(own_exercises.ROUTES, database=db) as client:
        yield client


async def ask(client: Client, method: str, url: str, body: Any = None, user: UUID = USER, **headers: str) -> Any:
    answer = await client.request(
        method, url, json=body, headers=bearer(user) | {name.replace("_", "-"): text for name, text in headers.items()}
    )
    raw = await answer.read()
    return answer.status, answer.headers, orjson.loads(raw) if raw else None


async def test_an_own_exercise_over_http(client: Client) -> None:
    status, headers, document = await ask(client, "POST", ADDRESS, CARRY, Idempotency_Key="a")
    address = f"{ADDRESS}/zercher-carry"
    assert (status, headers["ETag"], headers["Location"]) == (201, '"1"', address)
    status, headers, again = await ask(client, "POST", ADDRESS, CARRY, Idempotency_Key="a")
    assert (status, headers["Idempotent-Replayed"], again) == (201, "true", document)
    assert (await ask(client, "POST", ADDRESS, CARRY))[0] == 409
    status, _, found = await ask(client, "GET", ADDRESS)
    assert (status, found) == (200, {"items": [document]})
    status, headers, read = await ask(client, "GET", address)
    assert (status, headers["ETag"], read) == (200, '"1"', document)
    assert (await ask(client, "GET", address, If_None_Match='"1"'))[0] == 304
    status, headers, changed = await ask(client, "PUT", address, document | {"name": "Carry"}, If_Match='"1"')
    assert (status, headers["ETag"], changed["name"]) == (200, '"2"', "Carry")
    status, headers, problem = await ask(client, "PUT", address, document, If_Match='"1"')
    assert (status, headers["ETag"], problem["version"]) == (412, '"2"', 2)
    for body, pointer in (
        (document | {"slug": "other"}, "/slug"),
        (CARRY | {"easier_slugs": []}, "/easier_slugs"),
        (CARRY | {"name": " "}, "/name"),
        (CARRY | {"difficulty": 11}, "/difficulty"),
    ):
        status, _, problem = await ask(client, "PUT", address, body)
        assert (status, problem["errors"][0]["pointer"]) == (422, pointer)
    for method, where in (("GET", address), ("PUT", address), ("DELETE", address), ("GET", ADDRESS), ("POST", ADDRESS)):
        assert (await ask(client, method, where, CARRY if method in {"PUT", "POST"} else None, uuid4()))[0] == 404
    assert (await ask(client, "DELETE", address, If_Match='"2"'))[0] == 204
    assert (await ask(client, "GET", address))[0] == 404


async def test_names_over_http(client: Client, db: Database) -> None:
    name = "3/4 Squat,  50 % & mehr?"
    address = f"{ALIASES}/{quote(name, safe='')}"
    meaning = {"name": "3/4 squat, 50 % & mehr?", "exercise": "pistol-squat", "exercise_revision": 1}
    status, headers, document = await ask(client, "PUT", address, {"exercise": "pistol-squat"}, Idempotency_Key="a")
    assert (status, "ETag" in headers, document) == (200, False, meaning)
    status, headers, again = await ask(client, "PUT", address, {"exercise": "pistol-squat"}, Idempotency_Key="a")
    assert (status, headers["Idempotent-Replayed"], again) == (200, "true", meaning)
    assert (await ask(client, "PUT", address, {"exercise": "pistol-squat"}, Idempotency_Key="b"))[2] == meaning
    status, _, found = await ask(client, "GET", ALIASES)
    assert (status, found) == (200, {"items": [meaning]})
    for body, pointer in (
        ({"exercise": "no-such"}, "/exercise"),
        ({"own_exercise": "no-such"}, "/own_exercise"),
        ({}, "/exercise"),
        ({"exercise": "dip", "own_exercise": "dip"}, "/own_exercise"),
    ):
        status, _, problem = await ask(client, "PUT", address, body)
        assert (status, problem["errors"][0]["pointer"]) == (422, pointer)
    assert (await ask(client, "PUT", f"{ALIASES}/%20", {"exercise": "dip"}))[0] == 404
    for method in ("PUT", "DELETE"):
        body = {"exercise": "dip"} if method == "PUT" else None
        assert (await ask(client, method, address, body, uuid4()))[0] == 404
    assert (await ask(client, "DELETE", address))[0] == 204
    assert (await ask(client, "DELETE", address))[0] == 404
    assert await db.one("SELECT count(*) FROM outbox") == (2,)


async def test_names_without_a_meaning_are_paged_over_http(client: Client, db: Database) -> None:
    athlete = Athlete(db, await read_catalogue(db))
    athlete.user_id, athlete._author = USER, Author(USER, "athlete")
    await athlete.create(exercises=[squat(name=name) for name in ("dips", "ab", "ab", "ÿ | é")])
    names, url = [], f"{UNMAPPED}?limit=1"
    while url:
        status, headers, page = await ask(client, "GET", url)
        assert (status, len(page["items"])) == (200, 1)
        names.append(page["items"][0]["name"])
        assert ("next_cursor" in page) == ("Link" in headers)
        url = headers["Link"].split(">")[0].removeprefix("<") if "Link" in headers else ""
    assert (names[0], set(names[1:])) == ("ab", {"dips", "ÿ | é"})
    assert (await ask(client, "GET", UNMAPPED, user=uuid4()))[0] == 404
    for cursor in ("x", "1-", f"-1-{64 * 'a'}", f"{19 * '9'}-{64 * 'a'}", f"²-{64 * 'a'}", f"1-{64 * 'A'}"):
        status, _, problem = await ask(client, "GET", f"{UNMAPPED}?cursor={cursor}")
        assert (status, problem["errors"][0]["parameter"]) == (422, "cursor"), cursor
