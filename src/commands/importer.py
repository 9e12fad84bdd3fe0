"""`training import`: a log of another app goes in through the REST API, as any client's would."""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson
from tqdm import tqdm
from yarl import URL

from commands.environment import CommandError, required
from models.foreign_logs import ForeignFileError, ForeignLog, Session
from models.imports import LogFormat, detect, read_log, with_slugs
from models.sets import Unit
from models.trainings import TrainingCreate

IN_FLIGHT = 4  # requests at a time
_TIMEOUT = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0)  # seconds; then it is asked again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0  # seconds between attempts while the service is away
_LONGEST_RETRY_AFTER = 30.0  # seconds that a Retry-After is heeded
_AWAY = {408, 429, 502, 503, 504}
_REFUSED = {401, 403}
_SHOWN = 50  # wrong lines that are printed


@dataclass(frozen=True, slots=True)
class Refusal:
    """A session that the service did not take."""

    session: Session
    reason: str

    def __str__(self) -> str:
        first, last, title = self.session.first_line, self.session.last_line, self.session.body.title or ""
        return f"lines {first}–{last} ({self.session.body.local_day()} {title}): {self.reason}"


@dataclass(slots=True)
class Outcome:
    """What became of the sessions: each stands in exactly one of these."""

    created: int = 0
    already_there: int = 0
    """Answered 200: nothing was written. One whose first answer was lost on the way counts here too."""
    conflicts: list[Refusal] = field(default_factory=list)
    """Answered 409: it is there, created with another body. The file was edited since; nothing is overwritten."""
    failed: list[Refusal] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all that was to be imported is in the service as the file has it."""
        return not self.conflicts and not self.failed


class Importer:
    """Posts sessions to `api` (base address), in order of time, `IN_FLIGHT` at once.

    While the service is away (unreachable, silent, 408, 429, 502, 503, 504) it waits, for as long as that takes, tells
    `say` and goes on; a request may be repeated, since `source_id` names the training for ever. `rate` is the most
    sessions begun in a second; `progress` is called after each session.

    Exercises whose name the catalogue knows, or an app's name for it, carry the movement's slug beside the name. A
    session that was imported before without slugs is there already.
    """

    def __init__(
        self,
        api: str,
        token: str,
        *,
        rate: float | None = None,
        say: Callable[[str], None],
        progress: Callable[[], object],
    ) -> None:
        url = _base(api)
        self._url = url / "api/v1/trainings"
        self._names_url = url / "api/v1/training/exercise-names"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._pause = 1 / rate if rate else 0.0
        self._next_start = 0.0
        self._say = say
        self._progress = progress
        self._away = False

    async def run(self, sessions: tuple[Session, ...]) -> Outcome:
        """Post them all. Raises `CommandError` when the service refuses the token, or is another service."""
        outcome = Outcome()
        queue = iter(sessions)
        async with aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT) as http:
            slugs = await self._slugs(http)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(IN_FLIGHT):
                        group.create_task(self._work(http, queue, slugs, outcome))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
        return outcome

    async def _slugs(self, http: aiohttp.ClientSession) -> dict[str, str]:
        """The slug that each name stands for."""
        status, body = await self._ask(http, "GET", self._names_url)
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            if status == 200:
                return {item["name"]: item["exercise"] for item in orjson.loads(body)["items"]}
        raise CommandError(f"{self._url.origin()} is no training service (status {status} of {self._names_url.path}).")

    async def _work(
        self, http: aiohttp.ClientSession, queue: Iterator[Session], slugs: Mapping[str, str], outcome: Outcome
    ) -> None:
        for session in queue:
            await self._wait_for_turn()
            named = with_slugs(session.body, slugs)
            status, body = await self._post(http, named)
            if status == 409 and named != session.body:
                status, body = await self._post(http, session.body)
            if status == 201:
                outcome.created += 1
            elif status == 200:
                outcome.already_there += 1
            elif status == 409:
                outcome.conflicts.append(Refusal(session, _reason(status, body)))
            elif status in _REFUSED:
                raise CommandError(f"The service refuses the token: {_reason(status, body)}")
            elif status in {404, 405}:
                raise CommandError(f"{self._url} is no training service (status {status}).")
            else:
                outcome.failed.append(Refusal(session, _reason(status, body)))
            self._progress()

    async def _wait_for_turn(self) -> None:
        now = time.monotonic()
        start = max(now, self._next_start)
        self._next_start = start + self._pause
        if start > now:
            await asyncio.sleep(start - now)

    async def _post(self, http: aiohttp.ClientSession, body: TrainingCreate) -> tuple[int, bytes]:
        return await self._ask(http, "POST", self._url, body.model_dump_json(exclude_defaults=True).encode())

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, url: URL, body: bytes | None = None
    ) -> tuple[int, bytes]:
        pause = _FIRST_PAUSE
        while True:
            retry_after = 0.0
            try:
                async with http.request(method, url, data=body, allow_redirects=False) as answer:
                    content = await answer.read()
                if answer.status not in _AWAY:
                    self._is_back()
                    return answer.status, content
                retry_after = _seconds(answer.headers.get("Retry-After", ""))
                self._is_away(_reason(answer.status, content))
            except aiohttp.ClientSSLError as error:
                raise CommandError(f"No secure connection to {url.origin()}: {error}") from None
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                self._is_away(str(error) or "no answer in time")
            except aiohttp.ClientError as error:
                raise CommandError(f"{url} does not speak HTTP as it should: {error}") from None
            await asyncio.sleep(max(pause, retry_after))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _is_away(self, reason: str) -> None:
        if not self._away:
            self._away = True
            self._say(f"The service is away ({reason}); waiting for it.")

    def _is_back(self) -> None:
        if self._away:
            self._away = False
            self._say("The service is back; going on.")


def log(args: argparse.Namespace) -> int:
    """`training import log FILE`: exit code 0 when every line of the file is in the service."""
    return _import(args, None if args.format is None else LogFormat(args.format))


def strong(args: argparse.Namespace) -> int:
    """`training import strong FILE`: the same, of an export of Strong's alone."""
    return _import(args, LogFormat.STRONG)


