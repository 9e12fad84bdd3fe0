"""TLS to PostgreSQL, and passwords from a file, by libpq's own parameters: what was rotated is used, without a restart.

Among the tests of Apache Kafka, since the server comes by Maven too.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedded.worker import Worker
from models.errors import DatabaseUnavailable
from storage.database import Database
from storage.migrate import migrate
from tests.support.brokers import KafkaAddress, new_folder
from tests.support.certificates import Authority
from tests.support.databases import OWNER, WORKER, DatabaseUrls
from tests.support.load import until
from tests.support.postgres_tls import PostgresTls, postgres_tls

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def authority(server_folder: Path) -> Authority:
    return Authority(new_folder(server_folder, "authority"))


@pytest.fixture(scope="module")
def server(server_folder: Path, authority: Authority) -> Iterator[PostgresTls]:
    with postgres_tls(new_folder(server_folder, "postgres-tls"), authority.issue("postgres")) as found:
        yield found


@pytest.fixture(scope="module")
def broker() -> KafkaAddress:
    """None: nothing here needs one."""
    return KafkaAddress("127.0.0.1:1", idempotent=True)


@dataclass
class Client:
    """Files of one client: whom it trusts, and libpq's password file."""

    server: PostgresTls
    trusted: Path
    passwords: Path

    def url(self, role: str, **parameters: object) -> str:
        files = {"sslrootcert": self.trusted, "passfile": self.passwords}
        return self.server.url(role, **{"sslmode": "verify-full"} | files | parameters)

    def write_password(self, password: str) -> None:
        self.passwords.write_text(f"*:*:*:*:{password}\n")
        self.passwords.chmod(0o600)


@pytest.fixture
def client(server: PostgresTls, authority: Authority, tmp_path: Path) -> Client:
    found = Client(server, tmp_path / "trusted.crt", tmp_path / "passwords")
    found.trusted.write_bytes(authority.ca.read_bytes())
    found.write_password("first")
    server.set_password("first")
    return found


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=2)
    yield database
    await database.close()


async def trouble(database: Database) -> str | None:
    """Why there is no connection; None when there is one."""
    try:
        await database.one("SELECT 1")
    except DatabaseUnavailable as error:
        return str(error.__cause__)
    return None


async def test_pool_and_migrations_speak_tls(client: Client) -> None:
    client.server.execute(f"CREATE DATABASE fresh OWNER {OWNER}")
    url = client.url(OWNER, dbname="fresh")
    await asyncio.to_thread(migrate, url)
    async with opened(url) as database:
        assert await database.one("SELECT count(*) > 100 FROM exercises") == (True,)
        encrypted = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert await database.one(encrypted) == (True, "TLSv1.3")


async def test_what_is_wrong_is_said(client: Client, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    for parameters, words in (
        ({"sslrootcert": stranger.ca}, "certificate verify failed"),
        ({"host": "localhost"}, 'does not match host name "localhost"'),
        ({"sslmode": "disable", "sslrootcert": None}, "no encryption"),
        ({"passfile": tmp_path / "none"}, "no password supplied"),
    ):
        url = client.url(WORKER, **parameters)
        async with opened(url) as database:
            assert words in (await trouble(database) or ""), parameters
        with pytest.raises(Exception, match=words):
            await asyncio.to_thread(migrate, url)


async def test_a_pool_takes_up_a_rotated_password(client: Client) -> None:
    async with opened(client.url(WORKER)) as database:
        assert await trouble(database) is None
        client.server.set_password("second")
        assert await trouble(database) is None  # a connection that stands is not asked again
        client.server.cut()
        await trouble(database)  # the connection that was cut
        assert "password authentication failed" in (await trouble(database) or "")
        client.write_password("second")
        assert await trouble(database) is None


async def test_a_worker_says_why_it_is_not_ready_and_heals(client: Client, start_worker: Callable[..., Worker]) -> None:
    urls = DatabaseUrls(owner=client.url(OWNER), worker=client.url(WORKER))
    worker = await asyncio.to_thread(start_worker, urls=urls)
    pid = worker.pid

    def unready(words: str) -> bool:
        status, body = worker.get("/health/ready")
        return status == 503 and any(words in each["reason"] for each in json.loads(body)["reasons"])

    client.server.set_password("second")
    client.server.cut()
    await until(lambda: unready("password authentication failed"), 10, "the old password is refused")
    client.write_password("second")
    await until(worker.ready, 10, "ready by the new one")

    trusted = client.trusted.read_bytes()
    client.trusted.write_bytes(Authority(client.trusted.parent, "stranger").ca.read_bytes())
    client.server.cut()
    await until(lambda: unready("certificate verify failed"), 10, "the server is not trusted any more")
    client.trusted.write_bytes(trusted)
    await until(worker.ready, 10, "ready again")
    assert worker.pid == pid
