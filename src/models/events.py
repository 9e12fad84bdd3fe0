"""Events: the values of the records on the topics."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.advice import AdviceContent
from models.check_ins import CheckIn
from models.form_analyses import FormAnalysisContent
from models.goals import GoalContent
from models.load import Band, Measure, Unknown
from models.own_exercises import NamedMovement
from models.phases import PhaseContent, PhaseTraining
from models.records import RecordKind
from models.trainings import ExerciseDocument, Status
from models.workouts import WorkoutExerciseDocument

# A broker's default limit is 1,048,588 bytes for a record batch; what is larger is refused before it is stored.
MAX_EVENT_BYTES = 900_000


class EventType(StrEnum):
    """Every type of event on `training_events`."""

    TRAINING_CREATED = "training_created"
    TRAINING_UPDATED = "training_updated"
    TRAINING_DELETED = "training_deleted"


class UserEventType(StrEnum):
    """Every other type of event there: of users as a whole."""

    USER_ERASED = "user_erased"


class WorkoutEventType(StrEnum):
    """Every type of event on `workout_events`."""

    WORKOUT_CREATED = "workout_created"
    WORKOUT_UPDATED = "workout_updated"
    WORKOUT_DELETED = "workout_deleted"


class ExerciseEventType(StrEnum):
    """Every type of event on `exercise_events`."""

    EXERCISE_CREATED = "exercise_created"
    EXERCISE_UPDATED = "exercise_updated"
    EXERCISE_DELETED = "exercise_deleted"
    EXERCISE_ALIAS_SET = "exercise_alias_set"
    EXERCISE_ALIAS_REMOVED = "exercise_alias_removed"


class InsightEventType(StrEnum):
    """Every type of event on `training_insights`."""

    PERSONAL_RECORD = "personal_record"
    LOAD_BAND_CHANGED = "load_band_changed"
    FORM_ANALYSIS_ADDED = "form_analysis_added"


class PhaseEventType(StrEnum):
    """What happens to phases, on `phase_events`."""

    PHASE_CREATED = "phase_created"
    PHASE_UPDATED = "phase_updated"
    PHASE_DELETED = "phase_deleted"


class GoalEventType(StrEnum):
    """What happens to goals, on `phase_events`."""

    GOAL_CREATED = "goal_created"
    GOAL_UPDATED = "goal_updated"
    GOAL_DELETED = "goal_deleted"


class AdviceEventType(StrEnum):
    """What athletes do with advice, on `readiness_events`."""

    ADVICE_ACCEPTED = "advice_accepted"
    ADVICE_UNDONE = "advice_undone"


class CheckInEventType(StrEnum):
    """What happens to check-ins, on `readiness_events`."""

    CHECK_IN_CREATED = "check_in_created"
    CHECK_IN_UPDATED = "check_in_updated"
    CHECK_IN_DELETED = "check_in_deleted"


class TrainingPayload(BaseModel):
    """The training after the change that the event announces. Absent fields are unknown.

    Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    training_id: UUID
    user_id: UUID
    status: Status
    exercises: list[ExerciseDocument]
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this training from 1, without a gap."""
    previous_status: Status | None = None
    """Status before the change; absent when the training was created."""
    source_id: str | None = None
    date: dt.datetime
    timezone: str
    day: dt.date
    """The athlete's local day of `date` in `timezone`."""
    title: str | None = None
    duration_seconds: int | None = None
    session_rpe: float | None = None
    bodyweight_kg: float | None = None
    notes: str | None = None
    workout_id: UUID | None = None
    """The workout that it was planned from."""
    workout_version: int | None = None
    """Version of that workout."""
    group_external_id: str | None = None
    """The group that it belongs to, as another service names it."""
    skipped_at: dt.datetime | None = None
    """When the athlete gave it up; only of a PLANNED training."""
    skip_reason: str | None = None
    hidden: bool | None = None
    """True: a coach planned it and the athlete does not see it yet; absent where it is shown."""

    @property
    def aggregate_id(self) -> UUID:
        """The training's id."""
        return self.training_id


