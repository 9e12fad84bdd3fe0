"""The catalogue of movements: what admins write, what everybody reads, and what a training needs of it."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from models.errors import UnknownExercise
from models.fields import TAG, ExternalId, Fraction, Name, Slug
from models.sets import Document


class Facts(NamedTuple):
    """What a movement's sets are computed with. All None: no movement is known.

    `bw_fraction` is the part of the body's mass that it lifts; None is unknown, not zero. `category` is Push, Pull,
    Legs, Core or Skill; `difficulty` 1 to 10 is ordinal within a family. `implement`: see `is_of_implement`.
    """

    bw_fraction: Decimal | None = None
    category: str | None = None
    family: str | None = None
    difficulty: int | None = None
    implement: bool = False


UNKNOWN = Facts()
_ALIKE = 0.7  # from 0 to 1: `pistol-sqat` is 0.96 like `pistol-squat`
_MOST_NAMED, _LEAST_LETTERS = 3, 3
_IMPLEMENTS = frozenset({"barbell", "dumbbell", "ez_bar", "kettlebell", "smith_machine", "trap_bar"})
_BESIDE = frozenset({"bench", "box"})


def is_of_implement(equipment: Collection[str]) -> bool:
    """Whether lifters know such a movement's maximum as the weight of an implement: a squat's, not a weighted dip's."""
    used = frozenset(equipment)
    return bool(used & _IMPLEMENTS) and used <= _IMPLEMENTS | _BESIDE


@dataclass(frozen=True, slots=True)
class Movement:
    """One immutable revision of one movement of the catalogue. `mode` is reps or hold; `Facts` says the rest."""

    slug: str
    revision: int
    name: str
    category: str
    mode: str
    difficulty: int
    bw_fraction: Decimal | None
    family: str | None = None
    equipment: Collection[str] = ()
    easier_slugs: Collection[str] = ()

    @property
    def facts(self) -> Facts:
        """What its sets are computed with."""
        implement = is_of_implement(self.equipment)
        return Facts(self.bw_fraction, self.category, self.family, self.difficulty, implement)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All revisions of all movements; revisions are immutable, so what is in it never becomes wrong, only old."""

    revisions: Mapping[tuple[str, int], Movement]
    latest: Mapping[str, int]

    @classmethod
    def of(cls, movements: list[Movement]) -> "Catalogue":
        """Make a catalogue of the revisions given."""
        latest: dict[str, int] = {}
        for movement in movements:
            latest[movement.slug] = max(movement.revision, latest.get(movement.slug, 0))
        return cls({(movement.slug, movement.revision): movement for movement in movements}, latest)

    @property
    def facts(self) -> dict[tuple[str, int], Facts]:
        """What the sets of each (slug, revision) are computed with."""
        return {revision: movement.facts for revision, movement in self.revisions.items()}

    def unknown(self, slug: str, pointer: str) -> UnknownExercise:
        """The error that it has no such movement, which names three at most: those whose slugs are most like it, then
        the shortest in which a word begins with it. `pointer` is where the slug stands."""
        like = get_close_matches(slug, self.latest, _MOST_NAMED, _ALIKE)
        if len(slug) >= _LEAST_LETTERS:
            like += sorted(sorted(other for other in self.latest if f"-{slug}" in f"-{other}"), key=len)
        near = " or ".join(f"`{other}`" for other in list(dict.fromkeys(like))[:_MOST_NAMED])
        return UnknownExercise(f"The catalogue has no movement `{slug}`.{near and f' Did you mean {near}?'}", pointer)


def folded(name: str) -> str:
    """A name as names are compared: in lower case, with single spaces."""
    return " ".join(name.split()).casefold()


class Category(StrEnum):
    """What kind of movement it is."""

    PUSH = "Push"
    PULL = "Pull"
    LEGS = "Legs"
    CORE = "Core"
    SKILL = "Skill"


class Mode(StrEnum):
    """What its sets are measured by: repetitions or seconds."""

    REPS = "reps"
    HOLD = "hold"


class Phase(StrEnum):
    """What the muscles do that the movement is for: stay, shorten or lengthen."""

    ISOMETRIC = "isometric"
    CONCENTRIC = "concentric"
    ECCENTRIC = "eccentric"


class Direction(StrEnum):
    """Where a path leads: to a harder movement, to an easier one, nowhere else, or it is not there."""

    HARDER = "harder"
    EASIER = "easier"
    SAME = "same"
    NONE = "none"


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("must not name anything twice")
    return values


Difficulty = Annotated[int, Field(ge=1, le=10)]
Tag = Annotated[str, StringConstraints(max_length=50, pattern=TAG)]
_DISTINCT: JsonDict = {"uniqueItems": True}
Tags = Annotated[list[Tag], Field(max_length=20, json_schema_extra=_DISTINCT), AfterValidator(_distinct)]
Muscles = Annotated[
    list[Tag], Field(min_length=1, max_length=20, json_schema_extra=_DISTINCT), AfterValidator(_distinct)
]
Slugs = Annotated[list[Slug], Field(max_length=20, json_schema_extra=_DISTINCT), AfterValidator(_distinct)]
Phases = Annotated[list[Phase], Field(max_length=3, json_schema_extra=_DISTINCT), AfterValidator(_distinct)]


class MovementFacts(Document):
    """What is said of a movement, of the catalogue or of a user's own, whether it is added or edited."""

    name: Name
    category: Category
    mode: Mode
    """What sets are measured by: repetitions, or seconds."""
    phases: Phases
    """Biomechanical tags: what the muscles do that it is for."""
    equipment: Tags = Field(default=[])
    """Like `pull_up_bar`; empty where none is needed."""
    difficulty: Difficulty
    """A judgement, ordinal within a family."""
    muscles: Muscles
    """Primary muscles, like `lower_back`."""
    secondary_muscles: Tags = Field(default=[])
    bw_fraction: Fraction | None = None
    """Part of the body's mass that it lifts; absent is unknown, 0 is none."""
    bw_fraction_basis: Name | None = None
    """Where the fraction comes from."""
    family: Slug
    """Movements of one family are compared by their difficulty."""
    unilateral: bool = False
    """Whether a set trains one side."""
    image_id: ExternalId | None = None
    """Of the media service."""


