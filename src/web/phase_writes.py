"""What a write of a phase does: computed for a preview, or carried out within one transaction.

Both go the same way: the phases around the one that changes are read, then the trainings that they have laid, and
`analytics.phases` says what becomes of each. A write holds the user's plans meanwhile, and is done anew where the
athlete begins, changes, skips or deletes one of these trainings in between: so what is written is what would have been
previewed at that moment.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from analytics import phases as rules
from models.errors import Conflict, UnknownWorkout, Unprocessable
from models.fields import moment
from models.phases import PhaseBody, PhaseKind, PhaseTraining, PlanAction
from models.plans import Change, Deload, Place, Step
from models.trainings import Status
from storage.database import READ, Cursor, Database, Runner
from storage.documents import Documents
from storage.phases import Neighbours, Phases, StoredPhase, Template
from storage.plans import PlannedTraining, Stale, change_planned, create_planned, delete_planned, hold, in_transaction
from storage.training_writes import Author, Written

MOST_MICROCYCLES = 60  # of one mesocycle: they move with it, each by a write of its own

Around = dict[UUID, StoredPhase]
DocumentWrite = Callable[[Documents, str], Awaitable[Written]]
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of phases and trainings on `day`: `steps` begin with the phase itself, and its microcycles follow.

    `planned` are the trainings that change, and `templates` the workouts that are needed for it.
    """

    day: dt.date
    steps: list[Step]
    changes: list[Change]
    planned: Mapping[UUID, PlannedTraining]
    templates: Mapping[UUID, Template]

    def workout_id(self, change: Change) -> UUID | None:
        """Which workout the training was made from, or is to be."""
        return _slot_workout(self.steps, change) if change.training is None else change.training.workout_id

    def workout(self, change: Change) -> Template | None:
        """That workout, where it is needed for the change and still there."""
        return self.templates.get(self.workout_id(change) or _NOBODY)

    def fields(self, change: Change) -> dict[str, Any]:
        """The members of the training then: one that is to be made, or that goes elsewhere or turns."""
        workout = self.workout(change)
        if change.training is not None:
            return _changed(self.planned[change.training.id].fields, change, workout)
        if workout is None:
            raise LookupError("a training is made from no workout")
        return _made(change, workout)


async def preview(
    database: Database,
    user_id: UUID,
    id_: UUID,
    body: PhaseBody | None,
    check: Callable[[StoredPhase | None], None],
    *,
    day: dt.date | None = None,
) -> Plan:
    """What it would do if the phase said `body`, or were deleted (None). `check` raises what the write would, and `day`
    is as `write` has it.

    All of it is of one moment. Raises what `write` raises.
    """
    async with database.transaction(begin=READ) as cursor:
        around = await _around(cursor, user_id, id_, body, day)
        check(around.phases.get(id_))
        return await _plan(cursor, user_id, id_, body, around)


async def write(
    database: Database,
    author: Author,
    id_: UUID,
    body: PhaseBody | None,
    *,
    document: DocumentWrite,
    phases: Callable[[Cursor], Documents],
    topic: str,
    day: dt.date | None = None,
) -> Written:
    """Have the phase say `body`, or be deleted (None), and its trainings be what follows, in one transaction.

    `document` writes the phase itself, given its content, and may find that it was written before: then that is all,
    whatever else is wrong. `phases` are those of a transaction, and `topic` is where the trainings' events go. A phase
    that was there before makes nothing on days before `day`, by default the athlete's present one.

    Raises what `document` raises, `Unprocessable` where the phase cannot be what it says, `Conflict` where it has
    microcycles and would be deleted, and `DatabaseUnavailable`.
    """

    async def attempt(cursor: Cursor) -> Written:
        await hold(cursor, author.user_id)
        around = await _around(cursor, author.user_id, id_, body, day)
        plan, refusal = Plan(around.day, [Step(id_, None, body)], [], {}, {}), None
        try:
            plan = await _plan(cursor, author.user_id, id_, body, around)
        except (Conflict, Unprocessable) as error:
            refusal = error
        ids = [uuid7() if change.training is None else change.training.id for change in plan.changes]
        phase, *microcycles = plan.steps
        written = await document(phases(cursor), _content(phase, plan.changes, ids))
        if written.replayed or not (written.created or _is_newer(written, around.phases.get(id_))):
            return written
        if refusal is not None:
            raise refusal
        for step in microcycles:
            if step.after is not None:
                content, columns = _content(step, plan.changes, ids), step.after.columns()
                moved = await phases(cursor).update(author, step.phase_id, content, columns)
                _is_newer(moved, around.phases[step.phase_id])
        await _carry_out(cursor, author, plan, ids, topic)
        return written

    return await in_transaction(database, attempt)


def _is_newer(written: Written, before: StoredPhase | None) -> bool:
    """Whether a phase that was there was written now. Raises `Stale` where it was not as it was read by then."""
    if before is None or written.version <= before.version:
        return False
    if written.version > before.version + 1:
        raise Stale  # the relay has just taken back a change of it that the database had lost
    return True


def _content(step: Step, changes: Sequence[Change], ids: Sequence[UUID]) -> str:
    """What a phase says after the changes of trainings that have these ids: of one that is deleted nothing new."""
    if step.after is None:
        return ""
    laid = sorted(
        (change.place, id_)
        for change, id_ in zip(changes, ids, strict=True)
        if change.phase_id == step.phase_id and change.place is not None
    )
    return step.after.content_json(
        PhaseTraining(training_id=id_, week=place.week, slot=place.slot) for place, id_ in laid
    )


async def _around(cursor: Runner, user_id: UUID, id_: UUID, body: PhaseBody | None, day: dt.date | None) -> Neighbours:
    parent, goal = (None, None) if body is None else (body.parent_id, body.goal_id)
    return await Phases(cursor).neighbours(user_id, id_, parent, goal, day)


async def _plan(runner: Runner, user_id: UUID, id_: UUID, body: PhaseBody | None, neighbours: Neighbours) -> Plan:
    around = neighbours.phases
    phase = around.get(id_)
    before = None if phase is None else phase.body
    microcycles = [other for other in around.values() if other.body.parent_id == id_]
    if body is None:
        _check_end(microcycles)
    else:
        rules.check(body)
        _check_parent(id_, body, around)
        said = None if before is None else before.goal_id
        if body.goal_id not in (None, said) and not neighbours.goal_known:
            raise Unprocessable("There is no such goal.", "/goal_id")
    steps = [Step(id_, before, body), *_following(before, body, microcycles)]
    changing = {step.phase_id for step in steps}
    deloads = [Deload.of(other.body) for other in around.values() if other.body.deload and other.id not in changing]
    phases = Phases(runner)
    days = {
        (said.first, said.last)
        for step in steps
        for said in (step.before, step.after)
        if said is not None and said.deload
    }
    laid = await phases.laid(user_id, changing, sorted(days)) if before is not None or days else []
    changes = rules.changes(steps, [training for training, _ in laid], deloads, neighbours.day)
    plan = Plan(neighbours.day, steps, changes, {training.id: said for training, said in laid if said is not None}, {})
    return await _with_templates(phases, user_id, plan)


def _check_end(microcycles: list[StoredPhase]) -> None:
    if microcycles:
        names = ", ".join(f"“{other.body.name}”" for other in microcycles[:5])
        raise Conflict(f"The phase has microcycles ({names}): delete or move these first.")


def _check_parent(id_: UUID, body: PhaseBody, around: Around) -> None:
    """Raises `Unprocessable` where the phase names a parent that it cannot have."""
    if body.parent_id is None:
        return
    parent = around.get(body.parent_id)
    if parent is None or parent.id == id_:
        raise Unprocessable("There is no such phase.", "/parent_id")
    if parent.body.kind is not PhaseKind.MESOCYCLE:
        raise Unprocessable("A microcycle is part of a mesocycle.", "/parent_id")
    _check_within(body, parent.body, "")
    siblings = [other for other in around.values() if other.body.parent_id == parent.id and other.id != id_]
    if len(siblings) >= MOST_MICROCYCLES:
        raise Unprocessable(f"A mesocycle has at most {MOST_MICROCYCLES} microcycles.", "/parent_id")


def _check_within(part: PhaseBody, whole: PhaseBody, microcycle: str) -> None:
    """Raises `Unprocessable` where a phase does not lie within another one; `microcycle` is the part's name, where it
    is the whole that is to be changed."""
    said = f"The microcycle “{microcycle}” would" if microcycle else f"Its mesocycle “{whole.name}” lasts from"
    for wrong, name in ((part.first < whole.first, "first"), (part.last > whole.last, "last")):
        if wrong:
            between = f"{whole.first} to {whole.last}"
            message = f"{said} not lie within {between}." if microcycle else f"{said} {between}."
            raise Unprocessable(message, f"/{name}")


