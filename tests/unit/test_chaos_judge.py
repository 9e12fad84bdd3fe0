"""The judge of the chaos runs: what is whole passes, and each of the twelve promises is caught when it is broken."""

import datetime as dt
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.volume_audit import Difference, Verification
from analytics.volume import fold
from chaos.evidence import Access, Evidence, Logged, Planned, Rows, Stored, document_digest
from chaos.history import (
    CREATIONS,
    KEPT,
    SHARED_TOPICS,
    Aggregate,
    Call,
    Facts,
    History,
    Kind,
    Recovery,
    Rewind,
    Stop,
    Type,
    content_digest,
    naming_digest,
    set_digest,
    workout_digest,
)
from chaos.judge import INVARIANTS, Verdict, compare, decide
from chaos.rules.coaches import writes_without_leave
from chaos.rules.tables import expected_names, expected_rows
from models.events import ExerciseEvent, ExercisePayload, TrainingEvent
from models.exercises import Catalogue
from models.naming import NO_NAMES, names_at
from models.outbox import LogRow
from models.trainings import TrainingCreate, exercises_json, training_fields
from models.workouts import WorkoutCreate, workout_exercises_json, workout_fields
from outbox.records import headers, partition_of
from tests.support.bodies import trainings
from tests.support.log import event
from tests.support.topic import Record

PARTITIONS = 2
TYPES: tuple[Type, ...] = ("training", "workout", "goal")  # each on a topic of another kind
KINDS: dict[Type, tuple[Kind, Kind, Kind]] = {
    "training": ("create", "correct", "delete"),
    "workout": ("workout-create", "workout-change", "workout-delete"),
    "goal": ("goal-create", "goal-change", "goal-delete"),
}
OF_KIND: dict[Kind, Type] = {
    **{kind: type_ for type_, kinds in KINDS.items() for kind in kinds},
    **dict.fromkeys(("alias-set", "alias-remove"), "exercise"),
    "group-workout": "workout",
    "check-in-set": "check_in",
    "phase-create": "phase",
    "phase-move": "phase",
    "advice-accept": "advice",
    "advice-undo": "advice",
    "form-analysis-add": "form_analysis",
}
DELETIONS = {deletion for _, _, deletion in KINDS.values()}
SET = {"id": str(UUID(int=2)), "order": 1, "weight": 100, "unit": "kg", "reps": 5}
SQUATS = {"id": str(UUID(int=1)), "name": "Squat", "sets": [SET]}
PRESSED = {"kind": "linear", "increment": 2.5, "successes": 1}
PULL_UPS = {"id": str(UUID(int=1)), "name": "Pull-up", "sets": 3, "reps": 5, "unit": "kg"}
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MOVEMENT = {
    "slug": "back-squat",
    "revision": 1,
    "own": False,
    "name": "Back squat",
    "category": "Legs",
    "mode": "reps",
    "phases": [],
    "equipment": [],
    "difficulty": 4,
    "muscles": ["quadriceps"],
    "secondary_muscles": [],
    "bw_fraction": 0.5,
    "family": "squat",
    "unilateral": False,
}
TOPICS: tuple[Type, ...] = ("training", "workout", "exercise", "insight", "phase", "check_in")
# What is said of each document that is kept as it is said, and the columns that it has beside.
CONTENT: dict[str, dict[str, Any]] = {
    "goal": {
        "name": "Squat 140",
        "metric": "e1rm_kg",
        "movement": "name:squat",
        "target": 140,
        "start_day": "2026-01-05",
        "due": "2026-06-30",
    },
    "phase": {
        "name": "Strength",
        "kind": "mesocycle",
        "first": "2026-01-05",
        "last": "2026-02-15",
        "timezone": "UTC",
        "deload": False,
        "schedule": [{"workout_id": str(UUID(int=2010)), "weekday": 1, "time": "12:00"}],
        "trainings": [],
    },
    "check_in": {"day": "2026-01-05", "scale": "hooper-7", "sleep": 2},
    "advice": {
        "day": "2026-01-05",
        "undone": False,
        "kind": "rest",
        "subject": {"kind": "day", "day": "2026-01-05"},
        "title": "Rest",
        "reason": "The load is high.",
        "evidence": [],
        "confidence": 1,
        "confidence_parts": [],
        "method_version": 1,
        "changes": [],
    },
    "form_analysis": {
        "training_id": str(UUID(int=1001)),
        "exercise_id": str(UUID(int=1)),
        "set_id": str(UUID(int=2)),
        "video_id": "video",
        "analyser": {"name": "pose", "version": "1"},
        "scores": [{"name": "depth", "value": 0.5}],
        "remarks": [],
        "analysed_at": "2026-01-05T12:00:00Z",
    },
}
COLUMNS = {
    "phase": ("first", "last", "deload"),
    "check_in": ("day",),
    "advice": ("day", "undone"),
    "form_analysis": ("training_id", "set_id", "video_id"),
}
COACH, GROUP = str(UUID(int=50)), "club"
CARRIED = str(UUID(int=2041))  # a training that is changed with other things alone
MEMBERSHIP = Aggregate("membership", str(UUID(int=1)), GROUP)
GOOD = Facts(
    crashes=1,
    batch=50,
    recoveries=(Recovery("a fault", 9.9),),
    stops=(Stop(0, 3.0),),
    peak_memory=100 * 2**20,
    peak_connections=13,
    connection_limit=13,
    outbox_rows=100,
    outbox_limit=100,
)


