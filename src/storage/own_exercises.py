"""What a user says of movements, own exercises and names: one SQL statement a write, with its event."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from models.errors import (
    Conflict,
    DatabaseUnavailable,
    NotFound,
    PreconditionFailed,
    UnknownExercise,
)
from models.events import ExerciseEventType
from models.exercises import MovementFacts, folded
from models.fields import moment
from models.own_exercises import (
    MOST_NAMES,
    MOST_NAMES_OF_ONE,
    MOST_OWN,
    AliasBody,
    OwnExerciseCreate,
    OwnExerciseUpdate,
    slug_of,
)
from storage.database import Database, Row
from storage.exercises import LEAST_SCORE
from storage.own_exercise_statements import (
    ALIASES,
    CREATE,
    DELETE,
    LIST,
    READ,
    REMOVE,
    REPLAY,
    SET,
    UNMAPPED,
    UPDATE,
)
from storage.training_statements import Write
from storage.training_writes import ATTEMPTS, Author, IdempotencyKey, Refused, TrainingWriter

_NO_EXERCISE = "There is no such own exercise."
_NO_NAME = "There is no such name that means something."


@dataclass(frozen=True, slots=True)
class WrittenExercise:
    """What a write did. `document` is the own exercise, or the name, as clients read it; None after a deletion.

    `revision` is the own exercise's; 0 of a name. `replayed` tells that an Idempotency-Key was answered from what it
    did before.
    """

    revision: int
    document: bytes | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class StoredExercise:
    """An own exercise as it is now, as clients read it."""

    revision: int
    document: bytes


@dataclass(frozen=True, slots=True)
class FoundName:
    """A name that means nothing yet: how many exercises have it, the digest of its folded form, and what is told."""

    exercises: int
    digest: str
    document: bytes


class _State(NamedTuple):
    """How a write that changed nothing found things: see `storage.own_exercise_statements`."""

    revision: int | None
    exercise_revision: int | None
    named: str | None
    owns: int
    names: int
    names_of_it: int
    there: bool
    same: bool

    def check_room(self) -> None:
        """Raises `Conflict` where no further name may mean something."""
        if self.names >= MOST_NAMES:
            raise Conflict(f"{MOST_NAMES:,} names mean something already: remove one first.")
        if self.names_of_it >= MOST_NAMES_OF_ONE:
            raise Conflict(f"{MOST_NAMES_OF_ONE:,} names mean this own exercise already: remove one first.")

    def check_name(self, slug: str | None = None) -> None:
        """Raises `Conflict` where another own exercise than `slug` has the name as its own."""
        if self.named not in {None, slug}:
            raise Conflict(f"It is the name of the own exercise {self.named!r}.")

    def check_revision(self, if_match: Sequence[int] | None) -> None:
        """Raises `NotFound` and `PreconditionFailed`."""
        if self.revision is None:
            raise NotFound(_NO_EXERCISE)
        if if_match is not None and self.revision not in if_match:
            raise PreconditionFailed(self.revision)


class OwnExercises:
    """The own exercises and names of all users. `topic` is where their events go.

    Names are compared in lower case and with single spaces. The own name of an own exercise always means it.

    Every method raises `DatabaseUnavailable` when PostgreSQL is away; a write that was under way then may or may not
    have been done. Writes raise `IdempotencyKeyReused` too.
    """

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._writer = TrainingWriter(database, topic)
        self._topic = topic

    async def create(
        self, author: Author, body: OwnExerciseCreate, *, key: IdempotencyKey | None = None
    ) -> WrittenExercise:
        """Store a new own exercise with its event: from now on its name means it.

        Raises `Conflict` where the slug or the name is another own exercise's, or there are too many.
        """
        slug = body.slug or slug_of(body.name)

        def refuse(state: _State) -> None:
            if state.revision is not None:
                raise Conflict(f"There is an own exercise {slug!r}: give another `slug`.")
            state.check_name()
            if state.owns >= MOST_OWN:
                raise Conflict(f"There are {MOST_OWN:,} own exercises already: delete one first.")
            state.check_room()

        write = self._event(author, ExerciseEventType.EXERCISE_CREATED, slug=slug) | _content(body)
        return await self._write(CREATE, author, write, refuse, key)

    async def update(
        self,
        author: Author,
        slug: str,
        body: OwnExerciseUpdate,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> WrittenExercise:
        """Store the own exercise anew, as its next revision, with its event. `if_match` are the revisions it may be at.

        From now on its new name means it as well, and all names that did so mean this revision. Raises `NotFound`,
        `PreconditionFailed`, and `Conflict` where the name is another own exercise's, or there are too many.
        """

        def refuse(state: _State) -> None:
            state.check_revision(if_match)
            state.check_name(slug)
            state.check_room()

        write = self._event(author, ExerciseEventType.EXERCISE_UPDATED, slug=slug) | _content(body)
        return await self._write(UPDATE, author, write | {"if_match": _list(if_match)}, refuse, key)

    async def delete(
        self,
        author: Author,
        slug: str,
        *,
        if_match: Sequence[int] | None = None,
        key: IdempotencyKey | None = None,
    ) -> WrittenExercise:
        """Delete the own exercise, with its event: its names mean nothing any more.

        Raises `NotFound` and `PreconditionFailed`.
        """
        write = self._event(author, ExerciseEventType.EXERCISE_DELETED, slug=slug) | {"if_match": _list(if_match)}
        return await self._write(DELETE, author, write, lambda state: state.check_revision(if_match), key)

    async def read(self, user_id: UUID, slug: str) -> StoredExercise:
        """The own exercise as it is now. Raises `NotFound`, for another user's too."""
        row = await self._database.one(READ, {"user_id": user_id, "slug": slug})
        if row is None:
            raise NotFound(_NO_EXERCISE)
        return StoredExercise(*_document(orjson.loads(row[0]), *row[1:]))

    async def all(self, user_id: UUID) -> list[bytes]:
        """All own exercises of the user, by slug."""
        rows = await self._database.all(LIST, {"user_id": user_id})
        return [_document(orjson.loads(exercise), *moments)[1] for exercise, *moments in rows]

    async def set_alias(
        self, author: Author, name: str, body: AliasBody, *, key: IdempotencyKey | None = None
    ) -> WrittenExercise:
        """From now on the name means this movement; its event. Of the catalogue's it is the latest revision.

        Where the name means just that already nothing changes, and no event is made. Raises `UnknownExercise`, and
        `Conflict` where it is the own name of an own exercise, or too many names mean something.
        """

        def refuse(state: _State) -> bytes | None:
            if state.revision is None and state.exercise_revision is None:
                if body.exercise is not None:
                    raise UnknownExercise(f"The catalogue has no movement {body.exercise!r}.", "/exercise")
                raise UnknownExercise(f"There is no own exercise {body.own_exercise!r}.", "/own_exercise")
            if state.same:
                return _alias(folded(name), body.exercise, state.exercise_revision, body.own_exercise)
            state.check_name()
            state.check_room()
            return None

        write = self._event(author, ExerciseEventType.EXERCISE_ALIAS_SET, slug=body.own_exercise)
        write |= {"folded": folded(name), "exercise": body.exercise}
        try:
            return await self._write(SET, author, write, refuse, key)
        except UnknownExercise as error:  # deleted by an admin at this moment, perhaps
            raise UnknownExercise(str(error), error.pointer if body.exercise is None else "/exercise") from error

    async def remove_alias(self, author: Author, name: str, *, key: IdempotencyKey | None = None) -> WrittenExercise:
        """From now on the name means nothing; its event.

        Raises `NotFound` where it does not mean anything, and `Conflict` where it is the own name of an own exercise.
        """

        def refuse(state: _State) -> None:
            if not state.there:
                raise NotFound(_NO_NAME)
            state.check_name()

        write = self._event(author, ExerciseEventType.EXERCISE_ALIAS_REMOVED) | {"folded": folded(name)}
        return await self._write(REMOVE, author, write, refuse, key)

    async def aliases(self, user_id: UUID) -> bytes:
        """All names of the user that mean something: a JSON array of `AliasDocument`, by name."""
        row = await self._database.one(ALIASES, {"user_id": user_id})
        return b"[]" if row is None else str(row[0]).encode()

    async def unmapped(self, user_id: UUID, *, after: tuple[int, str] | None = None, limit: int) -> list[FoundName]:
        """At most `limit` names in the user's COMPLETED trainings that mean nothing yet, the most frequent first.

        `after` is how many exercises have the last name of the page before, and its digest.
        """
        count, digest = after or (None, None)
        parameters = {"user_id": user_id, "after_count": count, "after_digest": digest, "limit": limit}
        rows = await self._database.all(UNMAPPED, parameters | {"least_score": LEAST_SCORE})
        return [FoundName(count, digest, document.encode()) for count, digest, document in rows]

    async def _write(
        self,
        statement: Write,
        author: Author,
        write: dict[str, Any],
        refuse: Callable[[_State], bytes | None],
        key: IdempotencyKey | None,
    ) -> WrittenExercise:
        """Run a write. Where it changes nothing `refuse` raises why, or returns what is there already."""
        for _ in range(ATTEMPTS):
            try:
                row = (await self._writer.run(statement, write, key))[0]
            except Refused as refused:
                state = _State(*refused.reason)
            else:
                replayed = await self._replayed(row, author)
                if replayed is not None:
                    return replayed
                version, exercise, created_at, updated_at = row[5:9]
                if version is not None:
                    exercise = exercise and orjson.loads(exercise)
                    return _written(write["event_type"], write["folded"], exercise, created_at, updated_at)
                state = _State(*row[9:])
            there = refuse(state)
            if there is not None:
                return WrittenExercise(0, there)
            # Another write of this user came after this statement's snapshot was taken: look again.
        raise DatabaseUnavailable("Too many writes of this user's names at once.")

    async def _replayed(self, row: Row, author: Author) -> WrittenExercise | None:
        """What the Idempotency-Key was answered before, where it was used before."""
        logged = await self._writer.logged(REPLAY, row, author)
        if logged is None:
            return None
        event_type, payload, at, created_at = logged
        told = orjson.loads(payload)["payload"]
        return _written(event_type, told["names"][0], told.get("exercise"), created_at, at, replayed=True)

    def _event(self, author: Author, event_type: ExerciseEventType, slug: str | None = None) -> dict[str, Any]:
        return author.event(author.user_id, event_type, self._topic) | {
            "slug": slug,
            "exercise": None,
            "folded": None,
        }


