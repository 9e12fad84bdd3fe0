"""What an app shows while logging, on a real PostgreSQL: an exercise's history, and the latest of many exercises."""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
import psycopg2
import pytest
from aiohttp import ClientResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import storage.exercise_history
from models.exercise_history import MOST_ASKED, ExerciseHistory, LatestSessions
from models.exercises import Catalogue, folded
from models.trainings import Status
from storage.database import Database
from storage.exercise_history_statements import HISTORY, LAST
from storage.exercises import read_catalogue
from storage.trainings import Trainings
from tests.support import bodies
from tests.support.athletes import TOPIC, Athlete
from tests.support.bodies import squat
from tests.support.databases import DatabaseUrls
from tests.support.own_exercises import Namer
from tests.support.web import USER, Client, bearer, serve
from web.exercise_history import ROUTES

PISTOL, WALL, SQUAT = "pistol-squat", "wall-push-up", "squat"
SLUGS = (PISTOL, WALL, SQUAT)
NAMES = (
    "Squat",
    "sQUAT",
    "Straße",
    "STRASSE",
    "Pistol squat",
    PISTOL,
    "PISTOL-SQUAT",
    WALL,
    "3/4 squat, 50 % & more?",
    "Zercher  carry",
    "\x1f",
)
CARRY = "carry"  # an own exercise
TEXTS = (*NAMES, SQUAT, "straße", "pistol \t squat", "Wall-push-up", "zercher carry", CARRY, "never done")
MOMENTS = ("2026-01-05T09:00:00Z", "2026-01-05T12:00:00Z", "2026-01-05T23:00:00.25Z", "2026-01-06T12:00:00Z")
DAYS = ("2026-01-04", "2026-01-05", "2026-01-06")

Document = dict[str, Any]


