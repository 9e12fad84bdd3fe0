"""The catalogue on a real PostgreSQL: revisions that stay, a graph without a circle, and deletions that hurt nobody."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import orjson
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import Conflict, NotFound, PreconditionFailed, UnknownExercise, Unprocessable
from models.exercises import MovementBody
from models.trainings import exercises_json
from storage.database import Database
from storage.exercises import Exercises, Wanted, load_catalogue, read_catalogue
from storage.schema import MIGRATIONS
from storage.trainings import Author, Trainings
from tests.support.bodies import create_body, squat
from tests.support.databases import DatabaseUrls
from web.services import CatalogueCache

BODY = {
    "name": "New movement",
    "category": "Push",
    "mode": "reps",
    "phases": ["concentric"],
    "difficulty": 5,
    "muscles": ["chest"],
    "family": "new",
}
_numbers = itertools.count()


def movement(**fields: Any) -> MovementBody:
    return MovementBody.model_validate_json(orjson.dumps(BODY | fields))


def new(*names: str) -> list[str]:
    """Slugs that no other test or example uses."""
    number = next(_numbers)
    return [f"new-{number}-{name}" for name in names]


@pytest.fixture
def exercises(db: Database) -> Exercises:
    return Exercises(db)


@pytest.fixture
def owner(database_urls: DatabaseUrls) -> Iterator[Any]:
    """A connection of the schema's owner, which commits each statement."""
    with closing(psycopg2.connect(database_urls.owner)) as connection:
        connection.autocommit = True
        yield connection


def has_circle(easier: dict[str, list[str]]) -> bool:
    """Whether someone who goes from each movement to easier ones could go for ever."""
    left = dict(easier)
    while True:
        done = [slug for slug, others in left.items() if not any(other in left for other in others)]
        if not done:
            return bool(left)
        for slug in done:
            del left[slug]


NAMES = ("a", "b", "c", "d", "e")
_places = st.integers(0, len(NAMES) - 1)
_kinds = st.sampled_from(["create", "update", "update", "update", "delete"])
_writes = st.tuples(_kinds, _places, st.sets(_places, max_size=3))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_writes, max_size=20))
async def test_random_edits_make_no_circle_and_change_no_revision(
    exercises: Exercises, writes: list[tuple[str, int, set[int]]]
) -> None:
    slugs = new(*NAMES)
    latest: dict[str, int] = {}  # what there must be
    deleted: dict[str, int] = {}
    easier: dict[str, list[str]] = {}
    documents: dict[tuple[str, int], bytes] = {}
    first: list[tuple[str, int, set[int]]] = [("create", place, set()) for place in range(len(NAMES))]
    for kind, place, others in first + writes:
        slug, named = slugs[place], [slugs[other] for other in sorted(others)]
        if kind == "delete":
            if slug not in latest:
                with pytest.raises(NotFound):
                    await exercises.delete(slug)
            elif any(slug in others for other, others in easier.items() if other != slug):
                with pytest.raises(Conflict):
                    await exercises.delete(slug)
            else:
                await exercises.delete(slug)
                deleted[slug] = latest.pop(slug) + 1
                del easier[slug]
                documents = {key: document for key, document in documents.items() if key[0] != slug}
            continue
        write = exercises.create if kind == "create" else exercises.update
        if (kind == "create") == (slug in latest):
            with pytest.raises(Conflict if kind == "create" else NotFound):
                await write(slug, movement(easier_slugs=named))
        elif any(other not in latest and other != slug for other in named):
            with pytest.raises(UnknownExercise):
                await write(slug, movement(easier_slugs=named))
        elif has_circle(easier | {slug: named}):
            with pytest.raises(Unprocessable, match="easier than the one before"):
                await write(slug, movement(easier_slugs=named))
        else:
            stored = await write(slug, movement(easier_slugs=named))
            easier[slug] = named
            latest[slug] = (latest if slug in latest else deleted).get(slug, 0) + 1
            documents[slug, latest[slug]] = stored.document
            assert stored.revision == latest[slug]
    for (slug, revision), document in documents.items():
        assert (await exercises.read(slug, revision)).document == document
        assert (await exercises.read(slug)).revision == latest[slug]


