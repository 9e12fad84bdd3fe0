"""Which version a rolling upgrade begins with."""

import subprocess
from pathlib import Path

import pytest

from drills.previous import NoPreviousVersionError, previous_version


class Repository:
    """A repository with migrations."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "src").mkdir(parents=True)
        (root / "migrations" / "versions").mkdir(parents=True)
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=test", "-c", "user.email=test@example.net")
        done = subprocess.run(["git", "-C", self.root, *who, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name: str) -> None:
        (self.root / name).write_text(name)

    def commit(self, *names: str) -> str:
        for name in names:
            self.write(name)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "--short", "HEAD")


def migration(number: int) -> str:
    return f"migrations/versions/{number:04}_x.py"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "before").mkdir()
    return tmp_path / "before"


def test_it_is_the_parent_of_the_commit_that_added_the_newest_migration(repository: Repository, folder: Path) -> None:
    repository.commit("src/app.py", migration(1))
    expected = repository.commit("src/cli.py")
    repository.commit(migration(2), migration(3))
    repository.commit("src/late.py")
    (repository.root / migration(3)).write_text("mended")
    repository.commit()
    version = previous_version(folder, root=repository.root)
    assert str(version) == f"{expected} (schema 0001)"
    assert sorted(path.name for path in version.source.iterdir()) == ["app.py", "cli.py"]


def test_it_is_the_newest_commit_where_the_newest_migration_is_in_none(repository: Repository, folder: Path) -> None:
    expected = repository.commit("src/app.py", migration(1))
    repository.write(migration(2))
    assert str(previous_version(folder, root=repository.root)) == f"{expected} (schema 0001)"


def test_another_one_may_be_named(repository: Repository, folder: Path) -> None:
    expected = repository.commit("src/app.py", migration(1))
    repository.git("tag", "v1")
    repository.commit(migration(2))
    repository.commit(migration(3))
    assert str(previous_version(folder, "v1", root=repository.root)) == f"{expected} (schema 0001)"


def test_a_history_that_does_not_reach_back_is_said(repository: Repository, tmp_path: Path, folder: Path) -> None:
    repository.commit("src/app.py", migration(1))
    repository.commit(migration(2))
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", repository.root.as_uri(), shallow], check=True)
    with pytest.raises(NoPreviousVersionError, match="git fetch --unshallow"):
        previous_version(folder, root=shallow)


def test_a_version_with_the_same_schema_is_refused(repository: Repository, folder: Path) -> None:
    repository.commit("src/app.py", migration(1))
    with pytest.raises(NoPreviousVersionError, match="nothing to upgrade"):
        previous_version(folder, "HEAD", root=repository.root)
