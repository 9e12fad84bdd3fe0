"""Random requests of every route with authentication: bodies that are full of secrets, and ids of all users.

`BODIES` names each route; tests/integration/test_isolation.py fails for one that is not there.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from tests.support.isolation import (
    CATALOGUE,
    KEYS,
    OF_GROUP,
    OF_USER,
    ROUTES,
    TRAININGS,
    Asked,
    Person,
    World,
)
from tests.support.strong import HEADER
from web.routes import Route

OWN = f"{OF_USER}/own-exercises"
ANALYSES = f"{OF_USER}/trainings/{{id}}/exercises/{{exerciseId}}/sets/{{setId}}/form-analyses"
ADVISED = "2025-01-24"  # the day that advice is for: of no phase, which may be one of deload
OWN_SLUGS = ("carry", "drag")  # few, so that everybody uses the same

# Bodies, for the user whose data it becomes.


def grouped(world: World, user: UUID) -> dict[str, str]:
    """For which group it is."""
    group = world.chance.choice([None, *world.groups * 3, world.secret(user)])
    return {"group_external_id": group} if group else {}


def maybe(world: World, **makers: Callable[[], Any]) -> dict[str, Any]:
    """Some of these members."""
    return {name: make() for name, make in makers.items() if world.chance.random() < 0.3}


def anyones(world: World, noun: str) -> str:
    """An id of whatever user's, or of nobody's."""
    ids = [id_ for user in world.users for id_ in world.documents[user, noun]]
    return world.chance.choice([*ids, str(world.uuid())])


def names(world: World, user: UUID, noun: str = "training") -> dict[str, Any]:
    """By what a client knows that which it makes: an id that another user has, now and then."""
    chosen = [str(world.uuid()), str(world.uuid()), anyones(world, noun)]
    sources = ["app:1", world.secret(user)] if noun == "training" else []
    return maybe(
        world,
        id=lambda: world.chance.choice(chosen),
        **({"source_id": lambda: world.chance.choice(sources)} if sources else {}),
    )


def date(world: World) -> str:
    """A moment of some days, so that trainings meet."""
    return f"2025-0{world.chance.randint(1, 2)}-1{world.chance.randint(0, 9)}T12:00:00Z"


def set_(world: World, user: UUID) -> dict[str, Any]:
    """A set."""
    return {"reps": world.chance.randint(1, 9)} | maybe(world, video_id=lambda: world.secret(user))


def exercise(world: World, user: UUID, *, done: bool) -> dict[str, Any]:
    """An exercise of a training: under a name that others have too, or a secret one."""
    named = {"name": world.chance.choice(["Squat", world.secret(user)]), "notes": world.secret(user)}
    slugs = ["pistol-squat", *world.slugs]
    more = maybe(world, exercise=lambda: world.chance.choice(slugs))
    aim = {"done": False, "target": {"reps": 5}}
    sets = [set_(world, user) if done else aim for _ in range(world.chance.randint(1, 2))]
    return named | more | {"sets": sets}


def said(world: World, user: UUID, *statuses: str) -> dict[str, Any]:
    """What is said of a training with one of these statuses."""
    status = world.chance.choice(statuses)
    of_workout = {"workout_id": anyones(world, "workout"), "workout_version": 1}
    exercises = [exercise(world, user, done=status != "PLANNED")]
    return (
        {"date": date(world), "status": status, "title": world.secret(user), "exercises": exercises}
        | grouped(world, user)
        | maybe(world, notes=lambda: world.secret(user))
        | (maybe(world, hidden=lambda: True) if status == "PLANNED" else {})
        | world.chance.choice([{}, {}, of_workout])
    )


def training(world: World, user: UUID) -> dict[str, Any]:
    """A new training."""
    return said(world, user, "PLANNED", "PLANNED", "IN_PROGRESS", "COMPLETED") | names(world, user)


def update(world: World, user: UUID) -> dict[str, Any]:
    """A training anew."""
    return said(world, user, "PLANNED", "PLANNED", "COMPLETED")


def session(world: World, user: UUID) -> dict[str, Any]:
    """A new session."""
    return said(world, user, "COMPLETED") | names(world, user)


def batch(world: World, user: UUID) -> list[Any]:
    """New trainings, the last of which may be none."""
    return [training(world, user), world.chance.choice([training(world, user), {"title": world.secret(user)}])]


def workout(world: World, user: UUID) -> dict[str, Any]:
    """A workout, whether new or anew."""
    prescribed = {"name": world.secret(user), "sets": 2, "reps": 5, "weight": 100, "notes": world.secret(user)}
    prescribed |= maybe(world, progression=lambda: {"kind": "linear", "increment": 2.5})
    return {"name": world.secret(user), "exercises": [prescribed]} | grouped(world, user)


def new_workout(world: World, user: UUID) -> dict[str, Any]:
    """A new workout."""
    return workout(world, user) | names(world, user, "workout")


def plan(world: World, user: UUID) -> dict[str, Any]:
    """When a training takes place."""
    more = maybe(world, title=lambda: world.secret(user), hidden=lambda: True)
    return {"date": date(world)} | names(world, user) | more


def movement(world: World, _: UUID) -> dict[str, Any]:
    """A movement of the catalogue, which is everybody's."""
    example: dict[str, Any] = ROUTES["PUT", f"{CATALOGUE}/{{slug}}"].body_example
    return example | {"name": f"Movement {world.uuid()}", "easier_slugs": []}