class User(Athlete):
    """A user, and what is stored of each training that counts."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        super().__init__(database, catalogue)
        self._database = database
        self.stored: list[Document] = []
        self.meanings: dict[str, str] = {}
        self._read = Trainings(database, TOPIC).read

    async def log(self, *, deleted: bool = False, **fields: Any) -> UUID:
        """Store a training, COMPLETED unless `fields` says otherwise, and delete it again where it is `deleted`."""
        id_ = await self.create(**fields)
        document = orjson.loads((await self._read(self.user_id, id_)).document)
        if deleted:
            await self.delete(id_)
        elif document["status"] == Status.COMPLETED:
            self.stored.append(document)
        return id_

    async def mean(self, meanings: dict[str, str]) -> None:
        """Say what names mean: slugs of the catalogue, or the own exercise."""
        namer = Namer(self._database, self.user_id)
        for name, slug in meanings.items():
            if slug == CARRY and CARRY not in self.meanings.values():
                await namer.create(name="Zercher Carry", slug=CARRY)
                self.meanings["zercher carry"] = CARRY
            if folded(name) != "zercher carry":
                await namer.set(name, **{"own_exercise" if slug == CARRY else "exercise": slug})
                self.meanings[folded(name)] = slug

    def did(self, text: str, first: str | None = None, last: str | None = None) -> list[Document]:
        """The history of an exercise, by the plainest of means."""
        found = []
        for training in sorted(self.stored, key=_place, reverse=True):
            held = [
                exercise | {"sets": [set_ for set_ in exercise["sets"] if set_["done"]]}
                for exercise in training["exercises"]
                if names(text.strip(" "), exercise, self.meanings)
            ]
            if held and (first or "0") <= training["day"] <= (last or "9"):
                kept = {name: training[name] for name in ("date", "timezone", "day", "title") if name in training}
                found.append({"training_id": training["id"]} | kept | {"exercises": held})
        return found


def _place(training: Document) -> tuple[dt.datetime, UUID]:
    return dt.datetime.fromisoformat(training["date"]), UUID(training["id"])


def names(text: str, exercise: Document, meanings: dict[str, str]) -> bool:
    """Whether the text names this exercise, where names have these meanings."""
    name = folded(exercise["name"])
    means = exercise.get("exercise") or meanings.get(name, name)
    return means == text if text in SLUGS else name == folded(text) or means == text == CARRY


@pytest.fixture
async def new_user(db: Database) -> Callable[[], User]:
    catalogue = await read_catalogue(db)
    return lambda: User(db, catalogue)


@pytest.fixture
def user(new_user: Callable[[], User]) -> User:
    return new_user()


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


def address(user_id: UUID, what: str) -> str:
    return f"/api/v1/training/users/{user_id}/exercises/{what}"


async def get(client: Client, url: str, user_id: UUID, **query: str) -> tuple[Document, ClientResponse]:
    answer = await client.get(url, params=query, headers=bearer(user_id))
    raw = await answer.read()
    assert answer.status == 200, raw
    ExerciseHistory.model_validate_json(raw, strict=True, extra="forbid")
    document: Document = orjson.loads(raw)
    return document, answer


async def history(client: Client, user_id: UUID, text: str, **query: str) -> list[Document]:
    """The whole history, page by page."""
    url = address(user_id, f"{quote(text, safe='')}/history")
    page, answer = await get(client, url, user_id, **query)
    items: list[Document] = page["items"]
    while "next_cursor" in page:
        assert len(page["items"]) == int(query["limit"])
        link = answer.links["next"]["url"]
        page, answer = await get(client, str(link.relative()), user_id)
        assert page["items"]
        items += page["items"]
    return items


async def last(client: Client, user_id: UUID, texts: Iterable[str]) -> list[Document]:
    answer = await client.post(address(user_id, "last"), json={"exercises": list(texts)}, headers=bearer(user_id))
    raw = await answer.read()
    assert answer.status == 200, raw
    LatestSessions.model_validate_json(raw, strict=True, extra="forbid")
    items: list[Document] = orjson.loads(raw)["items"]
    return items


def exercise(name: str, slug: str | None = None, **fields: Any) -> Document:
    return squat(name=name) | ({} if slug is None else {"exercise": slug}) | fields


_exercises = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([name, f" {name}\t"]))},
    optional={
        "exercise": st.sampled_from(SLUGS),
        "notes": st.sampled_from(["Belt", ""]),
        "superset": st.just(1),
        "sets": st.lists(bodies.sets, max_size=3),
    },
)
_trainings = st.fixed_dictionaries(
    {
        "date": st.sampled_from(MOMENTS),
        "timezone": st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Los_Angeles"]),
        "status": st.sampled_from([Status.COMPLETED] * 4 + [Status.PLANNED, Status.IN_PROGRESS]),
        "exercises": st.lists(_exercises, max_size=4),
        "deleted": st.sampled_from([False] * 4 + [True]),
    },
    optional={"title": st.sampled_from(["Legs", ""])},
)
_spaced = st.sampled_from(TEXTS).flatmap(lambda text: st.sampled_from([text, f" {text} "]))
_queries = st.fixed_dictionaries(
    {"limit": st.integers(1, 3).map(str)},
    optional={"from": st.sampled_from(DAYS), "to": st.just(DAYS[-1])},
)


@pytest.mark.parametrize("recent", [1, 100])
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    trainings=st.lists(st.tuples(st.integers(0, 1), _trainings), min_size=1, max_size=8),
    meanings=st.dictionaries(st.sampled_from(NAMES[:-1]), st.sampled_from([*SLUGS, CARRY]), max_size=3),
    texts=st.lists(_spaced, min_size=1, max_size=4),
    query=_queries,
    asked=st.permutations(TEXTS),
)
async def test_what_is_shown_is_what_was_done(
    *,
    new_user: Callable[[], User],
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    recent: int,
    trainings: list[tuple[int, Document]],
    meanings: dict[str, str],
    texts: list[str],
    query: dict[str, str],
    asked: list[str],
) -> None:
    monkeypatch.setattr(storage.exercise_history, "RECENT", recent)
    monkeypatch.setattr(storage.exercise_history, "RECENT_OF_HISTORY", recent)
    users = new_user(), new_user()
    for who, training in trainings:
        await users[who].log(**training)
    await users[0].mean(meanings)
    for user in users:
        for text in texts:
            expected = user.did(text, query.get("from"), query.get("to"))
            assert await history(client, user.user_id, text, **query) == expected
        newest = [{"asked": text} | sessions[0] for text in asked if (sessions := user.did(text))]
        assert await last(client, user.user_id, asked) == newest


async def test_a_slug_names_its_movement_and_the_name_without_a_slug(client: Client, user: User) -> None:
    """What a text names, spelled out; the model of the test above says the same."""
    held = {
        "by the slug": exercise("Pistol squat", PISTOL),
        "by a name of that form": exercise("Pistol-Squat"),
        "that name, another movement": exercise(PISTOL, WALL),
        "by a name": exercise("pistol SQUAT"),
    }
    for day, (title, one) in enumerate(held.items(), 1):
        await user.log(title=title, date=f"2026-01-0{day}T12:00:00Z", exercises=[one, exercise("Other")])

    async def titles(text: str) -> list[str]:
        return [item["title"] for item in reversed(await history(client, user.user_id, text))]

    assert await titles(PISTOL) == ["by the slug", "by a name of that form"]
    assert await titles("Pistol-squat") == ["by a name of that form", "that name, another movement"]
    assert await titles("Pistol squat") == ["by the slug", "by a name"]
    assert await titles(WALL) == ["that name, another movement"]
    assert await titles("Wall-push-up") == []
    asked = [WALL, "Pistol-squat", "Wall-push-up", PISTOL]
    assert [(item["asked"], item["title"]) for item in await last(client, user.user_id, asked)] == [
        (WALL, "that name, another movement"),
        ("Pistol-squat", "that name, another movement"),
        (PISTOL, "by a name of that form"),
    ]


async def test_a_name_is_found_under_what_it_means(client: Client, user: User) -> None:
    """Where the exercise has no slug; and no longer under its own form, where that is another movement's slug."""
    held = [exercise("My  pistols"), exercise("my pistols", WALL), exercise(PISTOL), exercise("Zercher carry")]
    for day, one in enumerate(held, 1):
        await user.log(title=str(day), date=f"2026-01-0{day}T12:00:00Z", exercises=[one])

    async def found(text: str) -> str:
        return "".join(item["title"] for item in await history(client, user.user_id, text))

    assert [await found(text) for text in (PISTOL, SQUAT, CARRY, "my pistols")] == ["3", "", "", "21"]
    await user.mean({"my pistols": PISTOL, PISTOL: SQUAT, "Zercher carry": CARRY})
    assert [await found(text) for text in (PISTOL, SQUAT, CARRY, "my pistols")] == ["1", "3", "4", "21"]
    newest = await last(client, user.user_id, [CARRY, PISTOL, SQUAT])
    assert [(item["asked"], item["title"]) for item in newest] == [(CARRY, "4"), (PISTOL, "1"), (SQUAT, "3")]


