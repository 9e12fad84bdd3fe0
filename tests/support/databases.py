"""Databases for tests: each a copy of one that was migrated once."""

from dataclasses import dataclass
from types import TracebackType
from urllib.parse import quote, urlsplit
from uuid import uuid4

import psycopg2
from psycopg2 import sql

from embedded.postgres import Postgres
from storage.migrate import migrate

WORKER = "training_worker"


@dataclass(frozen=True)
class DatabaseUrls:
    """The addresses of one database."""

    owner: str  # owns the schema, may do everything
    worker: str  # the role that workers use: may only add to the outbox


@dataclass(frozen=True)
class OwnPostgres:
    """A PostgreSQL that one test may break."""

    server: Postgres
    urls: DatabaseUrls  # of a migrated database


class Databases:
    """Makes databases on the server behind `url`, whose role must be a superuser. A context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self._template: str | None = None

    def urls(self, name: str) -> DatabaseUrls:
        """The addresses of the database `name`."""
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2]
        password = f":{quote(parts.password)}" if parts.password else ""
        return DatabaseUrls(
            owner=parts._replace(path=f"/{name}").geturl(),
            worker=parts._replace(netloc=f"{WORKER}{password}@{host}", path=f"/{name}").geturl(),
        )

    def create(self) -> str:
        """Make a migrated database; returns its name."""
        if self._template is None:
            template = self._new_name()
            self._execute("CREATE DATABASE {}", template)
            migrate(self.urls(template).owner)
            password = urlsplit(self._url).password
            if password:  # the worker's role gets the owner's: both addresses come from one
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(WORKER), sql.Literal(password))
                with self._connection.cursor() as cursor:
                    cursor.execute(statement)
            self._template = template
        name = self._new_name()
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, self._template)
        return name

    def drop(self, name: str) -> None:
        """Remove a database, ending whatever is connected to it."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def __enter__(self) -> "Databases":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._template is not None:
            self.drop(self._template)
        self._connection.close()

    def _execute(self, statement: str, *names: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    @staticmethod
    def _new_name() -> str:
        return f"test_{uuid4().hex}"
