"""The cursors of the list of trainings."""

import base64
import datetime as dt

import pytest
from pydantic import ValidationError

from tests.support.bodies import uuid
from web import documents
from web.trainings import TrainingQuery


def test_a_cursor_leads_back_to_its_place() -> None:
    date = dt.datetime(2026, 1, 5, 12, 0, 0, 250_000, tzinfo=dt.UTC)
    cursor = documents.cursor(date, uuid(7))
    assert TrainingQuery(cursor=cursor).cursor == cursor
    assert documents.place(cursor) == (date, uuid(7))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-05T12:00:00Z",
        f"2026-01-05T12:00:00|{uuid(7)}",
        f"2026-01-05T12:00:00+23:00|{uuid(7)}",
        f"0001-01-01T00:00:00+23:59|{uuid(7)}",
        f"9999-12-31T23:59:59-23:59|{uuid(7)}",
        f"2026-W02-1T12:00:00Z|{uuid(7)}",
        f"2026-01-05T12:00:00Z|{{{uuid(7)}}}",
    ],
)
def test_what_the_service_did_not_make_is_no_cursor(text: str) -> None:
    with pytest.raises(ValidationError):
        TrainingQuery(cursor=base64.urlsafe_b64encode(text.encode()).decode().rstrip("="))