@dataclass
class World:
    """A history in which all is well, until a test breaks it. `tables` None: the fold of what is in the topic.

    `of` is the type of the aggregates that a break chooses from.
    """

    dice: random.Random
    of: Type = "training"
    calls: list[Call] = field(default_factory=list)
    log: dict[str, Logged] = field(default_factory=dict)
    topics: dict[Type, list[Record]] = field(default_factory=lambda: {type_: [] for type_ in TOPICS})
    stored: dict[Aggregate, Stored] = field(default_factory=dict)
    accesses: set[Access] = field(default_factory=set)
    memberships: dict[Aggregate, frozenset[str]] = field(default_factory=dict)
    planned: set[Planned] = field(default_factory=set)
    tables: dict[str, Rows] | None = None
    skipped: set[str] = field(default_factory=set)
    verification: Verification = field(default_factory=Verification)
    by_record: dict[str, tuple[Counter[tuple[object, ...]], Counter[tuple[object, ...]]]] = field(default_factory=dict)
    facts: Facts = GOOD

    def create(self, user: int, id_: int, **changes: Any) -> Logged:
        """A new aggregate; what `write` says of `changes`."""
        return self.write(KINDS[self.of][0], user, id_, **changes)

    def change(self, user: int, id_: int, **changes: Any) -> Logged:
        """Another content for it."""
        return self.write(KINDS[self.of][1], user, id_, **changes)

    def delete(self, user: int, id_: int, **changes: Any) -> Logged:
        """The end of it."""
        return self.write(KINDS[self.of][2], user, id_, **changes)

    def write(
        self,
        kind: Kind,
        user: int,
        id_: int,
        *,
        number: int | None = None,
        more: Mapping[str, object] | None = None,
        **changes: object,
    ) -> Logged:
        """One accepted change, its row, its record. `changes` are fields of the call, `more` those of the payload."""
        type_ = OF_KIND.get(kind, "training")
        aggregate = Aggregate(type_, str(UUID(int=user)), str(UUID(int=user if type_ == "exercise" else id_)))
        version = self.stored[aggregate].version + 1 if aggregate in self.stored else 1
        at = len(self.calls)
        call = Call("client", at if number is None else number, kind, *aggregate[1:], at, at + 0.5, "ok", type=type_)
        payload = self._payload(aggregate, version, deletes=kind in DELETIONS, **more or {})
        id_of_event = str(orjson.loads(payload)["event_id"])
        row = Logged(id_of_event, aggregate, version, call.request_id, payload, 100 + at)
        told: dict[str, object] = {"status": 200, "version": version}
        if type_ not in ("exercise", "advice"):
            told["digest"] = document_digest(type_, row.event["payload"])
        if kind in DELETIONS:
            told = {"status": 204}
        if kind in CREATIONS:
            told |= {"status": 201, "key": f"key {at}"}
        else:
            told |= {"if_match": version - 1}
        self.calls.append(replace(call, **(told | changes)))  # type: ignore[arg-type]
        self.log[row.event_id] = row
        self._store(row)
        self.publish(row.event_id)
        return row

    def _store(self, row: Logged) -> None:
        said = row.event["payload"]
        if row.aggregate.type == "exercise":
            before = self.stored[row.aggregate].document["names"] if row.aggregate in self.stored else {}
            meaning = {said["names"][0]: ["back-squat", False, 1]} if "exercise" in said else {}
            names = {name: meant for name, meant in before.items() if name not in said["names"]} | meaning
            said = {"names": names}
        elif row.aggregate.type in KEPT:
            columns = COLUMNS.get(row.aggregate.type, ())
            said = {"content": row.content, "columns": {name: row.content[name] for name in columns}}
        elif row.deletes:
            said = said | {"exercises": []}
        self.stored[row.aggregate] = Stored(row.version, row.deletes, said)

    def _payload(self, aggregate: Aggregate, version: int, *, deletes: bool, **more: object) -> str:
        prescribed = SQUATS if aggregate.type == "training" else PULL_UPS
        said = {"notes": f"call {len(self.calls)}", "exercises": [prescribed] * self.dice.randint(0, 2)} | more
        if aggregate.type == "training":
            ids: dict[str, Any] = {"user_id": UUID(aggregate.user_id), "training_id": UUID(aggregate.id)}
            type_ = "training_deleted" if deletes else ""
            return str(event(**ids, version=version, event_type=type_, **said)["payload"])  # type: ignore[arg-type]
        made = {"event_id": str(uuid4()), "timestamp": "2026-01-05T12:00:00Z"}
        if aggregate.type == "exercise":
            what = {"event_type": "exercise_alias_set" if "exercise" in more else "exercise_alias_removed"}
            told = {"user_id": aggregate.user_id, "version": version, "names": ["squat"]} | more
            return orjson.dumps(made | what | {"payload": told}).decode()
        verb = "deleted" if deletes else "created" if version == 1 else "updated"
        if aggregate.type in KEPT:
            verb = {"created": "accepted", "updated": "undone"}[verb] if aggregate.type == "advice" else verb
            verb = "added" if aggregate.type == "form_analysis" else verb
            named = {f"{aggregate.type}_id": aggregate.id, "user_id": aggregate.user_id, "version": version}
            noted = {"notes": said["notes"]} if aggregate.type == "goal" else {}
            payload = named | CONTENT[aggregate.type] | noted | more
            return orjson.dumps(made | {"event_type": f"{aggregate.type}_{verb}", "payload": payload}).decode()
        found = {"workout_id": aggregate.id, "user_id": aggregate.user_id, "version": version, "name": "Pull"}
        return orjson.dumps(made | {"event_type": f"workout_{verb}", "payload": found | said}).decode()

    @property
    def records(self) -> list[Record]:
        """The topic of the aggregates that a break chooses from."""
        return self.topics[topic_of(self.of)]

    @property
    def rows(self) -> list[Logged]:
        """Their rows of the log."""
        return [row for row in self.log.values() if row.aggregate.type == self.of]

    def publish(self, id_: str, *more: tuple[str, bytes]) -> None:
        """One more copy of the event at the end of its partition."""
        row = self.log[id_]
        type_, user_id, aggregate_id = row.aggregate
        names = (row.seq, "t", user_id, aggregate_id, str(row.version), id_, "type", "now", row.request_id)
        key = user_id.encode()
        number = partition_of(key, PARTITIONS)
        made = (*headers(LogRow(*names, row.payload)), *more)
        records = self.topics[topic_of(type_)]
        records.append(Record(number, len(records), key, row.payload.encode(), made))

    def verdict(self) -> Verdict:
        """What the judge says."""
        evidence = Evidence(
            log=self.log,
            records={type_: in_order(records) for type_, records in self.topics.items()},
            skipped=frozenset(self.skipped),
            stored=self.stored,
            accesses=frozenset(self.accesses),
            memberships=self.memberships,
            planned=frozenset(self.planned),
            tables=self.folded() if self.tables is None else self.tables,
            by_record=self.by_record,
            verification=self.verification,
        )
        return decide(evidence, History(self.calls), self.facts)

    def folded(self) -> dict[str, Rows]:
        """The tables, as a right agent leaves them."""
        told: dict[UUID, dict[int, ExercisePayload]] = {}
        for record in self.topics["exercise"]:
            payload = ExerciseEvent.model_validate_json(record.value).payload
            told.setdefault(payload.user_id, {})[payload.version] = payload
        names = {user: names_at(payloads.values(), max(payloads)) for user, payloads in told.items()}
        newest: dict[UUID, tuple[TrainingEvent, int]] = {}
        for record in self.topics["training"]:
            try:
                found = TrainingEvent.model_validate_json(record.value)
            except ValueError:
                continue
            seq = int(dict(record.headers)["ce_logseq"])
            known = newest.get(found.payload.training_id)
            if known is None or known[0].payload.version < found.payload.version:
                newest[found.payload.training_id] = found, seq
        folded = [fold(found, {}, seq, names.get(found.payload.user_id, NO_NAMES)) for found, seq in newest.values()]
        return {**expected_rows(folded), **expected_names(folded, told)}

    # What tests choose from

    def some(self, verb: int) -> int:
        """The place of a call that created (0), changed (1) or deleted (2) something."""
        kind = KINDS[self.of][verb]
        return self.dice.choice(
            [place for place, call in enumerate(self.calls) if call.kind == kind and self.row_of(call) is not None]
        )

    def row_of(self, call: Call) -> Logged | None:
        """The call's row in the log."""
        return next((row for row in self.log.values() if row.request_id == call.request_id), None)

    def alter(self, place: int, **changes: object) -> None:
        """Have the call say something else."""
        self.calls[place] = replace(self.calls[place], **changes)  # type: ignore[arg-type]

    def again(self, call: Call, **changes: object) -> None:
        """Another call that is told the same, but for `changes`."""
        self.calls.append(replace(call, number=len(self.calls), **changes))  # type: ignore[arg-type]

    def drop(self, id_: str) -> None:
        """Take all copies of an event out of its topic."""
        self.topics[topic_of(self.of)] = [record for record in self.records if record.event_id != id_]

    def newest(self) -> Logged:
        """The last change of some aggregate that was changed, by a request for it."""
        changed = [each for each, found in self.stored.items() if each.type == self.of and found[0] > 1]
        aggregate = self.dice.choice([each for each in changed if each.id != CARRIED])
        version = self.stored[aggregate].version
        return next(row for row in self.log.values() if (row.aggregate, row.version) == (aggregate, version))

    def places(self, id_: str) -> list[int]:
        """Where the copies of an event stand in `records`."""
        return [place for place, record in enumerate(self.records) if record.event_id == id_]


