"""A form analysis: what another service found on the video of a set."""

import datetime as dt
import hashlib
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.fields import NO_NUL, ExternalId, Moment, Name, Seconds, Share, Title, number, wrong
from models.sets import Document
from models.trainings import check_past

Words = Annotated[str, Field(min_length=1, max_length=2_000, pattern=NO_NUL)]


class Severity(StrEnum):
    """How much a remark matters."""

    INFO = "info"
    WARNING = "warning"


class Analyser(Document):
    """What made the analysis."""

    name: Name
    version: Name


class Score(Document):
    """One thing that was judged."""

    name: Name
    """What was judged, as the analyser calls it: unique in the analysis."""
    value: Share
    """How well it was done, by the analyser's own scale: 0 to 1, more is better."""
    about: Title | None = None
    """What the value means, for people."""


class Remark(Document):
    """One thing that was seen."""

    at_seconds: Seconds | None = None
    """Where in the video."""
    severity: Severity
    text: Words


class FormAnalysisCreate(Document):
    """Body of POST …/form-analyses."""

    id: UUID | None = None
    """The analysing service's own id, unique per user for ever: sent again with the same body it adds nothing."""
    video_id: ExternalId
    """The recording that was analysed: the set's own."""
    analyser: Analyser
    scores: Annotated[list[Score], Field(max_length=50)] = Field(default=[])
    remarks: Annotated[list[Remark], Field(max_length=200)] = Field(default=[])
    analysed_at: Moment

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.scores and not self.remarks:
            raise ValueError("must have a score or a remark")
        names = [score.name for score in self.scores]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise wrong((("scores", place, "name"), "must not be that of another score"))
        return self

    def check_done(self, now: dt.datetime) -> None:
        """Raises `Unprocessable` where it was made too far after `now`."""
        check_past(self.analysed_at, now, "/analysed_at")

    def content(self, training_id: UUID, exercise_id: UUID, set_id: UUID) -> str:
        """What is stored and published of it: a JSON object."""
        place = {"training_id": training_id, "exercise_id": exercise_id, "set_id": set_id}
        said = self.model_dump(mode="json", exclude_none=True, exclude={"id"})
        for score in said["scores"]:
            score["value"] = number(score["value"])
        for remark in said["remarks"]:
            if "at_seconds" in remark:
                remark["at_seconds"] = number(remark["at_seconds"])
        return orjson.dumps(place | said).decode()

    def digest_of(self, training_id: UUID, exercise_id: UUID, set_id: UUID) -> bytes:
        """SHA-256 of what the client said, and of which set."""
        return hashlib.sha256(training_id.bytes + exercise_id.bytes + set_id.bytes + self.digest()).digest()


class AnalyserDocument(BaseModel):
    """What made the analysis."""

    name: str
    version: str


class ScoreDocument(BaseModel):
    """One thing that was judged."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    value: float
    """How well it was done, by the analyser's own scale: 0 to 1, more is better."""
    about: str | None = None


class RemarkDocument(BaseModel):
    """One thing that was seen."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    at_seconds: float | None = None
    """Where in the video."""
    severity: Severity
    text: str


class FormAnalysisContent(BaseModel):
    """What a form analysis says, as it is stored and published. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    training_id: UUID
    exercise_id: UUID
    set_id: UUID
    video_id: str
    """The recording that was analysed, which the set had then."""
    analyser: AnalyserDocument
    scores: list[ScoreDocument]
    remarks: list[RemarkDocument]
    analysed_at: dt.datetime


class FormAnalysisDocument(FormAnalysisContent):
    """A form analysis as clients read it: what its analyser says. It never changes. Absent fields are unknown."""

    id: UUID
    user_id: UUID
    version: int
    """Always 1."""
    created_at: dt.datetime
    updated_at: dt.datetime


class FormAnalysisPage(BaseModel):
    """One page of the form analyses of a set, those added last first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[FormAnalysisDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""
