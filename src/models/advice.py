"""Advice: what a service that read the log would do next, what it would change, and what was accepted of it."""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from models.fields import Proportion, number
from models.load import Band, Measure
from models.sets import SetType, TargetDocument, Unit
from models.trainings import Status

_NULLABLE = frozenset({"value", "ratio", "band", "measure", "acute", "chronic", "until"})


class AdviceKind(StrEnum):
    """What is advised, in the order of precedence."""

    REST = "rest"
    """Do not train on this day."""
    DELOAD = "deload"
    """Train with half the sets for a week."""
    REGRESS = "regress"
    """Go back with one exercise, as its rule of progression says."""
    HOLD = "hold"
    """Stay with one exercise where its rule of progression stands; what is planned says something else."""
    PROGRESS = "progress"
    """Go on with one exercise, as its rule of progression says."""
    BALANCE = "balance"
    """Do more of push or of pull, whichever lacks."""
    PREFER = "prefer"
    """Plan what is done anyway in place of an exercise that is planned and skipped."""


class NotAdvisedBecause(StrEnum):
    """Why something is not advised."""

    NOTHING = "nothing"
    """It was looked at, and asks for no change."""
    UNKNOWN = "unknown"
    """Too little is known."""
    WITHHELD = "withheld"
    """It holds, or would, and something else speaks against it."""


class SubjectKind(StrEnum):
    """What a piece of advice is about."""

    DAY = "day"
    WEEK = "week"
    """The day and the six after it."""
    EXERCISE = "exercise"
    """One exercise of a workout, or of planned trainings of none."""


class EvidenceSource(StrEnum):
    """Where a piece of evidence comes from."""

    LOAD = "load"
    READINESS = "readiness"
    PROGRESSION = "progression"
    RECORDS = "records"
    GOALS = "goals"
    VOLUME = "volume"
    TRAININGS = "trainings"


class AdviceSubject(BaseModel):
    """What a piece of advice is about; no two of a day are about the same."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    kind: SubjectKind
    day: dt.date
    """The day that it was asked for, or the first of the week."""
    workout_id: UUID | None = None
    exercise_id: UUID | None = None
    """Id of the exercise in the workout and in the trainings planned from it."""
    movement: str | None = None
    """Key of the movement, as the report of progress names it."""
    name: str | None = None
    """As the plan has it."""


class UsualRange(BaseModel):
    """The range that a figure usually lies in; an end that is absent is open."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    least: float | None = None
    most: float | None = None


class AdviceEvidence(BaseModel):
    """One figure that a piece of advice was computed from."""

    model_config = ConfigDict(
        frozen=True, use_attribute_docstrings=True, serialize_by_alias=True, validate_by_name=True
    )

    what: str
    """What the figure is, in words."""
    value: float | str | None = None
    """Null where it is not known."""
    unit: str | None = None
    usual: UsualRange | None = None
    source: EvidenceSource
    first: Annotated[dt.date | None, Field(alias="from")] = None
    """First local day of what it was computed from."""
    last: Annotated[dt.date | None, Field(alias="to")] = None
    ids: list[UUID] = []
    """Trainings, or goals, that it was computed from."""


class ConfidencePart(BaseModel):
    """How much of one kind of data is there that the rule wants."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    what: str
    share: Proportion
    reason: str


class AdvisedSets(BaseModel):
    """Adjacent sets of a plan that are alike."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    sets: int
    unit: Unit = Unit.KG
    type: SetType = SetType.WORKING
    target: TargetDocument | None = None


class AdvisedExercise(BaseModel):
    """An exercise as a planned training has it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: UUID
    name: str
    exercise: str | None = None
    """Slug of a movement of the catalogue."""
    planned: list[AdvisedSets]


class ExerciseChange(BaseModel):
    """An exercise of a planned training before and after."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    before: AdvisedExercise
    after: AdvisedExercise


class AdviceChange(BaseModel):
    """What accepting a piece of advice does to one planned training."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    training_id: UUID
    title: str | None = None
    day: dt.date
    """The local day that it is planned for."""
    day_after: dt.date | None = None
    """The day that it is moved to; absent where it stays."""
    exercises: list[ExerciseChange] = []
    """Those that become others."""


class Advice(BaseModel):
    """One piece of advice. The same log gives the same advice with the same id."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: UUID
    """Follows from the user, the day, what is advised, its evidence and its changes, and the version of the method."""
    kind: AdviceKind
    subject: AdviceSubject
    title: str
    reason: str
    """Why, in words."""
    evidence: list[AdviceEvidence]
    confidence: Proportion
    """How much of the data is there that the rule wants: the product of `confidence_parts`. It is no probability."""
    confidence_parts: list[ConfidencePart]
    method_version: int
    """Version of the rules that gave it."""
    changes: list[AdviceChange]
    """What accepting it does. Empty where nothing is planned that it would change."""


