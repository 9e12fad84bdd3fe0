"""Whose data an answer may hold, and whose rows a request may change: every route, by everybody, in random order.

Two athletes, who admit the coaches of two groups and take that back as they like, a coach of both groups, a stranger
(who coaches another group), an admin, and somebody without a token ask every route in each run, with random documents
and ids: their own, each other's, and unknown ones; so does a service that analyses recordings, of the routes for it.
Every text that is written is a secret of whose data it becomes.
Each request is held to these:

- no answer (body, headers, what its cursors say) holds a secret or an id of what its caller may not see at that moment;
- to who may not know of it, what is there is answered like what never was, to the letter;
- rows change only where the caller may change them, and by a success alone; each event tells who asked for it;
- what a coach did with an athlete's data is in the athlete's list of accesses, and what was refused is not.
"""

import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import web.metrics
from storage.database import Database
from tests.support.isolation import (
    CATALOGUE,
    NAMES,
    OF_GROUP,
    OF_USER,
    ROUTES,
    TRAININGS,
    Answer,
    Asked,
    Secrets,
    World,
)
from tests.support.isolation_requests import ADVISED, BODIES, date, new_movement, request, set_, workout
from tests.support.reports import settle
from tests.support.web import Client, serve
from web.api import ALL_ROUTES

SEED = int(os.environ.get("TRAINING_TEST_ISOLATION_SEED", "1"))  # another one plays it otherwise
RUNS = 2
ATTEMPTS = 60
TRIES = 3  # of each route in an attempt
FOLD_EVERY = 60  # requests
COACHED = [key for key, route in ROUTES.items() if route.scope]
MEMBERSHIP = f"{OF_USER}/memberships/{{group}}"
# Each route once by each, and more often by a coach, who often may not; what the coach may changes on the way.
STEPS = [(name, key) for name in NAMES for key in ROUTES if name != "analyser"]
STEPS += [("coach", key) for key in COACHED] * 3
STEPS += [("analyser", key) for key, route in ROUTES.items() if route.deputy or "/form-analyses" in key[1]] * 3
STEPS += [(name, (method, MEMBERSHIP)) for name in ("ada", "bob") for method in ("PUT", "PUT", "DELETE")] * 3


async def prepare(world: World) -> None:
    """Everybody has a training of each kind, and a workout; the admin added a movement; both athletes have a coach,
    who has planned for them what they do not see yet."""
    for name in NAMES[:-1]:
        user = world.by_name[name].user_id
        post, group = ROUTES["POST", TRAININGS], {"group_external_id": world.groups[name == "bob"]}
        for status in ("COMPLETED", "PLANNED", "COMPLETED"):
            assert (await world.do(name, Asked(post, body=first(world, user, status) | group))).status == 201
        remove = Asked(ROUTES["DELETE", f"{TRAININGS}/{{id}}"], {"id": list(world.documents[user, "training"])[-1]})
        assert (await world.do(name, remove)).status == 204
        create = Asked(ROUTES["POST", f"{OF_USER}/workouts"], {"userId": str(user)}, body=workout(world, user) | group)
        assert (await world.do(name, create)).status == 201
        squat = {"userId": str(user), "name": "Squat"}
        means = Asked(ROUTES["PUT", f"{OF_USER}/exercise-aliases/{{name}}"], squat, body={"exercise": "pistol-squat"})
        assert (await world.do(name, means)).status == 200
    add = Asked(ROUTES["POST", CATALOGUE], body=new_movement(world, user))
    assert (await world.do("admin", add)).status == 201
    await accept(world)
    for name, group_name in zip(("ada", "bob"), world.groups, strict=True):
        user = world.by_name[name].user_id
        assert (await plan(world, user, group_name, hidden=True)).status == 201


async def plan(world: World, user: UUID, group: str, **more: object) -> Answer:
    """The coach plans something for an athlete."""
    body = first(world, user, "PLANNED") | {"group_external_id": group} | more
    return await world.do("coach", Asked(ROUTES["POST", f"{OF_USER}/trainings"], {"userId": str(user)}, body=body))


async def accept(world: World) -> None:
    """Each athlete admits the coach, by a group of their own."""
    for name, group in zip(("ada", "bob"), world.groups, strict=True):
        names = {"userId": str(world.by_name[name].user_id), "group": group}
        asked = Asked(ROUTES["PUT", MEMBERSHIP], names, body={"scopes": ["read", "plan"]})
        assert (await world.do(name, asked)).status == 200


def first(world: World, user: UUID, status: str) -> dict[str, Any]:
    """A training that refers to nothing."""
    sets = [set_(world, user)] if status != "PLANNED" else [{"done": False, "target": {"reps": 5}}]
    exercises = [{"name": "Squat", "notes": world.secret(user), "sets": sets}]
    return {"date": date(world), "status": status, "title": world.secret(user), "exercises": exercises}


