"""Rows as texts of PostgreSQL's arrays, one a column: a tenth of the work of psycopg2's ARRAY[...] on both sides."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

_DECIMALS = {"numeric", "xid8"}  # whose values are no JSON, and whose text needs no quotes
_ESCAPED = re.compile(rb"\\[bfnrtu]")  # what JSON escapes otherwise than an array's text


def names(columns: Iterable[str], prefix: str = "") -> str:
    """The columns as a list in SQL."""
    return ", ".join(f"{prefix}{column}" for column in columns)


def columns(prefix: str, types: Mapping[str, str], rows: Sequence[tuple[object, ...]]) -> dict[str, str]:
    """The parameters `{prefix}_{column}` for rows whose columns have these types."""
    values = list(zip(*rows, strict=True)) or [()] * len(types)
    return {f"{prefix}_{name}": array(column, types[name]) for name, column in zip(types, values, strict=True)}


def parameters(prefix: str, types: Mapping[str, str]) -> str:
    """These parameters as arguments of `unnest`."""
    return ", ".join(f"%({prefix}_{name})s::{type_}[]" for name, type_ in types.items())


def array(values: Iterable[Any], type_: str) -> str:
    """The text of an array of values of the type, of which None is NULL."""
    if type_ in _DECIMALS:
        return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
    given = list(values)
    text = orjson.dumps(given)
    if type_ == "text" and _ESCAPED.search(text):
        return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in given]) + "}"
    return "{" + text[1:-1].decode() + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
