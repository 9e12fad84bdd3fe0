"""Holding the volume tables to the log: `verify` compares them, `rebuild` makes them anew."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

from agents.folding import NotAnEvent, source_seq
from agents.insights import compute_marked
from agents.insights_audit import expected_insights
from agents.naming import Refold, fold_all_names, fold_names
from agents.naming_audit import UserNames, user_names
from agents.volume import compute, decode
from analytics.volume import Movements, daily_volumes
from models.errors import ArchiveUnavailable, DatabaseUnavailable
from models.metrics import DailyVolume, FoldedTraining
from models.naming import NO_NAMES, Names
from models.performed import PerformedTraining
from storage.archives import list_archives, require, steady
from storage.database import Cursor, Database, Row
from storage.exercises import read_catalogue
from storage.fold_state import LoggedEvent
from storage.naming import read_names
from storage.volume import exercise_row, fold_into, training_row
from storage.volume_audit import (
    analyse_shadow,
    count_behind,
    drop_shadow,
    erased_users,
    folded_events,
    hold_files,
    hold_folds,
    make_shadow,
    marked_users,
    read_archive,
    read_log,
    stored_rows,
    take_over_shadow,
    users_after,
)
from storage.volume_statements import COLUMNS, KEYS, SHADOW

USERS = 50  # compared at once
LOG_BATCH = 1000  # events folded at once
LONGEST_STATEMENT = 24 * 3600.0  # seconds: the comparison of all rows at the end of a rebuild
MOST_DIFFERENCES = 1000  # kept of a verification
_NOBODY = UUID(int=0)
_NAMING = COLUMNS["folded_trainings"].index("naming")
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

Rows = Mapping[tuple[object, ...], Row]


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not what the log says: those of its columns that differ, by the log and by the table.

    `found` is None where the row is missing, `expected` where there should be none.
    """

    table: str
    key: Mapping[str, object]
    expected: Mapping[str, object] | None
    found: Mapping[str, object] | None