def _content(body: MovementFacts) -> dict[str, Any]:
    return body.model_dump(include=set(MovementFacts.model_fields)) | {"folded": folded(body.name)}


def _list(versions: Sequence[int] | None) -> list[int] | None:
    return None if versions is None else list(versions)


def _document(exercise: dict[str, Any], created_at: dt.datetime, updated_at: dt.datetime) -> tuple[int, bytes]:
    """The revision of an own exercise, and what clients read of it: an `OwnExerciseDocument`."""
    del exercise["own"]
    document = exercise | {"created_at": moment(created_at), "updated_at": moment(updated_at)}
    return exercise["revision"], orjson.dumps(document)


def _alias(name: str, exercise: str | None, revision: int | None, own: str | None) -> bytes:
    meaning = {"own_exercise": own} if exercise is None else {"exercise": exercise, "exercise_revision": revision}
    return orjson.dumps({"name": name} | meaning)


def _written(
    event_type: str,
    name: str,
    exercise: dict[str, Any] | None,
    created_at: dt.datetime,
    updated_at: dt.datetime,
    *,
    replayed: bool = False,
) -> WrittenExercise:
    """What a write did, by its event: `exercise` is a `NamedMovement`."""
    if exercise is None:
        return WrittenExercise(0, None, replayed)
    if event_type != ExerciseEventType.EXERCISE_ALIAS_SET:
        return WrittenExercise(*_document(exercise, created_at, updated_at), replayed)
    slug, revision = exercise["slug"], exercise["revision"]
    alias = _alias(name, None, None, slug) if exercise["own"] else _alias(name, slug, revision, None)
    return WrittenExercise(0, alias, replayed)
