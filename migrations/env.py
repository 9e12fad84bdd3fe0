"""Alembic's environment: migrations run in one transaction each, as the owner of the schema."""

from alembic import context
from sqlalchemy import create_engine, pool

from models.tables import metadata
from settings import settings


def _url() -> str:
    url = context.config.attributes.get("url") or settings().owner_url
    return str(url).replace("postgresql://", "postgresql+psycopg2://", 1)


def run() -> None:
    engine = create_engine(_url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, include_schemas=True)
        with context.begin_transaction():
            context.run_migrations()


run()
