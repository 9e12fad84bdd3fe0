"""A user of the storage who plans phases, and what may be asked of the trainings that these lay."""

import datetime as dt
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson

from models.phases import PhaseBody, PhaseCreate, PlanAction
from models.trainings import TrainingUpdate, exercises_json
from storage.database import Cursor, Database, Runner
from storage.documents import PHASES, Documents
from storage.exercises import read_catalogue
from storage.phases import Neighbours
from storage.plans import PlannedTraining, read_planned
from storage.trainings import IdempotencyKey, Written
from tests.support.workouts import PULLS, TRAININGS, Planner, create_workout
from web import phase_writes
from web.phase_plans import Plan

PHASE_EVENTS = "phase_events"
EARLY = dt.date(2026, 1, 1)
_LOG = """
SELECT aggregate_id, version, event_type, payload FROM outbox
WHERE user_id = %s AND aggregate_type = 'training' ORDER BY seq
"""
_PHASES = "SELECT id, content::text FROM phases WHERE user_id = %s AND deleted_at IS NULL ORDER BY id::text"
_ROWS = """
SELECT id, version, status::text, deleted_at IS NOT NULL AS deleted, day, date, title, workout_id FROM trainings
WHERE user_id = %s ORDER BY date, id
"""


class Row(NamedTuple):
    """A training as it is stored."""

    id: UUID
    version: int
    status: str
    deleted: bool
    day: dt.date
    date: dt.datetime
    title: str | None
    workout_id: UUID | None


