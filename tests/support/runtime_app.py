"""A small app for the tests of `runtime`, run by `faust -A tests.support.runtime_app worker`.

Its settings are one JSON document in RUNTIME_APP: `topic`, `effects` (a file: one line a record that the agent worked
on), `cleanup_takes` (seconds, 0), and the arguments of `runtime.app.App`. A record may say `raise` or `hang`.
"""

import asyncio
import gc
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from runtime import logs
from runtime.app import App
from runtime.batches import Batch, batches

settings = json.loads(os.environ["RUNTIME_APP"])
effects = Path(settings.pop("effects"))
topic = settings.pop("topic")
cleanup_takes = settings.pop("cleanup_takes", 0)


class Small(App):
    """Answers /state and /slow, has a timer that works and one that fails, and an agent."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.mounted = 0
        self.cleaned_up = False
        self.batch_sizes: list[int] = []
        self.fetches = 0

    def setup_web(self, web_app: web.Application) -> None:
        self.mounted += 1
        web_app.router.add_get("/state", self.show_state)
        web_app.router.add_get("/slow", self.answer_slowly)
        web_app.on_cleanup.append(self.clean_up)

    async def show_state(self, _: web.Request) -> web.Response:
        """Everything that a test wants to know."""
        consumption = self.consumption()
        return web.json_response(
            {
                **asdict(consumption),
                "lag": consumption.lag,
                "trouble": consumption.trouble,
                "timers": {timer.name: asdict(timer) for timer in self.timers()},
                "mounted": self.mounted,
                "batch_sizes": self.batch_sizes,
                "fetches": self.fetches,
                "frozen": gc.get_freeze_count(),
                "tables": list(self.tables),
                "datadir": str(self.conf.datadir),
            }
        )

    async def answer_slowly(self, request: web.Request) -> web.Response:
        """Answers after a while."""
        await asyncio.sleep(float(request.query["seconds"]))
        return web.Response(text=f"cleaned up: {self.cleaned_up}")

    async def clean_up(self, _: web.Application) -> None:
        """Marks the end of the application."""
        self.cleaned_up = True
        await asyncio.sleep(cleanup_takes)


logs.configure("info", "json")
app = Small(settings.pop("id"), **settings)


@app.every(0.05, "works")
async def works() -> None:
    """Succeeds."""


@app.every(0.05, "fails")
async def fails() -> None:
    """Fails in both ways."""
    raise asyncio.CancelledError if app.timers()[1].runs % 2 else ValueError("as it must")


@app.agent(app.topic(topic))
async def work(stream: Any) -> None:
    """Writes what it is given into the file, then acknowledges."""
    async for batch in batches(stream):
        app.batch_sizes.append(len(batch.records))
        app.fetches += len(batch._events)
        await do(batch)
        await batch.ack()


async def do(batch: Batch) -> None:
    """The effect of a batch."""
    values = [record.value for record in batch.records]
    if b"raise" in values:
        raise ValueError("as the record says")
    if b"hang" in values:
        await asyncio.sleep(3600)
    lines = [f"{record.partition} {record.offset} {(record.value or b'').decode()}\n" for record in batch.records]
    await asyncio.to_thread(append, "".join(lines))


def append(text: str) -> None:
    """Add to the file of effects."""
    with effects.open("a") as file:
        file.write(text)