async def test_every_revision_of_a_movement_is_that_movement(
    client: Client, user: User, db: Database, database_urls: DatabaseUrls
) -> None:
    await user.log(date=MOMENTS[0], exercises=[exercise("Pistol", PISTOL)])
    with psycopg2.connect(database_urls.owner) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exercises SELECT (jsonb_populate_record(e, '{\"revision\": 2}')).* FROM exercises e "
            "WHERE slug = %s",
            [PISTOL],
        )
    connection.close()
    later = User(db, await read_catalogue(db))
    later.user_id, later._author = user.user_id, user._author
    await later.log(date=MOMENTS[1], exercises=[exercise("Pistol", PISTOL)])
    revisions = [item["exercises"][0]["exercise_revision"] for item in await history(client, user.user_id, PISTOL)]
    assert revisions == [2, 1]
    (newest,) = await last(client, user.user_id, [PISTOL])
    assert newest["exercises"][0]["exercise_revision"] == 2


async def test_an_exercise_that_occurs_twice_stands_there_twice_in_order(client: Client, user: User) -> None:
    done, planned = {"reps": 5}, {"reps": 9, "done": False}
    await user.log(
        exercises=[
            exercise("squat", notes="light", sets=[done, planned]),
            exercise("Other"),
            exercise("Squat", notes="heavy", sets=[planned]),
        ]
    )
    for items in (await history(client, user.user_id, "Squat"), await last(client, user.user_id, ["Squat"])):
        (item,) = items
        shown = [(held["notes"], [set_["reps"] for set_ in held["sets"]]) for held in item["exercises"]]
        assert shown == [("light", [5]), ("heavy", [])]


