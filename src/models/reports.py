"""What every report of a user's metrics is asked by, and says of itself."""

import datetime as dt
import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from models.fields import Day, LastDay

_VERSION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}:[1-9][0-9]{0,8}")


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError("must be <training id>:<version>")
    return value


AtLeast = Annotated[
    str,
    AfterValidator(_version),
    Field(examples=["0193f1a0-0000-7000-8000-000000000001:3"], json_schema_extra={"pattern": f"^{_VERSION.pattern}$"}),
]


class ReportQuery(BaseModel):
    """Query parameters of every report."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    at_least: AtLeast | None = None
    """`<training>:<version>`, as a write answered it (the version is its ETag): the answer waits up to 2 s until this
    version is in the figures, and says in `stale` whether it still is not."""

    @property
    def awaited(self) -> tuple[UUID, int] | None:
        """The training and the version of it that the figures should hold."""
        if self.at_least is None:
            return None
        training, _, version = self.at_least.partition(":")
        return UUID(training), int(version)


class RangeQuery(ReportQuery):
    """Query parameters of a report about a range of days."""

    first: Annotated[Day | None, Field(alias="from")] = None
    """First local day, inclusive."""
    last: Annotated[LastDay | None, Field(alias="to")] = None
    """Last local day, inclusive."""


class Method(BaseModel):
    """By which rules the figures were computed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: int
    """Grows with every change of the rules."""
    rules: dict[str, Any]
    """Each figure's definition and the constants in it."""


class Report(BaseModel):
    """What every report says of itself."""

    model_config = ConfigDict(use_attribute_docstrings=True, serialize_by_alias=True)

    user_id: UUID
    as_of: dt.datetime
    """Every change that was accepted before is in these figures."""
    stale: bool | None = None
    """Whether the version that `at_least` names is not in these figures yet; absent without `at_least`."""