class TrainingEvent(BaseModel):
    """The value of one record on `training_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: EventType
    timestamp: dt.datetime
    """When the change was stored, UTC."""
    payload: TrainingPayload


class UserErasedPayload(BaseModel):
    """The user, of whom everything was taken out for good, and of whom nothing comes any more on any topic.

    Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    user_id: UUID
    erasure_id: UUID
    """Of this erasure alone: a database that went back in time erases, and says so, anew."""

    @property
    def aggregate_id(self) -> UUID:
        """The erasure's id."""
        return self.erasure_id

    @property
    def version(self) -> int:
        """It is told once."""
        return 1


class UserErasedEvent(BaseModel):
    """The value of the last record of a user on `training_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: UserEventType
    timestamp: dt.datetime
    """When the erasure was done, UTC."""
    payload: UserErasedPayload


class WorkoutPayload(BaseModel):
    """The workout after the change that the event announces. Absent fields are unknown.

    Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    workout_id: UUID
    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this workout from 1, without a gap."""
    name: str
    notes: str | None = None
    group_external_id: str | None = None
    """The group that it is for, as another service names it."""
    exercises: list[WorkoutExerciseDocument]

    @property
    def aggregate_id(self) -> UUID:
        """The workout's id."""
        return self.workout_id


class WorkoutEvent(BaseModel):
    """The value of one record on `workout_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: WorkoutEventType
    timestamp: dt.datetime
    """When the change was stored, UTC."""
    payload: WorkoutPayload


class ExercisePayload(BaseModel):
    """From now on these names, in the user's trainings, mean this movement; without `exercise` nothing any more.

    A training is never rewritten: an exercise of it that has no slug is this movement where its name, in lower case and
    with single spaces, is one of these. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this user's names from 1, without a gap."""
    names: Annotated[list[str], Field(min_length=1)]
    """In lower case, with single spaces. All names of an own exercise that was created, changed or deleted; its own
    name is the first."""
    exercise: NamedMovement | None = None

    @property
    def aggregate_id(self) -> UUID:
        """All names of a user are one aggregate."""
        return self.user_id


class ExerciseEvent(BaseModel):
    """The value of one record on `exercise_events`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: ExerciseEventType
    timestamp: dt.datetime
    """When the change was stored, UTC."""
    payload: ExercisePayload


class RecordMethod(BaseModel):
    """By which rules a record was found."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    version: int
    """Grows with every change of the rules."""


class LoadMethod(BaseModel):
    """By which rules a load was judged. It is an indicator of load and nothing more."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    version: int
    """Grows with every change of the rules."""
    ratio: str
    """`coupled`: the mean load of 7 days over that of 28, these 7 included."""
    gap: str
    """`zero`: a day without a log has the load 0."""
    target: tuple[float, float]
    """The least and the greatest ratio of the band `target`."""


class PersonalRecordPayload(BaseModel):
    """A record that an athlete set, in a training that was logged within a week, and that stood when this was stored.

    It is a moment and not a state: where a correction or a deletion ends the record later, that is not told. A first
    performance is none. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts what was told of this record from 1, without a gap: a correction may have changed it."""
    record_id: UUID
    """The record: of this kind, of this exercise, in this training."""
    movement: str
    """Slug of the catalogue's movement, `own:` and the slug of an own exercise, or `name:` and the name in lower case
    with single spaces; `family:` and the family of a harder movement."""
    kind: RecordKind
    at_weight_kg: float | None = None
    """The weight that the repetitions are at; only of `reps_at_weight`."""
    value: float
    """Kilograms, repetitions, seconds, or the difficulty of a harder movement. Rounded half up to 4 digits after the
    point, as are `previous` and `at_weight_kg`."""
    previous: float
    """The value that it beat; of `reps_at_weight` the most repetitions before at this weight or more."""
    training_id: UUID
    day: dt.date
    """The athlete's local day of the training."""
    date: dt.datetime
    name: str
    """The exercise as the athlete calls it."""
    exercise: str | None = None
    own_exercise: str | None = None
    method: RecordMethod

    @property
    def aggregate_id(self) -> UUID:
        """The record's id."""
        return self.record_id


