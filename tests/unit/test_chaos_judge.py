"""The judge of the chaos runs: what is whole passes, and each of the twelve promises is caught when it is broken."""

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.volume_audit import Difference, Verification
from analytics.volume import fold
from chaos.evidence import Evidence, Logged, Rows
from chaos.history import Call, Facts, History, Kind, Recovery, Rewind, Stop, content_digest
from chaos.judge import INVARIANTS, Verdict, compare, decide, expected_rows
from models.events import TrainingEvent
from models.exercises import Catalogue
from models.outbox import LogRow
from models.trainings import TrainingCreate, exercises_json, training_fields
from outbox.records import headers, partition_of
from tests.support.bodies import trainings
from tests.support.log import SQUATS, event
from tests.support.topic import Record

PARTITIONS = 2
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    """A history in which all is well, until a test breaks it. `tables` None: the fold of what is in the topic."""

    dice: random.Random
    calls: list[Call] = field(default_factory=list)
    log: dict[str, Logged] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    trainings: dict[tuple[str, str], int] = field(default_factory=dict)
    tables: dict[str, Rows] | None = None
    skipped: set[str] = field(default_factory=set)
    verification: Verification = field(default_factory=Verification)
    by_record: dict[str, tuple[Counter[tuple[object, ...]], Counter[tuple[object, ...]]]] = field(default_factory=dict)
    facts: Facts = GOOD

    def write(self, kind: Kind, user: UUID, training: UUID, **changes: object) -> None:
        """One accepted change, its row, its record. `changes` are fields of the call."""
        version = self.trainings.get((str(user), str(training)), 0) + 1
        number = len(self.calls)
        call = Call("client", number, kind, str(user), str(training), number, number + 0.5, "ok")
        made = event(
            user_id=user,
            training_id=training,
            version=version,
            event_type="training_deleted" if kind == "delete" else "",
            request_id=call.request_id,
            notes=f"call {number}",
            exercises=SQUATS * self.dice.randint(0, 2),
        )
        payload = str(made["payload"])
        self.trainings[str(user), str(training)] = version
        digest = content_digest(orjson.loads(payload)["payload"])
        told = {"status": 204} if kind == "delete" else {"status": 200, "version": version, "digest": digest}
        if kind == "create":
            told |= {"status": 201, "key": f"key {number}"}
        else:
            told |= {"if_match": version - 1}
        self.calls.append(replace(call, **(told | changes)))  # type: ignore[arg-type]
        id_ = str(made["event_id"])
        self.log[id_] = Logged(id_, str(user), str(training), version, call.request_id, payload, 100 + number)
        self.publish(id_)

    def publish(self, id_: str, *more: tuple[str, bytes]) -> None:
        """One more copy of the event at the end of its partition."""
        row = self.log[id_]
        names = (row.seq, "t", row.user_id, row.training_id, str(row.version), id_, "type", "now", row.request_id)
        key = row.user_id.encode()
        number = partition_of(key, PARTITIONS)
        made = (*headers(LogRow(*names, row.payload)), *more)
        self.records.append(Record(number, len(self.records), key, row.payload.encode(), made))

    def verdict(self) -> Verdict:
        """What the judge says."""
        topic = sorted(self.records, key=lambda record: (record.partition, record.offset))
        evidence = Evidence(
            log=self.log,
            records=topic,
            skipped=frozenset(self.skipped),
            trainings=self.trainings,
            tables=self.folded() if self.tables is None else self.tables,
            by_record=self.by_record,
            verification=self.verification,
        )
        return decide(evidence, History(self.calls), self.facts)

    def folded(self) -> dict[str, Rows]:
        """The tables, as a right agent leaves them."""
        newest: dict[UUID, tuple[TrainingEvent, int]] = {}
        for record in self.records:
            try:
                found = TrainingEvent.model_validate_json(record.value)
            except ValueError:
                continue
            seq = int(dict(record.headers)["ce_logseq"])
            known = newest.get(found.payload.training_id)
            if known is None or known[0].payload.version < found.payload.version:
                newest[found.payload.training_id] = found, seq
        return expected_rows([fold(found, {}, seq) for found, seq in newest.values()])

    # What tests choose from

    def some(self, kind: Kind) -> int:
        """The place of a call of this kind that wrote something."""
        return self.dice.choice(
            [place for place, call in enumerate(self.calls) if call.kind == kind and self.row_of(call) is not None]
        )

    def row_of(self, call: Call) -> Logged | None:
        """The call's row in the log."""
        return next((row for row in self.log.values() if row.request_id == call.request_id), None)

    def alter(self, place: int, **changes: object) -> None:
        """Have the call say something else."""
        self.calls[place] = replace(self.calls[place], **changes)  # type: ignore[arg-type]

    def drop(self, id_: str) -> None:
        """Take all copies of an event out of the topic."""
        self.records = [record for record in self.records if record.event_id != id_]

    def newest(self) -> Logged:
        """The last change of some training."""
        user, training = self.dice.choice(list(self.trainings))
        version = self.trainings[user, training]
        return next(row for row in self.log.values() if (row.training_id, row.version) == (training, version))

    def places(self, id_: str) -> list[int]:
        """Where the copies of an event stand in `records`."""
        return [place for place, record in enumerate(self.records) if record.event_id == id_]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Trainings of some users, corrected and deleted; answers lost and repeated, refusals, copies after a crash."""
    world = World(draw(st.randoms(use_true_random=False)))
    users = [UUID(int=number) for number in range(1, 4)]
    for number, versions in enumerate(draw(st.lists(st.integers(3, 5), min_size=2, max_size=3)), 1):
        user, training = users[number % 3], UUID(int=1000 + number)
        world.write("create", user, training)
        for _ in range(versions - 1):
            world.write("correct", user, training)
        if number == 1 or draw(st.booleans()):
            world.write("delete", user, training)
    first = world.calls[0]
    number = len(world.calls)
    world.calls += [
        replace(first, number=number, replayed=True),  # by its key
        replace(first, number=number + 1, outcome="unknown", status=0, version=None),  # by its key, answer lost
        replace(first, number=number + 2, status=200, replayed=True, version=2),  # by its id: as it is now
        replace(first, number=number + 3, kind="correct", key=None, if_match=1, outcome="failed", status=412),
        replace(first, number=number + 4, key="never arrived", outcome="unknown", status=503, version=None),
    ]
    for id_ in draw(st.lists(st.sampled_from(list(world.log)), unique=True, max_size=5)):
        world.publish(id_)
    return world


@few
@given(worlds())
def test_what_is_whole_passes(world: World) -> None:
    verdict = world.verdict()
    assert verdict.violations == ()
    assert (verdict.events, verdict.duplicates) == (len(world.log), len(world.records) - len(world.log))
    assert verdict.calls == len(world.calls)
    assert compare(world.log, world.records).violations == ()


def _lose(world: World) -> None:
    world.drop(world.newest().event_id)


def _phantom(world: World) -> None:
    world.write("create", UUID(int=1), UUID(int=77), outcome="unknown", version=None, status=0)
    del world.log[next(id_ for id_, row in world.log.items() if row.training_id == str(UUID(int=77)))]


def _no_event(world: World) -> None:
    world.records.append(Record(0, 10_000, b"key", b'{"event_id": "it is none"}', ()))


def _inversion(world: World) -> None:
    later = world.newest()
    earlier = next(
        row for row in world.log.values() if (row.training_id, row.version) == (later.training_id, later.version - 1)
    )
    (a, *_), (b, *_) = world.places(earlier.event_id), world.places(later.event_id)
    first, second = world.records[a], world.records[b]
    world.records[a] = replace(second, offset=first.offset)
    world.records[b] = replace(first, offset=second.offset)


def _gap(world: World) -> None:
    """A version that nobody wrote: the log lacks it too."""
    row = next(row for row in reversed(world.log.values()) if row.version == 2)
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
    world.facts = replace(world.facts, batch=len(world.log) - 1)
    for id_ in world.log:
        if len(world.places(id_)) == 1:
            world.publish(id_)


def _facts(**changes: object) -> Callable[[World], None]:
    def alter(world: World) -> None:
        world.facts = replace(world.facts, **changes)  # type: ignore[arg-type]

    return alter


def _stale(world: World) -> None:
    world.tables = world.folded()
    rows = dict(world.tables["folded_trainings"])
    key = world.dice.choice(list(rows))
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


def _key_of_two_trainings(world: World) -> None:
    for training in (501, 502):
        world.write("create", UUID(int=1), UUID(int=training))
    first, second = world.calls[-2:]
    world.calls.append(replace(first, number=len(world.calls), training_id=second.training_id, replayed=True))


def _key_of_two_events(world: World) -> None:
    """The first one's answer was lost."""
    world.write("create", UUID(int=1), UUID(int=501), key="the same", outcome="unknown", status=0, version=None)
    world.write("create", UUID(int=1), UUID(int=502), key="the same")