class MovementBody(MovementFacts):
    """What admins say of a movement, whether they add or edit it."""

    easier_slugs: Slugs = Field(default=[])
    """Movements that are learnt before it. All of these together form no circle."""


class MovementCreate(MovementBody):
    """Body of POST /exercises."""

    slug: Slug
    """Names the movement for ever."""


class MovementUpdate(MovementBody):
    """Body of PUT /exercises/{slug}: the whole movement anew. What GET answered may be sent back, changed."""

    slug: Slug | None = Field(default=None, json_schema_extra={"readOnly": True})
    revision: int | None = Field(default=None, json_schema_extra={"readOnly": True})
    created_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})


class MovementTold(BaseModel):
    """What is told of a movement, of the catalogue or of a user's own. Absent fields are unknown."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    slug: str
    revision: int
    name: str
    category: Category
    mode: Mode
    phases: list[Phase]
    """Biomechanical tags: what the muscles do that it is for."""
    equipment: list[str]
    difficulty: int
    """1 to 10: a judgement, ordinal within a family."""
    muscles: list[str]
    secondary_muscles: list[str]
    bw_fraction: float | None = None
    """Part of the body's mass that it lifts; 0 is none."""
    bw_fraction_basis: str | None = None
    family: str
    unilateral: bool
    image_id: str | None = None
    """Of the media service."""


class MovementDocument(MovementTold):
    """One revision of a movement. Absent fields are unknown."""

    revision: int
    """Counts its edits from 1; also its ETag. Trainings name the one that they were logged with."""
    easier_slugs: list[str]
    created_at: dt.datetime
    """When this revision was made."""


class MovementPage(BaseModel):
    """One page of the catalogue: by slug, or what fits best first where a name is searched for."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[MovementDocument]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


class Progressions(BaseModel):
    """What is learnt before and after a movement; with `to` the shortest way there as well."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    easier: list[MovementDocument]
    """Its direct predecessors, the easiest first."""
    harder: list[MovementDocument]
    """Its direct successors, the easiest first."""
    direction: Direction | None = None
    """With `to`: where the path leads; `none` where no path goes there in one direction."""
    path: list[MovementDocument] | None = None
    """With `to`: from the one movement to the other, both included; empty where there is none."""


class NamedExercise(BaseModel):
    """A name, and the movement that it stands for."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    """In lower case, with single spaces."""
    exercise: str
    """Slug of the movement."""


class ExerciseNames(BaseModel):
    """Every name by which the catalogue knows a movement: its own, and those of Strong, Hevy and FitNotes."""

    items: list[NamedExercise]
