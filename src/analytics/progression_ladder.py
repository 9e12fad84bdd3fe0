"""The catalogue's graph as progression climbs it: what is harder and what is easier than a movement."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from models.errors import Unprocessable
from models.exercises import Catalogue, Movement
from models.progression_rules import HarderRule, Rule


class Choice(NamedTuple):
    """The movement that comes next, None where there is none, and the names of those that might have come instead."""

    slug: str | None
    others: tuple[str, ...] = ()


class Ladder:
    """The movements of a catalogue at their latest revisions, with what each is easier and harder than.

    Neighbours are measured alike: by repetitions, or by seconds. A movement that the catalogue lacks has none.
    """

    def __init__(self, movements: Iterable[Movement]) -> None:
        self._movements = {movement.slug: movement for movement in movements}
        harder: defaultdict[str, list[str]] = defaultdict(list)
        for slug, movement in self._movements.items():
            for easier in movement.easier_slugs:
                if self._alike(easier, movement):
                    harder[easier].append(slug)
        self._harder: Mapping[str, list[str]] = dict(harder)

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Ladder":
        """The ladder of a catalogue."""
        return cls(catalogue.revisions[item] for item in catalogue.latest.items())

    def name(self, slug: str) -> str:
        """The catalogue's name of a movement; its slug where the catalogue lacks it."""
        movement = self._movements.get(slug)
        return slug if movement is None else movement.name

    def above(self, slug: str) -> frozenset[str]:
        """Every movement that is harder."""
        return self._reached(slug, self._harder)

    def below(self, slug: str) -> frozenset[str]:
        """Every movement that is easier."""
        return self._reached(slug, {at: self._easier(at) for at in self._movements})

    def harder(self, slug: str, to: str | None) -> Choice:
        """The next harder movement, on a way to `to` where that is given.

        One that leads on comes first, then the lowest difficulty, then the same family, then the one with the most
        movements beyond it, then the slug.
        """
        if slug == to:
            return Choice(None)
        ways = [at for at in self._harder.get(slug, ()) if to is None or at == to or to in self.above(at)]
        if to in ways:
            ways.sort(key=lambda at: at != to)
        else:
            ways.sort(key=lambda at: self._way(at, slug))
        return self._choice(ways)

    def easier(self, slug: str, trail: tuple[str, ...]) -> Choice:
        """The next easier movement: the last of `trail`, from where it was climbed to, if that is one.

        Else the greatest difficulty comes first, then the same family, then the slug.
        """
        ways = self._easier(slug)
        ways.sort(key=lambda at: (at not in trail[-1:], -self._movements[at].difficulty, *self._near(at, slug)))
        return self._choice(ways)

    def _choice(self, ways: list[str]) -> Choice:
        return Choice(ways[0], tuple(self.name(at) for at in ways[1:])) if ways else Choice(None)

    def _way(self, at: str, slug: str) -> tuple[bool, int, bool, int, str]:
        family, name = self._near(at, slug)
        return at not in self._harder, self._movements[at].difficulty, family, -len(self.above(at)), name

    def _near(self, at: str, slug: str) -> tuple[bool, str]:
        return self._movements[at].family != self._movements[slug].family, at

    def _easier(self, slug: str) -> list[str]:
        movement = self._movements.get(slug)
        return [] if movement is None else [at for at in movement.easier_slugs if self._alike(at, movement)]

    def _alike(self, slug: str, other: Movement) -> bool:
        movement = self._movements.get(slug)
        return movement is not None and movement.mode == other.mode

    @staticmethod
    def _reached(slug: str, edges: Mapping[str, list[str]]) -> frozenset[str]:
        found: set[str] = set()
        waiting = [slug]
        while waiting:
            for at in edges.get(waiting.pop(), ()):
                if at not in found:
                    found.add(at)
                    waiting.append(at)
        return frozenset(found)


NO_LADDER = Ladder(())


def check_way(rule: Rule | None, exercise: str | None, ladder: Ladder, pointer: str) -> None:
    """Raises `Unprocessable` where a rule leads to a movement that no way leads to. `pointer` is the rule's."""
    to = rule.to if isinstance(rule, HarderRule) else None
    if to is None or exercise is None or to in ladder.above(exercise):
        return
    message = f"The catalogue has no way up from `{exercise}` to `{to}`, of movements that are measured alike."
    if to == exercise:
        message = f"`{to}` is the exercise's own movement: there is no way up from it to itself."
    raise Unprocessable(message, f"{pointer}/to")