class PhasePlanner(Planner):
    """One user, with two workouts: `pull` has an exercise of 3 sets, `push` one of 1 set."""

    database: Database
    pull: UUID
    push: UUID

    @classmethod
    async def of(cls, database: Database) -> "PhasePlanner":
        """A new user."""
        planner = cls(database, await read_catalogue(database))
        planner.database = database
        planner.pull = (await planner.create(create_workout(name="Pull", exercises=[PULLS]))).id
        push = create_workout(name="Push", group_external_id="team", exercises=[{"name": "Dip", "sets": 1}])
        planner.push = (await planner.create(push)).id
        return planner

    def at(self, database: Database) -> "PhasePlanner":
        """The same user in another database, a restored one."""
        planner = PhasePlanner(database, self.catalogue)
        planner.author, planner.user_id = self.author, self.user_id
        planner.database, planner.pull, planner.push = database, self.pull, self.push
        return planner

    def slot(self, workout: UUID, weekday: int, time: str = "18:30", **fields: Any) -> dict[str, Any]:
        """A slot of a schedule."""
        return {"workout_id": str(workout), "weekday": weekday, "time": time} | fields

    def body(self, **fields: Any) -> PhaseCreate:
        """A phase of two weeks from Monday, 5 January 2026 on: `pull` on Mondays, `push` on Thursdays."""
        said = {
            "name": "Base",
            "first": "2026-01-05",
            "last": "2026-01-18",
            "timezone": "Europe/Berlin",
            "schedule": [self.slot(self.pull, 1), self.slot(self.push, 4)],
        }
        return PhaseCreate.model_validate_json(orjson.dumps(said | fields))

    async def make(self, body: PhaseCreate, key: IdempotencyKey | None = None) -> Written:
        """POST."""
        id_ = body.id or uuid4()

        async def document(phases: Documents, content: str, _: bool) -> Written:
            return await phases.create(self.author, id_, content, body.digest(), body.columns(), key=key)

        return await self._write(id_, body, document)

    async def change(
        self, id_: UUID, body: PhaseBody, if_match: list[int] | None = None, *, day: dt.date | None = EARLY
    ) -> Written:
        """PUT, as of `day`: by default one before all that is planned."""

        async def document(phases: Documents, content: str, deleted: bool) -> Written:
            if deleted and if_match is None:
                return await phases.put(self.author, id_, content, body.columns())
            return await phases.update(self.author, id_, content, body.columns(), if_match=if_match)

        return await self._write(id_, body, document, day)

    async def end(self, id_: UUID) -> Written:
        """DELETE."""

        async def document(phases: Documents, _: str, __: bool) -> Written:
            return await phases.delete(self.author, id_)

        return await self._write(id_, None, document)

    async def _write(
        self, id_: UUID, body: PhaseBody | None, document: phase_writes.DocumentWrite, day: dt.date | None = None
    ) -> Written:
        return await phase_writes.write(
            self.database,
            self.author,
            id_,
            body,
            document=document,
            phases=lambda cursor: Documents(cursor, PHASE_EVENTS, PHASES),
            topic=TRAININGS,
            day=day,
        )

    async def preview(self, id_: UUID, body: PhaseBody | None, *, day: dt.date | None = EARLY) -> Plan:
        """What a write would do, as of `day`."""

        async def was_done(_: Cursor, __: Neighbours) -> bool:
            return False

        return await phase_writes.preview(self.database, self.user_id, id_, body, was_done, day=day)

    async def planned(self, runner: Runner | None = None) -> list[PlannedTraining]:
        """All trainings that a plan may change."""
        return await read_planned(runner or self.database, self.user_id, [row.id for row in await self.rows()])

    async def rows(self) -> list[Row]:
        """The user's trainings, deleted ones too, by date."""
        return [Row(*row) for row in await self.database.all(_ROWS, [self.user_id])]

    async def set_(self, id_: UUID, **fields: Any) -> None:
        """PUT of a training: as it is, but for `fields`; without those that are None."""
        said = {name: value for name, value in (await self.training(id_) | fields).items() if value is not None}
        body = TrainingUpdate.model_validate_json(orjson.dumps(said))
        await self.trainings.update(self.author, id_, body, exercises_json(id_, body.exercises, self.catalogue))

    async def drop(self, id_: UUID) -> None:
        """DELETE of a training."""
        await self.trainings.delete(self.author, id_)

    async def links(self) -> set[tuple[UUID, UUID, int, int]]:
        """Which phase has laid which training, for which week and slot."""
        rows = await self.database.all(
            "SELECT phase_id, training_id, week, slot FROM phase_trainings WHERE user_id = %s", [self.user_id]
        )
        return {(row[0], row[1], row[2], row[3]) for row in rows}

    async def linked(self) -> None:
        """Each phase says which trainings it has laid, by weeks and slots."""
        said = [
            (phase_id, UUID(training["training_id"]), training["week"], training["slot"])
            for phase_id, content in await self.database.all(_PHASES, [self.user_id])
            for training in orjson.loads(content)["trainings"]
        ]
        assert said == sorted(await self.links(), key=lambda link: (str(link[0]), *link[2:]))

    async def told(self) -> None:
        """The log says of each training what is stored of it, to the byte, and its versions are without a gap; and each
        phase says what it has laid."""
        await self.linked()
        logged: dict[UUID, list[tuple[int, str, str]]] = {}
        for id_, *event in await self.database.all(_LOG, [self.user_id]):
            logged.setdefault(id_, []).append((event[0], event[1], event[2]))
        rows = {row.id: row for row in await self.rows()}
        assert logged.keys() == rows.keys()
        for id_, events in logged.items():
            assert [version for version, _, _ in events] == list(range(1, rows[id_].version + 1))
            assert (events[-1][1] == "training_deleted") == rows[id_].deleted
            if not rows[id_].deleted:
                payload, document = orjson.loads(events[-1][2])["payload"], await self.training(id_)
                said = {
                    name: value for name, value in payload.items() if name not in {"training_id", "previous_status"}
                }
                read = {
                    name: value for name, value in document.items() if name not in {"id", "created_at", "updated_at"}
                }
                assert orjson.dumps(said) == orjson.dumps(read)


def previewed(plan: Plan) -> list[tuple[Any, ...]]:
    """What a preview says of trainings that change: action, training, title and moment."""
    found = [
        (
            change.action.value,
            None if change.training is None else change.training.id,
            _title(plan, change),
            change.spot.date,
        )
        for change in plan.changes
        if change.action is not PlanAction.KEEP
    ]
    return sorted(found, key=str)


def _title(plan: Plan, change: Any) -> str | None:
    if change.training is not None:
        title: str | None = change.training.title
        return title
    workout = plan.workout(change)
    return None if workout is None else workout.name


def happened(before: list[Row], after: list[Row]) -> list[tuple[Any, ...]]:
    """What became of trainings, in the same words."""
    was, found = {row.id: row for row in before}, []
    for row in after:
        old = was.get(row.id)
        if old is None:
            found.append(("create", None, row.title, row.date))
        elif row.deleted and not old.deleted:
            found.append(("delete", row.id, row.title, row.date))
        elif row.version != old.version:
            found.append(("move" if row.date != old.date else "change", row.id, row.title, row.date))
    return sorted(found, key=str)