def topic_of(type_: str) -> Type:
    """The topic that events of this type are for."""
    return next(topic for topic in TOPICS if topic == SHARED_TOPICS.get(type_, type_))


def in_order(records: Sequence[Record]) -> list[Record]:
    """As they are read."""
    return sorted(records, key=lambda record: (record.partition, record.offset))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Trainings and workouts of some users, corrected and deleted; a set saved, a batch, a training from a workout;
    answers lost and repeated, refusals, copies after a crash."""
    world = World(draw(st.randoms(use_true_random=False)))
    for world.of in TYPES:
        for number, versions in enumerate(draw(st.lists(st.integers(3, 5), min_size=2, max_size=3)), 1):
            place = number % 3 + 1, 1000 + number
            world.create(*place)
            for _ in range(versions - 1):
                world.change(*place)
            if number == 1 or draw(st.booleans()):
                world.delete(*place)
        first = next(call for call in world.calls if call.type == world.of)
        world.again(first, replayed=True)  # by its key
        world.again(first, outcome="unknown", status=0, version=None)  # by its key, answer lost
        world.again(first, status=200, replayed=True, version=2)  # by its id: as it is now
        world.again(first, kind=KINDS[world.of][1], key=None, if_match=1, outcome="failed", status=412, version=None)
        world.again(first, key="never arrived", outcome="unknown", status=503, version=None)
    world.of = "training"
    _save_set(world)
    _send_batch(world)
    _plan(world)
    _periodise(world)
    _name(world)
    _coach(world)
    for id_ in draw(st.lists(st.sampled_from(list(world.log)), unique=True, max_size=5)):
        world.publish(id_)
    return world


def _save_set(world: World) -> None:
    world.write("import", 1, 2000)
    said = set_digest(str(SET["id"]), SET)
    world.write("set", 1, 2000, more={"exercises": [SQUATS]}, digest=said, if_match=None)


def _send_batch(world: World) -> None:
    """The second of three was refused."""
    number = len(world.calls)
    for id_ in (2001, 2002):
        world.write("batch", 1, id_, number=number, key=None, several=True)
    refused = replace(world.calls[-1], id=str(UUID(int=2003)), outcome="failed", status=422, version=None)
    world.calls.insert(-1, refused)


def _plan(world: World) -> None:
    """From the workout as it was before its last change."""
    world.write("workout-create", 1, 2010, more={"exercises": [PULL_UPS]})
    world.write("workout-change", 1, 2010)
    sets = [SET | {"id": str(UUID(int=order)), "order": order} for order in range(1, 4)]
    made = {"workout_id": str(UUID(int=2010)), "workout_version": 1}
    world.write("plan", 1, 2004, more=made | {"exercises": [SQUATS | {"name": "Pull-up", "sets": sets}]}, digest=None)


def _periodise(world: World) -> None:
    """A phase with a training, which advice then changes, until that is undone, once whole and once as far as nothing
    was done since; what is said of a day, and of a set."""
    laid = {"trainings": [{"training_id": CARRIED, "week": 1, "slot": 0}]}
    phase = world.write("phase-create", 1, 2040, more=laid)
    _carry(world)
    world.planned.add(Planned(phase.aggregate.user_id, phase.aggregate.id, CARRIED))
    world.write("phase-move", 1, 2040, more=laid)
    _carry(world, date="2026-01-06T12:00:00Z")
    change = {"training_id": CARRIED, "day": "2026-01-06", "version": 2, "version_after": 3}
    world.write("advice-accept", 1, 2042, more={"changes": [change]})
    _carry(world, date="2026-01-07T12:00:00Z")
    undone = {"undone": True, "changes": [change | {"version_restored": 4}]}
    world.write("advice-undo", 1, 2042, more=undone, if_match=None)
    _carry(world, date="2026-01-06T12:00:00Z")
    change |= {"version": 4, "version_after": 5}
    world.write("advice-accept", 1, 2045, more={"changes": [change]})
    _carry(world, date="2026-01-07T12:00:00Z")
    undone = {"undone": True, "changes": [change | {"stays": "It was done."}]}
    world.write("advice-undo", 1, 2045, more=undone, if_match=None)
    world.write("check-in-set", 1, 2043, if_match=None)
    world.write("check-in-set", 1, 2043, more={"sleep": 5})
    world.write("form-analysis-add", 1, 2044)


def _carry(world: World, id_: int = UUID(CARRIED).int, **more: object) -> Logged:
    """The last request changed a training too, which nobody asked for."""
    sets = [SET | {"id": str(UUID(int=order)), "order": order, "done": False} for order in range(1, 4)]
    made = {"workout_id": str(UUID(int=2010)), "workout_version": 1, "status": "PLANNED"}
    laid = {"date": "2026-01-05T12:00:00Z", "notes": "laid", "exercises": [SQUATS | {"name": "Pull-up", "sets": sets}]}
    row = world.write("correct", 1, id_, number=world.calls[-1].number, more=made | laid | more)
    world.calls.pop()
    return row


def _name(world: World) -> None:
    """A name gets a meaning, loses it, and gets it again; to say so once more changes nothing."""
    says = naming_digest("squat", MOVEMENT)
    for user in (1, 1, 2):
        world.write("alias-set", user, 0, more={"exercise": MOVEMENT}, digest=says, version=None, if_match=None)
        if user == 1:
            unsays = naming_digest("squat", None)
            world.write("alias-remove", user, 0, digest=unsays, version=None, if_match=None, status=204)
    world.again(world.calls[-1])


def _coach(world: World) -> None:
    """An athlete lets a coach plan, and no more; what was asked for too late is refused."""
    _membership(world, "accept")
    _coaches(world)
    world.again(world.calls[-1], id=str(UUID(int=2021)), outcome="failed", status=404, version=None)
    source = world.write("workout-create", 50, 2030)
    said = {name: source.event["payload"][name] for name in ("name", "notes", "exercises")}
    _coaches(world, "group-workout", more=said | {"group_external_id": GROUP}, digest=None, several=True)
    _membership(world, "restrict")


def _membership(world: World, kind: Kind, **changes: object) -> None:
    at = len(world.calls)
    call = Call("athlete", at, kind, *MEMBERSHIP[1:], at, at + 0.5, "ok", 200, type="membership")
    world.calls.append(replace(call, **changes))  # type: ignore[arg-type]
    if call.outcome == "ok":
        scopes = {"accept": ("read", "plan"), "restrict": ("read",)}[kind]
        world.memberships[MEMBERSHIP] = frozenset(scopes)


def _coaches(world: World, kind: Kind = "coach-create", **changes: Any) -> Call:
    """A coach plans something for user 1."""
    world.write(kind, 1, 2020 + len(world.calls), coach=COACH, group=GROUP, **changes)
    call = world.calls[-1]
    world.accesses.add(Access(call.user_id, COACH, GROUP, call.request_id, "plan"))
    return call


@few
@given(worlds())
def test_what_is_whole_passes(world: World) -> None:
    verdict = world.verdict()
    assert verdict.violations == ()
    published = sum(map(len, world.topics.values()))
    assert (verdict.events, verdict.duplicates) == (len(world.log), published - len(world.log))
    assert verdict.calls == len(world.calls)
    for topic, records in world.topics.items():
        log = {row.event_id: row for row in world.log.values() if topic_of(row.aggregate.type) == topic}
        assert compare(log, records).violations == ()


def _lose(world: World) -> None:
    world.drop(world.newest().event_id)


def _other_topic(world: World) -> None:
    """The one event is on the topic of the others."""
    row = world.newest()
    other = "workout" if world.of == "training" else "training"
    for place in reversed(world.places(row.event_id)):
        world.topics[other].append(replace(world.records.pop(place), offset=10_000 + place))


def _phantom(world: World) -> None:
    row = world.create(1, 77, outcome="unknown", version=None, status=0)
    del world.log[row.event_id], world.stored[row.aggregate]


def _no_event(world: World) -> None:
    world.records.append(Record(0, 10_000, b"key", b'{"event_id": "it is none"}', ()))


def _inversion(world: World) -> None:
    later = world.newest()
    before = later.aggregate, later.version - 1
    earlier = next(row for row in world.rows if (row.aggregate, row.version) == before)
    (a, *_), (b, *_) = world.places(earlier.event_id), world.places(later.event_id)
    first, second = world.records[a], world.records[b]
    world.records[a] = replace(second, offset=first.offset)
    world.records[b] = replace(first, offset=second.offset)


def _gap(world: World) -> None:
    """A version that nobody wrote: the log lacks it too."""
    row = next(row for row in reversed(world.rows) if row.version == 2 and row.aggregate.id < str(UUID(int=2000)))
    del world.log[row.event_id]
    world.drop(row.event_id)
    world.calls = [call for call in world.calls if call.request_id != row.request_id]


def _other_header(world: World) -> None:
    world.publish(world.newest().event_id)
    *most, (name, value) = world.records[-1].headers
    world.records[-1] = replace(world.records[-1], headers=(*most, (name, value + b" ")))


def _other_partition(world: World) -> None:
    world.publish(world.newest().event_id)
    world.records[-1] = replace(world.records[-1], partition=7)


def _other_bytes(world: World) -> None:
    """All copies agree, and not with the log."""
    id_ = world.newest().event_id
    for place in world.places(id_):
        record = world.records[place]
        world.records[place] = replace(record, value=record.value + b" ")


def _differing_replay(world: World) -> None:
    world.publish(world.newest().event_id, ("replay", b"1"))
    world.records[-1] = replace(world.records[-1], key=b"another")


def _too_often(world: World) -> None:
    id_ = world.newest().event_id
    for _ in range(2):
        world.publish(id_)


def _too_many(world: World) -> None:
    """A copy of each event, of all types together one more than a crash explains."""
    world.facts = replace(world.facts, batch=len(world.log) - 1)
    for id_, row in world.log.items():
        world.of = next(type_ for type_ in (*TYPES, *OF_KIND.values()) if type_ == row.aggregate.type)
        if len(world.places(id_)) == 1:
            world.publish(id_)


def _facts(**changes: object) -> Callable[[World], None]:
    def alter(world: World) -> None:
        world.facts = replace(world.facts, **changes)  # type: ignore[arg-type]

    return alter


def _stale(world: World) -> None:
    world.tables = world.folded()
    rows = dict(world.tables["folded_trainings"])
    key = world.dice.choice([key for key, row in rows.items() if row["version"] > 1])
    rows[key] = {**rows[key], "version": 1}
    world.tables["folded_trainings"] = rows


def _missing(world: World) -> None:
    world.tables = world.folded()
    rows = dict(world.tables["folded_trainings"])
    del rows[world.dice.choice(list(rows))]
    world.tables["folded_trainings"] = rows


def _stray(world: World) -> None:
    world.tables = world.folded()
    world.tables["daily_volume"] = {**world.tables["daily_volume"], (UUID(int=9), dt.date(2020, 1, 1)): {"sessions": 1}}


def _figure_missing(world: World) -> None:
    world.by_record["day"] = (Counter([("user", "day", 1)]), Counter())


def _figure_of_nothing(world: World) -> None:
    world.by_record["day"] = (Counter([("user", "day", 1)]), Counter({("user", "day", 1): 2}))


def _not_verified(world: World) -> None:
    world.verification.differences.append(Difference("daily_volume", {"day": "2020-01-01"}, None, {"sessions": 1}))


def _not_folded(world: World) -> None:
    world.verification.behind = 1


def _key_of_two(world: World) -> None:
    for id_ in (501, 502):
        world.create(1, id_)
    first, second = world.calls[-2:]
    world.again(first, id=second.id, replayed=True)


def _key_of_two_events(world: World) -> None:
    """The first one's answer was lost."""
    world.create(1, 501, key="the same", outcome="unknown", status=0, version=None)
    world.create(1, 502, key="the same")