def new_movement(world: World, user: UUID) -> dict[str, Any]:
    """A new one."""
    return movement(world, user) | {"slug": f"movement-{world.uuid()}"}


def texts(world: World, user: UUID) -> dict[str, Any]:
    """Names of exercises: the user's, and what another one calls theirs."""
    secrets = [any_secret(world, user), any_secret(world, world.chance.choice(world.users))]
    return {"exercises": sorted({"Squat", "pistol-squat", *secrets})}


def any_secret(world: World, user: UUID) -> str:
    """One that was made for the user."""
    return world.chance.choice(world.secrets.of(user) or ["Squat"])


def membership(world: World, _: UUID) -> dict[str, Any]:
    """What a group's coaches may do."""
    return {"scopes": world.chance.choice([["read"], ["plan"], ["read", "plan"], ["read", "plan"], []])}


def group_workout(world: World, user: UUID) -> dict[str, Any]:
    """A workout of the coach's."""
    own = [id_ for id_, event in world.documents[user, "workout"].items() if event["event_type"] != "workout_deleted"]
    return {"workout_id": world.chance.choice([*own, *own, anyones(world, "workout")])}


def group_training(world: World, user: UUID) -> dict[str, Any]:
    """When the trainings of all take place."""
    more = maybe(world, title=lambda: world.secret(user), hidden=lambda: True)
    return group_workout(world, user) | {"date": date(world)} | more


def own_exercise(world: World, user: UUID) -> dict[str, Any]:
    """A movement of the user's, anew."""
    more = maybe(world, image_id=lambda: world.secret(user))
    example: dict[str, Any] = ROUTES["POST", OWN].body_example
    return example | {"name": world.chance.choice([any_secret(world, user), world.secret(user)])} | more


def new_own_exercise(world: World, user: UUID) -> dict[str, Any]:
    """A new one, under a slug that others have too."""
    return own_exercise(world, user) | {"slug": world.chance.choice(OWN_SLUGS)}


def alias(world: World, _: UUID) -> dict[str, Any]:
    """What a name means."""
    return world.chance.choice([{"exercise": "pistol-squat"}, {"own_exercise": world.chance.choice(OWN_SLUGS)}])


