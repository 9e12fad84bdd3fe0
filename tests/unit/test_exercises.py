"""What admins may say of a movement, and where a page of the catalogue begins."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.exercises import Catalogue, MovementCreate, MovementUpdate, folded
from storage.exercises import FoundMovement
from web.exercises import _EXAMPLE, MovementQuery, _cursor, _place

slugs = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,5}", fullmatch=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Push-Up"),
        ("slug", ""),
        ("name", " "),
        ("category", "push"),
        ("mode", "seconds"),
        ("phases", ["isometric", "isometric"]),
        ("phases", ["static"]),
        ("phases", None),
        ("equipment", ["Pull-up bar"]),
        ("difficulty", 0),
        ("difficulty", 11),
        ("difficulty", 5.5),
        ("muscles", []),
        ("muscles", ["chest", "chest"]),
        ("bw_fraction", -0.1),
        ("bw_fraction", 2.1),
        ("bw_fraction", 0.12345),
        ("family", "front lever"),
        ("easier_slugs", ["dip", "dip"]),
        ("easier_slugs", ["no slug"]),
        ("revision", 3),
    ],
)
def test_what_no_movement_can_be(field: str, value: object) -> None:
    sent = {"slug": "x", **_EXAMPLE, field: value}
    with pytest.raises(ValidationError) as refused:
        MovementCreate.model_validate_json(orjson.dumps(sent))
    assert {error["loc"][0] for error in refused.value.errors()} == {field}


def test_what_was_read_may_be_sent_back() -> None:
    read = _EXAMPLE | {"slug": "x", "revision": 3, "created_at": "2026-01-05T12:00:00.123456Z"}
    assert MovementUpdate.model_validate_json(orjson.dumps(read)).name == _EXAMPLE["name"]


def test_names_are_compared_without_case_and_spaces_around() -> None:
    assert folded("  Bench Press   (Barbell) ") == folded("bench press (BARBELL)")


@given(st.floats(0, 1), slugs)
def test_a_cursor_leads_back_to_its_place(score: float, slug: str) -> None:
    cursor = _cursor(FoundMovement(score, slug, b""))
    assert MovementQuery.model_validate_strings({"cursor": cursor}).cursor == cursor
    assert _place(cursor) == (score, slug)


@pytest.mark.parametrize("place", ["0.5", "0.5|a|b", "nan|a", "2.0|a", "-1.0|a", "0.50|a", "x|a", "0.5|\0", "|"])
def test_what_is_no_cursor(place: str) -> None:
    for cursor in (place, base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")):
        with pytest.raises(ValidationError):
            MovementQuery.model_validate_strings({"cursor": cursor})


def test_difficulties_are_in_order() -> None:
    MovementQuery.model_validate_strings({"min_difficulty": "3", "max_difficulty": "3"})
    with pytest.raises(ValidationError):
        MovementQuery.model_validate_strings({"min_difficulty": "4", "max_difficulty": "3"})


@pytest.mark.parametrize(
    ("slug", "hint"),
    [
        ("pistol-sqat", " Did you mean `pistol-squat` or `box-pistol-squat`?"),
        ("front-lever", " Did you mean `full-front-lever`?"),
        ("pistol", " Did you mean `pistol-squat` or `box-pistol-squat`?"),
        ("lev", " Did you mean `full-front-lever`?"),
        ("fu", ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_a_slug_that_is_not_there_is_answered_by_those_like_it(slug: str, hint: str) -> None:
    there = Catalogue({}, dict.fromkeys(("dip", "pistol-squat", "box-pistol-squat", "full-front-lever"), 1))
    error = there.unknown(slug, "/movement")
    assert (str(error), error.pointer) == (f"The catalogue has no movement `{slug}`.{hint}", "/movement")