def _key_of_two_versions(world: World) -> None:
    place = world.some(1)
    call = world.calls[place]
    world.alter(place, key="one")
    world.again(call, key="one", replayed=True, version=1)


def _two_events_of_a_call(world: World) -> None:
    call = next(call for call in world.calls if call.type == world.of)
    row = world.create(UUID(call.user_id).int, 501)
    world.calls.pop()
    world.log[row.event_id] = replace(row, request_id=call.request_id)


def _two_events_of_a_part(world: World) -> None:
    """A part of a batch made a second version of what it created."""
    call = next(call for call in world.calls if call.several)
    row = world.write("correct", 1, UUID(call.id).int)
    world.calls.pop()
    world.log[row.event_id] = replace(row, request_id=call.request_id)


def _overwritten(world: World) -> None:
    """It asked for version 1 and came after version 2, which it had not read."""
    world.create(1, 501)
    world.change(1, 501, if_match=None)
    world.change(1, 501, if_match=1)


def _same_if_match(world: World) -> None:
    """A correction and a deletion, which is told no version, both of version 1."""
    world.create(1, 501)
    world.change(1, 501)
    world.delete(1, 501, if_match=1)


def _told_anothers_version(world: World) -> None:
    """Two calls are told the same version; the log has one of them."""
    world.again(world.calls[world.some(1)], if_match=None)


