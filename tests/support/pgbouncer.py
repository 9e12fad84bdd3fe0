"""pgbouncer in transaction mode, from Debian: what a service meets in front of many a managed PostgreSQL."""

import os
import pwd
import socket
import stat
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from embedded.process import LOOPBACK, Server
from tests.support.debian import program

_CONFIG = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = {loopback}
listen_port = {own}
unix_socket_dir =
pool_mode = transaction
auth_type = plain
auth_file = {users}
max_client_conn = 1000
default_pool_size = 20
; Nothing that a session might keep is where it was: every transaction meets the connection that rested longest.
server_round_robin = 1
log_connections = 0
log_disconnections = 0
"""


class PgBouncer(Server):
    """A pooler before the server that `url` names, for the roles `users`, who all have the password of `url`."""

    def __init__(self, folder: Path, url: str, users: list[str]) -> None:
        super().__init__("pgbouncer", folder / "pgbouncer.log")
        self._folder = folder
        self._target = urlsplit(url)
        self._users = users

    def launch(self) -> None:
        path, env = program("pgbouncer", "pgbouncer")
        users = self._folder / "users.txt"
        users.write_text("".join(f'"{user}" "{_password(self._target)}"\n' for user in self._users))
        config = self._folder / "pgbouncer.ini"
        host, port = self._target.hostname, self._target.port or 5432
        config.write_text(_CONFIG.format(host=host, port=port, loopback=LOOPBACK, own=self.port, users=users))
        nobody = None
        if os.geteuid() == 0:  # it refuses to run as root
            entry = pwd.getpwnam("nobody")
            nobody = (entry.pw_uid, entry.pw_gid)
            for closed in {*path.parents, *config.parents}:
                closed.chmod(closed.stat().st_mode | stat.S_IXOTH)  # to pass through, as embedded.postgres does
        self.spawn([str(path), str(config)], env=env, user=nobody)

    def ready(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=1.0).close()
        except OSError:
            return False
        return self.running

    def through(self, url: str) -> str:
        """The address of the same database and role through this pooler."""
        parts = urlsplit(url)
        password = quote(_password(self._target))
        return parts._replace(netloc=f"{parts.username}:{password}@{LOOPBACK}:{self.port}").geturl()


def _password(target: SplitResult) -> str:
    return unquote(target.password or "") or "none"  # where the server asks for none, any will do
