"""What coaches may do with athletes' data, what they are told without leave, and what the athletes are told of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import psycopg2
import pytest

from models.errors import NotFound
from models.memberships import Scope
from storage.access import Guarded
from storage.access_statements import guarded
from storage.database import Database, Prepared
from tests.support.coaches import OF_USER, Person, access_of
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.statements import statements
from tests.support.web import Client, serve
from web.api import ALL_ROUTES
from web.routes import Route

SCOPED = {route.operation_id: route for route in ALL_ROUTES if route.scope is not None}
STREAMS = {"listSessions", "listSessionsOfContract"}
TRAININGS = f"{OF_USER}/trainings"
WORKOUTS = f"{OF_USER}/workouts"
PLANNED = {"date": "2026-01-05T12:00:00Z", "group_external_id": "team"}
PULL = {"name": "Pull", "group_external_id": "team", "exercises": [{"name": "Row", "sets": 2}]}
BODIES: dict[str, Any] = {
    "createTrainingOfUser": PLANNED,
    "updateTrainingOfUser": PLANNED | {"status": "PLANNED", "title": "Legs"},
    "createWorkout": PULL,
    "updateWorkout": PULL | {"notes": "slowly"},
    "planWorkout": {"date": "2026-01-05T12:00:00Z"},
    "readLastOfExercises": {"exercises": ["Row"]},
    "tryProgression": SCOPED["tryProgression"].body_example,
}
# Another trace there is none: a write has its row of the log, and a key its own.
TRACES = """
SELECT (SELECT count(*) FROM access_log), (SELECT count(*) FROM outbox), (SELECT count(*) FROM idempotency_keys),
       (SELECT sum(version) FROM trainings), (SELECT sum(version) FROM workouts)
