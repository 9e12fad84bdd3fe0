"""What clients do with phases and goals, what they say of a day, and which advice they take."""

import datetime as dt
import random
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson

from chaos.client import Client, Request
from chaos.history import Kind, Type, said_digest, workout_digest
from chaos.routes import trainings, workouts
from models.check_ins import check_in_id

USER = "/api/v1/training/users/{}"
_FIRST = dt.date(2025, 1, 6)
_DAYS = 200  # of the plans
_CHECKED = 30  # days that are said something of
_LINEAR = {"kind": "linear", "increment": 2.5, "successes": 1}
_MATCHED = {"POST": 0, "PUT": 0.8, "DELETE": 0.5}  # how often a write has an If-Match


@dataclass(frozen=True)
class _Place:
    """Where something is of a user's, and at which version, as far as its clients know (0: they do not)."""

    type: Type
    path: str
    id: str | None = None
    version: int = 0


def phase(client: Client) -> dict[str, Any]:
    """Some weeks of up to two workouts, at times with less of each."""
    chance = client.random
    first = _FIRST + dt.timedelta(chance.randrange(_DAYS))
    known = sorted(client.user.workouts)
    slots = [
        {"workout_id": id_, "weekday": chance.randint(1, 7), "time": "18:30"}
        for id_ in chance.sample(known, min(len(known), chance.randint(0, 2)))
    ]
    return {
        "name": _word(chance, "Block"),
        "kind": "mesocycle",
        "first": first.isoformat(),
        "last": (first + dt.timedelta(7 * chance.randint(1, 3) - 1)).isoformat(),
        "timezone": chance.choice(("UTC", "Europe/Berlin")),
        "deload": chance.random() < 0.2,
        "schedule": slots,
    }


def goal(client: Client) -> dict[str, Any]:
    """So many trainings a week, or so much of one movement."""
    chance = client.random
    start = _FIRST + dt.timedelta(chance.randrange(_DAYS))
    aim = chance.choice(
        (
            {"metric": "weekly_trainings", "target": chance.randint(1, 7)},
            {"metric": "e1rm_kg", "movement": "name:squat", "target": 2.5 * chance.randint(20, 80)},
        )
    )
    due = start + dt.timedelta(chance.randint(30, 300))
    return {"name": _word(chance, "Goal"), "start_day": start.isoformat(), "due": due.isoformat(), **aim}


def check_in(client: Client) -> dict[str, Any]:
    """How the athlete is on a day. No two are alike."""
    chance = client.random
    items = {name: chance.randint(1, 7) for name in ("sleep", "fatigue", "stress", "soreness")}
    return {**items, "resting_heart_rate": chance.randint(40, 70), "notes": _word(chance, "Slept")}


async def create_phase(client: Client) -> None:
    """A phase with its trainings, or a part of one: with a key, with an id of the client's own, or with neither."""
    said = phase(client)
    whole = _one_of(client, "phase")
    days = whole and client.user.said.get(whole.path)
    if whole and days and client.random.random() < 0.2:
        said |= {"kind": "microcycle", "parent_id": whole.id, "first": days["first"], "last": days["last"]}
    id_ = await _create(client, "phase-create", "phase", said)
    if id_ is None:
        return
    if said["kind"] == "mesocycle":
        client.user.said[f"phases/{id_}"] = said
    await _learn(client, said)


async def _learn(client: Client, said: dict[str, Any]) -> None:
    """What is planned on a phase's days: the clients of the user begin, change and delete it as any training."""
    path = f"{USER.format(client.user.id)}/calendar?from={said['first']}&to={said['last']}"
    answer = await client.send(Request("phase-create", "GET", path))
    items = orjson.loads(answer.body)["items"] if answer.status == 200 else []
    for item in items:
        client.user.told("training", item["training_id"], 1)


