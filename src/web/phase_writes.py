"""What a write of a phase does: computed for a preview, or carried out within one transaction.

Both go the same way: the phases around the one that changes are read, then the trainings that they have laid, and
`analytics.phases` says what becomes of each. A write holds the user's plans meanwhile, and is done anew where the
athlete begins, changes, skips or deletes one of these trainings in between: so what is written is what would have been
previewed at that moment.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from uuid_utils.compat import uuid7

from analytics import phases as rules
from analytics.words import named
from models.errors import Conflict, UnknownWorkout, Unprocessable
from models.phases import MOST_TRAININGS, PhaseBody, PhaseKind, PhaseTraining, PlanAction
from models.plans import Change, Deload, Laid, Step
from storage.database import READ, Cursor, Database, Runner
from storage.documents import Documents
from storage.phases import Neighbours, Phases, StoredPhase
from storage.plans import (
    PlannedTraining,
    Stale,
    change_planned,
    check_size,
    create_planned,
    delete_planned,
    in_transaction,
    read_planned,
)
from storage.training_writes import Author, Written
from web.phase_plans import Plan, slot_workout

MOST_MICROCYCLES = 60  # of one mesocycle: they move with it, each by a write of its own

Around = dict[UUID, StoredPhase]
DocumentWrite = Callable[[Documents, str, bool], Awaitable[Written]]
_NOBODY = UUID(int=0)


async def preview(
    database: Database,
    user_id: UUID,
    id_: UUID,
    body: PhaseBody | None,
    was_done: Callable[[Cursor, Neighbours], Awaitable[bool]],
    *,
    day: dt.date | None = None,
) -> Plan:
    """What it would do if the phase said `body`, or were deleted (None). `was_done` tells whether the write would find
    that it was done before, and so do nothing, and raises what the write would of the phase's document. `day` is as
    `write` has it.

    All of it is of one moment. Raises what `write` raises.
    """
    async with database.transaction(begin=READ) as cursor:
        around = await _around(cursor, user_id, id_, body, day)
        if await was_done(cursor, around):
            now = around.phases[id_].body if id_ in around.phases else None
            return Plan(around.day, [Step(id_, now, now)], [], {}, {})
        plan = await _plan(cursor, user_id, id_, body, around)
    await asyncio.to_thread(_check_sizes, plan)
    return plan


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

    `document` writes the phase itself, given its content and whether it is deleted now, and may find that it was
    written before: then that is all, whatever else is wrong. `phases` are those of a transaction, and `topic` is where
    the trainings' events go. A phase that was there before makes nothing on days before `day`, by default the
    athlete's present one.

    Raises what `document` raises, `Unprocessable` where the phase cannot be what it says, `Conflict` where it has
    microcycles and would be deleted, and `DatabaseUnavailable`.
    """

    async def attempt(cursor: Cursor) -> Written:
        around = await _around(cursor, author.user_id, id_, body, day)
        plan, refusal = Plan(around.day, [Step(id_, None, body)], [], {}, {}), None
        try:
            plan = await _plan(cursor, author.user_id, id_, body, around)
        except (Conflict, Unprocessable) as error:
            refusal = error
        ids = [uuid7() if change.training is None else change.training.id for change in plan.changes]
        phase, *microcycles = plan.steps
        written = await document(phases(cursor), _content(phase, plan.changes, ids), around.deleted is not None)
        before = around.phases[id_].version if id_ in around.phases else around.deleted
        if written.replayed or not (written.created or _is_newer(written, before)):
            return written
        if refusal is not None:
            raise refusal
        for step in microcycles:
            if step.after is not None:
                content, columns = _content(step, plan.changes, ids), step.after.columns()
                moved = await phases(cursor).update(author, step.phase_id, content, columns)
                _is_newer(moved, around.phases[step.phase_id].version)
        await _carry_out(cursor, author, plan, ids, topic)
        return written

    return await in_transaction(database, author.user_id, attempt)


def _is_newer(written: Written, before: int | None) -> bool:
    """Whether a phase that was at version `before` was written now. Raises `Stale` where it was not by then."""
    if before is None or written.version <= before:
        return False
    if written.version > before + 1:
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
    back = neighbours.deleted is not None
    steps = [Step(id_, before, body, back), *_following(before, body, microcycles)]
    changing = {step.phase_id for step in steps}
    deloads = [Deload.of(other.body) for other in around.values() if other.body.deload and other.id not in changing]
    phases = Phases(runner)
    days = {
        (said.first, said.last)
        for step in steps
        for said in (step.before, step.after)
        if said is not None and said.deload
    }
    laid: list[Laid] = []
    if before is not None or days:
        laid = await phases.laid(user_id, changing, sorted(days), MOST_TRAININGS + 1)  # one more tells of too many
    taken = await phases.taken(user_id, body, neighbours.day) if back and body is not None else None
    changes = await asyncio.to_thread(rules.changes, steps, laid, deloads, neighbours.day, taken)
    plan = await _with_templates(phases, user_id, Plan(neighbours.day, steps, changes, {}, {}))
    return replace(plan, planned=await _planned(runner, user_id, plan.changes))


async def _planned(runner: Runner, user_id: UUID, changes: Sequence[Change]) -> dict[UUID, PlannedTraining]:
    """What the trainings say that go elsewhere or turn. Raises `Stale` where one is not as it was judged."""
    seen = {
        change.training.id: change.training.version
        for change in changes
        if change.training is not None and change.action in (PlanAction.MOVE, PlanAction.CHANGE)
    }
    planned = {training.id: training for training in await read_planned(runner, user_id, list(seen))}
    if seen != {id_: training.version for id_, training in planned.items()}:
        raise Stale
    return planned


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
            between = f"{named(whole.first)} to {named(whole.last)}"
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
    made = {slot_workout(plan.steps, change) for change in plan.changes if change.action is PlanAction.CREATE}
    refilled = {change.training.workout_id for change in plan.changes if change.training and change.turns is False}
    wanted = {
        workout for workout in {*said, *made} if workout is not None and (workout in made or workout not in known)
    }
    needed = wanted | {workout for workout in refilled if workout is not None}
    found = await phases.templates(user_id, needed, "" if after is None else "/schedule")
    for i, workout in enumerate(said):
        if workout in wanted and workout not in found:
            raise UnknownWorkout("There is no such workout.", f"/schedule/{i}/workout_id")
    if not wanted <= found.keys():
        raise UnknownWorkout("A microcycle that moves with it would need a workout that was deleted.", "/first")
    changes = [
        rules.unfilled(change) if change.turns is False and plan.workout_id(change) not in found else change
        for change in plan.changes
    ]
    return replace(plan, changes=changes, templates=found)


def _check_sizes(plan: Plan) -> None:
    """Raises `Unprocessable` where the trainings would be too large to be written."""
    writes = plan.writes([_NOBODY if change.training is None else change.training.id for change in plan.changes])
    check_size(fields for _, fields in writes.created)
    check_size(fields for _, fields in writes.changed)


async def _carry_out(cursor: Cursor, author: Author, plan: Plan, ids: Sequence[UUID], topic: str) -> None:
    writes = await asyncio.to_thread(plan.writes, ids)
    await delete_planned(cursor, author, topic, writes.deleted)
    await change_planned(cursor, author, topic, writes.changed)
    await create_planned(cursor, author, topic, writes.created)
    await Phases(cursor).link(author.user_id, writes.links, writes.gone)