class NotAdvised(BaseModel):
    """A kind of advice that is not given on the day."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    kind: AdviceKind
    because: NotAdvisedBecause
    reason: str
    """Why, in words."""


class AcceptedChange(AdviceChange):
    """What accepting did to one training."""

    version: int
    """The training's version before."""
    version_after: int
    """The version that accepting made."""
    version_restored: int | None = None
    """The version that undoing made, which says what the training said before; absent where it was not undone."""
    stays: str | None = None
    """Why undoing left the training as it is, in words: it was done, begun, skipped, deleted or changed since."""


class AdviceContent(BaseModel):
    """Advice that was accepted, with what it changed, as it is stored and published."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    day: dt.date
    """The local day that it was given for."""
    undone: bool
    """Whether it was undone since."""
    kind: AdviceKind
    subject: AdviceSubject
    title: str
    reason: str
    evidence: list[AdviceEvidence]
    confidence: Proportion
    confidence_parts: list[ConfidencePart]
    method_version: int
    changes: list[AcceptedChange]


class AcceptedAdvice(AdviceContent):
    """Advice that was accepted, as clients read it."""

    id: UUID
    user_id: UUID
    version: int
    """1 where it stands, 2 where it was undone."""
    created_at: dt.datetime
    """When it was accepted."""
    updated_at: dt.datetime
    """When it was accepted, or undone."""


class Became(NamedTuple):
    """What became of a training since accepting changed it. Days are the athlete's local ones."""

    status: Status
    day: dt.date
    skipped: dt.date | None
    """The day that it was skipped on."""
    deleted: dt.date | None
    changed: dt.date
    """The day of the latest change."""
    untouched: bool
    """Whether accepting was the latest change."""
    later: UUID | None
    """Advice that was accepted later, stands, and left the training as it is."""
    title: str | None
    """That advice's title."""


class LoadPosition(StrEnum):
    """Where the load of the last days stands to what the athlete is used to."""

    BELOW = "below"
    INSIDE = "inside"
    ABOVE = "above"
    UNKNOWN = "unknown"


class LoadRisk(BaseModel):
    """Whether the athlete's load lies outside its usual range: an indicator of load, and of nothing else."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    indicator: str
    """What it is."""
    position: LoadPosition
    reason: str
    ratio: float | None
    """Mean load of 7 days over that of 28 (coupled ACWR); null where it is not known."""
    band: Band | None
    usual: UsualRange
    """The ratios that count as usual."""
    measure: Measure | None
    """What is taken as load; null where none is known."""
    unit: str | None = None
    acute: float | None
    """Mean of the last 7 days, in `unit`."""
    chronic: float | None
    """Mean of the last 28 days."""
    observed_days_28: int
    """On how many of the last 28 days a training was completed."""
    known_days: int
    """On how many of these the measure is known."""
    until: dt.date | None
    """Last local day whose load is in it; null where none is known. The day itself has a part once a training of it has
    a load."""
    disputed: str
    """What the literature disputes about it."""
    not_a_diagnosis: str
    """What it does not say."""


def told(value: Any) -> Any:
    """What pydantic dumped, as clients read it: without the members that do not apply, and numbers as people write
    them. Figures that are not known are null."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return [told(one) for one in value]
    if isinstance(value, dict):
        return {name: told(one) for name, one in value.items() if one is not None or name in _NULLABLE}
    return value


def accepted_content(advice: Advice, day: dt.date, versions: Mapping[UUID, int]) -> str:
    """What is stored and published of advice that is accepted: an `AdviceContent`, as JSON.

    `versions` are those of the trainings before, each of which the change brings to its next one.
    """
    document = advice.model_dump(mode="json", exclude={"id"})
    for change in document["changes"]:
        before = versions[UUID(change["training_id"])]
        change |= {"version": before, "version_after": before + 1}
    return orjson.dumps({"day": day.isoformat(), "undone": False} | told(document)).decode()
