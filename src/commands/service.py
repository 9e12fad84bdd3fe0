"""`training worker` and `training migrate`: what a container runs."""

import argparse
import os
import sys

import psycopg2
from psycopg2.errors import InsufficientPrivilege, LockNotAvailable
from sqlalchemy.exc import DBAPIError

from commands.environment import CommandError, one_line, service_settings
from storage.erasures import UnlikeKey
from storage.migrate import migrate as bring_to_head

# The log's level is the setting TRAINING_LOG_LEVEL; Faust's own option would ask for another.
WORKER = (sys.executable, "-m", "faust", "-q", "-A", "app", "-L", "uvloop", "worker")

ASK_FOR_RIGHTS = (
    "Migrations run as the owner of the database, who may use pg_control_system() and pg_control_checkpoint(). "
    "Ask its administrator for: ALTER DATABASE … OWNER TO …"
)
ASK_FOR_ROLES = """\
The server has no role {roles}, and the owner may make none. Workers can connect as the owner; to give them, or
analysts, fewer rights than that, ask the server's administrator for these, and run `training migrate` again:
    CREATE ROLE training_worker LOGIN PASSWORD '…';
    CREATE ROLE analytics_reader;"""


def worker(_: argparse.Namespace) -> int:
    """`training worker`: become the worker; signals and the exit code are its own."""
    service_settings()  # what is missing is said in one line rather than by a traceback of Faust's
    os.execv(WORKER[0], WORKER)  # noqa: S606 - no shell is wanted


def migrate(_: argparse.Namespace) -> int:
    """`training migrate`: bring the database to the schema of this version."""
    try:
        settings = service_settings()
        secret = settings.erasure_secret
        missing = bring_to_head(settings.owner_url, secret=None if secret is None else secret.get_secret_value())
    except UnlikeKey:
        raise CommandError(
            "TRAINING_ERASURE_SECRET is another than the one that this database's tombstones are made with."
        ) from None
    except (DBAPIError, psycopg2.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, LockNotAvailable):
            raise CommandError(f"Nothing was changed, try again: something held a table ({one_line(cause)}).") from None
        if isinstance(cause, InsufficientPrivilege):
            raise CommandError(f"{one_line(cause)}. {ASK_FOR_RIGHTS}") from None
        if isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            raise CommandError(one_line(cause)) from None
        raise
    print("The database has the schema of this version.")
    if missing:
        print(ASK_FOR_ROLES.format(roles=" and no ".join(missing)), file=sys.stderr)
    return 0