def _key_of_two_versions(world: World) -> None:
    place = world.some("correct")
    call = world.calls[place]
    world.alter(place, key="one")
    world.calls.append(replace(call, number=len(world.calls), key="one", replayed=True, version=1))


def _two_events_of_a_call(world: World) -> None:
    call = world.calls[0]
    world.write("create", UUID(call.user_id), UUID(int=501))
    (id_, row) = list(world.log.items())[-1]
    world.calls.pop()
    world.log[id_] = replace(row, request_id=call.request_id)


def _overwritten(world: World) -> None:
    """It asked for version 1 and came after version 2, which it had not read."""
    training = UUID(int=501)
    world.write("create", UUID(int=1), training)
    world.write("correct", UUID(int=1), training, if_match=None)
    world.write("correct", UUID(int=1), training, if_match=1)


def _same_if_match(world: World) -> None:
    """A correction and a deletion, which is told no version, both of version 1."""
    training = UUID(int=501)
    world.write("create", UUID(int=1), training)
    world.write("correct", UUID(int=1), training)
    world.write("delete", UUID(int=1), training, if_match=1)


def _told_anothers_version(world: World) -> None:
    """Two calls are told the same version; the log has one of them."""
    call = world.calls[world.some("correct")]
    world.calls.append(replace(call, number=len(world.calls), if_match=None))


