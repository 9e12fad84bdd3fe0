"""How many statements each request sends: one round trip a write and a read, whatever it is about."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import groupby
from typing import Any
from uuid import uuid4

import orjson
import psycopg2
import pytest

from models.own_exercises import slug_of
from storage import database as module
from storage.database import Database
from tests.support.advised import advised
from tests.support.bodies import squat
from tests.support.coaches import Person
from tests.support.databases import DatabaseUrls
from tests.support.imports import form, importer
from tests.support.load import until
from tests.support.strong import HEADER
from tests.support.web import USER, Client, bearer, serve
from web.api import ALL_ROUTES
from web.erasures import IDENTITY
from web.routes import Route

ROUTES = {(route.method, route.path): route for route in ALL_ROUTES if route.auth}
GROUP = "team"
# Who asks: an admin, a coach of one athlete, and the identity service for a user who leaves.
LEAVES = uuid4()
CLAIMS = {"roles": ["admin", "identity"], "groups": [GROUP], "coach_of": [GROUP]}
CALLER = bearer(**CLAIMS)
EMPTY = {"date": "2026-01-05T12:00:00Z"}
TRAININGS = "/api/v1/trainings"
TRAINING = f"{TRAININGS}/{{id}}"
SET = f"{TRAINING}/exercises/{{exerciseId}}/sets/{{setId}}"
OF_USER = "/api/v1/training/users/{userId}"
OF_GROUP = "/api/v1/training/groups/{group}"
OWN = f"{OF_USER}/own-exercises"
ANALYSES = f"{OF_USER}/trainings/{{id}}/exercises/{{exerciseId}}/sets/{{setId}}/form-analyses"
PLANS = tuple(f"{OF_USER}/{noun}" for noun in ("phases", "goals", "check-ins", "advice"))
DAY = "2026-01-12"
PHASE = {"name": "Before", "first": "2025-12-29", "last": "2026-02-08", "timezone": "Europe/Berlin"}
ALIASES = f"{OF_USER}/exercise-aliases"
CATALOGUE = "/api/v1/training/exercises"

LOG = {"file": HEADER + "2026-01-05 12:00:00,Legs,1h,Squat,1,100,5,0,0,,,\n"}

ONE = 1
KNOWN = {
    "If-Match": ", ".join(f'"{version}"' for version in range(1, 100)),
    "If-None-Match": '"1"',
}
# A chunk has 20 sessions, and is one FETCH. It is a transaction, because a cursor lives in one.
STREAM = ("BEGIN READ", "DECLARE reader", "FETCH 20", "COMMIT")
EXPORT = ("BEGIN READ", "SELECT greatest(0,", "DECLARE reader", "FETCH 5000", "COMMIT")

COUNTS: dict[tuple[str, str], int | tuple[str, ...]] = {
    ("POST", TRAININGS): ONE,
    ("GET", TRAININGS): ONE,
    ("GET", TRAINING): ONE,
    ("PUT", TRAINING): ONE,
    ("DELETE", TRAINING): ONE,
    ("POST", f"{TRAINING}/reopen"): ONE,
    ("POST", f"{TRAINING}/restore"): ONE,
    ("GET", f"{TRAINING}/history"): ONE,
    ("GET", f"{TRAININGS}/changes"): ONE,
    ("POST", f"{TRAININGS}/batch"): ONE,
    **{
        (method, f"{OF_USER}/trainings{rest}"): ONE
        for method, rest in (
            ("POST", ""),
            ("GET", ""),
            ("GET", "/{id}"),
            ("PUT", "/{id}"),
            ("DELETE", "/{id}"),
            ("GET", "/{id}/history"),
        )
    },
    ("PUT", SET): ONE,
    ("DELETE", SET): ONE,
    ("POST", f"{OF_USER}/sessions"): ONE,
    ("GET", f"{OF_USER}/sessions"): STREAM,
    ("GET", f"{OF_USER}/sessions/{{id}}"): ONE,
    ("GET", "/api/training/users/{userId}/sessions"): STREAM,
    ("POST", f"{OF_USER}/workouts"): ONE,
    ("GET", f"{OF_USER}/workouts"): ONE,
    ("GET", f"{OF_USER}/workouts/{{id}}"): ONE,
    ("PUT", f"{OF_USER}/workouts/{{id}}"): ONE,
    ("DELETE", f"{OF_USER}/workouts/{{id}}"): ONE,
    ("GET", f"{OF_USER}/workouts/{{id}}/versions"): ONE,
    ("GET", f"{OF_USER}/workouts/{{id}}/versions/{{version}}"): ONE,
    ("POST", f"{OF_USER}/workouts/{{id}}/trainings"): ONE,
    ("POST", CATALOGUE): ONE,
    ("PUT", f"{CATALOGUE}/{{slug}}"): ONE,
    ("DELETE", f"{CATALOGUE}/{{slug}}"): ONE,
    ("GET", f"{OF_USER}/exercises/{{exercise}}/history"): ONE,
    ("POST", f"{OF_USER}/exercises/last"): ONE,
    ("POST", OWN): ONE,
    ("GET", OWN): ONE,
    ("GET", f"{OWN}/{{slug}}"): ONE,
    ("PUT", f"{OWN}/{{slug}}"): ONE,
    ("DELETE", f"{OWN}/{{slug}}"): ONE,
    ("GET", f"{OF_USER}/exercises/unmapped"): ONE,
    ("GET", ALIASES): ONE,
    ("PUT", f"{ALIASES}/{{name}}"): ONE,
    ("DELETE", f"{ALIASES}/{{name}}"): ONE,
    ("GET", f"{OF_USER}/memberships"): ONE,
    ("GET", f"{OF_USER}/memberships/{{group}}"): ONE,
    ("PUT", f"{OF_USER}/memberships/{{group}}"): ONE,
    ("DELETE", f"{OF_USER}/memberships/{{group}}"): ONE,
    ("GET", f"{OF_USER}/accesses"): ONE,
    ("GET", f"{OF_GROUP}/athletes"): ONE,
    # The group's athletes, one each, and before that the workout which is copied. There is one athlete here.
    ("POST", f"{OF_GROUP}/workouts"): 2 + 1,
    ("POST", f"{OF_GROUP}/trainings"): 1 + 1,
    ("GET", f"{OF_GROUP}/leaderboard"): ONE,
    ("GET", f"{OF_GROUP}/load"): ONE,
    # A transaction: BEGIN, a lock against other plans of the user, the phases around it, what it has laid, the
    # workouts, what those trainings say that change, the phase, the trainings that it makes, changes and deletes, whose
    # those are, COMMIT. What does not apply is left out, and the number of trainings makes no difference.
    ("POST", f"{OF_USER}/phases"): 8,
    ("GET", f"{OF_USER}/phases"): ONE,
    ("GET", f"{OF_USER}/phases/{{phaseId}}"): ONE,
    ("PUT", f"{OF_USER}/phases/{{phaseId}}"): 10,
    ("DELETE", f"{OF_USER}/phases/{{phaseId}}"): 8,
    # One more where the training that a workout with a rule has next is in it: what its session prescribes.
    ("GET", f"{OF_USER}/calendar"): ONE,
    ("POST", f"{OF_USER}/goals"): ONE,
    ("GET", f"{OF_USER}/goals"): ONE,
    ("GET", f"{OF_USER}/goals/progress"): ONE,
    ("GET", f"{OF_USER}/goals/{{goalId}}"): ONE,
    ("PUT", f"{OF_USER}/goals/{{goalId}}"): ONE,
    ("DELETE", f"{OF_USER}/goals/{{goalId}}"): ONE,
    ("GET", f"{OF_USER}/goals/{{goalId}}/progress"): ONE,
    ("GET", f"{OF_USER}/workouts/{{id}}/next"): ONE,
    ("GET", f"{OF_USER}/workouts/{{id}}/progression"): ONE,
    ("POST", f"{OF_USER}/progression/dry-run"): ONE,
    ("PUT", f"{OF_USER}/check-ins/{{day}}"): ONE,
    ("GET", f"{OF_USER}/check-ins/{{day}}"): ONE,
    ("DELETE", f"{OF_USER}/check-ins/{{day}}"): ONE,
    ("GET", f"{OF_USER}/check-ins"): ONE,
    ("GET", f"{OF_USER}/readiness"): ONE,
    # The log, the plan and readiness; goals; and what progression prescribes.
    ("GET", f"{OF_USER}/advice"): 3,
    # The same within a transaction, in which no other plan of the user is written; the advice is written, and the
    # trainings that it changes.
    ("POST", f"{OF_USER}/advice/{{adviceId}}/accept"): 3 + 6,
    # What was accepted, what is planned now, what the log says of before; the advice, the trainings. One more where a
    # training is not as the advice left it: what became of it.
    ("POST", f"{OF_USER}/advice/{{adviceId}}/undo"): 8,
    ("GET", f"{OF_USER}/advice/accepted"): ONE,
    # The set is looked for, whose video it must be.
    ("POST", ANALYSES): 2,
    ("GET", ANALYSES): ONE,
    ("GET", f"{OF_USER}/metrics/volume"): ONE,
    ("GET", f"{OF_USER}/metrics/load"): ONE,
    ("GET", f"{OF_USER}/metrics/records"): ONE,
    ("GET", f"{OF_USER}/metrics/progress"): ONE,
    ("GET", "/api/v1/training/exports/{table}"): EXPORT,
    ("POST", f"{OF_USER}/imports"): ONE,
    ("GET", f"{OF_USER}/imports"): ONE,
    ("GET", f"{OF_USER}/imports/{{id}}"): ONE,
    ("DELETE", f"{OF_USER}/imports/{{id}}"): ONE,
    ("GET", f"{OF_USER}/exports/log"): STREAM,
    ("GET", f"{OF_USER}/export"): STREAM,
    ("DELETE", OF_USER): ONE,
    ("GET", f"{OF_USER}/erasure"): ONE,
}


class Sent:
    """What is sent to PostgreSQL: the first two words of each statement, but for the PREPAREs, one a connection."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def take(self) -> int | tuple[str, ...]:
        """What was sent since the last time: of a cursor its words, those that follow each other alike once; else how
        many."""
        words, self.words = [word for word in self.words if not word.startswith("PREPARE")], []
        if any(word.startswith("DECLARE") for word in words):
            return tuple(word for word, _ in groupby(words))
        return len(words)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """All that is sent from now on."""
    sent = Sent()
    run = module.Cursor._run

    async def record(self: module.Cursor, sql: str, parameters: Any) -> int:
        sent.words.append(" ".join(sql.replace(self._local or "\0", "").split()[:2]))
        before = self._database.statements
        touched = await run(self, sql, parameters)
        assert self._database.statements == before + 1
        return touched

    monkeypatch.setattr(module.Cursor, "_run", record)
    return sent


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


