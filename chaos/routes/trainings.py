"""What clients do with trainings, sessions and sets."""

import asyncio
import datetime as dt
import random
from typing import Any
from uuid import UUID, uuid5

import orjson

from chaos.client import Client, Request
from chaos.history import content_digest, set_digest

PATH = "/api/v1/trainings"
SESSIONS = "/api/v1/training/users/{}/sessions"
_FIRST = dt.datetime(2025, 1, 5, 17, 30, tzinfo=dt.UTC)
NAMES = ("Squat", "Bench Press (Barbell)", "Deadlift (Barbell)", "Pull Up", "Row", "Plank")
_REPEATS = 6  # of a batch whose outcome is unknown


def date(chance: random.Random) -> str:
    """When a training takes place."""
    return (_FIRST + dt.timedelta(hours=chance.randrange(8000))).isoformat()


def body(chance: random.Random, status: str = "COMPLETED", **fields: Any) -> dict[str, Any]:
    """A training of up to three exercises."""
    return {
        "date": date(chance),
        "status": status,
        "exercises": [
            {"name": name, "sets": [_set(chance) for _ in range(chance.randint(1, 4))]}
            for name in chance.sample(NAMES, chance.randint(1, 3))
        ],
    } | fields


def creation(said: dict[str, Any], **more: Any) -> Request:
    """Create this training; `more` are fields of the request."""
    given: dict[str, Any] = {"kind": "create", "id": said.get("id"), "digest": content_digest(said)} | more
    return Request(method="POST", path=PATH, body=said, **given)


async def create(client: Client) -> None:
    """A new training: with a key, with an id of the client's own, or with neither."""
    status = client.random.choice(("PLANNED", "IN_PROGRESS", "COMPLETED"))
    chosen = {"id": client.new_id()} if client.random.random() < 0.3 else {}
    await client.ask(creation(body(client.random, status, **chosen), key=client.new_key()))


async def correct(client: Client) -> None:
    """A new content for a training: mostly with the version that the client believes to be the present one."""
    known = client.one_of(client.user.trainings)
    if known is None:
        await create(client)
        return
    id_, version = known
    said = body(client.random)
    if_match = version if client.random.random() < 0.8 else None
    call = await client.ask(
        Request("correct", "PUT", f"{PATH}/{id_}", said, id_, client.new_key(), if_match, content_digest(said))
    )
    if call.status == 412:  # another client was faster: as a client that reads again
        client.user.told("training", id_, version + 1)
    elif call.status == 404:
        client.user.trainings.pop(id_, None)


async def delete(client: Client) -> None:
    """The end of a training."""
    known = client.one_of(client.user.trainings)
    if known is None:
        return
    id_, version = known
    if_match = version if client.random.random() < 0.5 else None
    call = await client.ask(Request("delete", "DELETE", f"{PATH}/{id_}", None, id_, client.new_key(), if_match))
    if call.status in {204, 404}:
        client.user.trainings.pop(id_, None)
        client.user.deleted.append(id_)


async def restore(client: Client) -> None:
    """A training that was deleted comes back."""
    if not client.user.deleted:
        return
    id_ = client.random.choice(client.user.deleted)
    call = await client.ask(Request("restore", "POST", f"{PATH}/{id_}/restore", id=id_, key=client.new_key()))
    if call.outcome != "unknown" and id_ in client.user.deleted:
        client.user.deleted.remove(id_)


async def reopen(client: Client) -> None:
    """A training goes on that was completed, or that never was, which is refused."""
    known = client.one_of(client.user.trainings)
    if known is None:
        return
    id_, version = known
    if_match = version if client.random.random() < 0.3 else None
    path = f"{PATH}/{id_}/reopen"
    await client.ask(Request("reopen", "POST", path, id=id_, key=client.new_key(), if_match=if_match))


async def import_(client: Client) -> None:
    """A training out of another app, named by its id there; sometimes again, since imports are repeated whole."""
    said = body(client.random, source_id=f"app:{client.name}:{client.random.randrange(10**9)}")
    request = creation(said, kind="import", safe=True)
    await client.ask(request)
    if client.random.random() < 0.2:
        await client.ask(request)


async def session(client: Client) -> None:
    """A session: set by set, or in short."""
    said = body(client.random)
    sent: dict[str, Any] = {"date": said["date"], "exercises": said["exercises"]}
    if client.random.random() < 0.5:
        sent["exercises"] = []
        for exercise in said["exercises"]:
            reps = [set_["reps"] for set_ in exercise["sets"]]
            weight = exercise["sets"][0]["weight"]
            exercise["sets"] = [{"weight": weight, "reps": each} for each in reps]
            short = {"name": exercise["name"], "sets": len(reps), "actual_reps": reps, "weight": weight}
            sent["exercises"].append(short)
    path, key = SESSIONS.format(client.user.id), client.new_key()
    await client.ask(Request("session", "POST", path, sent, key=key, digest=content_digest(said)))


async def save_set(client: Client) -> None:
    """One set of the first exercise of a training, as an app saves it: a new one, or one of those saved before."""
    known = client.one_of(client.user.trainings)
    if known is None:
        return
    id_, version = known
    exercise = uuid5(UUID(id_), "1")  # as the service names it
    set_ = str(uuid5(exercise, f"saved {client.random.randrange(4)}"))
    said = _set(client.random)
    if_match = version if client.random.random() < 0.2 else None
    path = f"{PATH}/{id_}/exercises/{exercise}/sets/{set_}"
    await client.ask(Request("set", "PUT", path, said, id_, client.new_key(), if_match, set_digest(set_, said)))


async def batch(client: Client) -> None:
    """Several new trainings in one request, each under an id of the client's own; sometimes one of them is wrong."""
    items = [body(client.random, id=client.new_id()) for _ in range(client.random.randint(2, 5))]
    if client.random.random() < 0.2:
        client.random.choice(items)["exercises"][0]["exercise"] = "no-such-movement"
    requests = [creation(item, kind="batch") for item in items]
    whole = Request("batch", "POST", f"{PATH}/batch", items)
    again = client.random.random() < 0.2
    for _ in range(_REPEATS):
        answer = await client.send(whole)
        known = answer.status == 200
        results = orjson.loads(answer.body)["items"] if known else [{"status": answer.status}] * len(items)
        for request, result in zip(requests, results, strict=True):
            version = result.get("training", {}).get("version")
            call = client.record(request, answer, result["status"], version, several=True)
        if call.outcome != "unknown" and not again:
            return
        again = again and not known
        await asyncio.sleep(client.random.uniform(0.1, 0.6))


def _set(chance: random.Random) -> dict[str, Any]:
    return {"weight": 2.5 * chance.randint(0, 60), "reps": chance.randint(1, 12)}
