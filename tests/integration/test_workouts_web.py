"""Workouts over HTTP, from the first template to a planned training."""

from typing import Any
from uuid import uuid4

import orjson

from storage.database import Database
from tests.support.web import USER, bearer, make_settings, serve
from tests.support.workouts import PULLS
from web import trainings, workouts

ROUTES = (*workouts.ROUTES, *trainings.ROUTES)
ADDRESS = f"/api/v1/training/users/{USER}/workouts"
PULL = {"name": "Pull", "group_external_id": "team-1", "exercises": [PULLS, {"name": "Dead hang", "sets": 1}]}


async def test_a_workout_from_its_creation_to_its_end(db: Database) -> None:
    settings = make_settings(events_topic="t", workout_events_topic="w")
    async with serve(ROUTES, settings=settings, database=db) as client:
        made = await client.post(ADDRESS, json=PULL, headers=bearer() | {"Idempotency-Key": "a"})
        document = await made.json()
        assert (made.status, made.headers["ETag"]) == (201, '"1"')
        address = f"{ADDRESS}/{document['id']}"
        assert made.headers["Location"] == address
        replayed = await client.post(ADDRESS, json=PULL, headers=bearer() | {"Idempotency-Key": "a"})
        assert (replayed.status, await replayed.json()) == (201, document)
        assert replayed.headers["Idempotent-Replayed"] == "true"
        again = await client.post(ADDRESS, json=PULL | {"id": document["id"]}, headers=bearer())
        assert again.status == 409

        read = await client.get(address, headers=bearer())
        assert (read.status, read.headers["ETag"], await read.json()) == (200, '"1"', document)
        assert (await client.get(address, headers=bearer() | {"If-None-Match": '"1"'})).status == 304

        planned = await client.post(f"{address}/trainings", json={"date": "2026-01-05T12:00:00Z"}, headers=bearer())
        training = await planned.json()
        assert (planned.status, planned.headers["ETag"]) == (201, '"1"')
        assert planned.headers["Location"] == f"/api/v1/trainings/{training['id']}"
        stored = await client.get(planned.headers["Location"], headers=bearer())
        assert await stored.json() == training
        assert (training["title"], training["group_external_id"], training["workout_version"]) == ("Pull", "team-1", 1)
        assert [set_["done"] for exercise in training["exercises"] for set_ in exercise["sets"]] == [False] * 4
        assert training["exercises"][0]["sets"][0]["target"] == {
            "reps": {"min": 5, "max": 8},
            "weight": 2.5,
            "rpe": 8,
            "rest_seconds": 150,
        }

        changed = await client.put(address, json=document | {"name": "Pull 2"}, headers=bearer() | {"If-Match": '"1"'})
        assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
        late = await client.put(address, json=document, headers=bearer() | {"If-Match": '"1"'})
        assert (late.status, late.headers["ETag"], (await late.json())["version"]) == (412, '"2"', 2)
        assert (await client.delete(address, headers=bearer() | {"If-Match": '"2"'})).status == 204
        for method, where in (
            ("GET", address),
            ("PUT", address),
            ("DELETE", address),
            ("POST", f"{address}/trainings"),
        ):
            body = PULL if method == "PUT" else {"date": "2026-01-05T12:00:00Z"} if method == "POST" else None
            gone = await client.request(method, where, json=body, headers=bearer())
            assert (gone.status, (await gone.json())["type"]) == (404, "/problems#not-found")
        assert (await (await client.get(planned.headers["Location"], headers=bearer())).json()) == training

        versions = await (await client.get(f"{address}/versions?limit=2", headers=bearer())).json()
        assert [item["event"]["event_type"] for item in versions["items"]] == ["workout_created", "workout_updated"]
        rest = await client.get(f"{address}/versions?cursor={versions['next_cursor']}", headers=bearer())
        assert [item["version"] for item in (await rest.json())["items"]] == [3]
        assert await (await client.get(f"{address}/versions/1", headers=bearer())).json() == document
        assert (await (await client.get(f"{address}/versions/2", headers=bearer())).json())["name"] == "Pull 2"
        assert "deleted_at" in await (await client.get(f"{address}/versions/3", headers=bearer())).json()
        for number in ("0", "4", "x", "1.0", "9999999999", "%C2%B2"):
            assert (await client.get(f"{address}/versions/{number}", headers=bearer())).status == 404, number
    rows = await db.all("SELECT topic, aggregate_type, aggregate_id::text FROM outbox ORDER BY seq")
    workout = ("w", "workout", document["id"])
    assert rows == [workout, ("t", "training", training["id"]), workout, workout]


