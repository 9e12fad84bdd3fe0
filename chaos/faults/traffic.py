"""Faults that are too much of what is allowed."""

import asyncio

from chaos.faults.registry import fault
from chaos.load import Load
from chaos.stack import Stack


@fault("hot-key", "All clients work for one user, whose events share one partition", "load")
async def hot_key(stack: Stack, load: Load) -> None:
    load.hot = True
    await asyncio.sleep(5)
    load.hot = False


@fault("burst", "Ten times the load", "load")
async def burst(stack: Stack, load: Load) -> None:
    load.pace = 10.0
    await asyncio.sleep(5)
    load.pace = 1.0
