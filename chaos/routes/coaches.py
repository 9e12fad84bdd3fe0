"""What coaches plan for the athletes of a group, and how athletes let them, and let them no more."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson

from chaos.client import Client, Coach, Request, User
from chaos.history import Kind, content_digest
from chaos.routes import trainings, workouts

MEMBERSHIPS = "/api/v1/training/users/{}/memberships/{}"
TRAININGS = "/api/v1/training/users/{}/trainings"
GROUPS = "/api/v1/training/groups/{}"
_REPEATS = 6  # of a request for a group whose outcome is unknown
_PAGE = 2  # athletes of one request
# What each outcome would have been to a request for the one athlete.
_STATUS = {"created": 201, "updated": 201, "unchanged": 200, "kept": 200, "missing": 404, "revoked": 404}


async def accept(client: Client) -> None:
    """The group's coaches may read and plan."""
    await _membership(client, "accept", "PUT", {"scopes": ["read", "plan"]})


async def restrict(client: Client) -> None:
    """They may read alone."""
    await _membership(client, "restrict", "PUT", {"scopes": ["read"]})


async def revoke(client: Client) -> None:
    """They may nothing any more."""
    await _membership(client, "revoke", "DELETE")


async def _membership(client: Client, kind: Kind, method: str, said: dict[str, Any] | None = None) -> None:
    group = client.user.group
    path = MEMBERSHIPS.format(client.user.id, group)
    await client.ask(Request(kind, method, path, said, group, type="membership", safe=True))


async def create(client: Client) -> None:
    """A planned training for one athlete; every third one hidden."""
    athlete = _athlete(client)
    said = _planned(client, hidden=client.random.random() < 1 / 3)
    request = trainings.creation(said, kind="coach-create", key=client.new_key())
    path = TRAININGS.format(athlete.id)
    call = await client.ask(replace(request, path=path, athlete=athlete, group=_coach(client).group))
    if call.outcome == "ok" and call.id:
        _coach(client).planned[call.id] = athlete


async def change(client: Client) -> None:
    """Another content for a planned training, which the athlete then sees, if they did not yet."""
    chosen = _chosen(client)
    if chosen is None:
        await create(client)
        return
    id_, athlete, version = chosen
    said = _planned(client)
    if_match = version if client.random.random() < 0.8 else None
    path, key, digest = f"{TRAININGS.format(athlete.id)}/{id_}", client.new_key(), content_digest(said)
    request = Request("coach-change", "PUT", path, said, id_, key, if_match, digest, athlete=athlete)
    call = await client.ask(replace(request, group=_coach(client).group))
    if call.status == 412:
        athlete.told("training", id_, version + 1)
    elif call.status == 404:  # begun, deleted, or not the coach's to know of
        _coach(client).planned.pop(id_, None)


async def delete(client: Client) -> None:
    """A planned training is called off."""
    chosen = _chosen(client)
    if chosen is None:
        return
    id_, athlete, version = chosen
    if_match = version if client.random.random() < 0.5 else None
    path, key = f"{TRAININGS.format(athlete.id)}/{id_}", client.new_key()
    request = Request("coach-delete", "DELETE", path, None, id_, key, if_match, athlete=athlete)
    call = await client.ask(replace(request, group=_coach(client).group))
    if call.status in {204, 404}:
        _coach(client).planned.pop(id_, None)


async def plan(client: Client) -> None:
    """A training of one athlete's copy of a workout."""
    coach = _coach(client)
    if not coach.copies:
        await copy_for_all(client)
        return
    id_ = client.random.choice(sorted(coach.copies))
    athlete = coach.copies[id_]
    said = {"date": trainings.date(client.random), "hidden": client.random.random() < 1 / 3}
    path = f"{workouts.PATH.format(athlete.id)}/{id_}/trainings"
    request = Request("coach-plan", "POST", path, said, key=client.new_key(), athlete=athlete, group=coach.group)
    call = await client.ask(request)
    if call.outcome == "ok" and call.id:
        coach.planned[call.id] = athlete
    elif call.status == 404:
        coach.copies.pop(id_, None)


async def copy_for_all(client: Client) -> None:
    """One of the coach's workouts for everybody who lets them plan; sometimes again, as a newer version."""
    coach = _coach(client)
    known = client.one_of(coach.workouts)
    if known is None:
        await workouts.create(client)
        return
    request = Request("group-workout", "POST", "workouts", {"workout_id": known[0]}, type="workout")
    for id_, athlete in (await _for_all(client, request, "workout_id")).items():
        coach.copies[id_] = athlete


async def plan_for_all(client: Client) -> None:
    """A training of everybody's copy of one of the coach's workouts."""
    coach = _coach(client)
    known = client.one_of(coach.workouts)
    if known is None:
        await workouts.create(client)
        return
    hidden = client.random.random() < 1 / 3
    said = {"workout_id": known[0], "date": trainings.date(client.random), "hidden": hidden}
    request = Request("group-training", "POST", "trainings", said)
    coach.planned |= await _for_all(client, request, "training_id")


async def _for_all(client: Client, request: Request, name: str) -> dict[str, User]:
    """Ask for all athletes, a page after the other, and again where the outcome of a page is unknown.

    What is there now, by the id of that `name`.
    """
    coach = _coach(client)
    athletes = {athlete.id: athlete for athlete in coach.athletes}
    request = replace(request, group=coach.group)
    path = f"{GROUPS.format(coach.group)}/{request.path}?limit={_PAGE}"
    done: dict[str, User] = {}
    cursor, repeats = "", _REPEATS
    while True:
        answer = await client.send(replace(request, path=path + cursor))
        if answer.status != 200:
            call = client.record(request, answer, answer.status, None, several=True)
            if call.outcome == "failed" or not repeats:
                return done
            repeats -= 1
            await asyncio.sleep(client.random.uniform(0.1, 0.6))
            continue
        page = orjson.loads(answer.body)
        for item in page["items"]:
            one = replace(request, athlete=athletes[item["user_id"]], id=item[name])
            version = 1 if item["outcome"] == "created" else None
            call = client.record(one, answer, _STATUS[item["outcome"]], version, several=True)
            if call.outcome == "ok":
                done[item[name]] = athletes[item["user_id"]]
        if "next_cursor" not in page:
            return done
        cursor = f"&cursor={page['next_cursor']}"


def _planned(client: Client, *, hidden: bool = False) -> dict[str, Any]:
    more = {"group_external_id": _coach(client).group} | ({"hidden": True} if hidden else {})
    said = trainings.body(client.random, "PLANNED", **more)
    for exercise in said["exercises"]:
        for set_ in exercise["sets"]:
            set_["done"] = False
    return said


def _athlete(client: Client) -> User:
    return client.random.choice(_coach(client).athletes)


def _chosen(client: Client) -> tuple[str, User, int] | None:
    """One of the trainings that were planned, whose it is, and the version that was last heard of."""
    planned = _coach(client).planned
    if not planned:
        return None
    id_ = client.random.choice(sorted(planned))
    return id_, planned[id_], planned[id_].trainings.get(id_, 1)


def _coach(client: Client) -> Coach:
    assert isinstance(client.user, Coach)
    return client.user
