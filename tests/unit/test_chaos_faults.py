"""The list of faults, how several are played at once, and what the runner says of a round."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.__main__ import line, main
from chaos.faults import FAULTS, Fault
from chaos.faults.registry import fault, mixed
from chaos.load import Load
from chaos.rounds import Result
from chaos.stack import Stack

STACK = cast("Stack", SimpleNamespace(random=random.Random(1)))


def recorder(name: str, events: list[str], *parts: Any) -> Fault:
    async def run(_stack: Stack, _load: Load) -> None:
        events.append(f"{name} begins")
        await asyncio.sleep(0.05)
        events.append(f"{name} ends")

    return Fault(name, "It does nothing", run, parts)


def test_there_are_thirty_faults_and_each_says_what_it_does() -> None:
    assert len(FAULTS) >= 30
    for name, found in FAULTS.items():
        assert found.name == name
        assert found.parts, name
        assert len(found.prose) > 10, name
    assert len({found.prose for found in FAULTS.values()}) == len(FAULTS)


def test_two_faults_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="broker-kill"):
        fault("broker-kill", "Again", "broker")(FAULTS["broker-kill"].run)


async def test_faults_of_one_part_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STACK.random, "uniform", lambda _low, _high: 0.0)
    events: list[str] = []
    healed: list[str] = []
    one, other = recorder("one", events, "workers", "log"), recorder("other", events, "log")
    apart = recorder("apart", events, "broker")
    await mixed([one, other, apart], STACK, cast("Load", None), lambda found: healed.append(found.name))
    assert sorted(healed) == ["apart", "one", "other"]
    assert events.index("one ends") < events.index("other begins")
    assert events.index("apart begins") < events.index("one ends")


async def test_a_fault_that_fails_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STACK.random, "uniform", lambda _low, _high: 0.0)

    async def fail(_stack: Stack, _load: Load) -> None:
        raise AssertionError("it did not come true")

    events: list[str] = []
    slow = recorder("slow", events, "broker")
    with pytest.raises(AssertionError, match="come true"):
        await mixed([slow, Fault("bad", "It fails", fail, ("log",))], STACK, cast("Load", None), lambda _: None)
    assert events == ["slow begins"]


def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    printed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert printed == [[name, found.prose] for name, found in FAULTS.items()]


def test_an_unknown_fault_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--faults", "broker-kill,earthquake"])
    assert "earthquake" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (Result("burst", 1, 1, recoveries=(("burst", 0.5),), events=7), "ok"),
        (Result("burst", 1, 1, violations=("I1 lost", "I3 order")), "2 VIOLATIONS"),
        (Result("disk-full", 1, 1, not_run="no tmpfs"), "NOT RUN: no tmpfs"),
    ],
)
def test_a_round_is_a_line(result: Result, says: str) -> None:
    assert says in line(result)
