"""The command `training`. Each subcommand is a function in `commands`, which is imported when it is called for."""

import argparse
import datetime as dt
import logging
import re
import sys
import zoneinfo
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from commands.environment import CommandError, read_local

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 not (fully) done, 2 not understood, 130 ended by Ctrl-C."""
    args = parser().parse_args(argv)
    # It logs each of its attempts; a command says what came of them.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        read_local()
        return find(args.command)(args)
    except CommandError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has had enough
        sys.stderr.close()
        return 1


def find(name: str) -> Command:
    """The function behind `module:function`, both in `commands`."""
    module, _, function = name.partition(":")
    command: Command = getattr(import_module(f"commands.{module}"), function)
    return command


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="training", description="Runs and watches the training service.")
    root.add_argument("--version", action="version", version=f"%(prog)s {version('training-service')}")
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    _add(commands, "worker", "service:worker", "run a worker: API, relay and agents")
    _add(commands, "migrate", "service:migrate", "bring the database to the schema of this version")

    _add_imports(_group(commands, "import", "bring a log from another app in"))

    outbox = _group(commands, "outbox", "look after the outbox and its relay")
    status = _add(outbox, "status", "outbox:status", "show what waits, who relays, and what the broker refused")
    status.add_argument("--json", action="store_true", help="as one JSON document")
    replay = _add(outbox, "replay", "outbox:replay", "publish again what was published, with the same event ids")
    replay.add_argument("--user", type=UUID, help="of this user")
    aggregate = replay.add_mutually_exclusive_group()
    aggregate.add_argument("--training", type=UUID, help="of this training")
    aggregate.add_argument("--workout", type=UUID, help="of this workout")
    replay.add_argument("--from", type=_moment, dest="since", help="from this moment on (UTC where it names no offset)")
    replay.add_argument("--to", type=_moment, dest="until", help="until before this moment")
    target = replay.add_mutually_exclusive_group()
    target.add_argument("--to-topic", help="where to (default: their own topic with `.replay` behind)")
    target.add_argument("--broadcast", action="store_true", help="to the topic that every subscriber reads")
    for name, text in (
        ("retry", "have events that the broker refused published again"),
        ("skip", "give events that the broker refused up for good, and go on behind them"),
    ):
        settle = _add(outbox, name, f"outbox:{name}", text)
        which = settle.add_mutually_exclusive_group(required=True)
        which.add_argument("seq", type=int, nargs="?", help="place of the event in the log")
        which.add_argument("--all", action="store_true", help="every one that is held")
        settle.add_argument("--reason", required=name == "skip", default="", help="why; it is kept")

    _add_erasures(_group(commands, "erasures", "keep what refuses erased users beside the backups"))

    _add_archive(commands)

    analytics = _group(commands, "analytics", "look after the derived tables")
    _add(analytics, "rebuild", "analytics:rebuild", "fold the whole log again, with agents running")
    verify = _add(analytics, "verify", "analytics:verify", "compare every row with the fold of the log")
    verify.add_argument("--wait", type=_seconds, default=0.0, help="seconds to wait until all is folded (default: 0)")

    events = _add(commands, "events", "events:events", "follow the topics, one line of JSON a record")
    events.add_argument("--from-beginning", action="store_true", help="begin with the oldest record that is kept")
    events.add_argument("--user", type=UUID, help="only this user's")

    requests = _add(commands, "requests", "requests:requests", "print the log of requests, one line of JSON each")
    requests.add_argument("--user", type=UUID, help="by this user or about them")
    requests.add_argument("--status", type=int, help="that were answered so")
    requests.add_argument("--since", type=_moment, help="from this moment on, UTC without offset (default: a day ago)")
    requests.add_argument("--until", type=_moment, help="until before this moment")
    requests.add_argument("--limit", type=_count, default=1000, help="the newest so many (default: 1000)")

    _add(commands, "openapi", "documents:openapi", "print the OpenAPI document of the API")
    _add(commands, "asyncapi", "documents:asyncapi", "print the AsyncAPI document of the events")

    token = _add(commands, "token", "tokens:token", "make a development token")
    token.add_argument("--user", type=UUID, help="whom it names (default: the development user)")
    token.add_argument("--role", action="append", default=[], help="a role that it carries; may be given again")
    token.add_argument("--group", action="append", default=[], help="a group that the user is in; likewise")
    token.add_argument("--coach-of", action="append", default=[], help="a group that the user coaches; likewise")
    token.add_argument("--days", type=_positive, default=1.0, help="days that it is good for (default: 1)")
    return root


def _add(
    group: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, command: str, text: str
) -> argparse.ArgumentParser:
    added = group.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    added.set_defaults(command=command)
    return added


def _add_imports(imports: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    log = _add(imports, "log", "importer:log", "import an export of Strong, Hevy or FitNotes through the API")
    formats = ("strong", "hevy", "fitnotes")
    log.add_argument("--format", choices=formats, help="which app's it is (default: found by its header)")
    strong = _add(imports, "strong", "importer:strong", "import an export of Strong through the API")
    for command in (log, strong):
        command.add_argument("file", type=Path, help="the exported CSV file")
        command.add_argument("--unit", choices=("kg", "lb"), default="kg", help="of weights without one (default: kg)")
        command.add_argument("--timezone", type=_zone, default="UTC", help="zone the log was kept in (default: UTC)")
        command.add_argument("--dry-run", action="store_true", help="say what it would do, store nothing")
    undo = _add(imports, "undo", "importer:undo", "stop an import, and delete what it created and nobody changed since")
    undo.add_argument("id", type=UUID, help="the import, as it was told when it began")
    for command in (log, strong, undo):
        command.add_argument("--api", help="address of the API (default: TRAINING_API)")
        command.add_argument("--token", help="bearer token (default: TRAINING_TOKEN)")


def _add_erasures(erasures: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = _add(erasures, "export", "erasures:export", "write the tombstones of all erased users to a file")
    export.add_argument("file", type=Path, help="where to; it names nobody")
    import_ = _add(erasures, "import", "erasures:import_", "take tombstones in, and erase who is back by a restore")
    import_.add_argument("file", type=Path, help="what `export` wrote")


def _add_archive(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    archive = _add(commands, "archive", "archive:archive", "move what nobody has changed for long out of the log")
    before = "what was changed before this day (UTC), or longer ago than so many years, as 2y"
    archive.add_argument("--before", type=_day_or_age, metavar="DATE", help=before)
    parts = archive.add_subparsers(metavar="COMMAND")
    restore = _add(parts, "restore", "archive:restore", "put archived rows back into the log")
    which = restore.add_mutually_exclusive_group(required=True)
    which.add_argument("month", type=_month, nargs="?", help="those of this month, as 2024-01")
    which.add_argument("--all", action="store_true", help="all of them")
    _add(parts, "adopt", "archive:adopt", "go on with the folder after the database was moved or promoted")
    _add(parts, "list", "archive:list_", "show which files there are, and what they hold")
    _add(parts, "verify", "archive:verify", "read every file whole, and hold it to what was written")


def _group(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    return added.add_subparsers(required=True, metavar="COMMAND")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 < value <= 1_000_000:
        raise argparse.ArgumentTypeError("must be 1 to 1000000")
    return value


def _day_or_age(text: str) -> dt.date:
    age = re.fullmatch(r"([1-9]\d?)y", text)
    return _years_before(dt.datetime.now(dt.UTC).date(), int(age[1])) if age else dt.date.fromisoformat(text)


def _years_before(day: dt.date, years: int) -> dt.date:
    """The same day of that year; of 29 February, where the year has none, the 28th."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def _month(text: str) -> dt.date:
    return dt.date.fromisoformat(f"{text}-01")


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError("must be 0 or greater")
    return value


def _zone(text: str) -> str:
    if text not in zoneinfo.available_timezones():
        raise argparse.ArgumentTypeError(f"{text!r} is no time zone of the IANA database")
    return text


if __name__ == "__main__":
    sys.exit(main())