async def stock(world: World) -> None:
    """So that ada has one of each that is to be changed, and advice: an exercise may go on that is planned again.

    Some of it is the coach's.
    """
    ada, coach = world.by_name["ada"], world.by_name["coach"]
    await plan(world, ada.user_id, world.groups[0])
    create = ROUTES["POST", f"{OF_USER}/workouts"]
    for user in (coach.user_id, ada.user_id):
        body = workout(world, user) | {"group_external_id": world.groups[0]}
        await world.do("coach", Asked(create, {"userId": str(user)}, body=body))

    async def ask(method: str, path: str, body: Any = None, **names: str) -> Answer:
        route = ROUTES[method, f"{OF_USER}/{path}"]
        query = {"day": ADVISED} if path == "advice" else {}
        return await world.do("ada", Asked(route, {"userId": str(ada.user_id), **names}, query, body))

    exercise = {"id": str(world.uuid()), "name": world.secret(ada.user_id)}
    linear = {"sets": 1, "reps": 5, "weight": 100, "progression": {"kind": "linear", "increment": 2.5}}
    made = await ask("POST", "workouts", {"name": world.secret(ada.user_id), "exercises": [exercise | linear]})
    named = {"workout_id": made.document["id"], "workout_version": 1}
    sets = [{"reps": 5, "weight": 100, "video_id": world.secret(ada.user_id)}]
    await ask("POST", "sessions", {"date": "2025-01-23T12:00:00Z", **named, "exercises": [exercise | {"sets": sets}]})
    await ask("POST", "workouts/{id}/trainings", {"date": "2025-01-25T12:00:00Z"}, id=made.document["id"])
    await ask("GET", "advice")
    for path in ("own-exercises", "imports", "phases", "goals"):
        await world.do("ada", request(world, ada, ROUTES["POST", f"{OF_USER}/{path}"]))
    await world.do("ada", request(world, ada, ROUTES["PUT", f"{OF_USER}/check-ins/{{day}}"]))


async def accesses(world: World, name: str) -> None:
    """The list of accesses names all requests of coaches that reached the athlete's data, and no other."""
    user = world.by_name[name].user_id
    route = ROUTES["GET", f"{OF_USER}/accesses"]
    found, cursor = set(), None
    while True:
        asked = Asked(route, {"userId": str(user)}, {"limit": "500"} | ({"cursor": cursor} if cursor else {}))
        answer = (await world.do(name, asked)).document
        found |= {item["request_id"] for item in answer["items"]}
        if (cursor := answer.get("next_cursor")) is None:
            break
    assert found == set(world.accesses[user])


def idle(secrets: Secrets) -> list[tuple[str, tuple[str, str]]]:
    """Routes with which nobody has succeeded yet who may, each with somebody who may."""
    done = {key for _, key in secrets.done}
    coached = {key for name, key in secrets.done if name == "coach as such"}
    whose = {key: "admin" if ROUTES[key].role else "coach" if key[1].startswith(OF_GROUP) else "ada" for key in ROUTES}
    left = [("coach", key) for key in COACHED if key not in coached]
    return left + [(whose[key], key) for key in ROUTES if key not in done]


@pytest.fixture
def secrets() -> Secrets:
    """What is known of all runs."""
    return Secrets()


@pytest.fixture
async def client(db: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(web.metrics, "PAUSES", ())  # what is asked for is mostly nobody's, and never comes
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


@settings(
    max_examples=RUNS,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # to shrink the order of hundreds of requests takes minutes, and tells no more
    suppress_health_check=list(HealthCheck),
)
@seed(SEED)
@given(order=st.permutations(range(len(STEPS))), number=st.integers(1, 2**32))
async def test_nobody_sees_or_changes_what_is_not_theirs(
    client: Client, db: Database, everything: Database, secrets: Secrets, *, order: list[int], number: int
) -> None:
    assert set(BODIES) == set(ROUTES), "each route with authentication is asked here"
    world = World(client, everything, secrets, number)
    await world.begin()
    await prepare(world)
    for place, step in enumerate(order):
        if place % FOLD_EVERY == 0:
            await settle(db)
            await world.begin()  # what the service wrote by itself is nobody's request
        name, key = STEPS[step]
        await world.do(name, request(world, world.by_name[name], ROUTES[key]))
    # It is no idle run: whoever may succeeds with every route, be it after many attempts.
    for _ in range(ATTEMPTS):
        if left := idle(secrets):
            await accept(world)
            await stock(world)
        for name, key in left * TRIES:
            await world.do(name, request(world, world.by_name[name], ROUTES[key]))
    assert idle(secrets) == []
    for name in ("ada", "bob"):
        await accesses(world, name)
    await world.end()