async def test_a_correction_is_shown_at_once(client: Client, user: User) -> None:
    id_ = await user.log(exercises=[squat(reps=5)])
    await user.update(id_, date=MOMENTS[3], exercises=[squat(reps=8), exercise("Other")])
    for items in (await history(client, user.user_id, "squat"), await last(client, user.user_id, ["squat"])):
        assert [(item["date"], item["exercises"][0]["sets"][0]["reps"]) for item in items] == [(MOMENTS[3], 8)]
    await user.update(id_, exercises=[exercise("Other")])
    assert await history(client, user.user_id, "squat") == []
    assert await last(client, user.user_id, ["squat"]) == []


async def test_one_statement_each(client: Client, user: User, db: Database) -> None:
    for moment in MOMENTS:
        await user.log(date=moment, exercises=[squat(), exercise("Pistol", PISTOL)])
    before = db.statements
    await get(client, address(user.user_id, f"{PISTOL}/history?limit=2"), user.user_id)
    assert db.statements - before == 1
    await last(client, user.user_id, ["Squat", PISTOL, *(f"unknown {n}" for n in range(MOST_ASKED - 2))])
    assert db.statements - before == 2


@pytest.mark.parametrize("statement", [HISTORY, LAST])
async def test_names_and_slugs_are_looked_up_in_their_indexes(db: Database, statement: str) -> None:
    """The collation and the condition of a statement must be those of the index, or it is not seen."""
    parameters = {
        "user_id": USER,
        "text": "Squat",
        "texts": ["Squat"],
        "recent": 1,
        **dict.fromkeys(("first", "last", "after_date", "after_id")),
        "limit": 1,
    }
    async with db.transaction() as cursor:
        await cursor.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(line for (line,) in await cursor.all(f"EXPLAIN {statement}", parameters))
    for index in ("training_exercises_by_folded_name", "training_exercises_by_movement"):
        assert f"Index Scan on {index}" in plan or f"Index Scan using {index}" in plan, plan


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/exercises"),
        ({"exercises": []}, "/exercises"),
        ({"exercises": "Squat"}, "/exercises"),
        ({"exercises": [f"{n}" for n in range(MOST_ASKED + 1)]}, "/exercises"),
        ({"exercises": ["a", "b", "c", "\t "]}, "/exercises/3"),
        ({"exercises": ["a", "b", "c", "x" * 201]}, "/exercises/3"),
        ({"exercises": ["a", "b", "c", "N\0L"]}, "/exercises/3"),
        ({"exercises": ["a", "b", "c", 3]}, "/exercises/3"),
        ({"exercises": ["a", "b", "c", " b "]}, "/exercises/3"),
        ({"exercises": ["a"], "limit": 3}, "/limit"),
    ],
)
async def test_what_cannot_be_asked(body: object, pointer: str) -> None:
    async with serve(ROUTES) as client:
        answer = await client.post(address(USER, "last"), json=body, headers=bearer())
        problem = await answer.json()
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=nonsense", "cursor"),
        ("from=yesterday", "from"),
        ("from=2026-01-06&to=2026-01-05", "to"),
        ("status=COMPLETED", "status"),
    ],
)
async def test_parameters_that_are_wrong(query: str, parameter: str) -> None:
    async with serve(ROUTES) as client:
        answer = await client.get(address(USER, f"Squat/history?{query}"), headers=bearer())
        problem = await answer.json()
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    assert [error["parameter"] for error in problem["errors"]] == [parameter]


async def test_another_users_address_is_not_there(client: Client, user: User) -> None:
    await user.log(exercises=[squat()])
    answers = (
        await client.get(address(user.user_id, "Squat/history"), headers=bearer()),
        await client.post(address(user.user_id, "last"), json={"exercises": ["Squat"]}, headers=bearer()),
    )
    assert [answer.status for answer in answers] == [404, 404]
    assert await history(client, USER, "Squat") == []


async def test_names_that_do_not_fit_are_not_there() -> None:
    async with serve(ROUTES) as client:
        for text in ("x" * 201, "N%00L"):
            assert (await client.get(address(USER, f"{text}/history"), headers=bearer())).status == 404
