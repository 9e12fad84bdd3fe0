"""What advice is computed from: one athlete's figures up to a day, and what is planned from that day on."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from analytics.preferences import Habit
from models.advice import AdviceKind, AdviceSubject
from models.exercises import Catalogue
from models.load import LoadDay, Measure
from models.sets import RepRangeDocument, Unit


class Plan(Protocol):
    """A PLANNED training, as `storage.plans` reads it: `fields` are the members of a `TrainingDocument`."""

    @property
    def id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def fields(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class LoadInput:
    """The load of consecutive days, the last of which is the day that is asked for; none before the first training.

    `known` are days with a training on which the measure is known: of the last 28 at least, and of the 28 that end with
    the last day that is over. Which of the days are over is told by `AdviceInputs`; the rules look at 8 weeks of those.
    """

    days: Sequence[LoadDay] = ()
    measure: Measure | None = None
    unit: str | None = None
    known: frozenset[dt.date] = frozenset()


@dataclass(frozen=True, slots=True)
class ReadinessInput:
    """The readiness of the day: 0 to 100, 50 is the athlete's own usual day; None where it is not known. `reason` are
    the sentences that readiness itself says of it."""

    score: float | None = None
    confidence: float = 0.0
    reason: str = ""


class RecordInput(NamedTuple):
    """A personal record of the last 28 days. `what` names the kind."""

    movement: str
    what: str
    value: float
    unit: str
    day: dt.date
    training_id: UUID


@dataclass(frozen=True, slots=True)
class GoalInput:
    """A goal that is neither reached nor over. `movement` is its key, None where it is of all training."""

    id: UUID
    name: str
    movement: str | None
    behind: bool
    due: dt.date


class WeekSets(NamedTuple):
    """Hard sets of the categories Push and Pull in 7 days; `last` is the last of these. `unknown` are hard sets of
    names that mean no movement, so that nobody knows whether they are of the two."""

    last: dt.date
    push: float
    pull: float
    unknown: float = 0.0


@dataclass(frozen=True, slots=True)
class Prescribed:
    """What the rule of progression of a workout's exercise prescribes next.

    `decision` is the walk's: start, progress, hold, deload, harder, easier or script. `exercise` is the slug of the
    movement to do, None where the workout names none; `weight` is exact, in `unit`, and `display_weight` what plates
    can make of it, where the rule says what they can. `sessions` are the latest that the walk counts, oldest first,
    each with whether its prescription was missed: all of them, or 3 at least. `deciding` are those among them that the
    decision follows from, where that is known. `template` is what the workout itself says.
    """

    workout_id: UUID
    exercise_id: UUID
    name: str
    exercise: str | None
    decision: str
    reason: str
    sets: int
    reps: int | RepRangeDocument | None = None
    weight: float | None = None
    unit: Unit = Unit.KG
    hold_seconds: float | None = None
    rpe: float | None = None
    sessions: Sequence[tuple[UUID, dt.date, bool]] = ()
    template: "Prescribed | None" = None
    display_weight: float | None = None
    deciding: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """Advice that was accepted for `day`; `trainings` are those that it changed, and that were not put back."""

    day: dt.date
    kind: AdviceKind
    subject: AdviceSubject
    trainings: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class AdviceInputs:
    """Everything that advice for `day` is computed from.

    `today` is the athlete's present day, by default `day`. `planned` are the PLANNED trainings from `day` on, by date;
    `busy` are the days of all trainings from then on, whatever their status. `trained` is whether one of the day was
    begun or done. `deload_days` are the days of deload phases around `day`. `sides` has the category of movements by
    their key, where the catalogue does not tell it. `standing` is what was accepted for days before `day`, for it, and
    for those that come, and not undone; `left` is what was undone, and left trainings changed. `undone` are the ids of
    this day's advice that was accepted and undone: it may be given again, under another id.
    """

    user_id: UUID
    day: dt.date
    catalogue: Catalogue
    load: LoadInput = LoadInput()
    readiness: ReadinessInput = ReadinessInput()
    records: Sequence[RecordInput] = ()
    goals: Sequence[GoalInput] = ()
    weeks: Sequence[WeekSets] = ()
    sides: Mapping[str, str] = field(default_factory=dict)
    habits: Sequence[Habit] = ()
    prescribed: Sequence[Prescribed] = ()
    planned: Sequence[Plan] = ()
    busy: frozenset[dt.date] = frozenset()
    trained: bool = False
    deload_days: frozenset[dt.date] = frozenset()
    standing: Sequence[Standing] = ()
    left: Sequence[Standing] = ()
    undone: frozenset[UUID] = frozenset()
    today: dt.date | None = None


def day_of(plan: Plan) -> dt.date:
    """The local day that a training is planned for."""
    day = plan.fields["day"]
    return day if isinstance(day, dt.date) else dt.date.fromisoformat(day)