async def test_a_circle_and_what_is_not_there_are_named(exercises: Exercises) -> None:
    a, b, c = new("a", "b", "c")
    await exercises.create(a, movement())
    await exercises.create(b, movement(easier_slugs=["push-up", a]))
    await exercises.create(c, movement(easier_slugs=[b, a]))
    with pytest.raises(Unprocessable) as refused:
        await exercises.update(a, movement(easier_slugs=["dip", c]))
    assert refused.value.pointer == "/easier_slugs"
    assert f"{a} → {c} → {a}" in str(refused.value)
    with pytest.raises(Unprocessable, match=f"{a} → {a}"):
        await exercises.update(a, movement(easier_slugs=[a]))
    with pytest.raises(UnknownExercise) as unknown:
        await exercises.update(a, movement(easier_slugs=["dip", "no-such", "nor-such"]))
    assert unknown.value.pointer == "/easier_slugs/1"


async def test_of_two_writers_who_make_a_circle_together_one_is_refused(exercises: Exercises) -> None:
    for _ in range(10):
        ring = new("a", "b", "c")
        for slug in ring:
            await exercises.create(slug, movement())
        outcomes = await asyncio.gather(
            *(exercises.update(slug, movement(easier_slugs=[ring[place - 1]])) for place, slug in enumerate(ring)),
            return_exceptions=True,
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert [type(error) for error in refused] == [Unprocessable]


async def test_edits_at_the_same_moment_make_one_revision_each(exercises: Exercises) -> None:
    (slug,) = new("a")
    await exercises.create(slug, movement())
    stored = await asyncio.gather(*(exercises.update(slug, movement(name=f"Name {n}")) for n in range(8)))
    assert sorted(one.revision for one in stored) == list(range(2, 10))
    guarded = [exercises.update(slug, movement(), if_match=[9]) for _ in range(4)]
    outcomes = await asyncio.gather(*guarded, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, PreconditionFailed)]
    assert (len(refused), {error.version for error in refused}) == (3, {10})
    with pytest.raises(PreconditionFailed):
        await exercises.delete(slug, if_match=[9])
    await exercises.delete(slug, if_match=[1, 10])


async def test_an_edit_and_a_deletion_at_the_same_moment(exercises: Exercises) -> None:
    for _ in range(15):
        (slug,) = new("a")
        await exercises.create(slug, movement())
        edited, deleted = await asyncio.gather(
            exercises.update(slug, movement(name="Edited")), exercises.delete(slug), return_exceptions=True
        )
        assert deleted is None
        assert isinstance(edited, NotFound) or edited.revision == 2  # type: ignore[union-attr]
        with pytest.raises(NotFound):
            await exercises.read(slug)


async def test_one_revision_never_stands_for_two_contents(exercises: Exercises) -> None:
    (slug,) = new("a")
    await exercises.create(slug, movement(bw_fraction=0.5))
    await exercises.update(slug, movement(bw_fraction=0.6))
    await exercises.delete(slug)
    again = await exercises.create(slug, movement(bw_fraction=0.7))
    assert again.revision == 4
    assert orjson.loads((await exercises.read(slug)).document)["bw_fraction"] == 0.7
    for revision in (1, 2, 3):
        with pytest.raises(NotFound):
            await exercises.read(slug, revision)
    assert (await exercises.update(slug, movement())).revision == 5


async def test_nothing_is_edited_in_place_not_even_by_the_owner(owner: Any) -> None:
    def refused(statement: str, message: str) -> None:
        with owner.cursor() as cursor, pytest.raises(psycopg2.DatabaseError, match=message):
            cursor.execute(statement)

    refused("UPDATE exercises SET name = 'x' WHERE slug = 'plank'", "never changes")
    refused("TRUNCATE exercises CASCADE", "never changes")
    copy = "mode, phases, equipment, difficulty, muscles, secondary_muscles, family, unilateral, easier_slugs"
    for revision in (3, 1):  # the one after the next, and one that is there
        refused(
            f"INSERT INTO exercises (slug, revision, name, category, {copy}) "
            f"SELECT slug, {revision}, name, category, {copy} FROM exercises WHERE slug = 'plank'",
            "follow each other" if revision == 3 else "duplicate key",
        )
    refused("DELETE FROM exercises WHERE slug = 'plank'", "as easier")
    with owner.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO exercises (slug, revision, name, category, {copy}) "
            f"SELECT slug, 2, name, category, {copy} FROM exercises WHERE slug = 'manna'"
        )
    refused("DELETE FROM exercises WHERE slug = 'manna' AND revision = 1", "all its revisions")
    refused("DELETE FROM exercises WHERE slug = 'manna' AND revision = 2", "all its revisions")
    refused("BEGIN ISOLATION LEVEL REPEATABLE READ; DELETE FROM exercises WHERE slug = 'manna'", "READ COMMITTED")


