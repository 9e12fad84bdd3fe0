"""Copies of a PostgreSQL server: a base backup, or a standby that streams from it."""

import os
import subprocess
from pathlib import Path

from embedded.postgres import OWNER, Postgres, programs
from embedded.process import LOOPBACK


def copy_of(server: Postgres, datadir: Path, *, primary: int | None = None) -> Postgres:
    """A server, not started yet, on a base backup of the running `server`, made now.

    With `primary` it is a standby that streams from that port of the loopback (a proxy's) until it is promoted.
    """
    datadir.mkdir(mode=0o700)
    owner = server.datadir.stat()
    os.chown(datadir, owner.st_uid, owner.st_gid)
    command = [programs() / "pg_basebackup", f"--pgdata={datadir}", f"--dbname={server.url()}", "--checkpoint=fast"]
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        cwd=datadir,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        timeout=60,
    )
    if primary is not None:
        place = f"host={LOOPBACK} port={primary} user={OWNER}"
        with (datadir / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{place}'\n")
        (datadir / "standby.signal").touch()
    return Postgres(datadir, options=server.options)
