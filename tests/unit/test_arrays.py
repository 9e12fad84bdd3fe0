"""The text of PostgreSQL's arrays: what it says is what PostgreSQL reads."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.load import Measure
from storage.arrays import array, columns


def read(text: str) -> list[str | None]:
    """As PostgreSQL reads it: a backslash stands for the character behind it, and no quotes around NULL."""
    values: list[str | None] = []
    at = 1
    while text[at] != "}":
        at += text[at] == ","
        value, quoted = "", text[at] == '"'
        at += quoted
        while text[at] not in ('"' if quoted else ",}"):
            at += text[at] == "\\"
            value += text[at]
            at += 1
        at += quoted
        values.append(None if value.upper() == "NULL" and not quoted else value)
    return values


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_comes_back(values: list[str | None]) -> None:
    assert read(array(values, "text")) == values


@pytest.mark.parametrize(
    ("type_", "values", "text"),
    [
        ("float8", [0.1, 2.5e-7, None, -2.0], "{0.1,2.5e-7,null,-2.0}"),
        ("numeric", [Decimal("0.45359237"), None], "{0.45359237,NULL}"),
        ("xid8", ["18446744073709551615"], "{18446744073709551615}"),
        ("date", [dt.date(2026, 1, 5), None], '{"2026-01-05",null}'),
        ("timestamptz", [dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)], '{"2026-01-05T12:00:00+00:00"}'),
        ("uuid", [UUID(int=7)], '{"00000000-0000-0000-0000-000000000007"}'),
        ("text", [Measure.SESSION_RPE, "NULL", "a,b"], '{"session_rpe","NULL","a,b"}'),
        ("boolean", [True, None], "{true,null}"),
        ("integer", [], "{}"),
    ],
)
def test_a_value_of_each_type(type_: str, values: list[Any], text: str) -> None:
    assert array(values, type_) == text


def test_rows_become_columns() -> None:
    types = {"a": "integer", "b": "text"}
    assert columns("x", types, [(1, "one"), (2, None)]) == {"x_a": "{1,2}", "x_b": '{"one",null}'}
    assert columns("x", types, []) == {"x_a": "{}", "x_b": "{}"}