async def ask(
    client: Client, method: str, path: str, said: Any = None, expected: int | None = None, **headers: str
) -> dict[str, Any]:
    """The document of an answer with the status `expected`; by default any success."""
    answer = await client.request(method, path, json=said, headers=CALLER | headers)
    text = await answer.read()
    assert answer.status == expected if expected else answer.status < 300, (method, path, answer.status, text)
    document: dict[str, Any] = orjson.loads(text) if text else {}
    return document


async def parameters(client: Client, database: Database, route: Route) -> dict[str, object]:
    """What to put into the address, of things made for this request alone, in the state that it wants."""
    row = {"id": str(uuid4()), "reps": 5, "video_id": "video-1"}
    exercise = {"name": "Row", "id": str(uuid4()), "sets": [row]}
    made: dict[str, Any] = {"id": str(uuid4())}
    if "id" in route.path_parameters:
        made = await ask(client, "POST", TRAININGS, EMPTY | {"status": "COMPLETED", "exercises": [exercise]})
    if route.path.endswith("/restore"):
        await ask(client, "DELETE", f"{TRAININGS}/{made['id']}")
    user = OF_USER.format(userId=USER)
    if "workouts" in route.path:
        workout = {"name": "Pull", "exercises": [{"name": "Pull-up", "sets": 3}]}
        made = await ask(client, "POST", f"{user}/workouts", workout)
    if "imports" in route.path:
        await importer(database).work_off()  # one at a time
        async with client.post(f"{user}/imports", data=form(LOG), headers=CALLER) as answer:
            made = await answer.json()
        await importer(database).work_off()
    slug = await anew(client, route, CATALOGUE, CATALOGUE)
    slug = slug or await anew(client, route, OWN, OWN.format(userId=USER))
    name = f"{user}/exercise-aliases/row"
    if route.method == "DELETE":
        await ask(client, "PUT", name, {"exercise": "pistol-squat"})
    else:
        await client.delete(name, headers=CALLER)
    await ask(client, "PUT", f"{user}/memberships/{GROUP}", {"scopes": ["read"]})
    return {
        "userId": LEAVES if route.deputy == IDENTITY else USER,
        **(await plans(client, route) if route.path.startswith(PLANS) else {}),
        "id": made["id"],
        "exerciseId": exercise["id"],
        "setId": row["id"],
        "exercise": "Row",
        "slug": slug,
        "name": "Row",
        "group": GROUP,
        "version": 1,
        "table": "session_volume",
    }


