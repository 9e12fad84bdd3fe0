"""What users may say of movements, and what becomes of it on the topic."""

import re
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.exercises import MovementBody
from models.outbox import LogRow
from models.own_exercises import AliasBody, OwnExerciseCreate, OwnExerciseUpdate, slug_of
from outbox.records import headers, row_of
from web.own_exercises import _EXAMPLE

USER = str(UUID(int=1))
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=200)


def test_it_has_the_fields_of_the_catalogue_but_easier_movements() -> None:
    fields = set(MovementBody.model_fields) - {"easier_slugs"}
    assert set(OwnExerciseCreate.model_fields) == fields | {"slug"}
    assert set(OwnExerciseUpdate.model_fields) == fields | {"slug", "revision", "created_at", "updated_at"}


@pytest.mark.parametrize("field", ["revision", "easier_slugs", "own", "created_at"])
def test_what_only_the_service_says_is_refused(field: str) -> None:
    with pytest.raises(ValidationError):
        OwnExerciseCreate.model_validate_json(orjson.dumps(_EXAMPLE | {field: 1}))


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Zercher  Carry!", "zercher-carry"),
        ("Überzüge 2×5", "uberzuge-2-5"),
        ("Straße", "strasse"),
        ("ﬁre-hydrant", "fire-hydrant"),
        ("x" * 99 + " y", "x" * 99),
    ],
)
def test_a_slug_made_of_a_name(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_names_without_latin_letters_have_slugs_of_their_own() -> None:
    made = {slug_of(name) for name in ("深蹲", "卧推", "Присед")}
    assert len(made) == 3
    assert slug_of("ПРИСЕД") == slug_of(" присед")


@given(names)
def test_every_name_makes_a_slug(name: str) -> None:
    made = slug_of(name)
    OwnExerciseCreate.model_validate_json(orjson.dumps(_EXAMPLE | {"slug": made}))
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", made)


@pytest.mark.parametrize(
    "body",
    [{}, {"exercise": "dip", "own_exercise": "dip"}, {"exercise": None}, {"exercise": "Dip"}, {"own_exercise": ""}],
    ids=str,
)
def test_a_name_means_one_movement(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AliasBody.model_validate_json(orjson.dumps(body))


def record(event_type: str, **changes: object) -> tuple[bytes, bytes, list[tuple[str, bytes | None]]]:
    """Key, value and headers of a record; `changes` are members of its payload."""
    payload: dict[str, object] = {"user_id": USER, "version": 4, "names": ["dips"]} | changes
    document = {
        "event_id": str(UUID(int=3)),
        "event_type": event_type,
        "timestamp": "2026-01-05T12:00:00Z",
        "payload": payload,
    }
    text = orjson.dumps(document).decode()
    event = (str(UUID(int=3)), event_type, "2026-01-05T12:00:00Z")
    row = LogRow(7, "exercise_events", USER, USER, "4", *event, None, text)
    return USER.encode(), text.encode(), list(headers(row))


MOVEMENT = {**_EXAMPLE, "slug": "dip", "revision": 2, "own": False, "unilateral": False}


@pytest.mark.parametrize(
    ("event_type", "movement"), [("exercise_alias_set", {"exercise": MOVEMENT}), ("exercise_alias_removed", {})]
)
def test_a_record_is_the_row_that_it_came_from(event_type: str, movement: dict[str, object]) -> None:
    key, value, said = record(event_type, **movement)
    row = row_of("exercise_events", key, value, said)
    assert row is not None
    assert headers(row) == said
    assert (row.user_id, row.aggregate_id, row.version, row.payload) == (USER, USER, "4", value.decode())


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": str(UUID(int=5))},
        {"version": 5},
        {"names": []},
        {"names": [1]},
        {"exercise": {name: value for name, value in MOVEMENT.items() if name != "own"}},
    ],
    ids=str,
)
def test_a_record_that_contradicts_itself_is_no_row(changes: dict[str, object]) -> None:
    assert row_of("exercise_events", *record("exercise_alias_set", **changes)) is None