def import_(world: World, user: UUID) -> dict[str, str]:
    """A log of two sessions, one of which is wrong."""
    row = "2025-01-{} 18:00:00,{},1h,{},1,{},5,0,0,,,\n"
    good = row.format(world.chance.randint(10, 12), world.secret(user), world.secret(user), 100)
    wrong = row.format(13, world.secret(user), "Squat", world.secret(user))
    return {"file": HEADER + good + wrong} | maybe(world, dry_run=lambda: "true")


def theirs(world: World, user: UUID, noun: str) -> str:
    """An id of the user's, mostly."""
    own = [id_ for id_, event in world.documents[user, noun].items() if not event["event_type"].endswith("_deleted")]
    return world.chance.choice([*own, *own, *own, anyones(world, noun)])


def phase(world: World, user: UUID) -> dict[str, Any]:
    """A phase, whether new or anew: of workouts and a goal of whoever's."""
    slot = {"workout_id": theirs(world, user, "workout"), "weekday": world.chance.randint(1, 7)}
    part = {"kind": "microcycle", "parent_id": anyones(world, "phase")}
    return (
        {"name": world.secret(user), "first": "2025-01-06", "last": "2025-01-19", "schedule": [slot]}
        | maybe(world, notes=lambda: world.secret(user), goal=lambda: world.secret(user), deload=lambda: True)
        | maybe(world, goal_id=lambda: theirs(world, user, "goal"))
        | (part if world.chance.random() < 0.2 else {})
    )


def new_phase(world: World, user: UUID) -> dict[str, Any]:
    """A new one."""
    return phase(world, user) | names(world, user, "phase")


def goal(world: World, user: UUID) -> dict[str, Any]:
    """A goal, whether new or anew."""
    movement = world.chance.choice(["pistol-squat", f"name:{any_secret(world, user)}"])
    aim = {"metric": "reps", "movement": movement, "target": world.chance.randint(1, 9)}
    return {"name": world.secret(user), "start_day": "2025-01-01", "due": "2025-03-01", **aim} | maybe(
        world, notes=lambda: world.secret(user)
    )


def new_goal(world: World, user: UUID) -> dict[str, Any]:
    """A new one."""
    return goal(world, user) | names(world, user, "goal")


def check_in(world: World, user: UUID) -> dict[str, Any]:
    """What is said of a day."""
    return {"sleep": world.chance.randint(1, 7), "notes": world.secret(user)}


def dry_run(world: World, user: UUID) -> dict[str, Any]:
    """A rule that is tried against what was done of a movement, which others did too, or called so."""
    name = world.chance.choice(["Squat", any_secret(world, user), any_secret(world, world.chance.choice(world.users))])
    return {"name": name, "sets": 1, "reps": 5, "weight": 100, "progression": {"kind": "linear", "increment": 2.5}}


def form_analysis(world: World, user: UUID) -> dict[str, Any]:
    """What another service makes of a recording."""
    said = {"scores": [{"name": world.secret(user), "value": 0.5, "about": world.secret(user)}]}
    remark = {"severity": "info", "text": world.secret(user)}
    made = {"analyser": {"name": world.secret(user), "version": "1"}, "analysed_at": date(world)}
    video = any_secret(world, user)
    return said | made | {"video_id": video, "remarks": [remark]} | names(world, user, "form_analysis")


