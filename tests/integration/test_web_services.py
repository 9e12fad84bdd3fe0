"""The catalogue that handlers use is read when it is needed, and not more often."""

import asyncio

import psycopg2
import pytest

from models.errors import DatabaseUnavailable, UnknownExercise
from models.exercises import Catalogue, MovementUpdate
from storage.database import Database
from storage.exercises import Exercises
from tests.support.databases import DatabaseUrls
from tests.support.web import NOWHERE
from web.services import CATALOGUE_COOLDOWN, CatalogueCache


class Use:
    """Looks a slug up, and counts how often it was asked to."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.calls = 0

    def __call__(self, catalogue: Catalogue) -> int:
        self.calls += 1
        if self.slug not in catalogue.latest:
            raise UnknownExercise("unknown")
        return catalogue.latest[self.slug]


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def cache(db: Database, now: list[float]) -> CatalogueCache:
    return CatalogueCache(db, lambda: now[0])


async def test_it_is_read_once(cache: CatalogueCache, db: Database) -> None:
    assert await cache.resolve(Use("pistol-squat")) == 1
    before = db.statements
    for _ in range(10):
        assert await cache.resolve(Use("pistol-squat")) == 1
    assert db.statements == before


async def test_unknown_slugs_cause_few_readings(cache: CatalogueCache, db: Database, now: list[float]) -> None:
    await cache.get()
    before = db.statements
    for _ in range(10):
        with pytest.raises(UnknownExercise):
            await cache.resolve(Use("nonsense"))
    assert db.statements == before  # it was read a moment ago
    now[0] += CATALOGUE_COOLDOWN
    for _ in range(10):
        with pytest.raises(UnknownExercise):
            await cache.resolve(Use("nonsense"))
    assert db.statements == before + 1


async def test_a_new_movement_is_found(cache: CatalogueCache, database_urls: DatabaseUrls, now: list[float]) -> None:
    await cache.get()
    connection = psycopg2.connect(database_urls.owner)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exercises SELECT 'new-one', 1, name, category, mode, equipment, difficulty, muscles, "
            "secondary_muscles, bw_fraction, bw_fraction_basis, family, unilateral, easier_slugs, now(), image_id, "
            "phases FROM exercises WHERE slug = 'pistol-squat'"
        )
    connection.close()
    now[0] += CATALOGUE_COOLDOWN
    use = Use("new-one")
    assert await cache.resolve(use) == 1
    assert use.calls == 2


async def test_with_the_database_away_what_is_known_serves(db: Database, now: list[float]) -> None:
    away = Database(NOWHERE, pool_timeout=1.0)
    with pytest.raises(DatabaseUnavailable):
        await CatalogueCache(away, lambda: now[0]).resolve(Use("pistol-squat"))
    cache = CatalogueCache(db, lambda: now[0])
    await cache.get()
    cache._database = away
    now[0] += CATALOGUE_COOLDOWN
    assert await cache.resolve(Use("pistol-squat")) == 1
    with pytest.raises(DatabaseUnavailable):
        await cache.resolve(Use("nonsense"))
    await away.close()


async def test_an_edit_is_taken_in_by_the_next_look(cache: CatalogueCache, db: Database) -> None:
    await cache.refresh()
    before = db.statements
    for _ in range(3):
        await cache.refresh()
    assert db.statements - before == 3  # one small statement each where nothing was edited
    exercises = Exercises(db)
    document = MovementUpdate.model_validate_json((await exercises.read("pistol-squat")).document)
    await exercises.update("pistol-squat", document)
    assert await cache.resolve(Use("pistol-squat")) == 1  # a request never waits for it
    await cache.refresh()
    assert await cache.resolve(Use("pistol-squat")) == 2
    await exercises.delete("manna")
    await cache.refresh()
    assert "manna" not in (await cache.get()).latest


async def test_looks_at_the_same_moment_read_once(cache: CatalogueCache, db: Database) -> None:
    before = db.statements
    await asyncio.gather(*(cache.refresh() for _ in range(5)), *(cache.get() for _ in range(5)))
    assert db.statements - before == 5 + 1


async def test_a_look_while_the_database_is_away_leaves_what_is_known(cache: CatalogueCache) -> None:
    await cache.refresh()
    away = Database(NOWHERE, pool_timeout=1.0)
    there, cache._database = cache._database, away
    await cache.refresh()
    assert await cache.resolve(Use("pistol-squat")) == 1
    cache._database = there
    await cache.refresh()
    await away.close()