async def test_what_refers_to_an_old_revision_keeps_it(exercises: Exercises, db: Database) -> None:
    (slug,) = new("a")
    await exercises.create(slug, movement(bw_fraction=0.5))
    trainings, author = Trainings(db, "training_events"), Author(uuid4(), "tester")
    cache = CatalogueCache(db)
    await cache.refresh()

    async def log() -> Any:
        id_ = uuid4()
        body = create_body(exercises=[squat() | {"exercise": slug}])
        text = await cache.resolve(lambda catalogue: exercises_json(id_, body.exercises, catalogue))
        await trainings.create(author, id_, body, text)
        return id_

    async def revision_of(id_: Any) -> int:
        stored = await trainings.read(author.user_id, id_)
        revision: int = orjson.loads(stored.document)["exercises"][0]["exercise_revision"]
        return revision

    before = await log()
    await exercises.update(slug, movement(name="Edited", bw_fraction=0.6))
    await cache.refresh()
    after = await log()
    assert (await revision_of(before), await revision_of(after)) == (1, 2)
    old = orjson.loads((await exercises.read(slug, await revision_of(before))).document)
    assert (old["name"], old["bw_fraction"]) == ("New movement", 0.5)
    with pytest.raises(Conflict, match="refer to this movement"):
        await exercises.delete(slug)
    for id_ in (before, after):
        await trainings.delete(author, id_)
    with pytest.raises(Conflict):  # a deleted training has its history
        await exercises.delete(slug)


async def test_a_deleted_movement_is_unknown_and_forgotten(exercises: Exercises, db: Database) -> None:
    (slug,) = new("a")
    await exercises.create(slug, movement())
    cache = CatalogueCache(db)
    await cache.refresh()
    await exercises.delete(slug)
    id_, body = uuid4(), create_body(exercises=[squat() | {"exercise": slug}])
    text = await cache.resolve(lambda catalogue: exercises_json(id_, body.exercises, catalogue))
    with pytest.raises(UnknownExercise):  # by the foreign key: this worker knows it still
        await Trainings(db, "training_events").create(Author(uuid4(), "tester"), id_, body, text)
    await cache.refresh()
    assert slug not in (await cache.get()).latest


async def test_loading_the_seed_again_keeps_what_admins_did(exercises: Exercises, owner: Any) -> None:
    await exercises.update("manna", movement(name="Edited"))
    await exercises.delete("typewriter-pull-up")
    with owner.cursor() as cursor:
        # As before a later version, whose seed has one movement and one name more.
        cursor.execute("DELETE FROM exercises WHERE slug = 'swimming'")
        cursor.execute("DELETE FROM exercises_deleted WHERE slug = 'swimming'")
        cursor.execute("DELETE FROM exercise_names WHERE slug = 'dip'")
        cursor.execute("UPDATE exercise_names SET slug = 'x' WHERE name = 'swimming'")

        def state() -> list[Any]:
            cursor.execute("SELECT * FROM exercises ORDER BY slug, revision")
            revisions = cursor.fetchall()
            cursor.execute("SELECT * FROM exercise_names ORDER BY name")
            return [*revisions, *cursor.fetchall()]

        before = state()
        load_catalogue(cursor, MIGRATIONS / "seed")
        after = state()
        load_catalogue(cursor, MIGRATIONS / "seed")
        assert state() == after
    added = {row[:2] for row in after} - {row[:2] for row in before}
    assert ("swimming", 1) in added
    assert ("swimming", "swimming") in added
    assert {row[1] for row in added if row[0] != "swimming"} == {"dip"}
    assert orjson.loads((await exercises.read("manna")).document)["name"] == "Edited"
    with pytest.raises(NotFound):
        await exercises.read("typewriter-pull-up")


async def test_a_later_seed_does_without_what_an_admin_deleted(
    exercises: Exercises, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await exercises.delete("typewriter-pull-up")
    (slug,) = new("a")
    seed = BODY | {
        "slug": slug,
        "equipment": [],
        "secondary_muscles": [],
        "unilateral": False,
        "easier_slugs": ["typewriter-pull-up", "dip"],
    }
    monkeypatch.setattr("storage.exercises.read_seed", lambda _folder: ([seed], []))
    with owner.cursor() as cursor:
        load_catalogue(cursor, MIGRATIONS / "seed")
    assert orjson.loads((await exercises.read(slug)).document)["easier_slugs"] == ["dip"]


async def test_the_fold_and_the_api_agree_on_what_there_is(exercises: Exercises, db: Database) -> None:
    catalogue = await read_catalogue(db)
    page = await exercises.page(Wanted(), limit=500)
    assert {found.slug for found in page} == set(catalogue.latest)