def _following(before: PhaseBody | None, body: PhaseBody | None, microcycles: list[StoredPhase]) -> Iterator[Step]:
    """What becomes of the microcycles of a phase that changes: they move with it, and must lie within it then."""
    if before is None or body is None:
        return
    if microcycles and body.kind is not PhaseKind.MESOCYCLE:
        raise Unprocessable("It has microcycles, so it is a mesocycle.", "/kind")
    by = body.first - before.first
    for other in microcycles:
        moved = other.body.moved(by)
        _check_within(moved, body, moved.name)
        if by:
            yield Step(other.id, other.body, moved)


async def _with_templates(phases: Phases, user_id: UUID, plan: Plan) -> Plan:
    """The plan with the workouts that it makes trainings from. Raises `UnknownWorkout` where one is not there."""
    before, after = plan.steps[0].before, plan.steps[0].after
    known = set() if before is None else {slot.workout_id for slot in before.schedule}
    said = [] if after is None else [slot.workout_id for slot in after.schedule]
    made = {_slot_workout(plan.steps, change) for change in plan.changes if change.action is PlanAction.CREATE}
    refilled = {change.training.workout_id for change in plan.changes if change.training and change.turns is False}
    wanted = {
        workout for workout in {*said, *made} if workout is not None and (workout in made or workout not in known)
    }
    found = await phases.templates(user_id, wanted | {workout for workout in refilled if workout is not None})
    for i, workout in enumerate(said):
        if workout in wanted and workout not in found:
            raise UnknownWorkout("There is no such workout.", f"/schedule/{i}/workout_id")
    if not wanted <= found.keys():
        raise UnknownWorkout("A microcycle that moves with it would need a workout that was deleted.", "/first")
    changes = [
        rules.unfilled(change) if change.turns is False and plan.workout_id(change) not in found else change
        for change in plan.changes
    ]
    return Plan(plan.day, plan.steps, changes, plan.planned, found)


def _slot_workout(steps: list[Step], change: Change) -> UUID | None:
    step = next((step for step in steps if step.phase_id == change.phase_id), None)
    if step is None or step.after is None or change.place is None:
        return None
    return step.after.schedule[change.place.slot].workout_id


async def _carry_out(cursor: Cursor, author: Author, plan: Plan, ids: Sequence[UUID], topic: str) -> None:
    created: list[tuple[UUID, dict[str, Any]]] = []
    changed: list[tuple[PlannedTraining, dict[str, Any]]] = []
    deleted: list[PlannedTraining] = []
    links: list[tuple[UUID, UUID, Place]] = []
    gone: list[tuple[UUID, UUID]] = []
    for id_, change in zip(ids, plan.changes, strict=True):
        training = change.training
        if training is None:
            created.append((id_, plan.fields(change)))
        elif change.action is PlanAction.DELETE:
            deleted.append(plan.planned[id_])
        elif change.action is not PlanAction.KEEP:
            changed.append((plan.planned[id_], plan.fields(change)))
        if change.place is None:
            gone.append((change.phase_id, id_))
        elif training is None or change.place != training.place:
            links.append((change.phase_id, id_, change.place))
    await delete_planned(cursor, author, topic, deleted)
    await change_planned(cursor, author, topic, changed)
    await create_planned(cursor, author, topic, created)
    await Phases(cursor).link(author.user_id, links, gone)


def _made(change: Change, workout: Template) -> dict[str, Any]:
    """The members of a new training: those that a training planned from the workout has."""
    group = {} if workout.group_external_id is None else {"group_external_id": workout.group_external_id}
    fields: dict[str, Any] = {
        "status": Status.PLANNED.value,
        **_when(change),
        "title": workout.name,
        "workout_id": str(workout.id),
        "workout_version": workout.version,
        **group,
        "exercises": workout.plan,
    }
    return rules.deloaded(fields) if change.deload else fields


def _changed(fields: Mapping[str, Any], change: Change, workout: Template | None) -> dict[str, Any]:
    """The members of a training that goes to another moment, or becomes a deload training or an ordinary one."""
    if change.turns:
        fields = rules.deloaded(fields)
    elif change.turns is not None:
        fields = rules.whole(fields, [] if workout is None else workout.plan)
    return {**fields, **_when(change)}


def _when(change: Change) -> dict[str, Any]:
    spot = change.spot
    return {"date": moment(spot.date), "timezone": spot.timezone, "day": spot.day.isoformat()}