# Each route with authentication, and who makes its body.
BODIES: dict[tuple[str, str], Callable[[World, UUID], Any] | None] = {
    ("GET", f"{TRAININGS}/changes"): None,
    ("POST", f"{TRAININGS}/batch"): batch,
    ("POST", f"{TRAININGS}/{{id}}/reopen"): None,
    ("POST", f"{TRAININGS}/{{id}}/restore"): None,
    ("PUT", f"{TRAININGS}/{{id}}/exercises/{{exerciseId}}/sets/{{setId}}"): set_,
    ("DELETE", f"{TRAININGS}/{{id}}/exercises/{{exerciseId}}/sets/{{setId}}"): None,
    **{
        (method, f"{path}{rest}"): body
        for path in (TRAININGS, f"{OF_USER}/trainings")
        for method, rest, body in (
            ("POST", "", training),
            ("GET", "", None),
            ("GET", "/{id}", None),
            ("PUT", "/{id}", update),
            ("DELETE", "/{id}", None),
            ("GET", "/{id}/history", None),
        )
    },
    ("POST", f"{OF_USER}/sessions"): session,
    ("GET", f"{OF_USER}/sessions"): None,
    ("GET", f"{OF_USER}/sessions/{{id}}"): None,
    ("GET", "/api/training/users/{userId}/sessions"): None,
    ("POST", f"{OF_USER}/workouts"): new_workout,
    ("GET", f"{OF_USER}/workouts"): None,
    ("GET", f"{OF_USER}/workouts/{{id}}"): None,
    ("PUT", f"{OF_USER}/workouts/{{id}}"): workout,
    ("DELETE", f"{OF_USER}/workouts/{{id}}"): None,
    ("GET", f"{OF_USER}/workouts/{{id}}/versions"): None,
    ("GET", f"{OF_USER}/workouts/{{id}}/versions/{{version}}"): None,
    ("POST", f"{OF_USER}/workouts/{{id}}/trainings"): plan,
    ("POST", CATALOGUE): new_movement,
    ("PUT", f"{CATALOGUE}/{{slug}}"): movement,
    ("DELETE", f"{CATALOGUE}/{{slug}}"): None,
    ("GET", f"{OF_USER}/exercises/{{exercise}}/history"): None,
    ("POST", f"{OF_USER}/exercises/last"): texts,
    ("POST", OWN): new_own_exercise,
    ("GET", OWN): None,
    ("GET", f"{OWN}/{{slug}}"): None,
    ("PUT", f"{OWN}/{{slug}}"): own_exercise,
    ("DELETE", f"{OWN}/{{slug}}"): None,
    ("GET", f"{OF_USER}/exercises/unmapped"): None,
    ("GET", f"{OF_USER}/exercise-aliases"): None,
    ("PUT", f"{OF_USER}/exercise-aliases/{{name}}"): alias,
    ("DELETE", f"{OF_USER}/exercise-aliases/{{name}}"): None,
    ("GET", f"{OF_USER}/memberships"): None,
    ("GET", f"{OF_USER}/memberships/{{group}}"): None,
    ("PUT", f"{OF_USER}/memberships/{{group}}"): membership,
    ("DELETE", f"{OF_USER}/memberships/{{group}}"): None,
    ("GET", f"{OF_USER}/accesses"): None,
    ("GET", f"{OF_GROUP}/athletes"): None,
    ("POST", f"{OF_GROUP}/workouts"): group_workout,
    ("POST", f"{OF_GROUP}/trainings"): group_training,
    ("GET", f"{OF_GROUP}/leaderboard"): None,
    ("GET", f"{OF_GROUP}/load"): None,
    ("POST", f"{OF_USER}/phases"): new_phase,
    ("GET", f"{OF_USER}/phases"): None,
    ("GET", f"{OF_USER}/phases/{{phaseId}}"): None,
    ("PUT", f"{OF_USER}/phases/{{phaseId}}"): phase,
    ("DELETE", f"{OF_USER}/phases/{{phaseId}}"): None,
    ("GET", f"{OF_USER}/calendar"): None,
    ("POST", f"{OF_USER}/goals"): new_goal,
    ("GET", f"{OF_USER}/goals"): None,
    ("GET", f"{OF_USER}/goals/progress"): None,
    ("GET", f"{OF_USER}/goals/{{goalId}}"): None,
    ("PUT", f"{OF_USER}/goals/{{goalId}}"): goal,
    ("DELETE", f"{OF_USER}/goals/{{goalId}}"): None,
    ("GET", f"{OF_USER}/goals/{{goalId}}/progress"): None,
    ("GET", f"{OF_USER}/workouts/{{id}}/next"): None,
    ("GET", f"{OF_USER}/workouts/{{id}}/progression"): None,
    ("POST", f"{OF_USER}/progression/dry-run"): dry_run,
    ("PUT", f"{OF_USER}/check-ins/{{day}}"): check_in,
    ("GET", f"{OF_USER}/check-ins/{{day}}"): None,
    ("DELETE", f"{OF_USER}/check-ins/{{day}}"): None,
    ("GET", f"{OF_USER}/check-ins"): None,
    ("GET", f"{OF_USER}/readiness"): None,
    ("GET", f"{OF_USER}/advice"): None,
    ("POST", f"{OF_USER}/advice/{{adviceId}}/accept"): None,
    ("POST", f"{OF_USER}/advice/{{adviceId}}/undo"): None,
    ("GET", f"{OF_USER}/advice/accepted"): None,
    ("POST", ANALYSES): form_analysis,
    ("GET", ANALYSES): None,
    ("GET", f"{OF_USER}/metrics/volume"): None,
    ("GET", f"{OF_USER}/metrics/load"): None,
    ("GET", f"{OF_USER}/metrics/records"): None,
    ("GET", f"{OF_USER}/metrics/progress"): None,
    ("GET", "/api/v1/training/exports/{table}"): None,
    ("GET", f"{OF_USER}/exports/log"): None,
    ("GET", f"{OF_USER}/export"): None,
    ("POST", f"{OF_USER}/imports"): import_,
    ("GET", f"{OF_USER}/imports"): None,
    ("GET", f"{OF_USER}/imports/{{id}}"): None,
    ("DELETE", f"{OF_USER}/imports/{{id}}"): None,
}


