"""Other programs, and what keeps a version from being released."""

import subprocess
from collections.abc import Mapping, Sequence


class ReleaseError(Exception):
    """The message says what is missing, or what failed."""


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """The standard output of a command. Raises `ReleaseError` where it fails."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
