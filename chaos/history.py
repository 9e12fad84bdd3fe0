"""What clients were told, and what only the runner of the faults can know: the evidence that no server keeps."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

Type = Literal[
    "training",
    "workout",
    "exercise",
    "insight",
    "phase",
    "goal",
    "check_in",
    "advice",
    "form_analysis",
    "membership",
    "user",
]
Kind = Literal[
    "create",
    "correct",
    "delete",
    "import",
    "session",
    "set",
    "reopen",
    "restore",
    "batch",
    "plan",
    "workout-create",
    "workout-change",
    "workout-delete",
    "own-create",
    "own-change",
    "own-delete",
    "alias-set",
    "alias-remove",
    "accept",
    "restrict",
    "revoke",
    "coach-create",
    "coach-change",
    "coach-delete",
    "coach-plan",
    "group-workout",
    "group-training",
    "phase-create",
    "phase-move",
    "phase-delete",
    "goal-create",
    "goal-change",
    "goal-delete",
    "check-in-set",
    "check-in-delete",
    "advice-accept",
    "advice-undo",
    "form-analysis-add",
    "erase",
]
Outcome = Literal["ok", "failed", "unknown"]

# A 200 to one of these says that it was there already, and answers it as it is now.
CREATIONS: frozenset[Kind] = frozenset(
    {
        *("create", "import", "session", "batch", "plan", "workout-create"),
        *("coach-create", "coach-plan", "group-workout", "group-training"),
        *("phase-create", "goal-create", "advice-accept", "form-analysis-add"),
    }
)
# Trainings made from workouts.
PLANS: frozenset[Kind] = frozenset({"plan", "coach-plan", "group-training"})
# What changes trainings beside its own aggregate, in one transaction; no client names them.
CARRIERS: frozenset[Kind] = frozenset({"phase-create", "phase-move", "phase-delete", "advice-accept", "advice-undo"})
# Whose events are on the topic of another type.
SHARED_TOPICS: Mapping[str, Type] = {"goal": "phase", "advice": "check_in", "form_analysis": "insight"}


class Aggregate(NamedTuple):
    """What has versions, each with its row of the log."""

    type: str
    """As the log names it: one of `Type`, where nothing is wrong. All that a user says of exercises is one, which has
    the user's id, as the erasure of a user is one. Memberships have no log; their id is the group's."""
    user_id: str
    id: str

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request that wants to change one aggregate, and its answer. A repetition of a request is a call of its own.

    A request that wants to change several is a call for each of them, under one number.

    The request carries `request_id` as X-Request-Id, by which the judge finds the call's row in the log. `outcome`:

    - `ok`: a 2xx was read whole;
    - `failed`: a 4xx was: nothing may have been written;
    - `unknown`: all else (no answer, half an answer, a 5xx): the write was done, or not.
    """

    client: str
    """Who asked: letters and digits, different for each client of a history."""
    number: int
    """Counts the requests of this client."""
    kind: Kind
    user_id: str
    """Whose aggregate it is."""
    id: str | None
    """The aggregate's; None where a creation without a client's id was not answered."""
    began: float
    """Monotonic seconds."""
    ended: float
    """Monotonic seconds."""
    outcome: Outcome
    status: int = 0
    """Of HTTP; 0 where there was no answer."""
    key: str | None = None
    """Idempotency-Key."""
    if_match: int | None = None
    version: int | None = None
    """The version that was answered (ETag); None after a delete, and where the ETag is not the aggregate's."""
    digest: str | None = None
    """Of what was sent, as one of `Logged.digests`; None where nothing was."""
    replayed: bool = False
    """The answer says that it is an earlier one's: Idempotent-Replayed, or 200 to a creation."""
    type: Type = "training"
    several: bool = False
    """Whether the request wants to change others too."""
    coach: str | None = None
    """Who asks for another user, by their leave."""
    group: str | None = None
    """The group in whose name the coach asks."""

    @property
    def request_id(self) -> str:
        """Unlike any other request's of the history."""
        return f"chaos.{self.client}.{self.number}"

    @property
    def creates(self) -> bool:
        """Whether it wants to make the aggregate."""
        return self.kind in CREATIONS

    @property
    def aggregate(self) -> Aggregate | None:
        """What it wants to change; None where nobody told the client."""
        return None if self.id is None else Aggregate(self.type, self.user_id, self.id)


@dataclass(slots=True)
class History:
    """The calls of all clients, in the order in which they ended."""

    calls: list[Call] = field(default_factory=list)

    def append(self, call: Call) -> None:
        """Add a call that ended."""
        self.calls.append(call)

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def save(self, path: Path) -> None:
        """Write it as JSON lines, one a call."""
        path.write_bytes(b"".join(orjson.dumps(asdict(call)) + b"\n" for call in self.calls))

    @classmethod
    def load(cls, path: Path) -> "History":
        """Read what `save` wrote."""
        return cls([Call(**orjson.loads(line)) for line in path.read_bytes().splitlines()])