async def move_phase(client: Client) -> None:
    """The same weeks on other days; sometimes with other workouts."""
    place = _one_of(client, "phase")
    if place is None:
        await create_phase(client)
        return
    said = phase(client)
    before = client.user.said.get(place.path)
    if before and client.random.random() < 0.7:
        by = dt.timedelta(client.random.randint(-10, 10))
        days = {name: (dt.date.fromisoformat(before[name]) + by).isoformat() for name in ("first", "last")}
        said = before | days | {"name": said["name"]}
    # As on a day before all of them: on days that are over a phase that is there makes nothing new.
    if await _change(client, "phase-move", replace(place, path=f"{place.path}?day=2025-01-01"), said):
        client.user.said[place.path] = said


async def delete_phase(client: Client) -> None:
    """The end of a phase, and of what it planned."""
    if place := _one_of(client, "phase"):
        await _delete(client, "phase-delete", place)


async def create_goal(client: Client) -> None:
    """A new goal."""
    await _create(client, "goal-create", "goal", goal(client))


async def change_goal(client: Client) -> None:
    """Another goal in its place."""
    place = _one_of(client, "goal")
    if place is None:
        await create_goal(client)
    else:
        await _change(client, "goal-change", place, goal(client))


async def delete_goal(client: Client) -> None:
    """The end of a goal."""
    if place := _one_of(client, "goal"):
        await _delete(client, "goal-delete", place)


async def set_check_in(client: Client) -> None:
    """What is said of a day, for the first time or anew."""
    await _change(client, "check-in-set", _day(client), check_in(client))


async def delete_check_in(client: Client) -> None:
    """Nothing is said of a day any more."""
    await _delete(client, "check-in-delete", _day(client))


async def accept(client: Client) -> None:
    """What is advised on a day on which an exercise may go on changes what is planned."""
    day = await _season(client)
    of_user = USER.format(client.user.id)
    answer = await client.send(Request("advice-accept", "GET", f"{of_user}/advice?day={day}"))
    given = orjson.loads(answer.body)["advice"] if answer.status == 200 else []
    # Nothing may be advised, or not any more: it is asked for nevertheless, and refused.
    id_ = client.random.choice([each["id"] for each in given if each["changes"]] or [client.new_id()])
    path, key = f"{of_user}/advice/{id_}/accept?day={day}", client.new_key()
    call = await client.ask(Request("advice-accept", "POST", path, id=id_, key=key, type="advice"))
    if call.status == 200:  # another client accepted it, and undoes it
        client.user.kept["advice"].pop(id_, None)


async def undo(client: Client) -> None:
    """The plan is as it was before, but for what was changed since."""
    place = _one_of(client, "advice")
    if place is None or place.id is None:
        await accept(client)
        return
    client.user.kept["advice"].pop(place.id)  # once: who undoes it again is answered, and nothing is written
    path, key = f"{USER.format(client.user.id)}/advice/{place.id}/undo", client.new_key()
    await client.ask(Request("advice-undo", "POST", path, id=place.id, key=key, type="advice"))
    client.user.kept["advice"].pop(place.id, None)


async def _season(client: Client) -> str:
    """A workout of which a session was done as prescribed, and another one is planned; the day between them."""
    exercise = {"id": client.new_id(), "name": "Press", "sets": 2, "reps": 5, "weight": 30}
    said = {"name": _word(client.random, "Season"), "exercises": [exercise | {"progression": _LINEAR}]}
    workout = client.new_id()
    path, digest = workouts.PATH.format(client.user.id), workout_digest(said)
    body = said | {"id": workout}
    await client.ask(Request("workout-create", "POST", path, body, workout, None, None, digest, "workout", safe=True))
    first = _FIRST + dt.timedelta(client.random.randrange(_DAYS))
    sets = [{"weight": 30, "reps": 5} for _ in range(2)]
    done = {"id": exercise["id"], "name": "Press", "sets": sets}
    made = {"workout_id": workout, "workout_version": 1, "exercises": [done]}
    session = made | {"id": client.new_id(), "date": f"{first}T12:00:00Z", "status": "COMPLETED"}
    await client.ask(trainings.creation(session, safe=True))
    plan = {"id": client.new_id(), "date": f"{first + dt.timedelta(2)}T12:00:00Z"}
    path = f"{path}/{workout}/trainings"
    await client.ask(Request("plan", "POST", path, plan, plan["id"], safe=True))
    return f"{first + dt.timedelta(1)}"