async def test_the_list_is_paged_by_cursors(db: Database) -> None:
    async with serve(ROUTES, database=db) as client:
        for number in range(5):
            assert (await client.post(ADDRESS, json={"name": f"w{number}"}, headers=bearer())).status == 201
        names, address = [], f"{ADDRESS}?limit=2"
        while address:
            answer = await client.get(address, headers=bearer())
            page = await answer.json()
            names += [item["name"] for item in page["items"]]
            link = answer.headers.get("Link")
            address = link.split(">")[0].removeprefix("<") if link else ""
        assert names == ["w4", "w3", "w2", "w1", "w0"]
        wrong = await client.get(f"{ADDRESS}?cursor=x", headers=bearer())
        assert (wrong.status, (await wrong.json())["errors"][0]["parameter"]) == (422, "cursor")


async def test_an_empty_workout_is_one_and_plans_an_empty_training(db: Database) -> None:
    async with serve(ROUTES, database=db) as client:
        made = await (await client.post(ADDRESS, json={"name": "Later"}, headers=bearer())).json()
        assert made["exercises"] == []
        plan = {"date": "2026-01-05T12:00:00Z", "title": "Rest"}
        planned = await client.post(f"{ADDRESS}/{made['id']}/trainings", json=plan, headers=bearer())
        assert planned.status == 201
        assert ((await planned.json())["exercises"], (await planned.json())["title"]) == ([], "Rest")


async def test_what_is_wrong_is_named(db: Database) -> None:
    def of(exercise: dict[str, Any]) -> dict[str, Any]:
        return {"name": "x", "exercises": [PULLS, {"name": "y", "sets": 1} | exercise]}

    async with serve(ROUTES, database=db) as client:
        for body, pointer in (
            (of({"exercise": "no-such"}), "/exercises/1/exercise"),
            (of({"exercise": "pull-up", "exercise_revision": 9999}), "/exercises/1/exercise_revision"),
            (of({"sets": 101}), "/exercises/1/sets"),
            (of({"reps": {"min": 8, "max": 6}}), "/exercises/1/reps/min"),
            (of({"done": True}), "/exercises/1/done"),
            ({"exercises": []}, "/name"),
        ):
            answer = await client.post(ADDRESS, json=body, headers=bearer())
            problem = await answer.json()
            assert (answer.status, problem["errors"][0]["pointer"]) == (422, pointer), problem
        made = await (await client.post(ADDRESS, json={"name": "x"}, headers=bearer())).json()
        other = await client.put(f"{ADDRESS}/{made['id']}", json=made | {"id": str(uuid4())}, headers=bearer())
        assert (other.status, (await other.json())["errors"][0]["pointer"]) == (422, "/id")
        for body, pointer in (({}, "/date"), ({"date": "2026-01-05"}, "/date"), ({"status": "COMPLETED"}, "/date")):
            answer = await client.post(f"{ADDRESS}/{made['id']}/trainings", json=body, headers=bearer())
            assert (answer.status, (await answer.json())["errors"][0]["pointer"]) == (422, pointer)
    assert await db.one("SELECT count(*) FROM trainings") == (0,)


async def test_another_users_workouts_are_not_there(db: Database) -> None:
    stranger = uuid4()
    async with serve(ROUTES, database=db) as client:
        made = await (await client.post(ADDRESS, json=PULL, headers=bearer())).json()
        own = f"/api/v1/training/users/{stranger}/workouts"
        plan = {"date": "2026-01-05T12:00:00Z"}
        for address in (f"{ADDRESS}/{made['id']}", f"{own}/{made['id']}"):
            for method, where, body in (
                ("GET", address, None),
                ("PUT", address, PULL),
                ("DELETE", address, None),
                ("GET", f"{address}/versions", None),
                ("GET", f"{address}/versions/1", None),
                ("POST", f"{address}/trainings", plan),
            ):
                answer = await client.request(method, where, json=body, headers=bearer(stranger))
                assert (answer.status, (await answer.json())["type"]) == (404, "/problems#not-found"), (method, where)
        assert (await client.get(ADDRESS, headers=bearer(stranger))).status == 404
        assert (await client.post(ADDRESS, json=PULL, headers=bearer(stranger))).status == 404
        assert orjson.loads(await (await client.get(own, headers=bearer(stranger))).read()) == {"items": []}
    assert await db.all("SELECT DISTINCT user_id, version FROM workouts") == [(USER, 1)]
