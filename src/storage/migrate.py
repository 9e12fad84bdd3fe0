"""Brings a database to the schema of this version, and loads the catalogue of movements."""

import psycopg2
from alembic import command
from alembic.config import Config

from storage.database import conninfo
from storage.exercises import load_catalogue
from storage.schema import MIGRATIONS


def migrate(owner_url: str, revision: str = "head") -> None:
    """Run every migration up to `revision`, then load the seed catalogue. Running it again changes nothing.

    `owner_url` names the role that owns the schema. Raises SQLAlchemy's `OperationalError` when the database
    cannot be reached.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = owner_url
    command.upgrade(config, revision)
    if revision == "head":
        connection = psycopg2.connect(conninfo(owner_url))
        try:
            with connection, connection.cursor() as cursor:
                load_catalogue(cursor, MIGRATIONS / "seed")
        finally:
            connection.close()