async def plans(client: Client, route: Route) -> dict[str, object]:
    """A goal, a check-in, or a phase, none of which says what the examples do, or advice that may be accepted."""
    person, user = Person(client, USER, **CLAIMS), OF_USER.format(userId=USER)
    if "/phases" in route.path:
        workout = await ask(client, "POST", f"{user}/workouts", {"name": "Legs"})
        slots = [{"workout_id": workout["id"], "weekday": weekday} for weekday in (1, 6)]
        phase = await ask(client, "POST", f"{user}/phases", PHASE | {"schedule": slots})
        return {"workoutId": workout["id"], "phaseId": phase["id"]}
    if "/advice" in route.path:
        advice = await advised(person, DAY)
        if route.path.endswith("/undo"):
            await ask(client, "POST", f"{user}/advice/{advice['id']}/accept?day={DAY}")
        return {"adviceId": advice["id"]}
    example = ROUTES["POST", f"{OF_USER}/goals"].body_example
    goal = await ask(client, "POST", f"{user}/goals", example | {"name": "Before"})
    await ask(client, "PUT", f"{user}/check-ins/{DAY}", {"sleep": 7})
    return {"goalId": goal["id"], "day": DAY}


async def anew(client: Client, route: Route, path: str, address: str) -> str | None:
    """The slug of the movement that the routes under `path` have as their example, which is there for all but POST."""
    if not route.path.startswith(path):
        return None
    example = ROUTES["POST", path].body_example
    slug: str = example.get("slug") or slug_of(example["name"])
    await client.delete(f"{address}/{slug}", headers=CALLER)
    if "slug" in route.path_parameters:
        await ask(client, "POST", address, example)
    return slug


