"""Contents of versioned documents for tests, one of each kind, and a user who writes them through the storage."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import orjson

from storage.database import Database, Runner
from storage.documents import KINDS, PHASES, Documents, Kind
from storage.training_writes import Author, IdempotencyKey, Written

PHASE_EVENTS, READINESS_EVENTS, INSIGHTS = "phase_events", "readiness_events", "training_insights"
TOPICS: Mapping[str, str] = {
    "phase": PHASE_EVENTS,
    "goal": PHASE_EVENTS,
    "check_in": READINESS_EVENTS,
    "advice": READINESS_EVENTS,
    "form_analysis": INSIGHTS,
}
CONTENTS: Mapping[str, dict[str, Any]] = {
    "phase": {
        "name": "Base",
        "kind": "mesocycle",
        "first": "2026-01-05",
        "last": "2026-02-15",
        "timezone": "Europe/Berlin",
        "goal": 'more "version":9, of it',
        "deload": False,
        "notes": "schön \\ 🏋",
        "schedule": [{"workout_id": "0193f1a0-0000-7000-8000-00000000000b", "weekday": 1, "time": "18:30"}],
    },
    "goal": {
        "name": "Squat 140",
        "metric": "e1rm_kg",
        "movement": "barbell-back-squat",
        "target": 140,
        "start_day": "2026-01-05",
        "due": "2026-06-30",
        "notes": "schön \\ 🏋",
    },
    "check_in": {
        "day": "2026-01-05",
        "scale": "hooper-7",
        "sleep": 2,
        "fatigue": 3,
        "bodyweight_kg": 78.4,
        "notes": "schön \\ 🏋",
    },
    "advice": {
        "day": "2026-01-05",
        "undone": False,
        "kind": "rest",
        "subject": {"kind": "day", "day": "2026-01-05"},
        "title": "Rest today",
        "reason": "Slept badly three nights.",
        "evidence": [{"what": "readiness", "value": 31.5, "source": "readiness", "ids": []}],
        "confidence": 0.75,
        "confidence_parts": [{"what": "check-ins", "share": 0.75, "reason": "21 of 28 days"}],
        "method_version": 1,
        "changes": [
            {
                "training_id": "0193f1a0-0000-7000-8000-00000000000c",
                "day": "2026-01-05",
                "day_after": "2026-01-06",
                "exercises": [],
                "version": 1,
                "version_after": 2,
            }
        ],
    },
    "form_analysis": {
        "training_id": "0193f1a0-0000-7000-8000-00000000000c",
        "exercise_id": "0193f1a0-0000-7000-8000-00000000000d",
        "set_id": "0193f1a0-0000-7000-8000-00000000000e",
        "video_id": "video-1",
        "analyser": {"name": "depth", "version": "2.1"},
        "scores": [{"name": "depth", "value": 0.85}],
        "remarks": [{"at_seconds": 3.5, "severity": "info", "text": "Knees travel inwards."}],
        "analysed_at": "2026-01-05T19:00:00Z",
    },
}

# As they are stored: clients do not say what a phase has laid.
STORED: Mapping[str, dict[str, Any]] = {**CONTENTS, "phase": CONTENTS["phase"] | {"trainings": []}}


def with_more(value: Any) -> Any:
    """The same document, with one member more in each of its objects."""
    if isinstance(value, dict):
        return {name: with_more(member) for name, member in value.items()} | {"later": {"a": 1}}
    return [with_more(item) for item in value] if isinstance(value, list) else value


def text(content: Mapping[str, Any]) -> str:
    """The content as it is stored."""
    return orjson.dumps(content).decode()


def own(kind: Kind, content: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the kind's own columns."""
    return {name: content[name] for name in kind.columns}


class Keeper:
    """One user of the storage, who keeps documents of one kind."""

    def __init__(self, database: Database, kind: Kind, author: Author | None = None) -> None:
        self.author = author or Author(uuid4(), "keeper", "request-1")
        self.user_id = self.author.user_id
        self.kind = kind
        self.database = database
        self.content = STORED[kind.noun]

    def documents(self, runner: Runner | None = None) -> Documents:
        """The storage, or within a transaction."""
        return Documents(runner or self.database, TOPICS[self.kind.noun], self.kind)

    async def create(
        self, id_: UUID, digest: bytes = b"digest", *, key: IdempotencyKey | None = None, **fields: Any
    ) -> Written:
        """POST; `fields` differ from the example."""
        content = self.content | fields
        columns = own(self.kind, content)
        return await self.documents().create(self.author, id_, text(content), digest, columns, key=key)

    async def update(
        self, id_: UUID, if_match: list[int] | None = None, *, key: IdempotencyKey | None = None, **fields: Any
    ) -> Written:
        """PUT of one that is there."""
        content = self.content | fields
        columns = own(self.kind, content)
        return await self.documents().update(self.author, id_, text(content), columns, if_match=if_match, key=key)

    async def put(self, id_: UUID, *, new: bool = False, key: IdempotencyKey | None = None, **fields: Any) -> Written:
        """PUT of one that need not be there."""
        content = self.content | fields
        columns = own(self.kind, content)
        return await self.documents().put(self.author, id_, text(content), columns, new=new, key=key)

    async def delete(
        self, id_: UUID, if_match: list[int] | None = None, *, key: IdempotencyKey | None = None
    ) -> Written:
        """DELETE."""
        return await self.documents().delete(self.author, id_, if_match=if_match, key=key)

    async def read(self, id_: UUID) -> dict[str, Any]:
        """GET."""
        document: dict[str, Any] = orjson.loads((await self.documents().read(self.user_id, id_)).document)
        return document

    async def events(self, id_: UUID) -> list[tuple[int, str, str]]:
        """Versions, types and payloads of what its changes published."""
        return await self.database.all(
            "SELECT version, event_type, payload FROM outbox WHERE user_id = %s AND aggregate_id = %s "
            "AND aggregate_type = %s ORDER BY seq",
            [self.user_id, id_, self.kind.noun],
        )


async def keep_one_of_each(database: Database, author: Author, training_id: UUID, **fields: Any) -> dict[str, UUID]:
    """A document of each kind, of which the phase planned that training of the user's; returns their ids by noun.

    `fields` differ from the examples, in all of them.
    """
    ids = {kind.noun: uuid4() for kind in KINDS}
    for kind in KINDS:
        laid = {"trainings": [{"training_id": training_id, "week": 1, "slot": 0}]} if kind is PHASES else {}
        await Keeper(database, kind, author).create(ids[kind.noun], **fields, **laid)
    await database.execute(
        "INSERT INTO phase_trainings (user_id, phase_id, training_id, week, slot) VALUES (%s, %s, %s, 1, 0)",
        [author.user_id, ids["phase"], training_id],
    )
    return ids