@dataclass(frozen=True, slots=True)
class Stop:
    """What became of a SIGTERM. `code` is None where the process had to be killed."""

    code: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long after a fault healed the lag was 0 again. `seconds` is None where it never was."""

    fault: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Rewind:
    """The database went back in time: a backup was restored, or a replica promoted that lacked the tail.

    Monotonic seconds: `since` is the moment to which it went back, `until` one at which what was written since was
    published too. What clients were told between the two may be undone, or stand in the log under another version: what
    the topic has of the lost tail comes back into the log, before what was written since.
    """

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What only the runner knows. A figure that was not measured keeps its default, and is not judged.

    `crashes` counts each end of a publish whose acknowledgement the relay may not have heard: workers killed or frozen
    beyond the lease, connections to the broker or the database cut. Each may make copies of `batch` events at most.
    """

    crashes: int = 0
    batch: int = 2500
    """Records: the setting `relay_batch`."""
    recoveries: tuple[Recovery, ...] = ()
    stops: tuple[Stop, ...] = ()
    peak_memory: int = 0
    """Bytes resident of the worker that came nearest to its limit at any time, or farthest beyond it."""
    memory_limit: int = 150 * 2**20
    """That limit."""
    peak_connections: int = 0
    """Of all workers to PostgreSQL at any time."""
    connection_limit: int = 0
    """(pool_size + 3) a worker that was alive at once; 0 is not judged."""
    outbox_rows: int = 0
    """The most rows of the log that waited for the relay at any time."""
    outbox_limit: int = 0
    """What the load could write in the longest outage; 0 is not judged."""
    rewinds: tuple[Rewind, ...] = ()
    moves: tuple[int, ...] = ()
    """For each move to another cluster the rows of the log: what the last hour wrote is published once more."""
    poison: int = 0
    """Records that the runner put into the topic and that are no events."""


def content_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of what a client says of a training: the same of a body that was sent, of the document that was answered
    and of the event's payload. Of a set its weight, repetitions and duration count, in the order of the sets. A
    name that is sent must have no spaces round it: the service does not keep them."""
    exercises = [
        [
            exercise["name"],
            [_set(set_) for set_ in sorted(exercise.get("sets", ()), key=lambda set_: int(set_.get("order") or 0))],
        ]
        for exercise in document.get("exercises", ())
    ]
    return _digest(
        document.get("status", "PLANNED"),
        dt.datetime.fromisoformat(document["date"]).timestamp(),
        *(_number(document.get(name)) for name in ("duration_seconds", "session_rpe", "bodyweight_kg")),
        *(document.get(name) for name in ("title", "notes", "group_external_id")),
        bool(document.get("hidden")),
        exercises,
    )


def set_digest(id_: str, document: Mapping[str, Any]) -> str:
    """SHA-256 of what a client says of one set, whose id is `id_`: as `content_digest` does."""
    return _digest(id_, *_set(document))


def workout_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of what a client says of a workout: as `content_digest` does."""
    exercises = [
        [
            *(
                exercise.get(name)
                for name in ("name", "exercise", "superset", "sets", "reps", "rest", "tempo", "notes")
            ),
            *(_number(exercise.get(name)) for name in ("weight", "rpe", "hold_seconds")),
            _plain(exercise.get("progression")),
        ]
        for exercise in document.get("exercises", ())
    ]
    return _digest(*(document.get(name) for name in ("name", "notes", "group_external_id")), exercises)


# Of the documents that are kept as clients say them, what of it is compared.
SAID: Mapping[str, tuple[str, ...]] = {
    "phase": ("name", "kind", "first", "last", "timezone", "deload", "notes", "schedule"),
    "goal": ("name", "metric", "movement", "target", "start_day", "due", "notes"),
    "check_in": ("sleep", "fatigue", "stress", "soreness", "bodyweight_kg", "resting_heart_rate", "notes"),
    "form_analysis": ("video_id", "analyser", "scores", "remarks"),
}
# All that is kept as it is said: what a client says not a word of, too.
KEPT: tuple[str, ...] = (*SAID, "advice")


def said_digest(type_: str, document: Mapping[str, Any]) -> str:
    """SHA-256 of what a client says of a phase, a goal, a check-in or a form analysis: as `content_digest` does."""
    return _digest(*(_plain(document.get(name)) for name in SAID[type_]))


def own_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of what a client says of an own exercise: as `content_digest` does."""
    return _digest(
        *(document.get(name) for name in ("slug", "name", "category", "mode", "difficulty", "muscles", "family")),
        _number(document.get("bw_fraction")),
    )


def naming_digest(name: str, movement: Mapping[str, Any] | None) -> str:
    """SHA-256 of what a name, folded, means from now on: the movement's `slug`, and whether it is the user's `own`."""
    return _digest(name, movement and [movement["slug"], movement["own"]])


def _plain(value: Any) -> Any:
    """The value with all its numbers alike, and without the members that say nothing."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _set(document: Mapping[str, Any]) -> list[float | None]:
    return [_number(document.get(name) or 0) for name in ("weight", "reps", "duration_seconds")]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _digest(*said: object) -> str:
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
