"""What an athlete prefers, as the log shows it: movements done often, skipped, and replaced by others."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Often(BaseModel):
    """A movement that is done often."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    movement: str
    """Its key, as the report of progress names it."""
    name: str
    """As the latest of the trainings has it."""
    sessions: int
    """Completed trainings with a set of it that was done, among those looked at."""
    reason: str


class Skipped(BaseModel):
    """A movement that is planned and not done."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    movement: str
    name: str
    planned: int
    """The last times that it was planned in a completed training: at most 6."""
    skipped: int
    """How many of these had no set of it that was done."""
    trainings: list[UUID]
    """Those trainings, the latest first."""
    reason: str


class Replaced(Skipped):
    """A movement that is skipped, with what is done in its place."""

    by: str
    """Key of the movement that is done in its place most often."""
    by_name: str
    times: int
    """How many of the `skipped` times that one was done in its place."""


class Preferences(BaseModel):
    """What the athlete prefers. Each list begins with what tells most."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    often: list[Often]
    skipped: list[Skipped]
    """Movements that were skipped half of the times or more, of three times at least."""
    replaced: list[Replaced]
    """Those of them in whose place another movement is done."""
    reason: str
    """What was looked at, in words."""
