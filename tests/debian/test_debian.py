"""Debian's packages unpacked without being installed."""

import os
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


# {lists} is where its lists are by default, {debs} where packages come from.
_APT = """#!/bin/sh
set -e
lists={lists}
for word in "$@"; do
    case "$word" in Dir::State::lists=*) lists="${{word#*=}}" ;; esac
    last="$word"
done
case " $* " in
    *" update "*) touch "$lists/packages"; exit ;;
esac
if [ ! -e "$lists/packages" ] || [ "$last" = no-such-package ]; then
    echo "E: Unable to locate package $last" >&2
    exit 100
fi
case " $* " in
    *" --simulate "*) echo "Inst libneeded (1.0 Debian:13 [all])" ;;
    *" download libmade libneeded ") cp {debs}/*.deb . ;;
    *) echo "E: Not expected: $*" >&2; exit 100 ;;
esac
"""


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An apt without a network: it has `libmade`, which needs `libneeded`. Returns the folder of its lists: empty."""
    lists, debs, programs = tmp_path / "lists", tmp_path / "debs", tmp_path / "bin"
    for folder in (lists, debs, programs):
        folder.mkdir()
    for name in ("libmade", "libneeded"):
        root = tmp_path / name
        (root / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: tests\nDescription: made by tests\n"
        (root / "DEBIAN" / "control").write_text(control)
        (root / "usr" / "lib").mkdir(parents=True)
        (root / "usr" / "lib" / f"{name}.so.1").write_text(name)
        subprocess.run(["dpkg-deb", "--build", root, debs], check=True, capture_output=True)
    program = programs / "apt-get"
    program.write_text(_APT.format(lists=lists, debs=debs))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return lists


def test_a_package_is_fetched_once_and_its_program_runs(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one test that asks Debian's archive."""
    monkeypatch.setattr(debian, "TIMEOUT", 60.0)
    path, env = program("pgbouncer", "pgbouncer")
    says = subprocess.run([path, "--version"], env=env, check=True, capture_output=True, text=True).stdout
    assert says.startswith("PgBouncer 1.")

    fetch.cache_clear()
    monkeypatch.setenv("PATH", "")  # no apt any more
    assert program("pgbouncer", "pgbouncer")[0] == path


def test_where_apt_has_no_list_or_an_old_one_it_gets_one_of_its_own(empty_cache: Path, apt: Path) -> None:
    assert library("libmade.so.1", "libmade").read_text() == "libmade"
    assert library("libneeded.so.1", "libmade").is_relative_to(empty_cache)  # what it needs comes with it
    assert list(apt.iterdir()) == []


def test_what_is_on_the_path_is_taken_from_there(empty_cache: Path) -> None:
    path, _ = program("sh", "dash")
    assert path.name == "sh"
    assert not empty_cache.exists()


def test_what_cannot_be_had_is_said_and_nothing_is_left(
    empty_cache: Path, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (apt / "packages").touch()
    with pytest.raises(ServerError, match="Unable to locate package no-such-package"):
        fetch("no-such-package")
    monkeypatch.setattr(debian.shutil, "which", lambda name, path=None: None)
    with pytest.raises(ServerError, match="there is no `apt-get` on the PATH: install pgbouncer"):
        fetch("pgbouncer")
    assert [path.name for path in empty_cache.iterdir()] == ["lock"]