def whose(world: World, person: Person) -> Person:
    """The user whose things a request is about: the caller's own often, and an athlete's where a coach asks."""
    if person.coach_of and world.chance.random() < 0.7:
        return world.by_name[world.chance.choice(["ada", "ada", "bob"])]
    return person if world.chance.random() < 0.6 else world.chance.choice(world.people)


def fits(route: Route, event: dict[str, Any], *groups: str) -> bool:
    """Whether what this event left behind is what the route is for: of an athlete, where a coach of `groups` asks."""
    payload = event["payload"]
    if route.scope == "plan" and groups:
        planned = payload.get("status", "PLANNED") == "PLANNED" and payload.get("group_external_id") in groups
        return planned and not event["event_type"].endswith("_deleted")
    status, deleted = payload.get("status"), event["event_type"].endswith("_deleted")
    if route.path.endswith(("/restore", "/history", "/versions", "/versions/{version}")):
        return deleted or not route.path.endswith("/restore")
    return not deleted and (status == "COMPLETED" or not route.path.endswith(("/reopen", "/sessions/{id}")))


def advice(world: World, owner: Person, route: Route) -> str:
    """Of what is advised, or was accepted."""
    if route.path.endswith("/undo"):
        return some(world, owner, "advice")
    return world.chance.choice(world.advised[owner.user_id] or [str(world.uuid())])


def some(world: World, owner: Person, noun: str) -> str:
    """One of the owner's that is there, or one that never was."""
    found = world.documents[owner.user_id, noun].items()
    there = [id_ for id_, event in found if not event["event_type"].endswith("_deleted")]
    return world.chance.choice(there) if there and world.chance.random() < 0.9 else str(world.uuid())


