"""Pages of large documents end by bytes: no answer is much larger than 8 MB, and the pages have everything once."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from models.events import MAX_EVENT_BYTES
from storage.change_statements import BEGIN
from storage.database import Database
from storage.pages import PAGE_BYTES
from storage.training_statements import HISTORY, LIST
from storage.workout_statements import LIST as WORKOUTS
from storage.workout_statements import VERSIONS
from tests.support.coaches import Person
from tests.support.web import Client, make_settings, serve
from web.api import ALL_ROUTES

COUNT = 12
NOTES = "n" * 10_000
LARGE = [{"name": "Row", "notes": NOTES}] * 83  # 830 kB: ten of them have more than 8 MB
MOST = PAGE_BYTES + MAX_EVENT_BYTES  # the last one may begin just before the bound
TRAININGS = "/api/v1/trainings"
DATE = "2026-01-05T12:00:00Z"
BODY = {"date": DATE, "status": "PLANNED", "exercises": LARGE}


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, settings=make_settings(), database=db) as client:
        yield client


@pytest.fixture
def person(client: Client) -> Person:
    return Person(client, roles=["form-analysis"], groups=["team"])


async def pages(person: Person, path: str, limit: int = 200) -> list[list[dict[str, Any]]]:
    """The items of every page. Each but the last has `limit` of them, or about 8 MB."""
    found, cursor = [], ""
    while True:
        answer = await person.ask("GET", f"{path}?limit={limit}{cursor}")
        text = await answer.read()
        assert answer.status == 200, text
        assert len(text) < MOST
        page = orjson.loads(text)
        found.append(page["items"])
        assert ("next_cursor" in page) == ("Link" in answer.headers)
        if "next_cursor" not in page:
            return found
        assert len(page["items"]) == limit or len(text) > PAGE_BYTES
        cursor = f"&cursor={page['next_cursor']}"


def sizes(found: list[list[Any]]) -> list[int]:
    return [len(page) for page in found]


async def test_trainings(person: Person, db: Database) -> None:
    ids = [
        (await person.told("POST", TRAININGS, {"date": DATE, "status": "COMPLETED", "exercises": LARGE}))["id"]
        for _ in range(COUNT)
    ]
    before = db.statements
    found = await pages(person, TRAININGS)
    assert db.statements - before == 2  # one a page
    assert sizes(found) == [10, 2]
    assert [item["id"] for page in found for item in page] == sorted(ids, reverse=True)
    assert sizes(await pages(person, TRAININGS, 7)) == [7, 5]
    assert sizes(await pages(person, TRAININGS, 10)) == [10, 2]
    assert sizes(await pages(person, TRAININGS, 12)) == [10, 2]

    done = await pages(person, person.address("/exercises/Row/history"))
    assert sizes(done) == [10, 2]
    assert [item["training_id"] for page in done for item in page] == sorted(ids, reverse=True)


async def test_the_feed_of_changes(person: Person) -> None:
    async def told(cursor: str) -> tuple[list[list[str]], str]:
        """The ids of each page, and the last cursor."""
        found = []
        while True:
            answer = await person.ask("GET", f"{TRAININGS}/changes?limit=200{cursor}")
            assert len(await answer.read()) < MOST
            page = await answer.json()
            found.append([item["id"] for item in page["items"]])
            cursor = f"&cursor={page['next_cursor']}"
            if not page["more"]:
                return found, cursor

    ids = [(await person.told("POST", TRAININGS, BODY))["id"] for _ in range(COUNT)]
    found, cursor = await told("")
    assert found == [sorted(ids)[:10], sorted(ids)[10:], []]  # what changed meanwhile comes last
    for id_ in ids:
        await person.told("PUT", f"{TRAININGS}/{id_}", BODY)
    assert (await told(cursor))[0] == [ids[:10], ids[10:]]


async def test_a_history(person: Person) -> None:
    id_ = (await person.told("POST", TRAININGS, {"date": DATE}))["id"]
    for _ in range(COUNT):
        await person.told("PUT", f"{TRAININGS}/{id_}", BODY)
    found = await pages(person, f"{TRAININGS}/{id_}/history", 500)
    assert sizes(found) == [11, 2]
    assert [item["version"] for page in found for item in page] == list(range(1, COUNT + 2))


async def test_workouts_and_their_versions(person: Person) -> None:
    path = person.address("/workouts")
    exercises = [{**exercise, "sets": 3} for exercise in LARGE]
    ids = [(await person.told("POST", path, {"name": f"{n}", "exercises": exercises}))["id"] for n in range(COUNT)]
    found = await pages(person, path)
    assert sizes(found) == [10, 2]
    assert [item["id"] for page in found for item in page] == ids[::-1]
    for n in range(COUNT):
        await person.told("PUT", f"{path}/{ids[0]}", {"name": f"again {n}", "exercises": exercises})
    versions = await pages(person, f"{path}/{ids[0]}/versions", 500)
    assert sizes(versions) == [10, 3]
    assert [item["version"] for page in versions for item in page] == list(range(1, COUNT + 2))


async def test_phases(person: Person) -> None:
    said = {"first": "2026-01-05", "last": "2026-01-11", "goal": "\x01" * 10_000, "notes": "\x01" * 10_000}
    ids = [
        (await person.told("POST", person.address("/phases"), {"name": f"{n}", "id": str(uuid4())} | said))["id"]
        for n in range(80)
    ]
    found = await pages(person, person.address("/phases"))
    assert len(found) == 2
    assert [item["id"] for page in found for item in page] == sorted(ids)


async def test_form_analyses(person: Person) -> None:
    sets = [{"weight": 100, "reps": 5, "video_id": "v-1"}]
    training = await person.told("POST", TRAININGS, {"date": DATE, "exercises": [{"name": "Squat", "sets": sets}]})
    (exercise,) = training["exercises"]
    path = person.address(
        f"/trainings/{training['id']}/exercises/{exercise['id']}/sets/{exercise['sets'][0]['id']}/form-analyses"
    )
    remarks = [{"at_seconds": 1, "severity": "warning", "text": "t" * 2_000}] * 200
    body = {"video_id": "v-1", "analyser": {"name": "vision", "version": "2"}, "remarks": remarks}
    ids = [(await person.told("POST", path, body | {"analysed_at": "2026-01-05T19:00:00Z"}))["id"] for _ in range(22)]
    found = await pages(person, path)
    assert len(found) == 2
    assert [item["id"] for page in found for item in page] == ids[::-1]


async def test_a_batch_of_what_has_grown_since(person: Person) -> None:
    small = [{"date": DATE, "source_id": f"app:{n}"} for n in range(COUNT)]
    created = (await person.told("POST", f"{TRAININGS}/batch", small))["items"]
    for result in created:
        await person.told("PUT", f"{TRAININGS}/{result['training']['id']}", BODY)
    answer = await person.ask("POST", f"{TRAININGS}/batch", small)
    assert len(await answer.read()) < MOST
    again = (await answer.json())["items"]
    assert [result["status"] for result in again] == [200] * 9 + [413] * 3
    assert [result["training"]["id"] for result in again[:9]] == [result["training"]["id"] for result in created[:9]]
    rest = (await person.told("POST", f"{TRAININGS}/batch", small[9:]))["items"]
    assert [result["training"]["id"] for result in rest] == [result["training"]["id"] for result in created[9:]]
    one = await person.ask("POST", f"{TRAININGS}/batch", small[:1] * 100)
    assert len(await one.read()) < MOST
    assert [result["status"] for result in (await one.json())["items"]] == [200] * 9 + [413] * 91


@pytest.mark.parametrize("statement", [LIST, HISTORY, WORKOUTS, VERSIONS, BEGIN])
async def test_no_documents_are_made_beyond_a_page(db: Database, statement: str) -> None:
    parameters = {
        "user_id": uuid4(),
        "id": uuid4(),
        "first": None,
        "last": None,
        "status": None,
        "after": 0,
        "after_date": None,
        "after_moment": None,
        "after_id": None,
        "coach_of": None,
        "limit": 201,
    }
    plan = "\n".join(line for (line,) in await db.all(f"EXPLAIN {statement}", parameters))
    assert "Run Condition: (count(*) FILTER" in plan
