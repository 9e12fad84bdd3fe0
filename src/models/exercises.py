"""The catalogue of movements, as far as a training needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Movement:
    """One immutable revision of one movement of the catalogue.

    `bw_fraction` is the part of the body's mass that it lifts; None is unknown, not zero. `category` is Push, Pull,
    Legs, Core or Skill; `mode` is reps or hold; `difficulty` 1 to 10 is ordinal within a family.
    """

    slug: str
    revision: int
    name: str
    category: str
    mode: str
    difficulty: int
    bw_fraction: Decimal | None


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