def body(route: Route, values: dict[str, object]) -> Any:
    """The route's example; of an own workout where one is named, and under no id, which could be used once."""
    example = route.body_example
    if route.path == ANALYSES and example:
        return {name: value for name, value in example.items() if name != "id"}
    if "schedule" in (example or ()):
        return example | {"schedule": [slot | {"workout_id": values["workoutId"]} for slot in example["schedule"]]}
    return example | {"workout_id": values["id"]} if route.path.startswith(OF_GROUP) and example else example


async def test_every_request_is_so_many_statements(client: Client, db: Database, sent: Sent) -> None:
    """Plain, and with every header that the route knows."""
    assert set(COUNTS) == set(ROUTES), "each route with authentication has its count here"
    sessions = [EMPTY | {"status": "COMPLETED", "exercises": [squat(exercise="pistol-squat")]}] * 25
    await ask(client, "POST", f"{TRAININGS}/batch", sessions)  # reads the catalogue
    athlete = uuid4()
    admit = f"{OF_USER.format(userId=athlete)}/memberships/{GROUP}"
    claims = bearer(athlete, groups=[GROUP])
    assert (await client.put(admit, json={"scopes": ["read", "plan"]}, headers=claims)).status == 200
    found = {}
    for key, route in ROUTES.items():
        for given in (False, True):
            values = await parameters(client, db, route)
            path = route.path.format_map(values) + (f"?day={DAY}" if route.path.endswith("/accept") else "")
            named = set(route.request_headers) if given else set()
            if route.method != "GET":
                named -= {"If-None-Match"}  # what must not be there is not beside If-Match
            headers = {name: value for name, value in KNOWN.items() if name in named}
            sent.take()
            said = {"data": form(LOG)} if route.form else {"json": body(route, values)}
            answer = await client.request(route.method, path, headers=CALLER | headers, **said)
            text = await answer.read()
            assert answer.status < 400, (key, answer.status, text)
            words = sent.take()
            if key not in found or found[key] == COUNTS[key]:
                found[key] = words
    assert found == COUNTS


