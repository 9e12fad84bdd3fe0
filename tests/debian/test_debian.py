"""Debian's packages unpacked without being installed."""

import subprocess
from pathlib import Path

import pytest

from embedded.process import ServerError
from tests.support import debian
from tests.support.debian import fetch, library, program


@pytest.fixture(autouse=True)
def forgetful() -> None:
    """Each test asks the cache anew."""
    fetch.cache_clear()


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TRAINING_TEST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_package_is_fetched_once_and_its_program_runs(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, env = program("pgbouncer", "pgbouncer")
    says = subprocess.run([path, "--version"], env=env, check=True, capture_output=True, text=True).stdout
    assert says.startswith("PgBouncer 1.")

    fetch.cache_clear()
    monkeypatch.setenv("PATH", "")  # no apt any more
    assert program("pgbouncer", "pgbouncer")[0] == path


def test_where_apt_has_no_list_or_an_old_one_it_gets_one_of_its_own(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    config = tmp_path / "apt.conf"
    config.write_text(f'Dir::State::lists "{lists}";\n')
    monkeypatch.setenv("APT_CONFIG", str(config))

    assert library("libfaketime.so.1", "libfaketime").read_bytes().startswith(b"\x7fELF")
    assert not [path for path in lists.iterdir() if path.is_file()]


def test_what_is_on_the_path_is_taken_from_there(empty_cache: Path) -> None:
    path, _ = program("sh", "dash")
    assert path.name == "sh"
    assert not empty_cache.exists()


def test_what_cannot_be_had_is_said_and_nothing_is_left(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ServerError, match="Unable to locate package no-such-package"):
        fetch("no-such-package")
    monkeypatch.setattr(debian.shutil, "which", lambda name, path=None: None)
    with pytest.raises(ServerError, match="there is no `apt-get` on the PATH: install pgbouncer"):
        fetch("pgbouncer")
    assert [path.name for path in empty_cache.iterdir()] == ["lock"]
