"""Work beside the requests: nothing but a stop ends it."""

import asyncio
import logging

import pytest

from agents.background import Background
from models.errors import DatabaseUnavailable
from tests.support.load import until


async def test_whatever_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    failures = [DatabaseUnavailable("away"), RuntimeError("a fault"), asyncio.CancelledError()]
    done = asyncio.Event()

    async def work() -> None:
        if failures:
            raise failures.pop(0)
        done.set()

    background = Background("things", work, look=3600, retry=0.001)
    background.start()
    await asyncio.wait_for(done.wait(), 10)
    await background.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "things wait: away",
        "things are tried again",
        "things were cancelled by nobody",
    ]


async def test_it_is_done_when_it_is_woken_and_now_and_then() -> None:
    done = 0

    async def work() -> None:
        nonlocal done
        done += 1

    seldom = Background("things", work, look=3600, retry=3600)
    seldom.start()
    await until(lambda: done == 1, 10, "it begins at once")
    seldom.wake()
    await until(lambda: done == 2, 10, "it was woken")
    await seldom.stop()
    often = Background("things", work, look=0.001, retry=3600)
    often.start()
    await until(lambda: done > 5, 10, "it looks again")
    await often.stop()


async def test_who_is_woken_meanwhile_looks_once_more() -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def work() -> None:
        begun.release()
        await go_on.acquire()

    background = Background("things", work, look=3600, retry=3600)
    background.start()
    await begun.acquire()
    background.wake()
    go_on.release()
    await asyncio.wait_for(begun.acquire(), 10)
    await background.stop()


@pytest.mark.parametrize("patience", [0.0, 10.0])
async def test_a_stop_lets_it_finish_or_ends_it(patience: float) -> None:
    begun, ended = asyncio.Event(), []

    async def work() -> None:
        begun.set()
        try:
            await until(lambda: background.stopping, 10, "it is to stop")
            ended.append("by itself")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    background = Background("things", work, look=3600, retry=3600)
    background.start()
    await begun.wait()
    await background.stop(patience)
    assert ended == ["by itself" if patience else "cancelled"]
    await Background("things", work, look=3600, retry=3600).stop()  # one that was never begun
