"""Faults of the archive: the log's rows are moved into files, and back, while clients go on."""

import asyncio
import sys

from chaos.faults.registry import fault
from chaos.load import Load
from chaos.stack import Stack

_KILLS = 3
_PATIENCE = 60.0  # seconds


@fault(
    "archive-killed",
    "All that is settled is archived; the command is killed three times, and run again; half the time all is restored",
    "log",
    "postgres",
    "postgres leg",
)
async def archive_killed(stack: Stack, load: Load) -> None:
    for _ in range(_KILLS):
        archiver = await _archiver(stack)
        await asyncio.sleep(stack.random.uniform(1.0, 4.0))
        if archiver.returncode is None:
            archiver.kill()
        await archiver.wait()
    archiver = await _archiver(stack)
    async with asyncio.timeout(_PATIENCE):
        output, _ = await archiver.communicate()
    assert archiver.returncode == 0, output.decode()
    if stack.random.random() < 1 / 2:
        done = await stack.command("archive", "restore", "--all")
        assert done.returncode == 0, done.stdout + done.stderr


async def _archiver(stack: Stack) -> asyncio.subprocess.Process:
    pipe, merged = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    command = (sys.executable, "-m", "chaos.archiver", stack.urls.owner, str(stack.archive_dir))
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=merged)