def _other_content(world: World) -> None:
    world.alter(world.some(1), digest="of something else")


def _other_set(world: World) -> None:
    place = next(place for place, call in enumerate(world.calls) if call.kind == "set")
    world.alter(place, digest=set_digest(str(SET["id"]), SET | {"reps": 6}))


def _not_in_the_log(world: World) -> None:
    first = next(call for call in world.calls if call.type == world.of)
    world.again(first, id=str(UUID(int=501)), key="another key")


def _replay_of_nothing(world: World) -> None:
    first = next(call for call in world.calls if call.type == world.of)
    world.again(first, id=str(UUID(int=501)), key=None, replayed=True)


def _refused_and_written(world: World) -> None:
    world.alter(world.some(2), outcome="failed", status=404)


def _part_refused_and_written(world: World) -> None:
    """Another part's success does not answer for it."""
    place = next(place for place, call in enumerate(world.calls) if call.several)
    world.alter(place, outcome="failed", status=422, version=None)


def _unasked(world: World) -> None:
    """A request for three made a fourth."""
    number = next(call.number for call in world.calls if call.several)
    world.write("batch", 1, 2005, number=number)
    world.calls.pop()


def _told_another_version(world: World) -> None:
    world.alter(world.some(0), version=9, key="one")


def _created_otherwise(world: World) -> None:
    world.alter(world.some(0), digest="of something else")


def _planned_otherwise(world: World) -> None:
    """It says the version of the workout that came after the one that it was made from."""
    place = next(place for place, call in enumerate(world.calls) if call.kind == "plan")
    world.calls.pop(place)
    made = {"workout_id": str(UUID(int=2010)), "workout_version": 2, "exercises": [SQUATS]}
    world.write("plan", 1, 2006, more=made, digest=None)


def _planned_from_nothing(world: World) -> None:
    made = {"workout_id": str(UUID(int=2010)), "workout_version": 3}
    world.write("plan", 1, 2006, more=made, digest=None)


def _stored_older(world: World) -> None:
    row = world.newest()
    world.stored[row.aggregate] = world.stored[row.aggregate]._replace(version=row.version - 1)


def _not_deleted(world: World) -> None:
    row = next(row for row in world.rows if row.deletes)
    world.stored[row.aggregate] = world.stored[row.aggregate]._replace(deleted=False)


def _stored_otherwise(world: World) -> None:
    world.create(1, 501)
    (aggregate,) = (each for each in world.stored if each.id == str(UUID(int=501)))
    text = orjson.dumps(world.stored[aggregate].document)
    document = orjson.loads(re.sub(b'"call [0-9]+"', b'"other"', text))
    world.stored[aggregate] = world.stored[aggregate]._replace(document=document)


def _not_stored(world: World) -> None:
    del world.stored[world.newest().aggregate]


def _stored_alone(world: World) -> None:
    row = world.newest()
    world.stored[row.aggregate._replace(id=str(UUID(int=501)))] = world.stored[row.aggregate]


def _named_otherwise(world: World) -> None:
    (aggregate,) = (each for each in world.stored if each.type == "exercise" and each.user_id == str(UUID(int=2)))
    names = {"squat": ["front-squat", False, 1]}
    world.stored[aggregate] = world.stored[aggregate]._replace(document={"names": names})


def _meaning_of_nothing(world: World) -> None:
    call = next(call for call in world.calls if call.kind == "alias-set")
    world.again(call, key=None, digest=naming_digest("squat", MOVEMENT | {"slug": "front-squat"}))


def _name_lost(world: World) -> None:
    row = next(row for row in reversed(world.log.values()) if row.aggregate.type == "exercise")
    world.of = "exercise"
    world.drop(row.event_id)


