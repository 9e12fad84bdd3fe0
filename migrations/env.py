"""Alembic's environment: migrations run in one transaction each, as the owner of the schema."""

import psycopg2
from alembic import context
from sqlalchemy import Connection, create_engine, event, pool

from models.tables import metadata
from settings import settings
from storage.database import conninfo


def run() -> None:
    url = str(context.config.attributes.get("url") or settings().owner_url)
    # libpq reads the URL, as everywhere: SQLAlchemy understands less of it (several hosts, key=value).
    engine = create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(conninfo(url)), poolclass=pool.NullPool
    )
    event.listen(engine, "begin", _impatient)
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=metadata, include_schemas=True, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()


def _impatient(connection: Connection) -> None:
    # Whoever waits for a table keeps all who come later waiting as well: rather give up, and be run again.
    connection.exec_driver_sql("SET LOCAL lock_timeout = '3s'")


run()