"""


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


def new_athlete(client: Client) -> Person:
    """In two groups."""
    return Person(client, groups=["team", "club"])


def new_coach(client: Client) -> Person:
    """Of the group `team`."""
    return Person(client, sub="coach-anna", coach_of=["team"])


@pytest.fixture
def athlete(client: Client) -> Person:
    return new_athlete(client)


@pytest.fixture
def coach(client: Client) -> Person:
    return new_coach(client)


@dataclass
class Place:
    """A request to a route about what the athlete has, made for it alone."""

    route: Route
    path: str

    async def by(self, person: Person, **headers: str) -> Any:
        return await person.ask(self.route.method, self.path, BODIES.get(self.route.operation_id), **headers)


async def place(athlete: Person, route: Route) -> Place:
    """A request that succeeds for who may send it: about a planned training or workout of the group, or a session."""
    row = {"name": "Row", "sets": [{"reps": 5}]}
    ids: dict[str, object] = {"userId": athlete.user_id, "exercise": "Row", "version": "1"}
    if "slug" in route.path_parameters:
        (create,) = (route for route in ALL_ROUTES if route.operation_id == "createOwnExercise")
        own = create.body_example | {"name": f"Row {uuid4()}"}
        ids["slug"] = (await athlete.told("POST", athlete.address("/own-exercises"), own))["slug"]
    if "goalId" in route.path_parameters:
        (create,) = (route for route in ALL_ROUTES if route.operation_id == "createGoal")
        ids["goalId"] = (await athlete.told("POST", athlete.address("/goals"), create.body_example))["id"]
    if "phaseId" in route.path_parameters:
        phase = {"name": "Base", "first": "2026-01-05", "last": "2026-01-11"}
        ids["phaseId"] = (await athlete.told("POST", athlete.address("/phases"), phase))["id"]
    if "/workouts/{id}" in route.path:
        ids["id"] = (await athlete.told("POST", athlete.address("/workouts"), PULL))["id"]
    elif "/sessions" in route.path or "exercise" in route.path:
        body = {"date": PLANNED["date"], "status": "COMPLETED", "exercises": [row]}
        ids["id"] = (await athlete.told("POST", "/api/v1/trainings", body))["id"]
    elif "/trainings/{id}" in route.path:
        ids["id"] = (await athlete.told("POST", "/api/v1/trainings", PLANNED | {"exercises": [row]}))["id"]
    return Place(route, route.path.format_map(ids))


async def assert_stranger(place: Place, person: Person, db: Database, **headers: str) -> None:
    """The answer is the one about a user that there never was, and nothing stays of the request."""
    before = await db.one(TRACES)
    answer = await place.by(person, **headers)
    problem = await answer.json()
    assert (answer.status, problem.pop("request_id") != "", "ETag" in answer.headers) == (404, True, False), problem
    assert problem == {"type": "/problems#not-found", "title": "Not found", "status": 404, "detail": _NOBODY}, problem
    assert await db.one(TRACES) == before


_NOBODY = "There is no such user."


async def test_a_coach_meets_what_the_athlete_lets_and_the_athlete_is_told(client: Client, db: Database) -> None:
    for route in SCOPED.values():
        print(route.operation_id)  # pytest shows it where it fails
        await _meets(route, client, db)


async def _meets(route: Route, client: Client, db: Database) -> None:
    athlete, coach = new_athlete(client), new_coach(client)
    scope = route.scope
    assert scope is not None
    other = "plan" if scope == "read" else "read"
    stranger = Person(client)
    elsewhere = Person(client, coach_of=["club"])
    where = await place(athlete, route)

    await assert_stranger(where, coach, db)  # the athlete was never asked
    await athlete.admit("team", scope)
    await athlete.admit("club", other)
    await assert_stranger(where, elsewhere, db)  # of a group with the other scope alone
    await assert_stranger(where, stranger, db)
    await assert_stranger(where, athlete_of_the_group := Person(client, groups=["team"]), db)
    assert athlete_of_the_group.user_id != athlete.user_id

    answer = await where.by(coach, **{"X-Request-Id": "r-1"})
    assert answer.status < 300, await answer.text()
    (logged,) = await athlete.accesses()
    assert logged.pop("at").startswith("20")
    assert logged == {
        "actor": "coach-anna",
        "coach_id": str(coach.user_id),
        "group_external_id": "team",
        "scope": scope,
        "operation": route.operation_id,
        "request_id": "r-1",
    }
    before = db.statements
    answer = await (await place(athlete, route)).by(coach) if scope == "plan" else await where.by(coach)
    assert answer.status < 300
    made = 1 if scope == "plan" and "{id}" in route.path else 0  # by `place`
    # The log, BEGIN, DECLARE, one FETCH and COMMIT; or the one statement that is all of it.
    assert db.statements - before - made == (5 if route.operation_id in STREAMS else 1)
    assert len(await athlete.accesses()) == 2

    own = await (await place(athlete, route)).by(athlete)
    assert own.status < 300
    assert len(await athlete.accesses()) == 2  # the athlete's own is none

    again = await place(athlete, route)
    await athlete.revoke("team")
    await assert_stranger(again, coach, db)
    await athlete.admit("team", other)
    await assert_stranger(again, coach, db)
    await athlete.admit("team", scope)
    assert (await again.by(coach)).status < 300


async def test_without_a_membership_a_write_tells_nothing_whatever_it_asks(client: Client, db: Database) -> None:
    for route in SCOPED.values():
        if route.scope == "plan":
            print(route.operation_id)  # pytest shows it where it fails
            await _tells_nothing(route, client, db)


async def _tells_nothing(route: Route, client: Client, db: Database) -> None:
    athlete, coach, name = new_athlete(client), new_coach(client), route.operation_id
    where = await place(athlete, route)
    key = {"Idempotency-Key": "a"}
    await athlete.admit("team", "read")
    await athlete.admit("club", "read", "plan")
    unconditional: dict[str, str] = {}
    for headers in (
        unconditional,
        key,
        {"If-Match": "*"},
        {"If-Match": '"1"'} | key,
        {"If-Match": '"7"'},  # 412 for who may
        {"If-Match": '"7"'} | key,
        {"If-Match": "none"},  # 422 for everybody else
        {"Idempotency-Key": "a b"},
        {"Content-Type": "text/plain"},  # 415
    ):
        await assert_stranger(where, coach, db, **headers)
    if route.body is not None:
        for body in ({}, [], {"date": "2026-01-05T12:00:00Z", "exercises": [{"name": "x", "exercise": "no-such"}]}):
            await assert_stranger(_with(where, body), coach, db)
    # There is nothing at these ids, or something of another user's: not told either.
    if "id" in route.path_parameters:
        nowhere = Place(route, route.path.format(userId=athlete.user_id, id=uuid4()))
        await assert_stranger(nowhere, coach, db)
        await assert_stranger(nowhere, coach, db, **key)
    nobody = Place(route, where.path.replace(str(athlete.user_id), str(uuid4())))
    await assert_stranger(nobody, coach, db, **key)
    # What the athlete did under this key, and what is there already, is nobody's business.
    if name in {"createTrainingOfUser", "createWorkout"}:
        taken = BODIES[name] | {"id": str(uuid4())}
        assert (await _with(where, taken).by(athlete, **key)).status == 201
        for body in (taken, BODIES[name] | {"id": taken["id"], "notes": "another"}):
            await assert_stranger(_with(where, body), coach, db)
            await assert_stranger(_with(where, body), coach, db, **key)
    assert await athlete.accesses() == []


def _with(where: Place, body: Any) -> Place:
    """The same request with another body."""

    class Other(Place):
        async def by(self, person: Person, **headers: str) -> Any:
            return await person.ask(self.route.method, self.path, body, **headers)

    return Other(where.route, where.path)


async def test_what_is_refused_to_a_coach_is_in_the_log_too(athlete: Person, coach: Person, db: Database) -> None:
    """It tells something of the athlete's data, or that somebody tried."""
    await athlete.admit("team", "plan")
    where = await place(athlete, SCOPED["updateTrainingOfUser"])
    done = 0
    for status, headers, body in (
        (412, {"If-Match": '"7"'}, None),
        (412, {"If-Match": '"7"', "Idempotency-Key": "a"}, None),  # whose statement is rolled back
        (422, {"If-Match": "x"}, None),
        (422, {}, {"status": "sitting"}),
        (422, {}, PLANNED | {"status": "PLANNED", "workout_id": str(uuid4()), "workout_version": 1}),
        (422, {}, PLANNED | {"status": "PLANNED", "exercises": [{"name": "x", "exercise": "no-such"}]}),
        (400, {}, None),
    ):
        if status == 400:
            answer = await coach.client.put(where.path, data=b"{", headers=coach._headers | {"Content-Type": JSON})
        else:
            answer = await (where if body is None else _with(where, body)).by(coach, **headers)
        done += 1
        assert answer.status == status, await answer.text()
        assert len(await athlete.accesses()) == done, (status, headers, body)
    missing = Place(where.route, where.path[:-36] + str(uuid4()))
    assert (await missing.by(coach)).status == 404
    assert len(await athlete.accesses()) == done + 1
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (0,)
    assert await db.one("SELECT version FROM trainings") == (1,)