def _name_stale(world: World) -> None:
    world.tables = world.folded()
    key = UUID(int=2), "squat"
    row = dict(world.tables["exercise_names"][key])
    world.tables["exercise_names"] = {**world.tables["exercise_names"], key: {**row, "exercise": "front-squat"}}


def _not_refolded(world: World) -> None:
    world.tables = world.folded()
    key = (UUID(int=1),)
    row = dict(world.tables["users"][key])
    world.tables["users"] = {**world.tables["users"], key: {**row, "refolded": 1}}


def _without_leave(world: World) -> None:
    world.calls = [call for call in world.calls if call.kind != "accept"]


def _after_leave(world: World) -> None:
    """The athlete had taken it back before the coach asked."""
    _coaches(world)


def _unlogged(world: World) -> None:
    """Nothing but the log of accesses is otherwise."""
    world.accesses.clear()


def _unlogged_read(world: World) -> None:
    """An answer that wrote nothing is an access too."""
    call = next(call for call in world.calls if call.coach)
    world.again(call, replayed=True)


def _copied_otherwise(world: World) -> None:
    """The coach never had such a workout."""
    row = next(row for row in world.log.values() if row.aggregate.user_id == COACH)
    payload = row.payload.replace('"Pull"', '"Push"')
    world.log[row.event_id] = replace(row, payload=payload)
    world.stored[row.aggregate] = Stored(1, deleted=False, document=orjson.loads(payload)["payload"])
    world.alter(row.seq - 100, digest=None)
    records = world.topics["workout"]
    for place, record in enumerate(records):
        if record.event_id == row.event_id:
            records[place] = replace(record, value=payload.encode())


def _leave_lost(world: World) -> None:
    del world.memberships[MEMBERSHIP]


def _leave_kept(world: World) -> None:
    world.memberships[MEMBERSHIP] |= {"plan"}


def _hidden_for_ever(world: World) -> None:
    world.write("create", 1, 502, more={"status": "PLANNED", "hidden": True, "group_external_id": "left"})


def _column_otherwise(world: World) -> None:
    """A statement that selects by the day would find it on another one."""
    (aggregate,) = (each for each in world.stored if each.type == "check_in")
    document = {**world.stored[aggregate].document, "columns": {"day": "2026-01-06"}}
    world.stored[aggregate] = world.stored[aggregate]._replace(document=document)


def _analysis_lost(world: World) -> None:
    """Which shares its topic with what nobody asked for."""
    world.of = "form_analysis"
    world.drop(next(row.event_id for row in world.rows))


def _planned_what_never_was(world: World) -> None:
    world.planned = {planned._replace(training_id=str(UUID(int=501))) for planned in world.planned} | world.planned


def _planned_by_nothing(world: World) -> None:
    world.write("phase-create", 1, 501)
    _carry(world, 502)


def _laid_in_words_alone(world: World) -> None:
    world.planned.clear()


def _laid_otherwise(world: World) -> None:
    laid = {"trainings": [{"training_id": str(UUID(int=502)), "week": 1, "slot": 0}]}
    phase = world.write("phase-create", 1, 501, more=laid)
    _carry(world, 502, exercises=[SQUATS])
    world.planned.add(Planned(phase.aggregate.user_id, phase.aggregate.id, str(UUID(int=502))))


def _moved_what_was_begun(world: World) -> None:
    world.write("phase-move", 1, 2040)
    _carry(world, status="IN_PROGRESS")


def _laid_without_a_phase(world: World) -> None:
    """The transaction was done in part."""
    row = world.write("phase-create", 1, 501, outcome="unknown", status=0, version=None)
    _carry(world)
    del world.log[row.event_id], world.stored[row.aggregate]
    world.of = "phase"
    world.drop(row.event_id)


def _refused_and_laid(world: World) -> None:
    """A phase was refused, and moved a training nevertheless."""
    _laid_without_a_phase(world)
    world.alter(-1, outcome="failed", status=409)


def _undone_otherwise(world: World) -> None:
    change = {"training_id": CARRIED, "day": "2026-01-06", "version": 4, "version_after": 5}
    world.write("advice-accept", 1, 501, more={"changes": [change]})
    _carry(world, date="2026-01-08T12:00:00Z")
    undone = {"undone": True, "changes": [change | {"version_restored": 6}]}
    world.write("advice-undo", 1, 501, more=undone, if_match=None)
    _carry(world, date="2026-01-05T12:00:00Z")


def _undone_in_secret(world: World) -> None:
    """It says that a training stays, and changes it."""
    change = {"training_id": CARRIED, "day": "2026-01-06", "version": 4, "version_after": 5}
    undone = {"undone": True, "changes": [change | {"stays": "It was done."}]}
    world.write("advice-accept", 1, 501, more={"changes": []})
    world.write("advice-undo", 1, 501, more=undone, if_match=None)
    _carry(world, date="2026-01-05T12:00:00Z")


def _accepted_without_change(world: World) -> None:
    change = {"training_id": CARRIED, "day": "2026-01-06", "version": 3, "version_after": 4}
    world.write("advice-accept", 1, 501, more={"changes": [change]})


def _deleted_in_part(world: World) -> None:
    row = world.write("workout-create", 1, 501, more={"exercises": [PULL_UPS]})
    document = row.event["payload"]
    world.write("workout-delete", 1, 501)
    world.stored[row.aggregate] = world.stored[row.aggregate]._replace(document=document)