@dataclass(slots=True)
class Verification:
    """What `verify` saw.

    `behind` counts the trainings whose newest event is not folded yet, the users whose names are not, or not in all of
    their trainings, and those whose load and records are not computed yet: 0 in a system at rest. `differences` keeps
    the first thousand; `different` counts them all.
    """

    users: int = 0
    trainings: int = 0
    behind: int = 0
    different: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, more: "Verification") -> None:
        """Count what was seen of other users too."""
        self.users += more.users
        self.trainings += more.trainings
        self.behind += more.behind
        self.different += more.different
        self.differences += more.differences[: MOST_DIFFERENCES - len(self.differences)]

    @property
    def ok(self) -> bool:
        """Whether the tables are the fold of the log, and of all of it."""
        return not self.different and not self.behind


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What `rebuild` did: events folded, and rows of each table that were not as the log says."""

    events: int
    changed: Mapping[str, int]


async def verify(database: Database, archive_dir: Path | None = None) -> Verification:
    """Compare the volume tables with the fold of the log, row by row, a few users at a time.

    Each user's names are held to the version that the user's row names, each training to the event whose version its
    row names and to the names that it knows, and all else to those trainings; load and records are compared of users
    that are not marked as stale. So a comparison beside running agents finds no difference where there is none. The
    fold is computed here by the pure functions, one event a training: the statements that fold batches have no part in
    it. Raises `DatabaseUnavailable`, and `ArchiveUnavailable` where a file of `archive_dir` is missing.
    """
    await require(database, archive_dir)
    movements = (await read_catalogue(database)).facts
    seen = Verification()
    after: UUID | None = _NOBODY
    while after is not None:
        part, after = await steady(partial(_verify_some, database, archive_dir, movements, after))
        seen.add(part)
    return seen


async def _verify_some(
    database: Database, archive_dir: Path | None, movements: Movements, after: UUID
) -> tuple[Verification, UUID | None]:
    """What is seen of some users behind `after`, and the last of them; None: there is none any more."""
    seen = Verification()
    async with database.transaction(begin=_SNAPSHOT) as cursor:
        found = await users_after(cursor, after, USERS)
        if not found:
            return seen, None
        gone = await erased_users(cursor, found)
        users = [user_id for user_id in found if user_id not in gone]
        stored = {table: _by_key(table, await stored_rows(cursor, table, users)) for table in COLUMNS}
        derived = {row[0] for table in ("exercise_names", "folded_trainings") for row in stored[table].values()}
        names = await user_names(cursor, users, stored["users"].values(), derived)
        known = partial(_known, names, stored["folded_trainings"])
        trainings = [_fold(event, movements, known) for event in await folded_events(cursor, users, archive_dir)]
        folded = [training for training in trainings if training is not None]
        marked = await marked_users(cursor, users)
        for table, rows in _expected(list(names.values()), folded).items():
            _compare(seen, table, rows, stored[table])
        insights = expected_insights(training for training in folded if training.user_id not in marked)
        for table, given in insights.items():
            unmarked = {key: row for key, row in stored[table].items() if key[0] not in marked}
            _compare(seen, table, _by_key(table, given), unmarked)
        seen.behind += await count_behind(cursor, users) + sum(of_user.behind for of_user in names.values())
        seen.behind += len(marked)
    seen.users = len(users)
    seen.trainings = len(trainings)
    return seen, found[-1]


async def rebuild(database: Database, archive_dir: Path | None = None) -> Rebuilt:
    """Fold the whole log into shadow tables, then make the volume tables equal to them, in one transaction.

    Agents may run: what they fold meanwhile is in the log too. At the end they wait while the rest of the log is folded
    into the shadow and the rows that differ are replaced; readers wait for nothing and see either state whole. The
    shadow is temporary: a rebuild that is ended half-way leaves nothing behind. Nothing is announced, and nothing is
    forgotten that is still to be. Raises `DatabaseUnavailable`, and `ArchiveUnavailable` where a file of `archive_dir`
    is missing.
    """
    await require(database, archive_dir)
    movements = (await read_catalogue(database)).facts
    async with database.session(statement_timeout=LONGEST_STATEMENT) as cursor:
        if cursor.pooled:
            raise DatabaseUnavailable("A rebuild keeps temporary tables: the owner's URL must lead past the pooler.")
        await make_shadow(cursor)
        try:
            archives: set[int] = set()
            events = await _fold_log(cursor, movements, archive_dir, archives)
            await cursor.execute("BEGIN")
            await hold_files(cursor)
            await hold_folds(cursor)
            events += await _fold_log(cursor, movements, archive_dir, archives)
            changed = await take_over_shadow(cursor)
            await cursor.execute("COMMIT")
        finally:
            if not cursor.broken:
                await drop_shadow(cursor)
    return Rebuilt(events, changed)


async def _fold_log(cursor: Cursor, movements: Movements, archive_dir: Path | None, archives: set[int]) -> int:
    """Archives that are folded already are `archives`, to which it adds."""
    fold = partial(_fold_into_shadow, cursor, movements)

    def opened() -> AbstractAsyncContextManager[Cursor]:
        return nullcontext(cursor)

    names = partial(fold_names, opened, refold=fold, archive_dir=archive_dir, schema=SHADOW)
    await fold_all_names(opened, names, schema=SHADOW)
    count = await _fold_archives(cursor, fold, archive_dir, archives)
    after = 0
    while logged := await read_log(cursor, after, LOG_BATCH):
        await fold(logged)
        count += len(logged)
        after = logged[-1].offset
    await analyse_shadow(cursor)
    await compute_marked(cursor, schema=SHADOW)
    return count


async def _fold_archives(cursor: Cursor, fold: Refold, archive_dir: Path | None, done: set[int]) -> int:
    count = 0
    for archive in await list_archives(cursor):
        if archive.id in done:
            continue
        try:
            async for logged in read_archive(archive_dir, archive):
                await fold(logged)
                count += len(logged)
        except ArchiveUnavailable:
            if archive in await list_archives(cursor):
                raise
        else:  # one that was replaced or taken back meanwhile is met again, when nobody can do so
            done.add(archive.id)
    return count


async def _fold_into_shadow(cursor: Cursor, movements: Movements, logged: Sequence[LoggedEvent]) -> None:
    names: Mapping[UUID, Names] = {}
    while logged:
        known = partial(_names_of, names)
        trainings = [_fold(event, movements, known) for event in logged]
        outdated = await fold_into(cursor, [training for training in trainings if training is not None], schema=SHADOW)
        names = await read_names(cursor, outdated, schema=SHADOW) if outdated else {}
        logged = [event for event in logged if UUID(event.key.decode()) in outdated]


def _fold(
    event: LoggedEvent, movements: Movements, names: Callable[[PerformedTraining], Names]
) -> FoldedTraining | None:
    try:
        decoded = decode(event.value)
        return None if decoded is None else compute(decoded, movements, source_seq(event), names(decoded.payload))
    except NotAnEvent:
        return None  # a dead letter


def _names_of(names: Mapping[UUID, Names], training: PerformedTraining) -> Names:
    return names.get(training.user_id, NO_NAMES)


def _known(names: Mapping[UUID, UserNames], stored: Rows, training: PerformedTraining) -> Names:
    row = stored.get((training.user_id, training.training_id))
    return NO_NAMES if row is None else names[training.user_id].known(row[_NAMING])


def _expected(names: Sequence[UserNames], trainings: Sequence[FoldedTraining]) -> Mapping[str, Rows]:
    exercises = [
        (
            training.user_id,
            training.training_id,
            training.day,
            training.source_seq,
            training.updated_at,
            *exercise_row(exercise),
        )
        for training in trainings
        for exercise in training.session.exercises
    ]
    users = [(of_user.user_id, of_user.version, of_user.refolded) for of_user in names if of_user.row]
    return {
        "users": _by_key("users", users),
        "exercise_names": _by_key("exercise_names", [row for of_user in names for row in of_user.rows]),
        "folded_trainings": _by_key("folded_trainings", [training_row(training) for training in trainings]),
        "exercise_volume": _by_key("exercise_volume", exercises),
        "daily_volume": _by_key("daily_volume", [_daily_row(day) for day in daily_volumes(trainings).values()]),
    }


def _daily_row(day: DailyVolume) -> Row:
    return (
        day.user_id,
        day.day,
        day.sessions,
        day.source_seq,
        day.updated_at,
        *day.volume,
        day.duration_seconds,
        day.session_rpe_load,
        day.skill_work,
        day.strength_work,
    )


def _by_key(table: str, rows: Iterable[Row]) -> Rows:
    places = [COLUMNS[table].index(column) for column in KEYS[table]]
    return {tuple(row[place] for place in places): row for row in rows}


def _compare(seen: Verification, table: str, expected: Rows, found: Rows) -> None:
    for key in sorted(expected.keys() | found.keys()):
        log, stored = _named(table, expected.get(key)), _named(table, found.get(key))
        if log == stored:
            continue
        if log is not None and stored is not None:
            differing = [column for column in log if log[column] != stored[column]]
            log, stored = ({column: row[column] for column in differing} for row in (log, stored))
        seen.different += 1
        if len(seen.differences) < MOST_DIFFERENCES:
            seen.differences.append(Difference(table, dict(zip(KEYS[table], key, strict=True)), log, stored))


def _named(table: str, row: Row | None) -> dict[str, object] | None:
    return None if row is None else dict(zip(COLUMNS[table], row, strict=True))