def _import(args: argparse.Namespace, format_: LogFormat | None) -> int:
    found = _read(args.file, format_, args.unit, args.timezone)
    print(
        f"{args.file}: {len(found.sessions):,} trainings, {found.sets:,} sets, {found.exercises:,} exercises, "
        f"{found.reps:,} repetitions; local time in {args.timezone}."
    )
    _print_problems([str(error) for error in found.errors])
    if found.held_back:
        print(f"{found.held_back:,} trainings are held back until their lines are right.", file=sys.stderr)
    if args.dry_run:
        print("Dry run: nothing was sent.")
        return 1 if found.errors else 0
    api = required(os.environ, "TRAINING_API", "--api", args.api)
    token = required(os.environ, "TRAINING_TOKEN", "--token", args.token)
    began = time.monotonic()
    with tqdm(total=len(found.sessions), unit=" trainings", disable=None) as bar:
        importer = Importer(api, token, rate=args.rate, say=_say, progress=bar.update)
        outcome = asyncio.run(importer.run(found.sessions))
    _print_problems([str(refusal) for refusal in (*outcome.conflicts, *outcome.failed)])
    print(
        f"created {outcome.created:,}, already there {outcome.already_there:,}, "
        f"in conflict {len(outcome.conflicts):,}, failed {len(outcome.failed):,}, held back {found.held_back:,} "
        f"({time.monotonic() - began:.1f} s)"
    )
    return 0 if outcome.complete and not found.errors else 1


def _read(path: Path, format_: LogFormat | None, unit: str, timezone: str) -> ForeignLog:
    try:
        data = path.read_bytes()
        return read_log(data, format=format_ or detect(data), unit=Unit(unit), timezone=timezone)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except ForeignFileError as error:
        raise CommandError(str(error)) from None


def _base(api: str) -> URL:
    with contextlib.suppress(ValueError):
        url = URL(api)
        if url.scheme in {"http", "https"} and url.host:
            return url
    raise CommandError(f"{api!r} is no address like http://127.0.0.1:8080.")


def _reason(status: int, body: bytes) -> str:
    """A problem document (RFC 9457) in one line."""
    try:
        problem = orjson.loads(body)
        errors = [f"{error.get('pointer', '')} {error['message']}" for error in problem.get("errors", [])]
        return "; ".join([str(problem.get("detail") or problem["title"]), *errors])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return f"status {status}"


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), _LONGEST_RETRY_AFTER) if retry_after.isdecimal() else 0.0


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)


def _print_problems(problems: list[str]) -> None:
    for problem in problems[:_SHOWN]:
        print(problem, file=sys.stderr)
    if len(problems) > _SHOWN:
        print(f"… and {len(problems) - _SHOWN:,} more.", file=sys.stderr)
