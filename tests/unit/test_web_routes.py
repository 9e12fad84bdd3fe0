"""What a request's headers say of versions and keys."""

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from web.problems import Problem
from web.routes import Call, Route, Versions


def _call(*headers: tuple[str, str], path: str = "/x") -> Call[None, None]:
    request = make_mocked_request("GET", path, headers=CIMultiDict(headers))
    services: Any = None
    return Call(services, request, "r", {}, {}, None, None, None)


@pytest.mark.parametrize(
    ("value", "versions"),
    [
        ('"3"', [3]),
        ('"3", "4"', [3, 4]),
        (' "3" ,"4" ', [3, 4]),
        ("*", "*"),
        (" * ", "*"),
        ('"abc"', []),
        ('"-1"', []),
        ('"3.0"', []),
        ('""', []),
        ('"99999999999999999999"', []),
        ('"³"', []),
        ('W/"3"', []),
        ('"abc", "3"', [3]),
        ('"a,b", "3"', [3]),
    ],
)
def test_if_match(value: str, versions: Versions) -> None:
    assert _call(("If-Match", value)).if_match == versions


def test_if_match_in_several_lines() -> None:
    assert _call(("If-Match", '"3"'), ("If-Match", '"4"')).if_match == [3, 4]


def test_without_a_header_there_is_no_condition() -> None:
    assert _call().if_match is None
    assert _call().if_none_match is None
    assert _call().idempotency_key is None


def test_a_weak_tag_serves_for_reading_only() -> None:
    assert _call(("If-None-Match", 'W/"3", "4"')).if_none_match == [3, 4]
    assert _call(("If-Match", 'W/"3", "4"')).if_match == [4]


@pytest.mark.parametrize("value", ["3", '"3', '"3" "4"', '*, "3"', '"3",,,x', 'w/"3"', '"3\x7f"', '"a b"'])
def test_what_is_no_list_of_tags(value: str) -> None:
    with pytest.raises(Problem) as caught:
        _ = _call(("If-Match", value)).if_match
    assert caught.value.kind.status == 422
    assert caught.value.errors[0]["header"] == "If-Match"


@pytest.mark.parametrize("key", ["a", "x" * 255, "!~", '"quoted"', "9b2f6a1c-0000"])
def test_an_idempotency_key(key: str) -> None:
    assert _call(("Idempotency-Key", key)).idempotency_key == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "a\tb", "\x7f"])
def test_what_is_no_idempotency_key(key: str) -> None:
    with pytest.raises(Problem) as caught:
        _ = _call(("Idempotency-Key", key)).idempotency_key
    assert caught.value.kind.status == 422


def test_a_link_keeps_the_other_parameters() -> None:
    link = _call(path="/trainings?status=PLANNED&cursor=old").link("next", cursor="a b&c")
    assert link == '</trainings?status=PLANNED&cursor=a+b%26c>; rel="next"'


def test_the_parameters_of_a_path() -> None:
    async def handler(call: Call[Any, Any]) -> Any:
        raise AssertionError

    route = Route(
        method="GET", path="/a/{userId}/b/{id}", handler=handler, operation_id="x", summary="", tag="", answers={}
    )
    assert route.path_parameters == ("userId", "id")


def test_a_route_without_authentication_has_no_caller() -> None:
    with pytest.raises(LookupError):
        _ = _call().caller


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/x-ndjson", True),
        ("APPLICATION/X-NDJSON; q=0.5", True),
        ("application/x-ndjson, */*", True),
        ("application/json;q=0.5, application/x-ndjson;q=0.9", True),
        ("application/json, application/x-ndjson", False),
        ("application/x-ndjson;q=0", False),
        ("application/x-ndjson;q=2", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        (";q=1,,;", False),
    ],
)
def test_who_wants_a_document_a_line(accept: str, wanted: bool) -> None:
    assert _call(("Accept", accept)).wants_lines is wanted


def test_accept_in_several_lines() -> None:
    assert _call(("Accept", "text/html"), ("Accept", "application/x-ndjson")).wants_lines
    assert not _call().wants_lines