JSON = "application/json"


async def test_a_coach_plans_for_the_group_and_no_more(athlete: Person, client: Client, db: Database) -> None:
    coach = Person(client, coach_of=["team", "club", "nobody"])
    await athlete.admit("team", "plan")
    await athlete.admit("club", "read", "plan")
    trainings, workouts = (address.format(userId=athlete.user_id) for address in (TRAININGS, WORKOUTS))

    made = await coach.ask("POST", trainings, PLANNED)
    training = await made.json()
    address = f"{trainings}/{training['id']}"
    assert (made.status, made.headers["Location"]) == (201, address)
    assert training["user_id"] == str(athlete.user_id)
    assert await coach.told("GET", address) == await athlete.told("GET", address) == training
    workout = await coach.ask("POST", workouts, PULL)
    plan = f"{workout.headers['Location']}/trainings"
    assert plan.startswith(f"{workouts}/")
    from_it = await coach.ask("POST", plan, {"date": PLANNED["date"]})
    assert from_it.headers["Location"].startswith(f"{trainings}/")
    by_athlete = await athlete.ask("POST", plan, {"date": PLANNED["date"]})
    assert by_athlete.headers["Location"].startswith("/api/v1/trainings/")
    at_own = await athlete.ask("POST", trainings, {"date": PLANNED["date"]})
    assert at_own.headers["Location"].startswith(f"{trainings}/")
    (event,) = (await athlete.told("GET", f"{address}/history"))["items"]
    assert event["actor"] == str(coach.user_id)

    put = PLANNED | {"status": "PLANNED"}
    for method, path, body in (("POST", trainings, PLANNED), ("PUT", address, put), ("POST", workouts, PULL)):
        for more, pointer in (({"group_external_id": "else"}, "/group_external_id"), ({"group": 1}, "/group")):
            refused = await coach.ask(method, path, body | more)
            assert (refused.status, (await refused.json())["errors"][0]["pointer"]) == (422, pointer)
        without = {name: value for name, value in body.items() if name != "group_external_id"}
        refused = await coach.ask(method, path, without)
        assert (refused.status, (await refused.json())["errors"][0]["pointer"]) == (422, "/group_external_id")
        # A group of the coach's, which this athlete is not in.
        refused = await coach.ask(method, path, body | {"group_external_id": "nobody"})
        assert refused.status == 404
    for status in ("IN_PROGRESS", "COMPLETED"):
        for method, path in (("POST", trainings), ("PUT", address)):
            refused = await coach.ask(method, path, PLANNED | {"status": status})
            assert (refused.status, (await refused.json())["errors"][0]["pointer"]) == (422, "/status")

    moved = await coach.told("PUT", address, put | {"group_external_id": "club"})
    assert moved["version"] == 2
    assert (await athlete.accesses())[0]["group_external_id"] == "club"
    # The coach of a group that was left has nothing to say of what was planned for it, though still of other groups.
    await athlete.revoke("club")
    for method, path, body in (("PUT", address, put), ("DELETE", address, None)):
        assert (await coach.ask(method, path, body)).status == 404
    assert (await athlete.told("GET", address))["version"] == 2
    # What has begun is the athlete's.
    begun = (await from_it.json())["id"]
    await athlete.told("PUT", f"{trainings}/{begun}", PLANNED | {"status": "IN_PROGRESS"})
    for method, body in (("PUT", put), ("DELETE", None)):
        assert (await coach.ask(method, f"{trainings}/{begun}", body)).status == 404
    assert await db.one("SELECT count(*) FROM trainings WHERE deleted_at IS NOT NULL") == (0,)


