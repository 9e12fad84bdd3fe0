"""The catalogue of movements: reading, searching, and one SQL statement a write; loading its seed."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import orjson
import psycopg2
import psycopg2.errors

from models.errors import (
    Conflict,
    DatabaseUnavailable,
    NotFound,
    PreconditionFailed,
    UnknownExercise,
    Unprocessable,
)
from models.exercises import Catalogue, Category, Direction, Mode, Movement, MovementBody, Phase, folded
from storage.database import Database
from storage.exercise_statements import (
    ALL,
    CREATE,
    DELETE,
    LIST,
    MARK,
    NAMES,
    PROGRESSIONS,
    READ,
    SEED,
    SEED_NAMES,
    UPDATE,
)

LEAST_SCORE = 0.4  # of a name that a search finds: a letter or two of a word may be wrong
_CIRCLE, _UNKNOWN, _NAMED, _OVERTAKEN = "EX001", "EX002", "EX003", "EX004"  # SQLSTATEs of the triggers
_ATTEMPTS = 50  # each that is lost to contention was another write's success

Mark = tuple[int, int]
"""What tells one state of the catalogue from another: its revisions and its deletions so far."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list of movements is narrowed to; None asks for nothing. `q` is a name, misspelt perhaps."""

    category: Category | None = None
    family: str | None = None
    equipment: str | None = None
    muscle: str | None = None
    mode: Mode | None = None
    min_difficulty: int | None = None
    max_difficulty: int | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class FoundMovement:
    """A movement of a list. `score`, 0 to 1, is how well its name fits what was searched for; else 0."""

    score: float
    slug: str
    document: bytes


@dataclass(frozen=True, slots=True)
class StoredMovement:
    """One revision of a movement, as clients read it."""

    revision: int
    document: bytes


@dataclass(frozen=True, slots=True)
class Ways:
    """Around a movement: JSON arrays of documents. `direction` and `path` are None where no other one was named."""

    easier: bytes
    harder: bytes
    direction: Direction | None
    path: bytes | None


