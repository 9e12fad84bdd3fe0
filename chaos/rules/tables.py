"""I6 and I7: the derived tables against the events, and against the tables of record."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from agents.insights_audit import expected_insights
from analytics.volume import Movements, daily_volumes
from analytics.volume import fold as fold_event
from chaos.evidence import Evidence, Rows, Seen
from chaos.history import Aggregate
from chaos.rules import Violation, listed
from commands.analytics import shown
from models.events import ExerciseEvent, ExercisePayload, TrainingEvent
from models.metrics import FoldedTraining
from models.naming import NO_NAMES, names_at, newest_of_each
from storage.naming import name_row
from storage.volume_statements import COLUMNS, KEYS, NAME_COLUMNS


def unlike_the_events(seen: Iterable[Seen], movements: Movements, tables: Mapping[str, Rows]) -> Iterator[Violation]:
    """I6: the newest event of each training, with what names mean, folded here by the pure functions alone, against the
    tables."""
    newest: dict[Aggregate, tuple[TrainingEvent, int | None]] = {}
    told: dict[UUID, dict[int, ExercisePayload]] = defaultdict(dict)
    for each in seen:
        if isinstance(each.event, ExerciseEvent):
            told[each.event.payload.user_id][each.version] = each.event.payload
        elif isinstance(each.event, TrainingEvent):
            known = newest.get(each.aggregate)
            if known is None or known[0].payload.version < each.version:
                newest[each.aggregate] = each.event, each.seq
    names = {user_id: names_at(payloads.values(), max(payloads)) for user_id, payloads in told.items()}
    folded = [
        fold_event(event, movements, seq, names.get(event.payload.user_id, NO_NAMES)) for event, seq in newest.values()
    ]
    for table, expected in {**expected_rows(folded), **expected_names(folded, told)}.items():
        yield from _differences("I6", table, expected, tables.get(table, {}))


def expected_names(
    folded: Iterable[FoldedTraining], told: Mapping[UUID, Mapping[int, ExercisePayload]]
) -> dict[str, Rows]:
    """The rows that the derived tables of names must have: `told` is by user and version."""
    versions = dict.fromkeys((training.user_id for training in folded), 0)
    versions |= {user_id: max(payloads) for user_id, payloads in told.items()}
    names = [
        dict(zip(NAME_COLUMNS, name_row(name, payload), strict=True))
        for payloads in told.values()
        for name, payload in newest_of_each(payloads.values()).items()
    ]
    return {
        "users": {
            (user_id,): {"user_id": user_id, "naming": version, "refolded": version}
            for user_id, version in versions.items()
        },
        "exercise_names": {(row["user_id"], row["name"]): row for row in names},
    }


def expected_rows(folded: Sequence[FoldedTraining]) -> dict[str, Rows]:
    """The rows that the derived tables must have, by name of the table and key."""
    trainings: list[dict[str, Any]] = []
    exercises: list[dict[str, Any]] = []
    for training in folded:
        row = _flat(training)
        place = {name: row[name] for name in ("user_id", "training_id", "day", "source_seq", "updated_at")}
        exercises += [place | _flat(exercise) for exercise in row.pop("exercises")]
        trainings.append(row)
    rows: dict[str, list[dict[str, Any]]] = {
        "folded_trainings": trainings,
        "exercise_volume": exercises,
        "daily_volume": [_flat(day) for day in daily_volumes(folded).values()],
        **{
            table: [dict(zip(COLUMNS[table], row, strict=True)) for row in found]
            for table, found in expected_insights(folded).items()
        },
    }
    return {
        table: {tuple(row[column] for column in KEYS[table]): row for row in found} for table, found in rows.items()
    }


def _flat(figures: Any) -> dict[str, Any]:
    """A named tuple as a row: the figures of those inside it are its own."""
    row: dict[str, Any] = {}
    for name, value in figures._asdict().items():
        row |= _flat(value) if name in ("session", "volume") else {name: value}
    return row


def _differences(invariant: str, table: str, expected: Rows, found: Rows) -> Iterator[Violation]:
    for key in expected.keys() | found.keys():
        name = f"{table} {'/'.join(map(str, key))}"
        if key not in found:
            yield Violation(invariant, f"{name} is missing")
        elif key not in expected:
            yield Violation(invariant, f"{name} should not be there")
        else:
            wanted, row = expected[key], found[key]
            columns = [
                f"{column} is {row[column]}, not {wanted[column]}" for column in row if row[column] != wanted[column]
            ]
            if columns:
                yield Violation(invariant, f"{name}: {'; '.join(columns)}")


def unlike_the_record(evidence: Evidence) -> Iterator[Violation]:
    """I7: by SQL over the tables of record, and as `training analytics verify` says."""
    for what, (record, derived) in evidence.by_record.items():
        for row in record - derived:
            yield Violation("I7", f"{what}: no derived row says {listed(row)}")
        for row in derived - record:
            yield Violation("I7", f"{what}: no training says {listed(row)}")
    for difference in evidence.verification.differences:
        yield Violation("I7", shown(difference))
    if evidence.verification.behind:
        yield Violation("I7", f"{evidence.verification.behind} trainings, names or users wait for agents")
