"""Real workers for tests: `faust -A app worker` as a child process, and the tokens that they let in."""

import os
import time
from pathlib import Path
from uuid import uuid4

import jwt

from embedded.broker import PARTITIONS
from embedded.worker import Worker
from tests.support.databases import DatabaseUrls

JWT_SECRET = "the secret of tests, 32 bytes or more"


def token(user_id: str, *, seconds: float = 3600, **claims: object) -> str:
    """A bearer token for `user_id` that the workers of tests let in; it expires in `seconds`."""
    return jwt.encode({"userId": user_id, "exp": time.time() + seconds, **claims}, JWT_SECRET, algorithm="HS256")


def new_worker(folder: Path, *, urls: DatabaseUrls, bootstrap: str, idempotent: bool, **settings: object) -> Worker:
    """A worker, not started yet. `settings` are those of src/settings.py, by name; the rest of TRAINING_* is unset."""
    home = folder / f"worker-{uuid4().hex[:8]}"
    home.mkdir()
    values = {
        "database_url": urls.worker,
        "database_owner_url": urls.owner,
        "kafka_bootstrap": bootstrap,
        "kafka_idempotent": idempotent,
        "jwt_secret": JWT_SECRET,
        "topic_partitions": PARTITIONS,
        "rate_reads": 0,
        "rate_writes": 0,
        **({"database_listen_url": urls.listen} if urls.listen else {}),
        **settings,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRAINING_")}
    given = {f"TRAINING_{name.upper()}": str(value) for name, value in values.items()}
    return Worker(inherited | given, home / "log")