BROKEN: dict[str, tuple[str, Callable[[World], None]]] = {
    "an event is lost": ("I1", _lose),
    "an event is on another topic": ("I1", _other_topic),
    "an event about a name is lost": ("I1", _name_lost),
    "a record has no row": ("I2", _phantom),
    "a record is no event": ("I2", _no_event),
    "two versions are inverted": ("I3", _inversion),
    "a version is missing": ("I3", _gap),
    "a copy has another header": ("I4", _other_header),
    "a copy is in another partition": ("I4", _other_partition),
    "a record is not what the log has": ("I4", _other_bytes),
    "a replay is not what was published": ("I4", _differing_replay),
    "an event comes more often than crashes explain": ("I4", _too_often),
    "more copies than one batch a crash": ("I4", _too_many),
    "the lag never was 0 again": ("I5", _facts(recoveries=(Recovery("a fault", None),))),
    "the lag was 0 again too late": ("I5", _facts(recoveries=(Recovery("one", 1.0), Recovery("two", 10.1)))),
    "a derived row is stale": ("I6", _stale),
    "a derived row is missing": ("I6", _missing),
    "a derived row is nobody's": ("I6", _stray),
    "a name has another meaning in the tables": ("I6", _name_stale),
    "trainings were not folded with the newest names": ("I6", _not_refolded),
    "a figure of the record is not derived": ("I7", _figure_missing),
    "a derived figure is not in the record": ("I7", _figure_of_nothing),
    "verify finds a difference": ("I7", _not_verified),
    "verify finds what is not folded": ("I7", _not_folded),
    "one key is answered two ids": ("I8", _key_of_two),
    "one key made two events": ("I8", _key_of_two_events),
    "one key is answered two versions": ("I8", _key_of_two_versions),
    "one call made two events": ("I8", _two_events_of_a_call),
    "a part of a call made two events": ("I8", _two_events_of_a_part),
    "a correction of a version that was not the last": ("I9", _overwritten),
    "two changes of one version": ("I9", _same_if_match),
    "a version is another call's": ("I9", _told_anothers_version),
    "a version has another content": ("I9", _other_content),
    "a set has another content": ("I9", _other_set),
    "too much memory": ("I10", _facts(peak_memory=151 * 2**20)),
    "too many connections": ("I10", _facts(peak_connections=14)),
    "too much waits": ("I10", _facts(outbox_rows=101)),
    "a 201 is not in the log": ("I11", _not_in_the_log),
    "an earlier answer is of nothing": ("I11", _replay_of_nothing),
    "a 404 is in the log": ("I11", _refused_and_written),
    "a part that was refused is in the log": ("I11", _part_refused_and_written),
    "a request made what it did not ask for": ("I11", _unasked),
    "a 201 is another version": ("I11", _told_another_version),
    "a 201 has another content": ("I11", _created_otherwise),
    "a training is not what its workout prescribes": ("I11", _planned_otherwise),
    "a training is of no version of a workout": ("I11", _planned_from_nothing),
    "the tables have another version": ("I11", _stored_older),
    "the tables have what was deleted": ("I11", _not_deleted),
    "the tables have another content": ("I11", _stored_otherwise),
    "the tables lack what is in the log": ("I11", _not_stored),
    "the tables have what is not in the log": ("I11", _stored_alone),
    "exercises of a workout outlive it": ("I11", _deleted_in_part),
    "the tables have another meaning of a name": ("I11", _named_otherwise),
    "a name was given its meaning by nobody": ("I11", _meaning_of_nothing),
    "a column is not what its document says": ("I11", _column_otherwise),
    "an event beside insights is lost": ("I1", _analysis_lost),
    "a phase planned a training that never was": ("I11", _planned_what_never_was),
    "a phase made a training that is not known as its own": ("I11", _planned_by_nothing),
    "a phase tells of a training that is not known as its own": ("I11", _laid_in_words_alone),
    "a phase made a training unlike its workout": ("I11", _laid_otherwise),
    "a phase moved a training that was begun": ("I11", _moved_what_was_begun),
    "a training was moved beside no phase": ("I11", _laid_without_a_phase),
    "a phase was refused and moved a training": ("I11", _refused_and_laid),
    "advice was undone and left another training": ("I11", _undone_otherwise),
    "advice was undone and changed what it says that stays": ("I11", _undone_in_secret),
    "advice tells of a change that it did not make": ("I11", _accepted_without_change),
    "a coach writes without leave": ("I11", _without_leave),
    "a coach writes when leave was taken back": ("I11", _after_leave),
    "a coach's write is not in the log of accesses": ("I11", _unlogged),
    "a coach's 2xx is not in the log of accesses": ("I11", _unlogged_read),
    "a copy is not what the coach's workout says": ("I11", _copied_otherwise),
    "a membership is lost": ("I11", _leave_lost),
    "a membership kept what it lost": ("I11", _leave_kept),
    "a training is hidden for a group that was left": ("I11", _hidden_for_ever),
    "SIGTERM is not heard": ("I12", _facts(stops=(Stop(None, 10.0),))),
    "SIGTERM ends in an error": ("I12", _facts(stops=(Stop(1, 1.0),))),
    "SIGTERM takes too long": ("I12", _facts(stops=(Stop(0, 10.1),))),
}
# What such a break cannot but break too.
ALSO = {
    "an event is on another topic": {"I2", "I3"},  # where it belongs to nothing, and is no first version
    "a part of a call made two events": {"I11"},  # it was told of one
    "one call made two events": {"I11"},  # it was told of one
    "a version is another call's": {"I11"},  # it has no row of its own
}


OF_EVERY_TYPE = {"I1", "I2", "I3", "I4", "I8", "I9", "I11"}
# What is broken in the same way whatever is chosen from.
OF_ONE = {
    *(_name_lost, _analysis_lost, _other_set, _two_events_of_a_part, _part_refused_and_written, _unasked),
    *(_planned_otherwise, _planned_from_nothing, _deleted_in_part, _named_otherwise, _meaning_of_nothing),
    *(_column_otherwise, _planned_what_never_was, _planned_by_nothing, _laid_otherwise, _moved_what_was_begun),
    *(_laid_without_a_phase, _laid_in_words_alone, _refused_and_laid, _undone_otherwise, _accepted_without_change),
    *(_without_leave, _after_leave, _unlogged, _unlogged_read, _copied_otherwise, _leave_lost, _leave_kept),
    _hidden_for_ever,
}
CASES = [
    (what, type_)
    for what, (invariant, break_) in BROKEN.items()
    for type_ in (TYPES if invariant in OF_EVERY_TYPE and break_ not in OF_ONE else TYPES[:1])
]


@pytest.mark.parametrize(("what", "type_"), CASES)
@few
@given(world=worlds())
def test_what_is_broken_is_caught_by_its_invariant_alone(what: str, type_: Type, world: World) -> None:
    invariant, break_ = BROKEN[what]
    world.of = type_
    break_(world)
    assert world.verdict().broken == {invariant} | ALSO.get(what, set())


ANSWERED = Call("coach", 1, "coach-create", *MEMBERSHIP[1:2], "x", 10.0, 11.0, "ok", 201, coach=COACH, group=GROUP)
CHANGE = Call("athlete", 0, "accept", *MEMBERSHIP[1:], 0.0, 1.0, "ok", 200, type="membership")