def _other_content(world: World) -> None:
    world.alter(world.some("correct"), digest="of something else")


def _not_in_the_log(world: World) -> None:
    world.calls.append(
        replace(world.calls[0], number=len(world.calls), training_id=str(UUID(int=501)), key="another key")
    )


def _replay_of_nothing(world: World) -> None:
    world.calls.append(
        replace(world.calls[0], number=len(world.calls), training_id=str(UUID(int=501)), key=None, replayed=True)
    )


def _refused_and_written(world: World) -> None:
    world.alter(world.some("delete"), outcome="failed", status=404)


def _not_in_the_tables(world: World) -> None:
    row = world.newest()
    world.trainings[row.user_id, row.training_id] -= 1


def _told_another_version(world: World) -> None:
    world.alter(world.some("create"), version=9, key="one")


def _created_otherwise(world: World) -> None:
    world.alter(world.some("create"), digest="of something else")


BROKEN: dict[str, tuple[str, Callable[[World], None]]] = {
    "an event is lost": ("I1", _lose),
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
    "a figure of the record is not derived": ("I7", _figure_missing),
    "a derived figure is not in the record": ("I7", _figure_of_nothing),
    "verify finds a difference": ("I7", _not_verified),
    "verify finds what is not folded": ("I7", _not_folded),
    "one key is answered two trainings": ("I8", _key_of_two_trainings),
    "one key made two events": ("I8", _key_of_two_events),
    "one key is answered two versions": ("I8", _key_of_two_versions),
    "one call made two events": ("I8", _two_events_of_a_call),
    "a correction of a version that was not the last": ("I9", _overwritten),
    "two changes of one version": ("I9", _same_if_match),
    "a version is another call's": ("I9", _told_anothers_version),
    "a version has another content": ("I9", _other_content),
    "too much memory": ("I10", _facts(peak_memory=151 * 2**20)),
    "too many connections": ("I10", _facts(peak_connections=14)),
    "too much waits": ("I10", _facts(outbox_rows=101)),
    "a 201 is not in the log": ("I11", _not_in_the_log),
    "an earlier answer is of nothing": ("I11", _replay_of_nothing),
    "a 404 is in the log": ("I11", _refused_and_written),
    "a 200 is not in the tables": ("I11", _not_in_the_tables),
    "a 201 is another version": ("I11", _told_another_version),
    "a 201 has another content": ("I11", _created_otherwise),
    "SIGTERM is not heard": ("I12", _facts(stops=(Stop(None, 10.0),))),
    "SIGTERM ends in an error": ("I12", _facts(stops=(Stop(1, 1.0),))),
    "SIGTERM takes too long": ("I12", _facts(stops=(Stop(0, 10.1),))),
}
# What such a break cannot but break too.
ALSO = {
    "one call made two events": {"I11"},  # it was told of one
    "a version is another call's": {"I11"},  # it has no row of its own
}


@pytest.mark.parametrize("what", BROKEN)
@few
@given(world=worlds())
def test_what_is_broken_is_caught_by_its_invariant_alone(what: str, world: World) -> None:
    invariant, break_ = BROKEN[what]
    break_(world)
    assert world.verdict().broken == {invariant} | ALSO.get(what, set())


def test_every_invariant_is_broken_by_some_test() -> None:
    assert {invariant for invariant, _ in BROKEN.values()} == set(INVARIANTS)


@few
@given(worlds())
def test_what_somebody_asked_for_is_no_violation(world: World) -> None:
    """Replays, a record that no reader can read, and an event that the broker refused and somebody gave up."""
    world.publish(world.newest().event_id, ("replay", b"1"))
    _no_event(world)
    given_up = next(row for row in world.log.values() if row.version == 2)
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
    tables = world.folded() if tail.version == 1 else None
    del world.log[tail.event_id]
    world.trainings[tail.user_id, tail.training_id] -= 1
    kept = [record for record in world.records if record.event_id != tail.event_id]
    world.records, records = kept, world.records
    world.tables = tables or world.folded()  # what the log says
    world.records = records
    assert world.verdict().broken >= {"I2", "I11"}
    later = replace(world.facts, rewinds=(Rewind(call.ended + 1_000, call.ended + 1_001),))
    world.facts, facts = later, world.facts
    assert world.verdict().broken >= {"I2", "I11"}
    world.facts = replace(facts, rewinds=(Rewind(call.began, call.ended),))
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
