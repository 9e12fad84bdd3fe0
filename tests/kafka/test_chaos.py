"""The fault harness, short: real workers, PostgreSQL and Apache Kafka, broken for a few minutes."""

import asyncio
import os
import sys
from pathlib import Path

import orjson
import pytest

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[2]
LONGEST = 420  # seconds on a busy machine; it is meant for 240
SEED = os.environ.get("TRAINING_TEST_CHAOS_SEED", "1")


async def test_six_faults_at_once_and_ten_kills(tmp_path: Path) -> None:
    """No promise is broken. TRAINING_TEST_CHAOS_SEED plays it with another seed."""
    out = tmp_path / "rounds"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos", "--short", "--seed", SEED, "--out", str(out)),
        cwd=ROOT,
        env=os.environ | {"TRAINING_TEST_BROKER": "kafka"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output = (await asyncio.wait_for(process.communicate(), LONGEST))[0].decode()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    print(output)
    assert process.returncode == 0, output
    assert output.startswith(f"seed {SEED}\n")
    machine, *rounds = map(orjson.loads, out.read_bytes().splitlines())
    assert machine["seed"] == rounds[0]["seed"] == int(SEED)
    faults, kills = rounds
    assert faults["fault"].count("+") == 5
    assert sum(kills["kills"].values()) == 10
    assert all(found["violations"] == [] and found["events"] > 100 for found in rounds)
