"""Groups as their coaches work with them: who is in one, and a workout or a training for each who lets them plan.

What is written for an athlete is one statement through the guarded database (`storage.access`): so it is written by
the athlete's leave at that moment, and the athlete's log of accesses has it. Ids are derived, so that whatever is sent
again finds what it made before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import orjson

from models.errors import DatabaseUnavailable, IdentityConflict, NotFound
from models.events import WorkoutEventType
from models.groups import GroupAthlete, GroupTraining, Outcome, copy_id, planned_id
from models.memberships import Scope
from models.workouts import WorkoutBody
from storage.access import Access, Guarded
from storage.database import Database
from storage.documents import StoredDocument
from storage.training_writes import ATTEMPTS, Author
from storage.workout_statements import COPY
from storage.workouts import WorkoutPlans, Workouts

T = TypeVar("T")

_ATHLETES = """
SELECT user_id, scopes FROM memberships
WHERE group_external_id = %(group)s AND revoked_at IS NULL
  AND (%(scope)s::text IS NULL OR %(scope)s = ANY (scopes)) AND (%(after)s::uuid IS NULL OR user_id > %(after)s::uuid)
ORDER BY user_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Coach:
    """Who plans for a group: the user and subject of the token, and of the request its operation and id."""

    user_id: UUID
    actor: str
    group: str
    operation: str
    request_id: str

    def access(self, athlete: UUID) -> Access:
        """What the athlete's log tells of one statement for them."""
        return Access(athlete, self.user_id, self.actor, (self.group,), "plan", self.operation, self.request_id)

    def author(self, athlete: UUID) -> Author:
        """Who writes it."""
        return Author(athlete, self.actor, self.request_id, (self.group,))


class _Copies(Workouts):
    """Copies of coaches' workouts, which are workouts of the athletes."""

    async def copy(self, author: Author, id_: UUID, body: WorkoutBody, exercises: str, source_version: int) -> Outcome:
        """Make the copy, or bring it to that version of the coach's workout, with its event."""
        write = self._write(author, id_, WorkoutEventType.WORKOUT_CREATED, body, exercises)
        for _ in range(ATTEMPTS):
            version, changed, same = (await self._writer.ask(COPY, write | {"source_version": source_version}))[0]
            if version is not None:
                return Outcome.CREATED if version == 1 else Outcome.UPDATED
            if changed:
                return Outcome.KEPT
            if same:
                return Outcome.UNCHANGED
            # It was written after this statement's snapshot was taken: the next one sees it.
        raise DatabaseUnavailable("Too many writes of this workout at once.")


class Groups:
    """All groups. Trainings' events go to `topic`, workouts' to `workout_topic`.

    For so many athletes at once as `at_once` says a statement is under way. Every method raises `DatabaseUnavailable`
    when PostgreSQL is away; then some athletes may have what others lack, and the same again completes it.
    """

    def __init__(self, database: Database, topic: str, workout_topic: str, *, at_once: int) -> None:
        self._database = database
        self._topic = topic
        self._workout_topic = workout_topic
        self._at_once = at_once

    async def athletes(
        self, group: str, *, scope: Scope | None = None, after: UUID | None = None, limit: int
    ) -> list[GroupAthlete]:
        """At most `limit` athletes of the group, by their ids from the one behind `after` on; those with `scope`."""
        parameters = {"group": group, "scope": scope, "after": after, "limit": limit}
        rows = await self._database.all(_ATHLETES, parameters)
        return [GroupAthlete(user_id=user_id, scopes=scopes) for user_id, scopes in rows]

    async def copy(
        self, coach: Coach, workout: StoredDocument, athletes: Sequence[UUID]
    ) -> list[tuple[UUID, UUID, Outcome]]:
        """Give each athlete a copy of the coach's workout; the athlete, the copy, and what became of it, in order.

        A copy that is there is brought to the workout's version, unless somebody changed or deleted it since. Raises
        `Unprocessable` where the copies' events would be too large.
        """
        source = orjson.loads(workout.document)
        body = WorkoutBody(name=source["name"], notes=source.get("notes"), group_external_id=coach.group)
        exercises = orjson.dumps(source["exercises"]).decode()

        async def copy(athlete: UUID) -> tuple[UUID, UUID, Outcome]:
            id_ = copy_id(coach.user_id, workout.id, coach.group, athlete)
            copies = _Copies(Guarded(self._database, coach.access(athlete)), self._workout_topic)
            try:
                outcome = await copies.copy(coach.author(athlete), id_, body, exercises, workout.version)
            except NotFound:
                outcome = Outcome.REVOKED
            return athlete, id_, outcome

        return await _each(athletes, copy, self._at_once)

    async def plan(
        self, coach: Coach, training: GroupTraining, athletes: Sequence[UUID]
    ) -> list[tuple[UUID, UUID, Outcome]]:
        """Plan a training from each athlete's copy; the athlete, the training, and what became of it, in order."""
        body = training.plan()

        async def plan(athlete: UUID) -> tuple[UUID, UUID, Outcome]:
            workout_id = copy_id(coach.user_id, training.workout_id, coach.group, athlete)
            id_ = planned_id(workout_id, training.date, training.plan_id)
            guarded = Guarded(self._database, coach.access(athlete))
            try:
                written = await WorkoutPlans(guarded, self._topic).plan(coach.author(athlete), workout_id, id_, body)
                outcome = Outcome.CREATED if written.created else Outcome.UNCHANGED
            except IdentityConflict:
                outcome = Outcome.KEPT
            except NotFound:
                outcome = Outcome.MISSING if guarded.admitted else Outcome.REVOKED
            return athlete, id_, outcome

        return await _each(athletes, plan, self._at_once)


async def _each(athletes: Sequence[UUID], do: Callable[[UUID], Awaitable[T]], at_once: int) -> list[T]:
    """What `do` makes of each, in order; `at_once` at a time. The first error ends it and is raised."""
    done: dict[UUID, T] = {}
    waiting = iter(athletes)

    async def work() -> None:
        for athlete in waiting:
            done[athlete] = await do(athlete)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [done[athlete] for athlete in athletes]
