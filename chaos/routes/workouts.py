"""What clients do with workouts."""

import random
from typing import Any

from chaos.client import Client, Request
from chaos.history import workout_digest
from chaos.routes.trainings import date

PATH = "/api/v1/training/users/{}/workouts"
_NAMES = ("Pull-up", "Dip", "Pistol squat", "Dead hang", "Row")


def body(chance: random.Random, **fields: Any) -> dict[str, Any]:
    """A workout of up to three exercises; it may have none."""
    return {
        "name": f"Workout {chance.randrange(100)}",
        "exercises": [_exercise(chance, name) for name in chance.sample(_NAMES, chance.randint(0, 3))],
    } | fields


async def create(client: Client) -> None:
    """A new workout: with a key, with an id of the client's own, or with neither."""
    chosen = {"id": client.new_id()} if client.random.random() < 0.3 else {}
    said = body(client.random, **chosen)
    path, key = PATH.format(client.user.id), client.new_key()
    await client.ask(
        Request("workout-create", "POST", path, said, said.get("id"), key, None, workout_digest(said), "workout")
    )


async def change(client: Client) -> None:
    """A new content for a workout."""
    known = client.one_of(client.user.workouts)
    if known is None:
        await create(client)
        return
    id_, version = known
    said = body(client.random)
    path, key = f"{PATH.format(client.user.id)}/{id_}", client.new_key()
    if_match = version if client.random.random() < 0.8 else None
    call = await client.ask(
        Request("workout-change", "PUT", path, said, id_, key, if_match, workout_digest(said), "workout")
    )
    if call.status == 412:  # another client was faster: as a client that reads again
        client.user.told("workout", id_, version + 1)
    elif call.status == 404:
        client.user.workouts.pop(id_, None)


async def delete(client: Client) -> None:
    """The end of a workout."""
    known = client.one_of(client.user.workouts)
    if known is None:
        return
    id_, version = known
    path, key = f"{PATH.format(client.user.id)}/{id_}", client.new_key()
    if_match = version if client.random.random() < 0.5 else None
    call = await client.ask(Request("workout-delete", "DELETE", path, None, id_, key, if_match, type="workout"))
    if call.status in {204, 404}:
        client.user.workouts.pop(id_, None)


async def plan(client: Client) -> None:
    """A training from a workout, sometimes from one that was deleted meanwhile."""
    known = client.one_of(client.user.workouts)
    if known is None:
        await create(client)
        return
    id_, _ = known
    chosen = {"id": client.new_id()} if client.random.random() < 0.3 else {}
    said = {"date": date(client.random), **chosen}
    path = f"{PATH.format(client.user.id)}/{id_}/trainings"
    await client.ask(Request("plan", "POST", path, said, said.get("id"), client.new_key()))


def _exercise(chance: random.Random, name: str) -> dict[str, Any]:
    low = chance.randint(1, 10)
    aims: tuple[dict[str, Any], ...] = (
        {"reps": low, "weight": 2.5 * chance.randint(0, 20)},
        {"reps": low, "weight": 40, "progression": {"kind": "linear", "increment": 2.5, "successes": 1}},
        {"reps": {"min": low, "max": low + 2}, "rest": 120, "tempo": "3-0-1-0"},
        {"hold_seconds": 30, "rpe": 8.5, "notes": "Breathe."},
    )
    return {"name": name, "sets": chance.randint(1, 4), **chance.choice(aims)}
