"""A log of Strong's, imported through the API: nearly all of its sets are of movements that the catalogue knows."""

from pathlib import Path

import pytest

from commands.importer import Importer
from models.sets import Unit
from models.strong import read_strong
from storage.database import Database
from tests.support.strong import log_file
from tests.support.web import serve, token
from web.api import ALL_ROUTES

_SHARE = """
SELECT count(*) FILTER (WHERE e.category IS NOT NULL AND e.muscles <> '{}')::float / count(*)
FROM training_sets s
JOIN training_exercises x ON x.user_id = s.user_id AND x.training_id = s.training_id AND x.id = s.exercise_id
LEFT JOIN exercises e ON e.slug = x.exercise AND e.revision = x.exercise_revision
"""


async def test_nine_of_ten_imported_sets_have_a_category_and_muscles(db: Database, tmp_path: Path) -> None:
    log = read_strong(log_file(tmp_path, sessions=30).read_bytes(), unit=Unit.KG, timezone="Europe/Berlin")
    assert log.errors == ()
    async with serve(ALL_ROUTES, database=db) as client:
        for created, there in ((len(log.sessions), 0), (0, len(log.sessions))):
            importer = Importer(str(client.make_url("/")), token(), say=pytest.fail, progress=lambda: None)
            outcome = await importer.run(log.sessions)
            assert outcome.complete
            assert (outcome.created, outcome.already_there) == (created, there)
    assert await db.one("SELECT count(*) FROM training_sets") == (log.sets,)
    row = await db.one(_SHARE)
    assert row is not None
    assert row[0] >= 0.9