@pytest.mark.parametrize(
    ("changes", "asked", "caught"),
    [
        ([], ANSWERED, True),
        ([CHANGE], ANSWERED, False),
        ([replace(CHANGE, outcome="failed")], ANSWERED, True),
        ([replace(CHANGE, kind="restrict")], ANSWERED, True),
        ([replace(CHANGE, id="another club")], ANSWERED, True),
        ([replace(CHANGE, user_id=str(UUID(int=9)))], ANSWERED, True),
        ([replace(CHANGE, began=11.5, ended=12.0)], ANSWERED, True),
        ([replace(CHANGE, began=11.5, ended=12.0)], replace(ANSWERED, outcome="unknown"), False),
        ([CHANGE, replace(CHANGE, kind="revoke", began=2.0, ended=3.0)], ANSWERED, True),
        ([CHANGE, replace(CHANGE, kind="revoke", began=2.0, ended=10.5)], ANSWERED, False),
        ([CHANGE, replace(CHANGE, kind="revoke", began=0.5, ended=3.0)], ANSWERED, False),
        ([CHANGE, replace(CHANGE, kind="revoke", began=2.0, ended=3.0, outcome="unknown")], ANSWERED, False),
        ([replace(CHANGE, outcome="unknown"), replace(CHANGE, kind="revoke", began=2.0, ended=3.0)], ANSWERED, False),
    ],
)
def test_a_coach_wrote_at_a_moment_at_which_a_membership_may_have_stood(
    changes: Sequence[Call], asked: Call, caught: bool
) -> None:
    aggregate = Aggregate("training", asked.user_id, "x")
    row = Logged("event", aggregate, 1, asked.request_id, "{}", 1)
    assert bool(list(writes_without_leave([asked], changes, {"event": row}))) is caught


def test_every_invariant_is_broken_by_some_test() -> None:
    assert {invariant for invariant, _ in BROKEN.values()} == set(INVARIANTS)


@few
@given(worlds())
def test_what_somebody_asked_for_is_no_violation(world: World) -> None:
    """Replays, a record that no reader can read, and an event that the broker refused and somebody gave up."""
    world.publish(world.newest().event_id, ("replay", b"1"))
    _no_event(world)
    given_up = next(row for row in world.rows if row.version == 2)
    world.drop(given_up.event_id)
    assert world.verdict().broken == {"I1", "I2", "I3"}
    world.skipped.add(given_up.event_id)
    world.facts = replace(world.facts, poison=1)
    assert world.verdict().violations == ()


@few
@given(worlds())
def test_a_move_explains_a_copy_of_each_row(world: World) -> None:
    _too_many(world)
    assert world.verdict().broken == {"I4"}
    world.facts = replace(world.facts, moves=(len(world.log),))
    assert world.verdict().violations == ()
    _too_often(world)
    assert world.verdict().broken == {"I4"}


@few
@given(worlds())
def test_a_database_that_went_back_in_time_loses_only_its_tail(world: World) -> None:
    tail = world.newest()
    call = next(call for call in world.calls if call.request_id == tail.request_id)
    del world.log[tail.event_id]
    before = next(row for row in world.rows if (row.aggregate, row.version) == (tail.aggregate, tail.version - 1))
    world.stored[tail.aggregate] = Stored(before.version, deleted=False, document=before.event["payload"])
    records = world.records
    world.drop(tail.event_id)
    world.tables = world.folded()  # what the log says
    world.topics[topic_of(world.of)] = records
    assert world.verdict().broken >= {"I2", "I11"}
    later = replace(world.facts, rewinds=(Rewind(call.ended + 1_000, call.ended + 1_001),))
    world.facts, facts = later, world.facts
    assert world.verdict().broken >= {"I2", "I11"}
    world.facts = replace(facts, rewinds=(Rewind(call.began, call.ended),))
    assert world.verdict().violations == ()


@few
@given(worlds())
def test_a_database_that_went_back_in_time_may_not_know_what_a_phase_planned(world: World) -> None:
    _planned_by_nothing(world)
    assert world.verdict().broken == {"I11"}
    later = len(world.calls) + 1.0
    world.facts = replace(world.facts, rewinds=(Rewind(later, later),))
    assert world.verdict().violations == ()


def test_a_history_is_kept_as_json_lines(tmp_path: Path) -> None:
    history = History()
    for number in range(3):
        history.append(Call("a client", number, "create", "user", None, 1.25, 2.5, "unknown", key='"\n'))
    history.save(tmp_path / "history.jsonl")
    assert History.load(tmp_path / "history.jsonl") == history
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == len(history) == 3


@few
@given(trainings())
def test_a_digest_is_the_same_of_what_is_sent_and_of_what_is_published(body: dict[str, object]) -> None:
    parsed = TrainingCreate.model_validate_json(orjson.dumps(body))
    exercises = exercises_json(UUID(int=1), parsed.exercises, Catalogue({}, {}))
    published = orjson.loads(f"{{{training_fields(parsed, exercises)}}}")
    assert content_digest(published) == content_digest(parsed.model_dump(mode="json", exclude_defaults=True))
    assert content_digest(published | {"notes": "something else than before"}) != content_digest(published)


def test_a_digest_is_the_same_of_a_workout_that_is_sent_and_that_is_published() -> None:
    body = {
        "name": "Pull",
        "group_external_id": "club",
        "exercises": [
            {"name": "Pull-up", "sets": 4, "reps": {"min": 5, "max": 8}, "rest": 150, "rpe": 8},
            {"name": "Row", "sets": 3, "reps": 10, "weight": 20, "tempo": "2-0-1-1", "superset": 1, "notes": "slow"},
            {"name": "Dead hang", "sets": 2, "hold_seconds": 45.5},
            {"name": "Press", "sets": 3, "reps": 5, "weight": 30, "progression": PRESSED},
        ],
    }
    parsed = WorkoutCreate.model_validate_json(orjson.dumps(body))
    exercises = workout_exercises_json(UUID(int=1), parsed.exercises, Catalogue({}, {}))
    published = orjson.loads(f"{{{workout_fields(parsed, exercises)}}}")
    assert workout_digest(published) == workout_digest(body)
    published["exercises"][3]["progression"]["increment"] += 1
    assert workout_digest(published) != workout_digest(body)
    published["exercises"][3]["progression"]["increment"] -= 1
    for place, name in ((0, "rest"), (1, "weight"), (2, "hold_seconds")):
        published["exercises"][place][name] += 1
        assert workout_digest(published) != workout_digest(body)
        published["exercises"][place][name] -= 1
