"""PostgreSQL, a broker and one worker as one thing that starts, is kept alive, and stops."""

import datetime as dt
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg2

from commands.tokens import DEVELOPER, make_token
from embedded.broker import PARTITIONS, Broker
from embedded.postgres import OWNER, Postgres
from embedded.process import ServerError
from embedded.worker import Worker
from storage.migrate import migrate

DATABASE = "training"
WORKER_ROLE = "training_worker"
TOKEN_LIFE = dt.timedelta(days=30)
_GRACE = {"worker": 5.0, "broker": 1.0, "postgres": 3.0}  # seconds each has to stop; a stop takes 10 s at most
_WORKER_GRACE = 4.0  # seconds after which the worker itself gives up stopping in order
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds before a server that ended is started again
_STEADY = 30.0  # seconds after which a server that was started again counts as healthy


class Stack:
    """The local stack. All that it keeps stands in `folder`, which one stack at a time may use.

    `web_port` is the API's; `environment` is the worker's, but for the settings that the stack itself decides.
    """

    def __init__(self, folder: Path, *, web_port: int, environment: Mapping[str, str]) -> None:
        self.folder = folder
        for log in folder.glob("*.log"):
            log.unlink()
        self.postgres = Postgres(folder / "postgres")
        self.broker = Broker(folder / "broker.log")
        self.worker = Worker({"TRAINING_LOG_FORMAT": "console", **environment}, folder / "worker.log", port=web_port)
        self._servers = (self.postgres, self.broker, self.worker)
        self._started = dict.fromkeys(self._servers, time.monotonic())
        self._pauses = dict.fromkeys(self._servers, _FIRST_PAUSE)
        self._secret = _kept_secret(folder / "jwt-secret")

    def start(self) -> None:
        """Start the servers, migrate, start the worker; returns when it is ready. Raises `ServerError`.

        Writes `folder`/env: settings with which commands in another terminal reach this stack.
        """
        self.postgres.start()
        self.broker.start()
        self._ensure_database()
        migrate(self.postgres.url(OWNER, DATABASE))
        settings = {
            "TRAINING_DATABASE_URL": self.postgres.url(WORKER_ROLE, DATABASE),
            "TRAINING_DATABASE_OWNER_URL": self.postgres.url(OWNER, DATABASE),
            "TRAINING_KAFKA_BOOTSTRAP": self.broker.bootstrap,
            "TRAINING_KAFKA_IDEMPOTENT": "false",
            # So that it does not matter who is first after a start: the relay, which makes the topic, or a consumer.
            "TRAINING_TOPIC_PARTITIONS": str(PARTITIONS),
            "TRAINING_JWT_SECRET": self._secret,
            "TRAINING_API": self.worker.url,
            "TRAINING_TOKEN": self.token(),
        }
        _write_private(self.folder / "env", "".join(f"{name}={value}\n" for name, value in settings.items()))
        self.worker.environment |= {
            **settings,
            "TRAINING_STOP_GRACE": str(_WORKER_GRACE),
        }
        self.worker.start()

    def trouble(self) -> str:
        """Why events do not flow from the API to the volume tables now; "" when they do."""
        status, body = self.worker.get("/health/pipeline")
        if status == 503:
            return "; ".join(f"{trouble['part']}: {trouble['reason']}" for trouble in json.loads(body)["reasons"])
        return "" if status == 200 else f"/health/pipeline answers {status} {body.decode()}"

    def tend(self, say: Callable[[str], None]) -> None:
        """Start again whatever ended by itself, after a pause that grows while it keeps ending; `say` is told."""
        for server in self._servers:
            if server.running:
                continue
            if time.monotonic() - self._started[server] > _STEADY:
                self._pauses[server] = _FIRST_PAUSE
            say(f"Ended: {server.name} (exit {server.exit_code}). It starts again in {self._pauses[server]:g} s.")
            say(server.tail(5))
            time.sleep(self._pauses[server])
            self._pauses[server] = min(2 * self._pauses[server], _LONGEST_PAUSE)
            self._started[server] = time.monotonic()
            try:
                server.start()
            except ServerError as error:
                say(str(error))

    def stop(self) -> None:
        """Stop the worker, the broker and PostgreSQL, in this order, within 10 s."""
        self.worker.stop(_GRACE["worker"])
        self.broker.stop(_GRACE["broker"])
        self.postgres.stop(_GRACE["postgres"])

    def kill(self) -> None:
        """End everything at once; no data is lost, PostgreSQL recovers at the next start."""
        for server in self._servers:
            server.kill()

    def token(self) -> str:
        """A bearer token of the development user."""
        return make_token(self._secret, DEVELOPER, TOKEN_LIFE)

    def _ensure_database(self) -> None:
        connection = psycopg2.connect(self.postgres.url())
        try:
            connection.autocommit = True  # CREATE DATABASE runs in no transaction
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.rowcount == 0:
                    cursor.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            connection.close()


def _kept_secret(path: Path) -> str:
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(48))
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
