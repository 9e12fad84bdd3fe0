"""`training worker` and `training migrate`: what a container runs."""

import argparse
import os
import sys

from sqlalchemy.exc import OperationalError

from commands.environment import CommandError, one_line, service_settings
from storage.migrate import migrate as bring_to_head

# The log's level is the setting TRAINING_LOG_LEVEL; Faust's own option would ask for another.
WORKER = (sys.executable, "-m", "faust", "-q", "-A", "app", "-L", "uvloop", "worker")


def worker(_: argparse.Namespace) -> int:
    """`training worker`: become the worker; signals and the exit code are its own."""
    service_settings()  # what is missing is said in one line rather than by a traceback of Faust's
    os.execv(WORKER[0], WORKER)  # noqa: S606 - no shell is wanted


def migrate(_: argparse.Namespace) -> int:
    """`training migrate`: bring the database to the schema of this version."""
    try:
        bring_to_head(service_settings().owner_url)
    except OperationalError as error:
        raise CommandError(one_line(error.orig or error)) from None
    print("The database has the schema of this version.")
    return 0
