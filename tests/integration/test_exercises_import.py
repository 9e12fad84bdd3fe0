"""A log of Strong's, imported through the API: nearly all of its sets are of movements that the catalogue knows."""

from pathlib import Path

from storage.database import Database
from tests.support.imports import import_file
from tests.support.strong import log_file, totals
from tests.support.web import serve
from web.api import ALL_ROUTES

_SHARE = """
SELECT count(*) FILTER (WHERE e.category IS NOT NULL AND e.muscles <> '{}')::float / count(*)
FROM training_sets s
JOIN training_exercises x ON x.user_id = s.user_id AND x.training_id = s.training_id AND x.id = s.exercise_id
LEFT JOIN exercises e ON e.slug = x.exercise AND e.revision = x.exercise_revision
"""


async def test_nine_of_ten_imported_sets_have_a_category_and_muscles(db: Database, tmp_path: Path) -> None:
    path = log_file(tmp_path, sessions=30)
    file, expected = path.read_bytes(), totals(path)
    sessions = len(expected["sessions"])
    async with serve(ALL_ROUTES, database=db) as client:
        for created, unchanged in ((sessions, 0), (0, sessions)):
            job = await import_file(client, db, file, "Europe/Berlin")
            assert (job["created"], job["unchanged"]) == (created, unchanged)
    assert await db.one("SELECT count(*) FROM training_sets") == (expected["sets"],)
    row = await db.one(_SHARE)
    assert row is not None
    assert row[0] >= 0.9
