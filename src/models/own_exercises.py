"""What a user says of movements: own exercises, and what the names in their trainings mean."""

import datetime as dt
import hashlib
import re
import unicodedata
from itertools import filterfalse
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.exercises import MovementFacts, MovementTold, folded
from models.fields import Slug, either
from models.sets import Document

MOST_OWN = 500  # own exercises of one user
MOST_NAMES = 1000  # names of one user that mean something
MOST_NAMES_OF_ONE = 500  # of one own exercise: an event tells all of them, in fewer bytes than a broker takes
MOST_SUGGESTIONS = 5  # for one name


class OwnExerciseCreate(MovementFacts):
    """Body of POST /own-exercises."""

    slug: Slug | None = None
    """Names it among the user's own exercises, for ever; made of the name where it is left out."""


class OwnExerciseUpdate(MovementFacts):
    """Body of PUT /own-exercises/{slug}: the whole exercise anew. What GET answered may be sent back, changed."""

    slug: Slug | None = Field(default=None, json_schema_extra={"readOnly": True})
    revision: int | None = Field(default=None, json_schema_extra={"readOnly": True})
    created_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})
    updated_at: dt.datetime | None = Field(default=None, json_schema_extra={"readOnly": True})


class NamedMovement(MovementTold):
    """The movement that names stand for: a revision of the catalogue's, or of the user's `own`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    own: bool
    """Whether it is the user's own; else it is the catalogue's."""


class OwnExerciseDocument(MovementTold):
    """A user's own exercise as clients read it. `revision` counts its edits from 1, and is its ETag."""

    created_at: dt.datetime
    updated_at: dt.datetime


class OwnExercises(BaseModel):
    """All own exercises of a user, by slug."""

    items: list[OwnExerciseDocument]


class AliasBody(Document):
    """Body of PUT /exercise-aliases/{name}: what the name means. Exactly one of the two is given."""

    exercise: Slug | None = None
    """Slug of a movement of the catalogue, as it is now."""
    own_exercise: Slug | None = None
    """Slug of one of the user's own exercises."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        either(self, "exercise", "own_exercise")
        return self


class AliasDocument(BaseModel):
    """A name in a user's trainings, and the movement that it means."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    """In lower case, with single spaces."""
    exercise: str | None = None
    """Slug of the catalogue's movement."""
    exercise_revision: int | None = None
    """Revision of it: the latest when the name got this meaning."""
    own_exercise: str | None = None
    """Slug of the user's own exercise."""


class Aliases(BaseModel):
    """All names of a user that mean something, in order; those of own exercises too."""

    items: list[AliasDocument]


class Suggestion(BaseModel):
    """What a name may mean."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    exercise: str | None = None
    """Slug of the catalogue's movement."""
    own_exercise: str | None = None
    """Slug of the user's own exercise."""
    name: str
    """Of the movement."""
    score: float
    """How well a name of it fits, 0 to 1."""


class UnmappedName(BaseModel):
    """A name in a user's trainings that means nothing yet."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    """As it was written last."""
    exercises: int
    """How often an exercise of a COMPLETED training has it."""
    sets: int
    """The sets of these that are done."""
    last_day: dt.date
    """The athlete's local day of the last of these trainings."""
    suggestions: list[Suggestion]
    """Up to five, what fits best first."""


class UnmappedNames(BaseModel):
    """One page of the names that mean nothing yet, the most frequent first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[UnmappedName]
    next_cursor: str | None = None
    """Where the next page begins; absent on the last one. The header Link holds its address."""


def slug_of(name: str) -> str:
    """A slug made of a name: of its Latin letters and digits, where it has any."""
    plain = "".join(filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", name.casefold())))
    slug = "-".join(re.findall("[a-z0-9]+", plain))[:100].strip("-")
    return slug or f"exercise-{hashlib.sha256(folded(name).encode()).hexdigest()[:12]}"
