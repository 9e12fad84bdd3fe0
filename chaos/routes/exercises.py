"""What clients say of exercises: their own, and what the names in their trainings mean."""

from typing import Any
from urllib.parse import quote

from chaos.client import Client, Request
from chaos.history import Kind, Outcome, naming_digest, own_digest
from chaos.routes.trainings import NAMES
from models.exercises import folded

OWN = "/api/v1/training/users/{}/own-exercises"
ALIASES = "/api/v1/training/users/{}/exercise-aliases"
_SLUGS = ("own-squat", "own-row", "own-plank")
_MOVEMENTS = ("pull-up", "push-up", "pistol-squat", "plank", "barbell-bench-press")


async def create(client: Client) -> None:
    """An own exercise, under a slug that may be taken; its name may be one of those in trainings."""
    slug = client.random.choice(_SLUGS)
    said = {"slug": slug} | _content(client)
    if await _ask(client, "own-create", "POST", OWN, body=said, digest=own_digest(said)) == "ok":
        client.user.own.add(slug)


async def change(client: Client) -> None:
    """Another content, and mostly another name, for an own exercise."""
    slug = _own(client)
    if slug is None:
        await create(client)
        return
    said = _content(client)
    await _ask(client, "own-change", "PUT", f"{OWN}/{slug}", body=said, digest=own_digest(said | {"slug": slug}))


async def delete(client: Client) -> None:
    """The end of an own exercise, and of its names."""
    slug = _own(client)
    if slug is None:
        return
    if await _ask(client, "own-delete", "DELETE", f"{OWN}/{slug}") != "unknown":
        client.user.own.discard(slug)


async def set_alias(client: Client) -> None:
    """A name of trainings means a movement of the catalogue from now on, or an own exercise."""
    name = client.random.choice(NAMES)
    own = _own(client) if client.random.random() < 0.5 else None
    slug = own or client.random.choice(_MOVEMENTS)
    said = {"own_exercise" if own else "exercise": slug}
    digest = naming_digest(folded(name), {"slug": slug, "own": own is not None})
    await _ask(client, "alias-set", "PUT", f"{ALIASES}/{quote(name)}", body=said, digest=digest)


async def remove_alias(client: Client) -> None:
    """A name of trainings means nothing any more."""
    name = client.random.choice(NAMES)
    digest = naming_digest(folded(name), None)
    await _ask(client, "alias-remove", "DELETE", f"{ALIASES}/{quote(name)}", digest=digest)


async def _ask(client: Client, kind: Kind, method: str, path: str, **more: Any) -> Outcome:
    """Ask; `more` are fields of the request. All that a user says of exercises is one aggregate, with the user's id."""
    user = client.user.id
    request = Request(kind, method, path.format(user), id=user, key=client.new_key(), type="exercise", **more)
    return (await client.ask(request)).outcome


def _own(client: Client) -> str | None:
    """One of the user's own exercises."""
    return client.random.choice(sorted(client.user.own)) if client.user.own else None


def _content(client: Client) -> dict[str, Any]:
    return {
        "name": client.random.choice((*NAMES, "Zercher carry", "Sled push")),
        "category": "Legs",
        "mode": "reps",
        "phases": ["concentric"],
        "difficulty": client.random.randint(1, 10),
        "muscles": ["quadriceps"],
        "bw_fraction": client.random.choice((0, 0.5, 0.75)),
        "family": "own",
    }
