"""What is secret stays so, whatever fails and however much is logged."""

import base64
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from uuid import uuid4

import pytest
from pydantic import SecretStr, ValidationError

from embedded.process import LOOPBACK, free_port
from settings import Settings
from tests.support.databases import DatabaseUrls
from tests.support.worker import Worker, new_worker, token

MARK = "hunter2"  # part of every secret here
AWAY = f"{LOOPBACK}:1"  # nothing listens there


def _url(name: str) -> str:
    return f"postgresql://{name}:{MARK}-{name}@{AWAY}/training"


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Makes workers without PostgreSQL and Kafka, not started; they are ended with the test."""
    made: list[Worker] = []

    def make(**settings: object) -> Worker:
        urls = DatabaseUrls(owner=_url("owner"), worker=_url("worker"))
        made.append(new_worker(tmp_path, urls=urls, bootstrap=AWAY, idempotent=True, **settings))
        return made[-1]

    yield make
    for worker in made:
        worker.kill()
        print(worker.tail(30))  # pytest shows it with a test that failed


def _live(worker: Worker) -> bool:
    return worker.get("/health/live")[0] == 200


def _ask(worker: Worker, path: str, bearer: str, body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    request = urllib.request.Request(worker.url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        return error.read()


def _forms(secret: str) -> set[bytes]:
    return {secret.encode(), quote(secret).encode(), base64.b64encode(secret.encode()), secret.encode().hex().encode()}


def test_secrets_are_in_no_log_and_no_answer(workers: Callable[..., Worker], tmp_path: Path) -> None:
    secret = f"{MARK} is the secret of all tokens, 32 bytes"
    password = tmp_path / "password"
    password.write_text(f"{MARK}-kafka\n")
    worker = workers(
        jwt_secret=secret,
        log_level="debug",
        database_listen_url=_url("listen"),
        replica_url=_url("replica"),
        pool_timeout=0.5,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="training",
        kafka_sasl_password_file=password,
    )
    worker.port = free_port()
    worker.launch()
    worker.wait_until(lambda: _live(worker), 60)
    good, forged = token(str(uuid4())), f"{token(str(uuid4()))}{MARK}"
    answers = b"".join(worker.get(path)[1] for path in ("/metrics", "/health/ready", "/health/pipeline", "/docs"))
    answers += worker.get(f"/nothing?password={MARK}")[1]
    for bearer in (good, forged):
        answers += _ask(worker, "/api/v1/trainings", bearer)
        answers += _ask(worker, "/api/v1/trainings", bearer, b'{"date": "2026-01-05T12:00:00Z"}')
    os.kill(worker.pid, signal.SIGUSR1)  # the stacks of all threads
    worker.wait_until(lambda: b"Kafka" in worker.get("/health/pipeline")[1], 30)
    worker.stop()

    log = worker.log.read_bytes()
    assert b'"level":"debug"' in log
    assert b"Thread 0x" in log or b"Current thread" in log
    for text in (answers, log):
        assert MARK.encode() not in text
        for hidden in (secret, f"{MARK}-worker", f"{MARK}-kafka", good, forged, good.rpartition(".")[2]):
            assert not [form for form in _forms(hidden) if form in text]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwt_secret", MARK),
        ("database_url", f"postgresql://u:{MARK}%zz@127.0.0.1/db"),
        ("database_url", f"postgres//u:{MARK}@127.0.0.1/db"),
        ("database_url", f"postgresql://u:x/{MARK}@127.0.0.1/db"),
        ("database_url", f"postgresql://u:x@{MARK}@127.0.0.1/db"),
        ("database_url", f"postgresql://u:x@127.0.0.1:{MARK}/db"),
        ("database_owner_url", f"host=x {MARK}"),
        ("database_listen_url", f"host=x port={MARK}"),
        ("replica_url", f"host=x port={MARK}"),
        ("pool_size", MARK),
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(name: str, value: str) -> None:
    given = {"database_url": _url("worker"), "jwt_secret": f"{MARK}, with 32 bytes at least, or more"} | {name: value}
    with pytest.raises(ValidationError) as caught:
        Settings(**given)  # type: ignore[arg-type] # that is the test
    assert MARK not in str(caught.value) + repr(caught.value)
    assert name.upper() in str(caught.value).upper()


@pytest.mark.parametrize("command", ["-m cli worker", "-m cli migrate", "-m faust -A app worker"])
def test_a_start_with_a_wrong_setting_does_not_show_it(command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINING_")}
    given = {"TRAINING_DATABASE_URL": f"postgresql://u:{MARK}%zz@127.0.0.1/db", "TRAINING_JWT_SECRET": f"{MARK}" * 8}
    done = subprocess.run(
        [sys.executable, *command.split()],
        env=environment | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert MARK not in said
    assert "database_url" in said.lower()


def test_every_setting_that_may_hold_a_secret_is_hidden() -> None:
    given = Settings(
        database_url=_url("worker"),
        database_owner_url=_url("owner"),
        database_listen_url=_url("listen"),
        replica_url=_url("replica"),
        jwt_secret=f"{MARK}, with 32 bytes at least, or more",
    )
    assert MARK not in repr(given) + str(given) + str(given.model_dump()) + given.model_dump_json()
    telling = ("secret", "password", "token", "database_url", "owner_url", "listen_url", "replica_url", "credential")
    for name, field in Settings.model_fields.items():
        if any(part in name for part in telling) and not name.endswith(("_file", "_endpoint_url")):
            assert SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ())), name
