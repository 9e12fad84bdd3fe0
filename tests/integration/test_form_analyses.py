"""Form analyses over REST, on a real PostgreSQL; and the sample client, run as its reader would."""

import asyncio
import datetime as dt
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from models.form_analyses import FormAnalysisDocument, FormAnalysisPage
from storage.database import Database
from storage.erasures import Erasures
from tests.support.api import User
from tests.support.coaches import OF_USER, Person
from tests.support.erasures import eraser
from tests.support.web import Client, make_settings, serve, token
from web import form_analyses, memberships, trainings

ROUTES = (*form_analyses.ROUTES, *trainings.ROUTES, *memberships.ROUTES)
DOCS = Path(__file__).parents[2] / "docs"
BODY: dict[str, Any] = {
    "video_id": "v-1",
    "analyser": {"name": "vision", "version": "2"},
    "scores": [{"name": "depth", "value": 1, "about": "how low"}, {"name": "tempo", "value": 0.25}],
    "remarks": [{"at_seconds": 12.5, "severity": "warning", "text": "The knees come inwards."}],
    "analysed_at": "2026-01-05T19:00:00+01:00",
}
SETS = [{"weight": 100, "reps": 5, "video_id": "v-1"}, {"weight": 100, "reps": 5}]


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    settings = make_settings(events_topic="t", insights_topic="i")
    async with serve(ROUTES, settings=settings, database=db) as client:
        yield client


@pytest.fixture
def user(client: Client) -> User:
    return User(client)


@pytest.fixture
def person(client: Client, user: User) -> Person:
    return Person(client, user.user_id, groups=["team"])


@pytest.fixture
def service(client: Client) -> Person:
    return Person(client, sub="vision", roles=["form-analysis"])


async def training(user: User, **fields: Any) -> dict[str, Any]:
    return await user.create(**{"status": "COMPLETED", "exercises": [{"name": "Squat", "sets": SETS}]} | fields)


def place(user: User, made: dict[str, Any], set_: int = 0) -> str:
    exercise = made["exercises"][0]
    address = f"/trainings/{made['id']}/exercises/{exercise['id']}/sets/{exercise['sets'][set_]['id']}/form-analyses"
    return OF_USER.format(userId=user.user_id) + address


async def test_an_analysis_is_added_once_and_is_an_event(db: Database, user: User, person: Person) -> None:
    made = await training(user)
    path, body = place(user, made), BODY | {"id": str(uuid4())}
    added = await person.ask("POST", path, body)
    assert (added.status, "ETag" in added.headers, "Location" in added.headers) == (201, False, False)
    document = await added.json()
    FormAnalysisDocument.model_validate_json(await added.read(), strict=True, extra="forbid")
    assert document["analysed_at"] == "2026-01-05T18:00:00Z"
    again = await person.ask("POST", path, body)
    assert (again.status, await again.json()) == (200, document)
    assert (await person.ask("POST", path, body | {"remarks": []})).status == 409
    listed = await person.ask("GET", path)
    FormAnalysisPage.model_validate_json(await listed.read(), strict=True, extra="forbid")
    assert await listed.json() == {"items": [document]}
    assert await person.told("GET", place(user, made, 1)) == {"items": []}

    rows = await db.all("SELECT topic, aggregate_type, event_type, payload FROM outbox WHERE topic <> 't'")
    ((*kind, payload),) = rows
    assert kind == ["i", "form_analysis", "form_analysis_added"]
    said = {name: value for name, value in document.items() if name not in ("id", "created_at", "updated_at")}
    assert orjson.loads(payload)["payload"] == {"form_analysis_id": document["id"]} | said
    assert await (await user.ask("GET", f"/{made['id']}")).json() == made


