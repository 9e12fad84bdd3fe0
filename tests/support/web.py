"""The web server alone, in this process, on a port of the system's choice."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import jwt
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runtime.web import REFUSAL, Limits, Runner
from settings import Settings
from storage.database import Database
from web.limits import RateLimits
from web.measures import Measures
from web.request_log import RequestLog
from web.routes import Route
from web.server import setup
from web.services import CatalogueCache, Services
from web.watch import Watch

SECRET = "a secret of the tests, which has 32 bytes"
USER = UUID("0193f1a0-0000-7000-8000-000000000001")
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"  # nothing listens on port 1

Client = TestClient[web.Request, web.Application]


def make_settings(**values: Any) -> Settings:
    """Settings with the tests' secret, and `values`."""
    return Settings(**{"database_url": NOWHERE, "jwt_secret": SECRET} | values)


def token(user: UUID | str = USER, *, key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A token of `user` that ends in an hour, with `claims`; one that is None is left out."""
    given = {"userId": str(user), "exp": int(time.time()) + 3600} | claims
    return jwt.encode({name: value for name, value in given.items() if value is not None}, key, algorithm)


def bearer(user: UUID | str = USER, **claims: Any) -> dict[str, str]:
    """The header that makes `user` the caller, with `claims` as in `token`."""
    return {"Authorization": f"Bearer {token(user, **claims)}"}


class _Server(TestServer):
    """aiohttp's, with the worker's own runner."""

    def __init__(self, app: web.Application, limits: Limits) -> None:
        super().__init__(app)
        self._limits = limits

    async def _make_runner(self, **options: Any) -> Runner:
        return Runner(self.app, limits=self._limits, **options)


@asynccontextmanager
async def serve(
    routes: Sequence[Route],
    *,
    settings: Settings | None = None,
    database: Database | None = None,
    watch: Watch | None = None,
    replica: Database | None = None,
    limits: RateLimits | None = None,
    requests: RequestLog | None = None,
) -> AsyncIterator[Client]:
    """A client of a server with these routes. Without `database` PostgreSQL is away.

    What `limits` and `requests` do beside the requests is the test's to start and stop.
    """
    settings = settings or make_settings()
    own = Database(NOWHERE, pool_timeout=1.0) if database is None else None
    database = database or own
    assert database is not None
    watch = watch or Watch(database, lag_limit=settings.pipeline_lag)
    services = Services(
        settings,
        database,
        CatalogueCache(database),
        watch,
        Measures(),
        lambda: None,
        replica,
        limits=limits,
        requests=requests,
    )
    app = web.Application(client_max_size=settings.max_body_bytes)
    app[REFUSAL] = setup(app, services, routes)
    bounds = Limits(settings.web_connections, settings.web_idle, settings.web_patience)
    async with TestClient(_Server(app, bounds)) as client:
        yield client
    if own is not None:
        await own.close()
