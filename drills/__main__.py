"""`python -m drills upgrade` and `python -m drills restore`: exit 1 when anything is not as it must be."""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from drills.previous import NoPreviousVersionError
from drills.restore import Restore, restore
from drills.stack import servers
from drills.upgrade import Upgrade, upgrade
from embedded.process import ServerError
from tests.support.databases import Databases


def main(argv: Sequence[str] | None = None) -> int:
    """Run one drill and print its report; returns the exit code."""
    args = _parser().parse_args(argv)
    print("This takes about a minute.", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left behind
    with tempfile.TemporaryDirectory(prefix="training-drill-", ignore_cleanup_errors=True) as folder:
        try:
            found = _drill(Path(folder), args)
        except (AssertionError, NoPreviousVersionError, RuntimeError, ServerError) as error:
            print(error, file=sys.stderr)
            return 1
    print(found.report())
    return 1 if found.faults else 0


def _drill(folder: Path, args: argparse.Namespace) -> Upgrade | Restore:
    with servers(folder) as (postgres, kafka):
        if args.drill == "upgrade":
            return asyncio.run(upgrade(folder, postgres.url(), kafka, args.commit))
        with Databases(postgres.url()) as databases:
            urls = databases.urls(databases.create())
        return asyncio.run(restore(folder, postgres, urls, kafka))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m drills", description="Drills on real processes of this machine.")
    drills = parser.add_subparsers(required=True, dest="drill")
    rolling = drills.add_parser("upgrade", help="from the previous schema version to this one, under load")
    rolling.add_argument("--from", dest="commit", help="commit or tag to begin with (default: the previous version)")
    drills.add_parser("restore", help="a base backup takes the place of a database that is lost under load")
    return parser


if __name__ == "__main__":
    sys.exit(main())
