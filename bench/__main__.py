"""`make bench`: the service measured beside its peers, on this machine, in one run.

Everything runs on the loopback: PostgreSQL from the wheel with fsync on, Apache Kafka in Docker or on a local JVM, and
the generator in a process of its own. The ratios say more than the figures: both sides of each were measured in the
same run by turns, and a machine with few processors shares them between all of these.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psutil
import psycopg2
import uvloop

from bench import fold, growth, latency, limits, posts, relay, report, scaling
from bench.results import Goal, Measurement, Results, Target, figure, line
from bench.stage import POSTGRES, Stage, stage
from embedded.process import ServerError
from tests.support import kafka

Measure = Callable[[Stage], Awaitable[list[Measurement]]]

# What `--only` names. The order is that of the report, too.
AREAS: dict[str, tuple[Measure, Sequence[Target]]] = {
    "posts": (posts.measure, posts.TARGETS),
    "relay": (relay.measure, relay.TARGETS),
    "latency": (latency.measure, latency.TARGETS),
    "fold": (fold.measure, fold.TARGETS),
    "limits": (limits.measure, limits.TARGETS),
    "growth": (growth.measure, growth.TARGETS),
    "scaling": (scaling.measure, scaling.TARGETS),
}
RESULTS = Path("docs/benchmarks/results.json")
_PACKAGES = (
    "aiohttp",
    "aiokafka",
    "aiopg",
    "asyncpg",
    "fastapi",
    "faust-streaming",
    "orjson",
    "psycopg2-binary",
    "pydantic",
    "sqlalchemy",
    "uvicorn",
    "uvloop",
)


def main() -> int:
    """Run, print, write; returns the exit code, 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the service beside its peers.")
    parser.add_argument("--only", metavar="AREA,…", default=",".join(AREAS), help=f"of {', '.join(AREAS)}")
    parser.add_argument("--quick", action="store_true", help="small and short: only shows that everything runs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the results go as JSON")
    given = parser.parse_args()
    areas = given.only.split(",")
    if not set(areas) <= set(AREAS):
        parser.error(f"--only takes {', '.join(AREAS)}")
    # A whole run renews the report; a part of one, or a quick one, does not.
    whole = set(areas) == set(AREAS) and not given.quick
    out = given.out or (RESULTS if whole else None)
    os.environ.setdefault("TRAINING_TEST_BROKER", "kafka")
    machine, began = _machine(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="training-bench-", ignore_cleanup_errors=True) as folder:
            versions, found = _run(Path(folder), areas, quick=given.quick)
    except (ServerError, RuntimeError, TimeoutError) as error:
        print(error or type(error).__name__, file=sys.stderr)
        return 1
    goals = [goal for area in areas for target in AREAS[area][1] if (goal := target.judge(found)) is not None]
    results = Results(machine, versions, given.quick, time.monotonic() - began, found, goals)
    print()
    for goal in goals:
        print(_verdict(goal))
    print(f"\n{results.seconds:.0f} s on {', '.join(f'{name} {value}' for name, value in machine.items())}")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(results.to_json())
        print(f"written to {out}")
    if whole:
        report.write(results, report.PAGE)
        print(f"written to {report.PAGE}")
    return 0


def _run(folder: Path, areas: Sequence[str], *, quick: bool) -> tuple[dict[str, str], list[Measurement]]:
    found: list[Measurement] = []
    with stage(folder, quick=quick) as servers:
        versions = _versions(servers)
        for area in areas:
            print(f"\n{area}", flush=True)
            began = time.monotonic()
            for measurement in uvloop.run(_measure(area, servers)):
                print(f"  {line(measurement)}", flush=True)
                found.append(measurement)
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return versions, found


async def _measure(area: str, servers: Stage) -> list[Measurement]:
    measure, _ = AREAS[area]
    return await measure(servers)


def _verdict(goal: Goal) -> str:
    bound = f"{'at least' if goal.at_least else 'at most'} {figure(goal.bound)}{goal.unit}"
    return f"{goal.text:84}{figure(goal.measured) + goal.unit:>12}  {bound:20}{'met' if goal.met else 'MISSED'}"


def _machine() -> dict[str, str]:
    """What the machine is, without its name."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else []
    return {
        "processors": f"{os.cpu_count()} x {models[0] if models else platform.machine()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _versions(servers: Stage) -> dict[str, str]:
    connection = psycopg2.connect(servers.urls().owner)
    try:
        version = connection.info.server_version
    finally:
        connection.close()
    return {
        "Python": platform.python_version(),
        "PostgreSQL": f"{version // 10_000}.{version % 10_000} ({', '.join(f'{k}={v}' for k, v in POSTGRES.items())})",
        "Apache Kafka": kafka.VERSION,
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


if __name__ == "__main__":
    sys.exit(main())