def address(world: World, person: Person, route: Route) -> dict[str, str]:
    """Values of the address's parameters, which mostly fit together."""
    chance = world.chance
    user = world.chance.choice(world.people) if person.name == "analyser" else whose(world, person)
    owner = user if chance.random() < 0.85 else chance.choice(world.people)
    noun = next((noun for noun in ("workout", "import") if f"/{noun}s/{{id}}" in route.path), "training")
    found = world.documents[owner.user_id, noun]
    coached = owner is not person and chance.random() < 0.7
    fitting = [id_ for id_, event in found.items() if fits(route, event, *(world.groups if coached else ()))]
    id_ = chance.choice(fitting or [str(world.uuid())])
    exercises = found.get(id_, {"payload": {}})["payload"].get("exercises", [])
    of = chance.choice([e for e in exercises if noun == "training" and e["sets"]] or [{"id": world.uuid(), "sets": []}])
    values = {
        "userId": user.user_id if chance.random() < 0.95 else world.uuid(),
        "id": id_ if chance.random() < 0.95 else world.uuid(),
        "exerciseId": of["id"],
        "setId": chance.choice([set_["id"] for set_ in of["sets"]] or [world.uuid()]),
        "goalId": some(world, owner, "goal"),
        "phaseId": some(world, owner, "phase"),
        "adviceId": advice(world, owner, route),
        "day": f"2025-01-{chance.randint(10, 12)}",
        "exercise": chance.choice(["Squat", any_secret(world, owner.user_id)]),
        "slug": chance.choice(OWN_SLUGS if "{userId}" in route.path else world.slugs or ["manna"]),
        "name": chance.choice(["Squat", any_secret(world, owner.user_id)]),
        "version": chance.choice(["1", "1", "2"]),
        "group": chance.choice([*world.groups, world.other_group]),
        "table": "exercise_volume",
    }
    return {name: str(values[name]) for name in route.path_parameters}


def request(world: World, person: Person, route: Route) -> Asked:
    """A random request of this route."""
    chance, values = world.chance, address(world, person, route)
    make = BODIES[route.method, route.path]
    # What a coach writes for an athlete becomes the athlete's.
    user = UUID(values["userId"]) if "userId" in values and person.coach_of else person.user_id
    known = {
        "Idempotency-Key": chance.choice([*KEYS, str(world.uuid())]),
        "If-Match": chance.choice(["*", '"1"', '"1", "2", "3"']),
        "If-None-Match": chance.choice(['"1"', '"7"']) if route.method == "GET" else "*",
    }
    headers = {name: known[name] for name in route.request_headers if chance.random() < 0.4}
    if any(answer.line for answer in route.answers.values()):
        headers["Accept"] = chance.choice(["application/json", "application/x-ndjson"])
    fields = route.query.model_fields if route.query else {}
    cursors = world.cursors[route.path]
    query = {
        "limit": lambda: str(chance.randint(1, 3)),
        "cursor": lambda: chance.choice(cursors or ["x"]),
        "at_least": lambda: f"{anyones(world, 'training')}:{chance.randint(1, 2)}",
        "history": lambda: "true",
        "movement": lambda: chance.choice(["name:squat", f"name:{any_secret(world, chance.choice(world.users))}"]),
    }
    mostly = {"from": "2025-01-01", "to": "2025-02-28"} if {"first", "last"} <= fields.keys() else {}
    always = {"day": ADVISED} if route.path.endswith(("/advice", "/accept")) else {}
    chosen = maybe(world, **{name: make for name, make in query.items() if name in fields}) | always
    chosen |= mostly if chance.random() < 0.8 else {}
    body = None if make is None else make(world, user)
    if "video_id" in (body or ()) and route.path.endswith("/form-analyses"):
        body["video_id"] = video(world, values) or body["video_id"]
    return Asked(route, values, chosen, body, headers)


def video(world: World, values: Mapping[str, str]) -> str | None:
    """That of the set which an address names, where there is one."""
    events = (world.documents[user, "training"].get(values["id"]) for user in world.users)
    exercises = [exercise for event in events if event for exercise in event["payload"]["exercises"]]
    sets = [set_ for exercise in exercises for set_ in exercise["sets"] if set_["id"] == values["setId"]]
    return sets[0].get("video_id") if sets else None
