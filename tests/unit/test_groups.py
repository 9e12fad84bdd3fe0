"""The ids by which what was planned for a group is found again."""

import datetime as dt
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from models.groups import copy_id, planned_id

_ids = st.integers(1, 3).map(lambda number: UUID(int=number))
_copies = st.tuples(_ids, _ids, st.sampled_from(["team", "other", "team/other"]), _ids)


@given(_copies, _copies)
def test_a_copy_is_one_coachs_one_workouts_one_groups_and_one_athletes(one: tuple, other: tuple) -> None:
    assert (copy_id(*one) == copy_id(*other)) == (one == other)


def test_they_are_the_same_in_every_version_of_the_service() -> None:
    """Else what is sent again after an upgrade would be made twice."""
    copy = copy_id(UUID(int=1), UUID(int=2), "team", UUID(int=3))
    assert copy == UUID("fd36c2bd-3ad3-57c4-9a8b-25bb44be5f19")
    noon = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
    elsewhere = noon.astimezone(dt.timezone(dt.timedelta(hours=2)))
    assert planned_id(copy, noon) == planned_id(copy, elsewhere) == UUID("d3189f2d-03eb-5c27-805c-102bedb3aa8c")
    assert planned_id(copy, noon, "week 2") == UUID("b6dd80ed-9982-5481-99f2-21c88aac6b4d")


@given(*[st.tuples(st.sampled_from([dt.timedelta(0), dt.timedelta(1)]), st.none() | st.text())] * 2)
def test_a_plan_is_one_moments_and_one_names(one: tuple, other: tuple) -> None:
    copy, noon = UUID(int=1), dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
    ids = [planned_id(copy, noon + after, plan_id) for after, plan_id in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