async def test_keys_of_a_coach_are_apart_from_the_athletes(athlete: Person, client: Client) -> None:
    await athlete.admit("team", "read", "plan")
    path, key = athlete.address("/trainings"), {"Idempotency-Key": "a"}
    ids = set()
    for person in (athlete, Person(client, sub="a", coach_of=["team"]), Person(client, sub="b", coach_of=["team"])):
        first, again = [await person.ask("POST", path, PLANNED, **key) for _ in range(2)]
        assert (first.status, again.status, again.headers.get("Idempotent-Replayed")) == (201, 201, "true")
        assert await first.json() == await again.json()
        ids.add((await first.json())["id"])
    assert len(ids) == 3
    # The athlete's own address is another name of the same: so is its key.
    own = await athlete.ask("POST", "/api/v1/trainings", PLANNED, **key)
    assert own.headers.get("Idempotent-Replayed") == "true"


_WAITS_FOR = """
SELECT other.query LIKE '%%of_coach_to_plan%%'
FROM pg_stat_activity waiting, unnest(pg_blocking_pids(waiting.pid)) pid JOIN pg_stat_activity other USING (pid)
WHERE waiting.datname = current_database() AND waiting.query LIKE '%%leave_group%%'
"""


async def test_a_revocation_waits_for_what_is_under_way(athlete: Person, coach: Person, db: Database) -> None:
    await athlete.admit("team", "plan")
    where = await place(athlete, SCOPED["updateTrainingOfUser"])
    ended: list[str] = []

    async def waits(count: int) -> bool:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return await db.one(waiting) == (count,)

    async def plan() -> int:
        answer = await where.by(coach)
        ended.append("planned")
        return int(answer.status)

    async def revoke() -> None:
        await athlete.revoke("team")
        ended.append("revoked")

    async with db.transaction() as holder:
        await holder.execute("SELECT FROM trainings FOR UPDATE")
        planning = asyncio.create_task(plan())
        await until(lambda: waits(1), 20, "the coach waits for the training")
        revoking = asyncio.create_task(revoke())
        await until(lambda: waits(2), 20, "the athlete waits too")
        # The coach's is the statement that it waits for, and so done before it; the answers may meet on their way.
        assert await db.all(_WAITS_FOR) == [(True,)]
        assert ended == []
    assert await planning == 200
    await revoking
    assert sorted(ended) == ["planned", "revoked"]
    await assert_stranger(where, coach, db)


async def test_a_stream_that_is_broken_off_stays_in_the_log(athlete: Person, coach: Person, db: Database) -> None:
    await place(athlete, SCOPED["listSessions"])
    await athlete.admit("team", "read")
    guard = Guarded(db, access_of(athlete.user_id, coach.user_id, operation="listSessions"))
    sql = "SELECT id FROM trainings WHERE user_id = %(user_id)s"
    with pytest.raises(RuntimeError, match="gone"):
        async with guard.reader(sql, {"user_id": athlete.user_id}) as fetch:
            assert len(await fetch(10)) == 1
            raise RuntimeError("gone")
    assert [access["operation"] for access in await athlete.accesses()] == ["listSessions"]
    async with guard.reader(sql, {"user_id": athlete.user_id}) as fetch:
        await athlete.revoke("team")
        assert len(await fetch(10)) == 1  # as it was when it began
    another = Guarded(db, guard.access)
    with pytest.raises(NotFound):
        async with another.reader(sql, {"user_id": athlete.user_id}) as fetch:
            raise AssertionError("nothing is begun")


