"""The document of a user's data, written in parts."""

from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.portability import KINDS, LEFT_OUT, DocumentWriter, UserExport

USER = UUID(int=7)
AS_OF = "2026-01-05T12:00:00Z"

_items = st.lists(st.tuples(st.sampled_from(list(KINDS)), st.integers(0, 99)), max_size=30)


@given(_items, st.lists(st.integers(0, 5), max_size=30))
def test_whatever_comes_in_whatever_parts_makes_one_document(items: list[tuple[str, int]], sizes: list[int]) -> None:
    items.sort(key=lambda item: list(KINDS).index(item[0]))
    writer, rest, parts = DocumentWriter(USER), items, []
    for size in (*sizes, len(items)):
        parts.append(writer.add(AS_OF, [(kind, str(number)) for kind, number in rest[:size]]))
        rest = rest[size:]
    document = orjson.loads(b"".join((*parts, writer.end())))
    assert list(document) == ["form", "user_id", "as_of", *KINDS]
    assert (document["form"], document["user_id"], document["as_of"]) == (1, str(USER), AS_OF)
    assert {kind: document[kind] for kind in KINDS} == {
        kind: [number for of, number in items if of == kind] for kind in KINDS
    }


def test_an_array_that_would_come_twice_is_refused() -> None:
    writer = DocumentWriter(USER)
    writer.add(AS_OF, [("workouts", "{}")])
    with pytest.raises(ValueError, match="trainings comes after workouts"):
        writer.add(AS_OF, [("trainings", "{}")])


def test_the_model_has_each_kind_and_no_table_has_two() -> None:
    assert list(UserExport.model_fields) == ["form", "user_id", "as_of", *KINDS]
    tables = [table for kind in KINDS.values() for table in kind.tables]
    assert len(set(tables)) == len(tables)
    assert not set(tables) & set(LEFT_OUT)
