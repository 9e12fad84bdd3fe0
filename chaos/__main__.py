"""`python -m chaos`: break a real stack in every listed way, and judge what is left. Exit 1 when a promise is broken.

Servers run on the loopback: PostgreSQL from the wheel, Apache Kafka in Docker or on a local JVM. Each round has a
database, a topic and workers of its own.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

import orjson

from chaos.controls import run_all
from chaos.faults import FAULTS, Fault
from chaos.machine import machine
from chaos.rounds import Result, play, play_kills
from chaos.stack import Servers
from embedded.process import ServerError

_KILLS = 10  # of one round
_SHOWN = 10  # violations of a round; the file has all
_TOGETHER = 3  # faults of a mixed round
_SHORT_FAULTS = (
    "worker-kill-mid-batch",
    "postgres-reset",
    "commit-unanswered",
    "kafka-slow",
    "hot-row",
    "burst",
)

Round = Callable[[Servers, int, int], Awaitable[Result]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rounds that are asked for; returns the exit code: 0, or 1 when a promise is broken or a round failed."""
    args = _parser().parse_args(argv)
    if args.list:
        for fault in FAULTS.values():
            print(f"{fault.name:26}{fault.prose}")
        return 0
    os.environ.setdefault("TRAINING_TEST_BROKER", "kafka")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left behind
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    out = args.out.open("ab", buffering=0) if args.out else None
    if out is not None:
        out.write(orjson.dumps({"machine": machine(), "seed": seed}) + b"\n")

    def report(result: Result) -> None:
        shown = [f"    {violation}" for violation in result.violations[:_SHOWN]]
        more = len(result.violations) - len(shown)
        print(line(result), *shown, *([f"    and {more} more"] if more else []), sep="\n", flush=True)
        if out is not None:
            out.write(orjson.dumps(result.document()) + b"\n")

    began = time.monotonic()
    uncaught = _try_controls(out) if args.controls else 0
    with tempfile.TemporaryDirectory(prefix="training-chaos-", ignore_cleanup_errors=True) as folder:
        try:
            results = asyncio.run(_run(Path(folder), seed, list(_rounds(args, seed)), report))
        except ServerError as error:
            print(f"seed {seed}: {error}", file=sys.stderr)
            return 1
    broken = sum(len(result.violations) for result in results) + uncaught
    kills = sum(sum(result.kills.values()) for result in results)
    print(f"seed {seed}: {len(results)} rounds, {kills} kills, {broken} violations, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


def _try_controls(out: IO[bytes] | None) -> int:
    """How many of the wrong implementations were not caught, or right ones not passed."""
    found = run_all()
    for control in found:
        verdict = f"caught by {', '.join(control.caught_by)}" if control.ok else "NOT AS IT MUST BE"
        print(f"control: {control.control:45} {verdict}", flush=True)
        if out is not None:
            out.write(orjson.dumps(asdict(control)) + b"\n")
    return sum(not control.ok for control in found)


async def _run(folder: Path, seed: int, rounds: Sequence[Round], report: Callable[[Result], None]) -> list[Result]:
    results = []
    with Servers(folder) as servers:
        for number, play_one in enumerate(rounds, 1):
            result = await play_one(servers, seed, number)
            report(result)
            results.append(result)
    return results


def line(result: Result) -> str:
    """One line about a round."""
    if result.not_run:
        return f"{result.fault:40} NOT RUN: {result.not_run}"
    slowest = max((seconds for _, seconds in result.recoveries if seconds is not None), default=0.0)
    verdict = f"{len(result.violations)} VIOLATIONS" if result.violations else "ok"
    return (
        f"{result.fault:40} {verdict:14} {result.seconds:5.0f} s, recovery {slowest:4.1f} s, {result.events} events, "
        f"{result.duplicates} duplicates of {result.crashes} crashes, {result.peak_memory / 2**20:.0f} MiB"
    )


def _rounds(args: argparse.Namespace, seed: int) -> Iterator[Round]:
    if args.short:
        yield _of([FAULTS[name] for name in _SHORT_FAULTS])
        yield _kills(_KILLS)
        return
    chosen = list(FAULTS.values()) if args.faults is None else args.faults
    for fault in chosen:
        for _ in range(args.repeat):
            yield _of([fault])
    warm = [fault for fault in chosen if not fault.cold]
    random.Random(f"{seed}/mixed").shuffle(warm)
    if args.mixed:
        for at in range(0, len(warm), _TOGETHER):
            yield _of(warm[at : at + _TOGETHER])
    for left in range(args.kills, 0, -_KILLS):
        yield _kills(min(left, _KILLS))


def _of(faults: Sequence[Fault]) -> Round:
    return lambda servers, seed, number: play(servers, seed, number, faults)


def _kills(count: int) -> Round:
    return lambda servers, seed, number: play_kills(servers, seed, number, count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description="Breaks a real stack, and judges what is left."
    )
    parser.add_argument("--seed", type=int, help="of everything random (default: a new one, which is printed)")
    parser.add_argument("--list", action="store_true", help="show the faults and end")
    parser.add_argument("--faults", type=_faults, help="only these, divided by commas; `none` for none (default: all)")
    parser.add_argument("--repeat", type=int, default=1, help="rounds of each fault alone (default: 1)")
    parser.add_argument("--mixed", action="store_true", help="besides, rounds of three faults at a time")
    parser.add_argument(
        "--kills", type=int, default=0, help="random kills of workers, Kafka and PostgreSQL (default: 0)"
    )
    parser.add_argument("--short", action="store_true", help="six faults at once and ten kills, within four minutes")
    parser.add_argument("--controls", action="store_true", help="first, have the judge catch wrong implementations")
    parser.add_argument("--out", type=Path, help="file to add one line of JSON a round to")
    return parser


def _faults(text: str) -> list[Fault]:
    names = [] if text == "none" else text.split(",")
    for name in names:
        if name not in FAULTS:
            raise argparse.ArgumentTypeError(f"there is no fault {name!r}: see --list")
    return [FAULTS[name] for name in names]


if __name__ == "__main__":
    sys.exit(main())
