"""The version before this one: the newest whose schema lacks the newest migration."""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PARTS = ("src", "migrations")


class NoPreviousVersionError(RuntimeError):
    """There is nothing to upgrade from; the message says why."""


@dataclass(frozen=True)
class Version:
    """A version of the code, unpacked in `folder`."""

    folder: Path
    name: str
    revision: str
    """Its newest migration."""

    @property
    def source(self) -> Path:
        """Its import root."""
        return self.folder / "src"

    def __str__(self) -> str:
        return f"{self.name} (schema {self.revision})"


def present_version() -> Version:
    """The working tree, as it is."""
    return _version(ROOT, "this version")


def previous_version(folder: Path, commit: str | None = None, *, root: Path = ROOT) -> Version:
    """Unpack the version to upgrade from into `folder`: `commit`, or the one before the schema's newest migration came.

    That is the parent of the commit that added it, or HEAD where it is not committed yet. Raises
    `NoPreviousVersionError` where the history does not reach back so far, or the version has this schema already.
    """
    found = _commit(root, commit or _before_the_newest_migration(root))
    archive = subprocess.run(["git", "-C", str(root), "archive", found, *_PARTS], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    version = _version(folder, found)
    if version.revision >= _version(root, "").revision:
        raise NoPreviousVersionError(f"{version} has the schema of this version: there is nothing to upgrade.")
    return version


def _newest_migration(root: Path) -> str:
    return max(path.name for path in (root / "migrations" / "versions").glob("*.py"))


def _version(folder: Path, name: str) -> Version:
    return Version(folder, name, _newest_migration(folder).partition("_")[0])


def _before_the_newest_migration(root: Path) -> str:
    path = f"migrations/versions/{_newest_migration(root)}"
    added = _git(root, "log", "--diff-filter=A", "--format=%H", "--max-count=1", "--", path)
    return f"{added}^" if added else "HEAD"


def _commit(root: Path, name: str) -> str:
    try:
        return _git(root, "rev-parse", "--short", "--verify", f"{name}^{{commit}}")
    except NoPreviousVersionError as error:
        raise NoPreviousVersionError(
            f"There is no commit {name} here. Where the history is cut off, fetch the rest: git fetch --unshallow"
        ) from error


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoPreviousVersionError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()