async def analyse(client: Client) -> None:
    """A training with a recorded set, and what another service makes of the recording; sometimes twice."""
    chance = client.random
    video = _word(chance, "video")
    training, exercise, set_ = (client.new_id() for _ in range(3))
    row = {"id": set_, "weight": 60, "reps": 5, "video_id": video}
    said = {"date": trainings.date(chance), "exercises": [{"id": exercise, "name": "Squat", "sets": [row]}]}
    made = trainings.creation(said | {"id": training, "status": "COMPLETED"}, safe=True)
    if (await client.ask(made)).outcome != "ok":
        return
    analysis = {
        "id": client.new_id(),
        "video_id": video,
        "analyser": {"name": "pose", "version": "1.2"},
        "scores": [{"name": "depth", "value": chance.randint(0, 100) / 100}],
        "remarks": [{"severity": "warning", "text": _word(chance, "The knees cave in")}],
        "analysed_at": "2025-06-01T12:00:00Z",
    }
    place = f"trainings/{training}/exercises/{exercise}/sets/{set_}/form-analyses"
    request = _request(client, "form-analysis-add", "POST", _Place("form_analysis", place, analysis["id"]), analysis)
    call = await client.ask(request)
    if call.outcome == "ok" and chance.random() < 0.2:
        await client.ask(replace(request, key=None))


async def _create(client: Client, kind: Kind, type_: Type, said: dict[str, Any]) -> str | None:
    """The id, where it is known to be there now."""
    if client.random.random() < 0.3:
        said = {"id": client.new_id(), **said}
    place = _Place(type_, f"{type_}s", said.get("id"))
    call = await client.ask(_request(client, kind, "POST", place, said))
    return call.id if call.outcome == "ok" else None


async def _change(client: Client, kind: Kind, place: _Place, said: dict[str, Any]) -> bool:
    """Another content: mostly with the version that the client believes to be the present one.

    Whether it was accepted.
    """
    call = await client.ask(_request(client, kind, "PUT", place, said))
    if place.id and call.status == 412:  # another client was faster: as a client that reads again
        client.user.told(place.type, place.id, place.version + 1)
    elif place.id and call.status == 404:
        client.user.kept[place.type].pop(place.id, None)
    return call.outcome == "ok"


async def _delete(client: Client, kind: Kind, place: _Place) -> None:
    call = await client.ask(_request(client, kind, "DELETE", place))
    if place.id and call.status in {204, 404}:
        client.user.kept[place.type].pop(place.id, None)


def _one_of(client: Client, type_: Type) -> _Place | None:
    known = client.one_of(client.user.kept[type_])
    return None if known is None else _Place(type_, f"{type_}s/{known[0]}", known[0], known[1])


def _day(client: Client) -> _Place:
    """The check-in of some day, said or not."""
    day = _FIRST + dt.timedelta(client.random.randrange(_CHECKED))
    id_ = str(check_in_id(UUID(client.user.id), day))
    return _Place("check_in", f"check-ins/{day}", id_, client.user.kept["check_in"].get(id_, 0))


def _request(client: Client, kind: Kind, method: str, place: _Place, said: dict[str, Any] | None = None) -> Request:
    if_match = place.version if place.version and client.random.random() < _MATCHED[method] else None
    path = f"{USER.format(client.user.id)}/{place.path}"
    digest = None if said is None else said_digest(place.type, said)
    return Request(kind, method, path, said, place.id, client.new_key(), if_match, digest, place.type)


def _word(chance: random.Random, word: str) -> str:
    """Unlike all others."""
    return f"{word} {chance.randrange(10**9)}"