async def test_the_exceptions_and_why(client: Client, sent: Sent, database_urls: DatabaseUrls) -> None:
    key = {"Idempotency-Key": "a"}
    training = await ask(client, "POST", TRAININGS, EMPTY | {"id": str(uuid4())}, **key)
    address = f"{TRAININGS}/{training['id']}"
    told = {"id": training["id"], **EMPTY}

    async def words(method: str, path: str, said: Any = None, expected: int | None = None, **headers: str) -> object:
        sent.take()
        await ask(client, method, path, said, expected, **headers)
        return sent.take()

    # What is refused, or there already, is known by the statement that wanted to write.
    assert await words("POST", TRAININGS, told) == 1
    assert await words("POST", TRAININGS, told | {"title": "another"}, 409) == 1
    assert await words("PUT", address, EMPTY | {"status": "PLANNED"}, 412, **{"If-Match": '"7"'}) == 1
    assert await words("PUT", address, EMPTY | {"status": "PLANNED"}, 412, **{"If-Match": '"7"'}, **key) == 1
    assert await words("GET", f"{TRAININGS}/{uuid4()}", None, 404) == 1
    # A used key is answered from the log, which is read then.
    assert await words("POST", TRAININGS, told, 201, **key) == 2
    # A key with a training that is there already: the first statement keeps neither, the second one answers.
    assert await words("POST", TRAININGS, told, 200, **{"Idempotency-Key": "b"}) == 2
    # A session without targets of its own is compared with the workout that it names, whose version is read.
    workouts = f"{OF_USER.format(userId=USER)}/workouts"
    workout = await ask(client, "POST", workouts, {"name": "Pull", "exercises": [{"name": "Row", "sets": 2}]})
    named = EMPTY | {"workout_id": workout["id"], "workout_version": 1}
    assert await words("POST", f"{OF_USER.format(userId=USER)}/sessions", named) == 2
    # A document that says this already is not written, and looked at.
    said = ROUTES["POST", f"{OF_USER}/goals"].body_example
    goal = await ask(client, "POST", f"{OF_USER.format(userId=USER)}/goals", said)
    assert await words("PUT", f"{OF_USER.format(userId=USER)}/goals/{goal['id']}", said, 200) == 2
    # A movement that the catalogue is not known to have: it is read again, but every few seconds only.
    unknown = EMPTY | {"exercises": [squat(exercise="no-such-movement")]}
    assert await words("POST", TRAININGS, unknown, 422) == 0
    # Who waited for another write sees the children of before it, and looks again.
    with closing(psycopg2.connect(database_urls.worker)) as other, other.cursor() as cursor:
        cursor.execute("UPDATE trainings SET version = version + 1 WHERE id = %s", [training["id"]])
        waiting = asyncio.create_task(words("PUT", address, EMPTY | {"status": "PLANNED"}))

        def waits() -> bool:
            cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
            return cursor.rowcount > 0

        await until(waits, 20, "it waits for the training's row")
        other.commit()
        assert await waiting == 2
    assert (await ask(client, "GET", address))["version"] == 3


async def test_a_phase_is_as_many_statements_however_many_trainings(client: Client, sent: Sent) -> None:
    user = OF_USER.format(userId=USER)
    exercises = [{"name": name, "sets": 4} for name in ("Squat", "Row", "Press")]
    workouts = [
        await ask(client, "POST", f"{user}/workouts", {"name": name, "exercises": exercises}) for name in ("A", "B")
    ]
    slots = [
        {"workout_id": workout["id"], "weekday": place + 3 * number}
        for number, workout in enumerate(workouts)
        for place in (1, 3)
    ]
    found = []
    for last, trainings in (("2025-01-26", 12), ("2025-04-20", 60)):
        body = {"name": "Block", "first": "2025-01-06", "last": last, "schedule": slots}
        moved = body | {"first": "2025-01-13", "last": f"{dt.date.fromisoformat(last) + dt.timedelta(7)}"}
        sent.take()
        words = []
        preview = await ask(client, "POST", f"{user}/phases?dry_run=true", body)
        assert preview["counts"]["create"] == trainings
        words.append(sent.take())
        phase = await ask(client, "POST", f"{user}/phases", body)
        words.append(sent.take())
        address = f"{user}/phases/{phase['id']}"
        for method, said in (("PUT", moved), ("PUT", moved | {"deload": True}), ("GET", None), ("DELETE", None)):
            await ask(client, method, address, said)
            words.append(sent.take())
        found.append(words)
    assert found[0] == found[1]
