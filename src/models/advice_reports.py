"""Advice as it is asked for and listed: the queries, the report of a day, and a page of what was accepted."""

import datetime as dt
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from models.advice import AcceptedAdvice, Advice, LoadRisk, NotAdvised
from models.fields import CountedDay
from models.preferences import Preferences
from models.reports import Method, ReportQuery
from models.sets import Document


class AdviceQuery(ReportQuery):
    """Query parameters of what is advised on a day."""

    day: CountedDay | None = None
    """The local day, of the years 1901 to 2198; by default the athlete's present one, in the zone of the latest
    completed training, before there is one of the latest planned, else in UTC."""


class AcceptQuery(Document):
    """Query parameters of accepting what is advised on a day."""

    day: CountedDay | None = None
    """The local day that the advice was read for; by default the athlete's present one."""


class AdviceReport(BaseModel):
    """What is advised on a day, computed from the log as it is now."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: UUID
    day: dt.date
    """The day that it is for."""
    as_of: dt.datetime
    """Every change that was accepted before is in the figures from derived tables."""
    stale: bool | None = None
    """Whether the version that `at_least` names is not in these figures yet; absent without `at_least`."""
    method: Method
    advice: list[Advice]
    """In the order of precedence; what is advised for a day never contradicts itself. Empty where nothing is to be
    said, for which `reason` tells why."""
    not_advised: list[NotAdvised]
    """Every kind that is not advised on the day, in the order of precedence: what was looked at, and why not."""
    reason: str
    accepted: list[AcceptedAdvice]
    """What was accepted, stands and covers this day: of this day, or a deload of the six days before it. It is not
    given again, and what is given goes together with it."""
    risk: LoadRisk
    preferences: Preferences


class AcceptedPage(BaseModel):
    """One page of what the user accepted, the latest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[AcceptedAdvice]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""