async def test_a_key_makes_a_request_safe_to_send_again(db: Database, user: User, person: Person) -> None:
    path = place(user, await training(user))
    answers = [await person.ask("POST", path, BODY, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert await answers[0].json() == await answers[1].json()
    other = await person.ask("POST", path, BODY | {"remarks": []}, **{"Idempotency-Key": "k"})
    assert (other.status, (await other.json())["type"]) == (422, "/problems#idempotency-key-reused")
    assert await db.one("SELECT count(*) FROM form_analyses") == (1,)


async def test_who_may(client: Client, user: User, person: Person, service: Person) -> None:
    path = place(user, await training(user))
    assert (await service.ask("POST", path, BODY)).status == 201
    assert (await service.ask("GET", path)).status == 404  # it may add, and nothing else
    await person.admit("team", "read", "plan")
    for other in (Person(client), Person(client, coach_of=["team"]), Person(client, roles=["identity", "admin"])):
        assert (await other.ask("POST", path, BODY)).status == 404
        assert (await other.ask("GET", path)).status == 404
    assert len((await person.told("GET", path))["items"]) == 1
    elsewhere = path.replace(str(user.user_id), str(service.user_id))
    assert (await service.ask("POST", elsewhere, BODY)).status == 404


async def test_what_is_wrong_is_named(db: Database, user: User, person: Person) -> None:
    made = await training(user)
    score, remark = {"name": "depth", "value": 0.5}, {"severity": "info", "text": "x"}
    for changed, pointer in (
        ({"video_id": "v-2"}, "/video_id"),
        ({"scores": [], "remarks": []}, ""),
        ({"scores": [score, score]}, "/scores/1/name"),
        ({"scores": [score | {"value": 1.1}]}, "/scores/0/value"),
        ({"scores": [score] * 51}, "/scores"),
        ({"remarks": [remark | {"severity": "fatal"}]}, "/remarks/0/severity"),
        ({"remarks": [remark | {"text": ""}]}, "/remarks/0/text"),
        ({"remarks": [remark | {"at_seconds": -1}]}, "/remarks/0/at_seconds"),
        ({"analysed_at": "2026-01-05"}, "/analysed_at"),
        ({"analysed_at": f"{dt.datetime.now(dt.UTC) + dt.timedelta(hours=25):%Y-%m-%dT%H:%M:%SZ}"}, "/analysed_at"),
        ({"analyser": {"name": "vision"}}, "/analyser/version"),
        ({"training_id": str(uuid4())}, "/training_id"),
    ):
        answer = await person.ask("POST", place(user, made), BODY | changed)
        assert (answer.status, (await answer.json())["errors"][0]["pointer"]) == (422, pointer), changed
    without = await person.ask("POST", place(user, made, 1), BODY)
    assert (without.status, (await without.json())["errors"][0]["pointer"]) == (422, "/video_id")
    assert await db.one("SELECT count(*) FROM form_analyses") == (0,)


async def test_a_set_that_is_not_there(user: User, person: Person) -> None:
    made = await training(user)
    exercise, set_ = made["exercises"][0], made["exercises"][0]["sets"][0]
    path = place(user, made)
    for gone in (made["id"], exercise["id"], set_["id"]):
        for method, body in (("POST", BODY), ("GET", None)):
            assert (await person.ask(method, path.replace(gone, str(uuid4())), body)).status == 404
    assert (await person.ask("POST", path, BODY)).status == 201
    assert (await user.ask("DELETE", f"/{made['id']}")).status == 204
    for method, body in (("POST", BODY), ("GET", None)):
        assert (await person.ask(method, path, body)).status == 404


async def test_analyses_stay_when_the_set_gets_another_video(user: User, person: Person) -> None:
    made = await training(user)
    path, body = place(user, made), BODY | {"id": str(uuid4())}
    await person.told("POST", path, body)
    made["exercises"][0]["sets"][0]["video_id"] = "v-2"
    assert (await user.ask("PUT", f"/{made['id']}", made)).status == 200
    assert (await person.ask("POST", path, body)).status == 200  # a retry of what was added then
    assert (await person.ask("POST", path, BODY)).status == 422
    newer = await person.told("POST", path, BODY | {"video_id": "v-2"})
    assert [item["video_id"] for item in (await person.told("GET", path))["items"]] == ["v-2", "v-1"]
    first = await person.told("GET", f"{path}?limit=1")
    assert first["items"] == [newer]
    rest = await person.told("GET", f"{path}?limit=1&cursor={first['next_cursor']}")
    assert ([item["id"] for item in rest["items"]], "next_cursor" in rest) == ([body["id"]], False)


@pytest.mark.parametrize("deleted", [False, True])
async def test_what_was_added_is_answered_whatever_became_of_the_set(
    db: Database, user: User, person: Person, *, deleted: bool
) -> None:
    made = await training(user)
    path, named = place(user, made), BODY | {"id": str(uuid4())}
    keyed = [await person.ask("POST", path, BODY, **{"Idempotency-Key": "k"})]
    document = await person.told("POST", path, named)
    if deleted:
        assert (await user.ask("DELETE", f"/{made['id']}")).status == 204
    else:
        made["exercises"][0]["sets"][0]["video_id"] = "v-2"
        assert (await user.ask("PUT", f"/{made['id']}", made)).status == 200
    keyed.append(await person.ask("POST", path, BODY, **{"Idempotency-Key": "k"}))
    assert [answer.status for answer in keyed] == [201, 201]
    assert keyed[1].headers["Idempotent-Replayed"] == "true"
    assert await keyed[0].json() == await keyed[1].json()
    again = await person.ask("POST", path, named)
    assert (again.status, await again.json()) == (200, document)
    assert (await person.ask("POST", path, named | {"remarks": []})).status == 409
    other = await person.ask("POST", path, BODY | {"remarks": []}, **{"Idempotency-Key": "k"})
    assert (await other.json())["type"] == "/problems#idempotency-key-reused"
    # What was never added is refused, and its key stays free.
    for _ in range(2):
        fresh = await person.ask("POST", path, BODY, **{"Idempotency-Key": "l"})
        assert fresh.status == (404 if deleted else 422)
    counts = "(SELECT count(*) FROM form_analyses), (SELECT count(*) FROM idempotency_keys WHERE key = 'l')"
    assert await db.one(f"SELECT {counts}, (SELECT count(*) FROM outbox WHERE topic = 'i')") == (2, 0, 2)


async def test_sets_of_two_exercises_may_have_one_id(user: User, person: Person) -> None:
    set_ = {"id": str(uuid4()), "reps": 5, "video_id": "v-1"}
    made = await training(user, exercises=[{"name": name, "sets": [set_]} for name in ("Squat", "Row")])
    path = place(user, made)
    await person.told("POST", path, BODY)
    other = path.replace(made["exercises"][0]["id"], made["exercises"][1]["id"])
    assert [len((await person.told("GET", where))["items"]) for where in (path, other)] == [1, 0]


async def test_erasure_takes_them_along(db: Database, everything: Database, user: User, person: Person) -> None:
    path = place(user, await training(user))
    await person.told("POST", path, BODY)
    await Erasures(db).begin(user.user_id)
    await eraser(db).work_off()
    assert await everything.one("SELECT count(*) FROM form_analyses") == (0,)
    for method, body in (("POST", BODY), ("GET", None)):
        assert (await person.ask(method, path, body)).status == 404


async def test_the_sample_client_attaches_what_its_program_finds(
    db: Database, client: Client, user: User, person: Person, tmp_path: Path
) -> None:
    made = await training(user, exercises=[{"name": "Squat", "sets": [SETS[0] | {"video_id": "-v1"}]}])
    await training(user, status="PLANNED", exercises=[{"name": "Row", "sets": [SETS[0] | {"done": False}]}])
    program = tmp_path / "look-at"
    parsing = 'parser = argparse.ArgumentParser(); parser.add_argument("video"); video = parser.parse_args().video'
    finding = 'print(json.dumps({"scores": [], "remarks": [{"severity": "info", "text": video}]}))'
    program.write_text(f"#!{sys.executable}\nimport argparse, json\n{parsing}\n{finding}\n")
    program.chmod(0o755)
    rows = await db.all("SELECT payload FROM outbox ORDER BY seq")
    events = "\n".join(row[0] for row in [*rows, *rows]).encode()  # and a copy of each

    async def run(version: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(DOCS / "examples" / "form_analysis_client.py"),
            str(client.make_url("")).rstrip("/"),
            str(program),
            version,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"TRAINING_TOKEN": token(uuid4(), roles=["form-analysis"])},
        )
        out, _ = await asyncio.wait_for(process.communicate(events), 60)
        assert process.returncode == 0
        return [line.split()[0] for line in out.decode().splitlines()]

    assert await run("1") == ["201", "409"]
    assert await run("2") == ["201", "409"]
    items = (await person.told("GET", place(user, made)))["items"]
    assert [(item["analyser"], item["remarks"]) for item in items] == [
        ({"name": "look-at", "version": version}, [{"severity": "info", "text": "-v1"}]) for version in ("2", "1")
    ]


def test_the_page_shows_a_valid_analysis() -> None:
    page = (DOCS / "form-analysis.md").read_text()
    block = page.partition("```json\n")[2].partition("```")[0]
    assert form_analyses.FormAnalysisCreate.model_validate_json(block).scores
    assert "/".join(form_analyses.PATH.split("/")[3:]) in page
