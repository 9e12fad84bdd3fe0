"""Brings a database to the schema of this version, and loads the catalogue of movements."""

from contextlib import closing

import psycopg2
from alembic import command
from alembic.config import Config

from storage.database import conninfo
from storage.erasures import set_key
from storage.exercises import load_catalogue
from storage.roles import grant, make_roles
from storage.schema import MIGRATIONS


def migrate(owner_url: str, revision: str = "head", *, secret: str | None = None) -> list[str]:
    """Run every migration up to `revision`, then load the seed catalogue. Running it again changes nothing.

    `secret` is what tombstones of erased users are made with; without one a random one is made, once.

    `owner_url` names the role that owns the schema, and the database or its schema `public`. Returns the roles that the
    server lacks and the owner may not make: without `training_worker`, workers must connect as the owner.

    Raises an error of psycopg2's, or the one of SQLAlchemy's that has it as `orig`: `OperationalError` when the
    database cannot be reached, its kind `LockNotAvailable` when something held a table for 3 s, and
    `InsufficientPrivilege` when the owner may not do what is needed. `UnlikeKey` where there are tombstones that were
    made with another secret.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = owner_url
    command.upgrade(config, revision)
    if revision != "head":
        return []
    with closing(psycopg2.connect(conninfo(owner_url))) as connection:
        make_roles(connection)
        with connection, connection.cursor() as cursor:
            load_catalogue(cursor, MIGRATIONS / "seed")
            set_key(cursor, None if secret is None else secret.encode())
            return grant(cursor)