class Exercises:
    """The catalogue. Every method raises `DatabaseUnavailable` when PostgreSQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: Wanted, *, after: tuple[float, str] | None = None, limit: int) -> list[FoundMovement]:
        """At most `limit` movements, each as it is now: by slug, or those first that fit `wanted.q` best.

        `after` is the score and slug of the last one of the page before.
        """
        score, slug = after or (None, None)
        more = {"after_score": score, "after_slug": slug, "least_score": LEAST_SCORE, "limit": limit}
        rows = await self._database.all(LIST, asdict(wanted) | more)
        return [FoundMovement(score, slug, document.encode()) for score, slug, document in rows]

    async def read(self, slug: str, revision: int | None = None) -> StoredMovement:
        """A movement as it is now, or as that revision has it. Raises `NotFound`."""
        row = await self._database.one(READ, {"slug": slug, "revision": revision})
        if row is None:
            raise NotFound("The catalogue has no such movement, or no such revision of it.")
        return StoredMovement(row[0], row[1].encode())

    async def ways(self, slug: str, to: str | None = None) -> Ways:
        """What is easier and harder by one step, and the shortest path to the movement `to`.

        The path goes in one direction, up or down. Raises `NotFound`, and `UnknownExercise` when `to` is not there.
        """
        row = await self._database.one(PROGRESSIONS, {"slug": slug, "to": to})
        if row is None:
            raise NotFound("The catalogue has no such movement.")
        easier, harder, there, up, path = row
        direction = None
        if to is not None:
            if not there:
                raise UnknownExercise(f"The catalogue has no movement {to!r}.")
            direction = Direction.NONE if up is None else Direction.HARDER if up else Direction.EASIER
            direction = Direction.SAME if to == slug else direction
        return Ways(_array(easier), _array(harder), direction, None if to is None else _array(path))

    async def names(self) -> bytes:
        """Every name that stands for a movement: a JSON array of `NamedExercise`."""
        row = await self._database.one(NAMES)
        return b"[]" if row is None else str(row[0]).encode()

    async def slugs(self) -> dict[str, str]:
        """The slug that each of these names stands for."""
        return {item["name"]: item["exercise"] for item in orjson.loads(await self.names())}

    async def create(self, slug: str, body: MovementBody) -> StoredMovement:
        """Add a movement. Raises `Conflict` when the slug is there, `Unprocessable` for what `update` does too."""
        try:
            row = await self._database.one(CREATE, _parameters(slug, body))
        except psycopg2.DatabaseError as error:
            _explain(error, body)
        if row is None:
            raise Conflict(f"The catalogue has a movement {slug!r}.")
        return StoredMovement(row[0], row[1].encode())

    async def update(self, slug: str, body: MovementBody, *, if_match: Sequence[int] | None = None) -> StoredMovement:
        """Add the next revision of a movement. `if_match` are the revisions that it may be at.

        Raises `NotFound`, `PreconditionFailed`, `UnknownExercise` for an easier movement that is not there, and
        `Unprocessable` where movements would form a circle.
        """
        parameters = _parameters(slug, body) | {"if_match": _list(if_match)}
        for _ in range(_ATTEMPTS):
            try:
                row = await self._database.one(UPDATE, parameters)
            except psycopg2.DatabaseError as error:
                if error.pgcode == _OVERTAKEN:
                    continue
                _explain(error, body)
            if row is None:
                raise NotFound("The catalogue has no such movement.")
            latest, revision, document = row
            if document is not None:
                return StoredMovement(revision, document.encode())
            if if_match is not None and latest not in if_match:
                raise PreconditionFailed(latest)
            # Another edit took the revision after this statement's snapshot was taken: look again.
        raise DatabaseUnavailable("Too many writes of this movement at once.")

    async def delete(self, slug: str, *, if_match: Sequence[int] | None = None) -> None:
        """Remove a movement with all its revisions. `if_match` are the revisions that it may be at.

        Raises `NotFound`, `PreconditionFailed`, and `Conflict` when something refers to it.
        """
        for _ in range(_ATTEMPTS):
            try:
                row = await self._database.one(DELETE, {"slug": slug, "if_match": _list(if_match)})
            except psycopg2.DatabaseError as error:
                if error.pgcode == _OVERTAKEN:
                    continue
                _explain(error, None)
            if row is None:
                raise NotFound("The catalogue has no such movement.")
            latest, removed = row
            if removed:
                return
            if if_match is not None and latest not in if_match:
                raise PreconditionFailed(latest)
        raise DatabaseUnavailable("Too many writes of this movement at once.")


async def read_catalogue(database: Database) -> Catalogue:
    """Every revision of every movement, in one statement. Raises `DatabaseUnavailable`."""
    return Catalogue.of([Movement(*row) for row in await database.all(ALL)])


async def read_mark(database: Database) -> Mark:
    """The mark of the catalogue as it is now. Raises `DatabaseUnavailable`."""
    ((revisions, deletions),) = await database.all(MARK)
    return revisions, deletions


def load_catalogue(cursor: Any, folder: Path) -> None:
    """Add the seed's movements and names that are not there yet. `cursor` is psycopg2's.

    Loading again changes nothing: neither what an admin edited nor what one deleted.
    """
    movements, names = read_seed(folder)
    cursor.execute(SEED, {"movements": orjson.dumps(movements).decode()})
    cursor.execute(SEED_NAMES, {"names": orjson.dumps(names).decode()})


def read_seed(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The movements that come with the service, and the names that apps have for movements."""
    extras = {row["slug"]: row for row in _rows(folder / "exercise_catalogue_extra.csv")}
    bodyweight = [row | extras[row["slug"]] for row in _rows(folder / "exercise_catalogue.csv")]
    movements = [_seed(row) for row in (*bodyweight, *_rows(folder / "exercise_catalogue_weights.csv"))]
    names = [{"name": folded(row["name"]), "slug": row["slug"]} for row in _rows(folder / "exercise_names.csv")]
    return movements, names


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _seed(row: Mapping[str, str]) -> dict[str, Any]:
    return {
        "slug": row["slug"],
        "name": row["name"],
        "category": row["category"],
        "mode": row["mode"],
        "phases": _parts(row.get("phases", "")) or _phases(row),
        "equipment": [] if row["equipment"] == "none" else _parts(row["equipment"]),
        "difficulty": int(row["difficulty"]),
        "muscles": _parts(row["muscles"]),
        "secondary_muscles": _parts(row["secondary_muscles"]),
        "bw_fraction": row["bw_fraction"] or None,
        "bw_fraction_basis": row["bw_fraction_basis"] or None,
        "family": row["family"],
        "unilateral": row["unilateral"] == "1",
        "easier_slugs": _parts(row["easier_slugs"]),
    }


def _phases(row: Mapping[str, str]) -> list[Phase]:
    """As the migration had it for the movements that were there."""
    if any(word in f"{row['slug']} {row['name']}".lower() for word in ("negative", "eccentric")):
        return [Phase.ECCENTRIC]
    return [Phase.ISOMETRIC] if row["mode"] == Mode.HOLD else [Phase.CONCENTRIC, Phase.ECCENTRIC]


def _parts(cell: str) -> list[str]:
    return [part for part in cell.split(";") if part]


def _parameters(slug: str, body: MovementBody) -> dict[str, Any]:
    return body.model_dump(include=set(MovementBody.model_fields)) | {"slug": slug}


def _list(versions: Sequence[int] | None) -> list[int] | None:
    return None if versions is None else list(versions)


def _array(documents: str | None) -> bytes:
    return f"[{documents or ''}]".encode()


def _explain(error: psycopg2.DatabaseError, body: MovementBody | None) -> NoReturn:
    """Raise what a refusal of the database means to a client; another error goes on as it is."""
    if isinstance(error, psycopg2.errors.ForeignKeyViolation):
        raise Conflict("Trainings, workouts or users' names refer to this movement.") from error
    slugs: list[str] = orjson.loads(error.diag.message_detail or "[]") if (error.pgcode or "").startswith("EX") else []
    if error.pgcode == _NAMED:
        raise Conflict(f"Other movements name it as easier: {', '.join(slugs)}.") from error
    if error.pgcode == _CIRCLE:
        circle = " → ".join(slugs)
        raise Unprocessable(f"Each of these would be easier than the one before: {circle}.", "/easier_slugs") from error
    if error.pgcode == _UNKNOWN and body is not None:
        place = next(place for place, slug in enumerate(body.easier_slugs) if slug in slugs)
        slug = body.easier_slugs[place]
        raise UnknownExercise(f"The catalogue has no movement {slug!r}.", f"/easier_slugs/{place}") from error
    raise error
