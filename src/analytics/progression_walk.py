"""What a walk is made of: sessions, where it stands between two of them, and what became of it by each."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from analytics.progression_sets import Standing
from analytics.progression_words import done_words
from analytics.words import named
from models.progression import (
    Decision,
    DoneSession,
    DoneSet,
    LoggedSet,
    LoggedTraining,
    Prescription,
    WalkSession,
)


class Done(NamedTuple):
    """What a session has of one movement; None is a movement that was not named."""

    exercise: str | None
    sets: tuple[LoggedSet, ...]

    @property
    def counted(self) -> list[LoggedSet]:
        """The sets that were done and are no warm-ups."""
        return [set_ for set_ in self.sets if set_.done and not set_.warm_up]

    @property
    def words(self) -> str:
        """What was done: `12, 12, 11 at 60 kg`."""
        return done_words(self.counted)


@dataclass(frozen=True, slots=True)
class Session:
    """A completed training that holds the exercise; of more than one movement only where the rule climbs.

    `planned_otherwise`: its targets are those of another prescription, and say nothing of this one.
    """

    training: LoggedTraining
    done: tuple[Done, ...]
    planned_otherwise: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk is between two sessions: all that the next one depends on.

    `said` is what became of it, behind what was done. `evidence` has what was done in the sessions that the decision
    follows from, the last one that counts at its end; `held` is what that one was held to.
    """

    standing: Standing
    decision: Decision
    said: str
    evidence: tuple[tuple[LoggedTraining, Done], ...] = ()
    held: Standing | None = None

    @property
    def reason(self) -> str:
        """Why it is so, in words."""
        if not self.evidence:
            return self.said
        training, done = self.evidence[-1]
        return f"On {named(training.day)}, you did {done.words}. {self.said}"

    @property
    def next(self) -> Prescription:
        """What it prescribes, with its evidence."""
        return self.prescription(self.sessions)

    @property
    def sessions(self) -> list[DoneSession]:
        """What was done in the sessions of its evidence."""
        return [DoneSession(**_done(*each)) for each in self.evidence]

    def prescription(self, evidence: Iterable[DoneSession] = ()) -> Prescription:
        """What it prescribes."""
        standing = self.standing
        return Prescription(
            sets=standing.sets,
            reps=standing.reps,
            weight=_float(standing.weight),
            unit=standing.unit,
            display_weight=_float(standing.display_weight),
            hold_seconds=_float(standing.seconds),
            rpe=_float(standing.rpe),
            exercise=standing.exercise,
            decision=self.decision,
            reason=self.reason,
            evidence=tuple(evidence),
        )


class Step(NamedTuple):
    """What became of a walk by one session."""

    before: Position
    after: Position
    training: LoggedTraining
    done: Done
    met: bool | None
    missed: bool | None
    decision: Decision
    said: str

    @property
    def counts(self) -> bool:
        """Whether the session says anything."""
        return self.met is not None

    @property
    def told(self) -> WalkSession:
        """As clients read it."""
        return WalkSession(
            **_done(self.training, self.done),
            prescription=self.before.prescription(),
            met=self.met,
            missed=self.missed,
            decision=self.decision,
            reason=f"You did {self.done.words}. {self.said}" if self.counts else self.said,
        )


def _done(training: LoggedTraining, done: Done) -> dict[str, Any]:
    """The members of a `DoneSession`."""
    sets = tuple(
        DoneSet(weight=one.weight, unit=one.unit, reps=one.reps, hold_seconds=one.hold_seconds or None, rpe=one.rpe)
        for one in done.counted
    )
    return {"training_id": training.id, "day": training.day, "exercise": done.exercise, "done": sets}


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