async def test_a_cursor_without_a_membership_has_no_row(
    athlete: Person, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def logged(_: Guarded) -> None:
        """As if it was revoked a moment later."""

    monkeypatch.setattr(Guarded, "_log", logged)
    guard = Guarded(db, access_of(athlete.user_id, uuid4()))
    with pytest.raises(NotFound):
        async with guard.reader("SELECT %(user_id)s", {"user_id": athlete.user_id}) as fetch:
            await fetch(1)


async def test_statements_of_every_form(athlete: Person, coach: Person, db: Database) -> None:
    forms: list[tuple[str | Prepared, Any]] = [
        ("SELECT %(user_id)s", athlete.user_id),
        ("WITH a AS (SELECT %(user_id)s AS id) SELECT id FROM a WHERE %(n)s = 1", athlete.user_id),
        (
            """WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 3)
            SELECT max(n) FROM a WHERE %(user_id)s IS NOT NULL""",
            3,
        ),
        (
            """WITH kept AS (
                INSERT INTO idempotency_keys VALUES (%(user_id)s, 'r', 'k', '', %(user_id)s, %(user_id)s)
                RETURNING user_id
            ) SELECT user_id FROM kept""",
            athlete.user_id,
        ),
        ("INSERT INTO idempotency_keys SELECT %(user_id)s, 'q', 'k', '', %(id)s, %(id)s RETURNING key", "k"),
        ("DELETE FROM idempotency_keys WHERE user_id = %(user_id)s RETURNING 1", 1),
        (Prepared("of_test", "SELECT %(n)s, %(user_id)s, %(coach_of)s", {"n": "integer", "user_id": "uuid"}), 1),
        ("SELECT %(coach_of)s::text[], %(user_id)s", ["team"]),
    ]
    parameters = {"user_id": athlete.user_id, "n": 1, "id": uuid4(), "coach_of": ["team", "club"]}
    access = access_of(athlete.user_id, coach.user_id, "club", "team")
    for sql, _ in forms:
        with pytest.raises(NotFound):
            await Guarded(db, access).one(sql, parameters)
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (0,)
    await athlete.admit("team", "read")
    await athlete.admit("club", "plan")
    for count, (sql, answer) in enumerate(forms, start=1):
        row = await Guarded(db, access).one(sql, parameters)
        assert row is not None
        assert row[0] == answer
        assert len(await athlete.accesses()) == count
    guard = Guarded(db, access)
    assert await guard.execute("SELECT 1 WHERE %(user_id)s IS NULL", parameters) == 0
    assert guard.admitted
    with pytest.raises(psycopg2.errors.DivisionByZero):
        await guard.all("SELECT 1 / 0, %(user_id)s", parameters)
    assert len(await athlete.accesses()) == len(forms) + 1  # one a request
    guard = Guarded(db, access)
    with pytest.raises(psycopg2.errors.DivisionByZero):
        await guard.all("SELECT 1 / 0, %(user_id)s", parameters)
    assert [row[0] for row in await guard.all("SELECT 1 WHERE %(user_id)s IS NOT NULL", parameters)] == [1]
    assert len(await athlete.accesses()) == len(forms) + 2
    for group in ("team", "club"):
        await athlete.revoke(group)
    with pytest.raises(NotFound):  # what was allowed at the first statement need not be at the next
        await guard.all("SELECT 1 WHERE %(user_id)s IS NOT NULL", parameters)


async def test_postgresql_takes_every_guarded_statement(db: Database) -> None:
    """It knows the type of each parameter, and finds the names of each expression."""
    scopes: tuple[Scope, ...] = ("read", "plan")
    prepared = {
        guarded(statement, scope, logged=logged)
        for statement in statements().values()
        for scope in scopes
        for logged in (True, False)
    }
    async with db.session() as cursor:
        for statement in prepared:
            if not isinstance(statement, Prepared):
                continue
            await cursor.execute(f"{statement.prepare}; DEALLOCATE {statement.name}")


async def test_memberships(athlete: Person, client: Client, db: Database, database_urls: DatabaseUrls) -> None:
    path = athlete.address("/memberships")
    assert await athlete.told("GET", path) == {"items": []}
    first = await athlete.told("PUT", f"{path}/team", {"scopes": ["read"]})
    assert (first["group_external_id"], first["scopes"]) == ("team", ["read"])
    changed = await athlete.told("PUT", f"{path}/team", {"scopes": ["plan", "read"]})
    assert changed == first | {"scopes": ["plan", "read"]}
    assert await athlete.told("GET", f"{path}/team") == changed
    refused = await athlete.ask("PUT", f"{path}/else", {"scopes": ["read"]})
    assert (refused.status, (await refused.json())["type"]) == (403, "/problems#forbidden")
    for scopes in ([], ["read", "read"], ["write"], "read", ["read", "plan", "read"]):
        wrong = await athlete.ask("PUT", f"{path}/team", {"scopes": scopes})
        assert (wrong.status, (await wrong.json())["errors"][0]["pointer"][:7]) == (422, "/scopes")
    await athlete.revoke("team")
    for method in ("GET", "DELETE"):
        assert (await athlete.ask(method, f"{path}/team")).status == 404
        assert (await athlete.ask(method, f"{path}/never")).status == 404
    anew = await athlete.told("PUT", f"{path}/team", {"scopes": ["read"]})
    assert anew["accepted_at"] > first["accepted_at"]
    # A token that names the group no longer: it can be left, not joined.
    left = Person(client, athlete.user_id)
    assert (await left.ask("PUT", f"{path}/team", {"scopes": ["read"]})).status == 403
    await left.revoke("team")

    names = ["a b", "ß/x", "Team", "team"]
    many = Person(client, groups=names, coach_of=names)
    for name in names:
        await many.admit(quote(name, safe=""), "read")
    found, address = [], f"{many.address('/memberships')}?limit=3"
    while address:
        answer = await many.ask("GET", address)
        found += [item["group_external_id"] for item in (await answer.json())["items"]]
        address = answer.headers["Link"].split(">")[0][1:] if "Link" in answer.headers else ""
    assert sorted(found) == sorted(names)
    for person in (athlete, Person(client), Person(client, coach_of=names)):
        for method, suffix, body in (
            ("GET", "/memberships", None),
            ("GET", "/memberships/team", None),
            ("PUT", "/memberships/team", {"scopes": ["read"]}),
            ("DELETE", "/memberships/team", None),
            ("GET", "/accesses", None),
        ):
            answer = await person.ask(method, many.address(suffix), body)
            assert (answer.status, (await answer.json())["detail"]) == (404, _NOBODY)
    assert await db.one("SELECT count(*) FROM memberships WHERE user_id = %s", [many.user_id]) == (4,)


async def test_accesses_are_paged_newest_first(athlete: Person, coach: Person, db: Database) -> None:
    await athlete.admit("team", "read")
    for number in range(5):
        await coach.told("GET", athlete.address("/workouts"), **{"X-Request-Id": f"r{number}"})
    found, address = [], athlete.address("/accesses?limit=2")
    while address:
        answer = await athlete.ask("GET", address)
        found += [item["request_id"] for item in (await answer.json())["items"]]
        address = answer.headers["Link"].split(">")[0][1:] if "Link" in answer.headers else ""
    assert found == ["r4", "r3", "r2", "r1", "r0"]
    wrong = await athlete.ask("GET", athlete.address("/accesses?cursor=x"))
    assert (wrong.status, (await wrong.json())["errors"][0]["parameter"]) == (422, "cursor")
    for statement in ("UPDATE access_log SET actor = ''", "DELETE FROM access_log", "DELETE FROM memberships"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            await db.execute(statement)


async def test_who_coaches_is_an_athlete_too(client: Client, athlete: Person) -> None:
    """What is the coach's own needs no membership and is in no log."""
    both = Person(client, groups=["team"], coach_of=["team"])
    await both.told("POST", both.address("/workouts"), {"name": "Mine"})
    assert len((await both.told("GET", both.address("/workouts")))["items"]) == 1
    assert await both.accesses() == []
    await athlete.admit("team", "read")
    assert await both.told("GET", athlete.address("/workouts")) == {"items": []}
    (access,) = await athlete.accesses()
    assert UUID(access["coach_id"]) == both.user_id
    assert access["actor"] == str(both.user_id)
