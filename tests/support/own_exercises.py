"""A user who says what movements are, through the storage, and whose events are held to what is stored."""

from typing import Any
from uuid import UUID, uuid4

import orjson

from models.events import ExerciseEvent
from models.own_exercises import AliasBody, OwnExerciseCreate, OwnExerciseUpdate, UnmappedNames
from storage.database import Database
from storage.own_exercises import OwnExercises, StoredExercise, WrittenExercise
from storage.trainings import Author, IdempotencyKey

TOPIC = "exercise_events"
CARRY: dict[str, Any] = {
    "name": "Zercher  carry",
    "category": "Legs",
    "mode": "hold",
    "phases": ["isometric"],
    "equipment": ["barbell"],
    "difficulty": 4,
    "muscles": ["quadriceps", "abdominals"],
    "bw_fraction": 0.25,
    "family": "carry",
}
# What is told of it besides.
REST: dict[str, Any] = {"secondary_muscles": [], "unilateral": False}


class Namer:
    """One user of the storage, and what their events tell."""

    def __init__(self, database: Database, user_id: UUID | None = None, *, topic: str = TOPIC) -> None:
        self.author = Author(user_id or uuid4(), "athlete", "request-1")
        self.user_id = self.author.user_id
        self.topic = topic
        self.exercises = OwnExercises(database, topic)
        self._database = database

    async def create(self, key: IdempotencyKey | None = None, **fields: Any) -> WrittenExercise:
        """POST."""
        body = OwnExerciseCreate.model_validate_json(orjson.dumps(CARRY | fields))
        return await self.exercises.create(self.author, body, key=key)

    async def update(
        self, slug: str, if_match: list[int] | None = None, key: IdempotencyKey | None = None, **fields: Any
    ) -> WrittenExercise:
        """PUT."""
        body = OwnExerciseUpdate.model_validate_json(orjson.dumps(CARRY | fields))
        return await self.exercises.update(self.author, slug, body, if_match=if_match, key=key)

    async def delete(
        self, slug: str, if_match: list[int] | None = None, key: IdempotencyKey | None = None
    ) -> WrittenExercise:
        """DELETE."""
        return await self.exercises.delete(self.author, slug, if_match=if_match, key=key)

    async def set(self, name: str, key: IdempotencyKey | None = None, **meaning: str) -> Any:
        """PUT of a name."""
        written = await self.exercises.set_alias(self.author, name, AliasBody(**meaning), key=key)
        return said(written)

    async def remove(self, name: str, key: IdempotencyKey | None = None) -> WrittenExercise:
        """DELETE of a name."""
        return await self.exercises.remove_alias(self.author, name, key=key)

    async def aliases(self) -> dict[str, Any]:
        """What each name means."""
        found = orjson.loads(await self.exercises.aliases(self.user_id))
        assert [alias["name"] for alias in found] == sorted(alias["name"] for alias in found)
        return {alias.pop("name"): alias for alias in found}

    async def own(self) -> list[Any]:
        """All own exercises."""
        return [orjson.loads(document) for document in await self.exercises.all(self.user_id)]

    async def events(self) -> list[Any]:
        """The log's rows of this user, which are what they must be."""
        rows = await self._database.all(
            "SELECT topic, aggregate_type, aggregate_id, version, event_type, actor, request_id, event_id::text, "
            "rfc3339(created_at), payload FROM outbox WHERE user_id = %s AND topic = %s ORDER BY version",
            [self.user_id, self.topic],
        )
        events = []
        for version, row in enumerate(rows, 1):
            event = orjson.loads(row[-1])
            assert list(event) == ["event_id", "event_type", "timestamp", "payload"]
            type_ = event["event_type"]
            assert row[:5] == (self.topic, "exercise", self.user_id, version, type_)
            assert row[5:7] in {("athlete", "request-1"), ("restored", "request-1")}
            assert row[7:9] == (event["event_id"], event["timestamp"])
            assert (event["payload"]["user_id"], event["payload"]["version"]) == (str(self.user_id), version)
            ExerciseEvent.model_validate_json(row[-1])
            events.append(event)
        return events

    async def told(self) -> list[tuple[str, list[str], Any]]:
        """Type, names and movement of each event."""
        return [(e["event_type"], e["payload"]["names"], e["payload"].get("exercise")) for e in await self.events()]

    async def unmapped(self, **wanted: Any) -> list[Any]:
        """The names that mean nothing yet."""
        found = await self.exercises.unmapped(self.user_id, **{"limit": 50} | wanted)
        documents = [orjson.loads(name.document) for name in found]
        UnmappedNames.model_validate_json(orjson.dumps({"items": documents}), strict=True, extra="forbid")
        return documents


def said(written: WrittenExercise | StoredExercise) -> Any:
    """What clients read."""
    assert written.document is not None
    return orjson.loads(written.document)


def key(name: str = "k", digest: bytes = b"digest", route: str = "POST /own-exercises") -> IdempotencyKey:
    """An Idempotency-Key."""
    return IdempotencyKey(route, name, digest)


def folded_events(events: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """What the events leave: the meaning of each name, and the own exercises by slug."""
    meanings: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for event in events:
        movement = event["payload"].get("exercise")
        for name in event["payload"]["names"]:
            if movement is None:
                meaning = meanings.pop(name)
                if event["event_type"] == "exercise_deleted":
                    own.pop(meaning["own_exercise"], None)
            elif movement["own"]:
                meanings[name] = {"own_exercise": movement["slug"]}
            else:
                meanings[name] = {"exercise": movement["slug"], "exercise_revision": movement["revision"]}
        if event["event_type"] in {"exercise_created", "exercise_updated"}:
            content = {name: value for name, value in movement.items() if name != "own"}
            assert content["name"] == event["payload"]["names"][0]
            own[content["slug"]] = content
    return meanings, [own[slug] for slug in sorted(own)]