class PersonalRecordEvent(BaseModel):
    """The value of one record on `training_insights`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: Literal[InsightEventType.PERSONAL_RECORD]
    timestamp: dt.datetime
    """When the record was stored, UTC."""
    payload: PersonalRecordPayload


class LoadBandPayload(BaseModel):
    """The band that an athlete's load is in now, where that is another than before by the same measure.

    It is looked at after each change of a training, and once on each local day. That the load is judged by another
    measure than before is no event. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts what was told of this user's load from 1, without a gap."""
    previous_band: Band | None = None
    """The band until now, by the same measure; absent where there was none. Where the measure has changed since the
    last event, it is not the one that was told."""
    load_id: UUID
    """All that is told of one user's load."""
    day: dt.date
    """The athlete's local day, in the time zone of the latest training."""
    band: Band | None = None
    """Absent where there is none any more: no load in the last 28 days."""
    measure: Measure | None = None
    """What is taken as load: the first of session RPE, system load, external load and time under tension that is known
    on 80 % of the days with a training among the 28 up to the last of them, or else the one known on most."""
    acwr: float | None = None
    """The ratio of acute to chronic load."""
    acute: float | None = None
    chronic: float | None = None
    reason: Unknown | None = None
    """Why there is no ratio."""
    method: LoadMethod

    @property
    def aggregate_id(self) -> UUID:
        """All that is told of one user's load is one aggregate."""
        return self.load_id


class LoadBandEvent(BaseModel):
    """The value of one record on `training_insights`. Its key is the user's id, as text."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    event_type: Literal[InsightEventType.LOAD_BAND_CHANGED]
    timestamp: dt.datetime
    """When the band was stored, UTC."""
    payload: LoadBandPayload


class _Event(BaseModel):
    """What every event says of itself."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_id: UUID
    """The same in every copy of the event: consumers drop what they have seen."""
    timestamp: dt.datetime
    """When the change was stored, UTC."""


class PhasePayload(PhaseContent):
    """The phase after the change that the event announces; what it planned are trainings, with events of their own.

    Absent fields are unknown. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    phase_id: UUID
    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this phase from 1, without a gap."""
    trainings: list[PhaseTraining]
    """What it has laid, by weeks and slots; what it had laid, where it was deleted."""

    @property
    def aggregate_id(self) -> UUID:
        """The phase's id."""
        return self.phase_id


class PhaseEvent(_Event):
    """The value of one record on `phase_events`. Its key is the user's id, as text."""

    event_type: PhaseEventType
    payload: PhasePayload


class GoalPayload(GoalContent):
    """The goal after the change that the event announces. How far it is is computed when it is asked for.

    Absent fields are unknown. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    goal_id: UUID
    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this goal from 1, without a gap."""

    @property
    def aggregate_id(self) -> UUID:
        """The goal's id."""
        return self.goal_id


class GoalEvent(_Event):
    """The value of one record on `phase_events`. Its key is the user's id, as text."""

    event_type: GoalEventType
    payload: GoalPayload


class AdvicePayload(AdviceContent):
    """Advice that an athlete accepted or took back, with what that changed; the trainings have events of their own.

    Absent fields are unknown. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    advice_id: UUID
    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """1 where it was accepted, 2 where it was undone."""

    @property
    def aggregate_id(self) -> UUID:
        """The advice's id."""
        return self.advice_id


class AdviceEvent(_Event):
    """The value of one record on `readiness_events`. Its key is the user's id, as text."""

    event_type: AdviceEventType
    payload: AdvicePayload


class CheckInPayload(CheckIn):
    """The check-in after the change that the event announces: data concerning health.

    Absent fields are unknown. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    check_in_id: UUID
    user_id: UUID
    version: Annotated[int, Field(ge=1)]
    """Counts the changes of this check-in from 1, without a gap."""

    @property
    def aggregate_id(self) -> UUID:
        """The check-in's id."""
        return self.check_in_id


class CheckInEvent(_Event):
    """The value of one record on `readiness_events`. Its key is the user's id, as text."""

    event_type: CheckInEventType
    payload: CheckInPayload


class FormAnalysisPayload(FormAnalysisContent):
    """What another service found in the video of a set. It never changes.

    Absent fields are unknown. Later versions only add optional fields: readers ignore what they do not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    form_analysis_id: UUID
    user_id: UUID
    version: Annotated[int, Field(ge=1)]

    @property
    def aggregate_id(self) -> UUID:
        """The analysis' id."""
        return self.form_analysis_id


class FormAnalysisEvent(_Event):
    """The value of one record on `training_insights`. Its key is the user's id, as text."""

    event_type: Literal[InsightEventType.FORM_ANALYSIS_ADDED]
    payload: FormAnalysisPayload
