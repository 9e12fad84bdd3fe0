"""Databases for tests: each a copy of one that was migrated once, by an owner with the rights that providers give."""

from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlsplit
from uuid import uuid4

import psycopg2
from psycopg2 import errors, sql

from embedded.postgres import Postgres
from storage.migrate import migrate
from storage.roles import READER, WORKER
from tests.support.pgbouncer import PgBouncer

OWNER = "training_owner"


HASH_PARTITIONS = Path(__file__).parents[2] / "deploy" / "hash-partitions.sql"


def partition(owner_url: str, partitions: int) -> None:
    """Turn the tables of users into so many hash partitions, as operators do."""
    with closing(psycopg2.connect(owner_url, options=f"-c training.partitions={partitions}")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(HASH_PARTITIONS.read_text())


@dataclass(frozen=True)
class DatabaseUrls:
    """The addresses of one database."""

    owner: str  # owns the database; no superuser, and may make no role
    worker: str  # the role that workers use: may only add to the outbox; through the pooler where tests have one
    listen: str | None = None  # the same past the pooler, where there is one
    admin: str = ""  # a superuser's


@dataclass(frozen=True)
class OwnPostgres:
    """A PostgreSQL that one test may break."""

    server: Postgres
    urls: DatabaseUrls  # of a migrated database


class Databases:
    """Makes databases on the server behind `url`, whose role must be a superuser. A context manager.

    `owner` owns them: a role with no more rights than providers give, made where it is missing. Workers reach them
    through `pooler`, where one is given. With `partitions` the tables of users are so many hash partitions.
    """

    def __init__(
        self, url: str, pooler: PgBouncer | None = None, *, owner: str = OWNER, partitions: int | None = None
    ) -> None:
        self._url = url
        self._partitions = partitions
        self._owner = owner
        self._pooler = pooler
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self._template: str | None = None

    def urls(self, name: str) -> DatabaseUrls:
        """The addresses of the database `name`."""
        worker = self._url_of(WORKER, name)
        owner = self._url_of(self._owner, name)
        admin = urlsplit(self._url)._replace(path=f"/{name}").geturl()
        if self._pooler is None:
            return DatabaseUrls(owner, worker, admin=admin)
        return DatabaseUrls(owner, self._pooler.through(worker), listen=worker, admin=admin)

    def create(self) -> str:
        """Make a migrated database; returns its name."""
        if self._template is None:
            template = self.create_empty()
            migrate(self._url_of(self._owner, template))
            if self._partitions is not None:
                partition(self._url_of(self._owner, template), self._partitions)
            self._template = template
        name = self._new_name()
        self._execute("CREATE DATABASE {} TEMPLATE {} OWNER {}", name, self._template, self._owner)
        return name

    def create_empty(self) -> str:
        """Make a database without a schema, and the roles where they are missing; returns its name."""
        self._make_roles()
        name = self._new_name()
        self._execute("CREATE DATABASE {} OWNER {}", name, self._owner)
        return name

    def copy(self, name: str) -> str:
        """Make a database that is as `name` is now; ends whatever is connected to that. Returns the copy's name."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        copy = self._new_name()
        self._execute("CREATE DATABASE {} TEMPLATE {} OWNER {}", copy, name, self._owner)
        return copy

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

    def _make_roles(self) -> None:
        """All have the superuser's password: every address comes from one."""
        for role, kind in ((self._owner, "LOGIN"), (WORKER, "LOGIN"), (READER, "NOLOGIN")):
            with suppress(errors.DuplicateObject), self._connection.cursor() as cursor:
                cursor.execute(sql.SQL(f"CREATE ROLE {{}} {kind}").format(sql.Identifier(role)))
            password = urlsplit(self._url).password
            if password:
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
                with self._connection.cursor() as cursor:
                    cursor.execute(statement)

    def _url_of(self, role: str, name: str) -> str:
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2]
        password = f":{quote(parts.password)}" if parts.password else ""
        return parts._replace(netloc=f"{role}{password}@{host}", path=f"/{name}").geturl()

    def _execute(self, statement: str, *names: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    @staticmethod
    def _new_name() -> str:
        return f"test_{uuid4().hex}"
