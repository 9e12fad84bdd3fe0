"""Whether the database has the schema that this version of the code needs."""

from pathlib import Path

import psycopg2.errors

from storage.database import Database

_INSTALLED = Path(__file__).resolve().with_name("migrations")
# A wheel has them in this package, a checkout beside src/.
MIGRATIONS = _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parents[2] / "migrations"

_REVISION = "SELECT version_num FROM alembic_version"


async def schema_trouble(database: Database) -> str | None:
    """Why the schema is not fit for this code, or None. Raises `DatabaseUnavailable`.

    A revision that is not known here is a later one: migrations keep to what the version before can work with, so that
    workers can be upgraded one by one.
    """
    known = sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.py"))
    try:
        row = await database.one(_REVISION)
    except psycopg2.errors.UndefinedTable:
        row = None
    except psycopg2.errors.InsufficientPrivilege as error:
        return f"The worker's role has not the rights that `training migrate` gives: {str(error).strip()}."
    if row is None:
        return "The database has no schema yet: run the migrations."
    if row[0] in known[:-1]:
        return f"The schema is at revision {row[0]} and {known[-1]} is needed: run the migrations."
    return None
