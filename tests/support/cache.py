"""What tests fetch once and keep outside the repository: in `$TRAINING_TEST_CACHE`, by default the user's cache."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; `make` fills it, given its path, when it is not there: whole or not at all."""
    root = Path(os.environ.get("TRAINING_TEST_CACHE") or platformdirs.user_cache_path("training-service"))
    folder = root / name
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one download at a time; kept until the file is closed
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder
