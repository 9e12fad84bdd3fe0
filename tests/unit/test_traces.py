"""The header `traceparent`, as W3C Trace Context has it (level 1, 3.2 and 4.2)."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.traces import read, trace_id, trace_ids

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"
_HEX = "0123456789abcdef"


@pytest.mark.parametrize("flags", ["00", "01", "02", "ff"])
def test_what_is_well_formed_is_passed_on_as_it_came(flags: str) -> None:
    assert read([f"00-{TRACE}-{PARENT}-{flags}"]) == f"00-{TRACE}-{PARENT}-{flags}"
    assert trace_id(GOOD) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD + "-",
        GOOD + "-later",
        f" {GOOD}",
        f"{GOOD}\n",
        f"{GOOD},{GOOD}",
        GOOD.replace("-", "_"),
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0x",
        f"01-{TRACE}-{PARENT}-01.later",
        f"01-{TRACE}-{PARENT}-010",
    ],
)
def test_what_is_not_well_formed_counts_as_not_said(value: str) -> None:
    assert read([value]) is None


def test_what_is_not_said_or_said_twice_is_no_trace() -> None:
    assert read([]) is None
    assert read([GOOD, GOOD]) is None


@pytest.mark.parametrize("more", ["", "-", "-what-the-future-will-be-like"])
@pytest.mark.parametrize(("flags", "known"), [("00", "00"), ("01", "01"), ("0b", "01"), ("fe", "00")])
def test_a_later_version_is_read_as_far_as_it_is_known(more: str, flags: str, known: str) -> None:
    assert read([f"cc-{TRACE}-{PARENT}-{flags}{more}"]) == f"00-{TRACE}-{PARENT}-{known}"


@given(st.text(alphabet=_HEX + "-g" + string.ascii_uppercase, max_size=60) | st.text(max_size=60))
def test_whatever_comes_is_no_fault_and_what_is_passed_on_is_version_00(value: str) -> None:
    found = read([value])
    assert found is None or (len(found) == 55 and found.startswith("00-") and read([found]) == found)


def test_records_name_their_traces_each_once() -> None:
    other = GOOD.replace("0af7", "1bf7")
    values = [GOOD, None, GOOD.replace(PARENT, "00f067aa0ba902b7"), "nothing", other]
    headers = [[("ce_id", b"x"), *([("traceparent", value.encode())] if value else [])] for value in values]
    assert trace_ids(headers) == [TRACE, trace_id(other)]
    assert trace_ids([[("traceparent", b"\xff")], [("traceparent", None)], []]) == []


def test_of_many_traces_ten_are_named() -> None:
    headers = [[("traceparent", GOOD.replace("0af7", f"{number:04x}").encode())] for number in range(1, 30)]
    assert trace_ids(headers) == [f"{number:04x}{TRACE[4:]}" for number in range(1, 11)]
