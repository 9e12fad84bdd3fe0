"""Planned against actual: what `analytics.adherence` makes of a training, and what clients read of it."""

from pydantic import BaseModel, ConfigDict

from models.fields import Proportion
from models.sets import RepRangeDocument


class ExerciseAdherence(BaseModel):
    """One exercise, planned against actual. Absent fields have nothing to tell."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    exercise: str | None = None
    """Slug of the catalogue's movement."""
    sets_planned: int
    sets_done: int
    """Sets that were done, those beyond the plan included."""
    sets_in_target: int
    """Planned sets that were done and met their target of repetitions or hold."""
    reps_planned: RepRangeDocument | None = None
    """Sum over the planned sets that aim at repetitions; absent where none does."""
    reps_done: int
    hold_seconds_planned: float | None = None
    """Sum over the planned sets that aim at a hold; absent where none does."""
    hold_seconds_done: float
    max_weight_planned_kg: float | None = None
    """Greatest weight that is aimed at; negative is assistance."""
    max_weight_done_kg: float | None = None
    """Greatest weight of a set that was done, with a repetition or a hold; negative is assistance."""
    skipped: bool
    """It was planned, and no set of it was done."""
    additional: bool
    """It was not planned, and a set of it was done."""
    adherence: Proportion | None = None
    """`sets_in_target` / `sets_planned`; absent where nothing was planned."""


class Adherence(BaseModel):
    """A training, planned against actual. Absent fields have nothing to tell."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    method: str
    """What `adherence` is, in words."""
    adherence: Proportion | None = None
    """Absent where nothing was planned."""
    sets_planned: int
    sets_done: int
    sets_in_target: int
    exercises_skipped: int
    exercises_additional: int
    exercises: tuple[ExerciseAdherence, ...]
    """In the order of the plan; what was done beside it comes last."""
