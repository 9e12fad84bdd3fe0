"""Programs and libraries of Debian that tests need and no wheel has: unpacked, not installed, so no root is needed.

They come by `apt-get download`, once, into a cache outside the repository (tests/support/cache.py).
"""

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from embedded.process import ServerError
from tests.support.cache import kept

# What `apt-get install --simulate` says of each package that is missing: its name, version and architecture.
_MISSING = re.compile(r"^Inst (\S+) ", re.MULTILINE)
_LIBRARY = re.compile(r"\.so(\.\d+)*$")
TIMEOUT = 300.0  # seconds that one command may take
_FOLDERS = ("usr/bin", "usr/sbin", "bin", "sbin")


@cache
def fetch(package: str) -> Path:
    """The folder in which `package` stands unpacked (`usr/…`), with those of its needs that the machine has not.

    Raises `ServerError` when it cannot be had; the message says what to install.
    """
    return kept(f"debian-{package}", lambda folder: _fetch(package, folder))


def program(name: str, package: str) -> tuple[Path, dict[str, str]]:
    """The program `name`, and the environment to start it in: the one on the PATH, else the one of `package`.

    Raises `ServerError` when neither is to be had.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])  # where Debian puts servers
    installed = shutil.which(name, path=path)
    if installed is not None:
        return Path(installed), dict(os.environ)
    root = fetch(package)
    found = next((root / folder / name for folder in _FOLDERS if (root / folder / name).exists()), None)
    if found is None:
        raise ServerError(f"Debian's package {package} has no program {name}.")
    return found, os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(_libraries(root))}


def library(name: str, package: str) -> Path:
    """The file `name` of `package`, as a library to preload. Raises `ServerError` when it cannot be had."""
    found = next(fetch(package).rglob(name), None)
    if found is None:
        raise ServerError(f"Debian's package {package} has no file {name}.")
    return found


def _libraries(root: Path) -> list[str]:
    given = os.environ.get("LD_LIBRARY_PATH")
    folders = {str(path.parent) for path in root.rglob("*.so*") if _LIBRARY.search(path.name)}
    return [*sorted(folders), *([given] if given else [])]


def _fetch(package: str, folder: Path) -> None:
    for needed in ("apt-get", "dpkg-deb"):
        if shutil.which(needed) is None:
            raise ServerError(
                f"{package} is fetched by apt-get and unpacked by dpkg-deb, and there is no `{needed}` on the PATH: "
                f"install {package} by this system's own package manager."
            )
    with tempfile.TemporaryDirectory(prefix="training-apt-", ignore_cleanup_errors=True) as scratch:
        if _unpacked(package, folder, Path(scratch), []) is None:
            return
        # No list of packages, or one too old: another of our own, since the system's is root's.
        lists = Path(scratch, "lists")
        (lists / "partial").mkdir(parents=True)
        fresh = ["-o", f"Dir::State::lists={lists}"]
        said = _failed(["apt-get", *fresh, "update"], Path(scratch)) or _unpacked(package, folder, Path(scratch), fresh)
        if said is not None:
            raise ServerError(f"Debian's package {package} could not be fetched; install it, or mend apt.\n{said}")


def _unpacked(package: str, folder: Path, scratch: Path, options: list[str]) -> str | None:
    """None when the package and what it needs stand in `folder`, else what apt said."""
    apt = ["apt-get", *options, "-o", f"Dir::Cache={scratch / 'cache'}", "-o", "APT::Sandbox::User="]
    debs = scratch / "debs"
    for path in (scratch / "cache" / "archives" / "partial", debs):
        path.mkdir(parents=True, exist_ok=True)
    would = _run([*apt, "install", "--simulate", "--no-install-recommends", package], scratch)
    if would.returncode != 0:
        return f"{would.stdout}{would.stderr}"
    said = _failed([*apt, "download", *sorted({package, *_MISSING.findall(would.stdout)})], debs)
    for deb in debs.glob("*.deb"):
        said = said or _failed(["dpkg-deb", "-x", str(deb), str(folder)], debs)
    return said


def _failed(command: list[str], folder: Path) -> str | None:
    done = _run(command, folder)
    return None if done.returncode == 0 else f"{done.stdout}{done.stderr}"


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True, timeout=TIMEOUT)
