"""Progression: what an exercise's next session prescribes, as a fold of its rule over the log. Pure functions.

No counter is stored: each time all sessions are folded anew, in the order of (local day, moment, id). So a corrected
set corrects what follows from it and nothing before it, and the same log always gives the same prescriptions.

A session counts where a set was done and the day lies in no deload phase. It is held to what its sets' targets say,
where they say something of their own, and else to what the walk prescribes (`analytics.progression_sets`). What a rule
makes of it stands in `analytics.progression_rules` and, for the catalogue's graph, `analytics.progression_harder`.

Weights are computed to 4 digits after the point in the exercise's unit, from the previous prescription and never from
what is displayed. Assistance is a negative weight: progress goes towards 0 and beyond.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from analytics.progression_harder import Climb
from analytics.progression_ladder import NO_LADDER, Ladder
from analytics.progression_rules import Outcome, double, effort, linear, no_rule, run_script, script
from analytics.progression_sets import Judged, Standing, ends, judge, optional_decimal
from models.progression import (
    MOST_SESSIONS,
    Decision,
    DoneSession,
    DoneSet,
    LoggedSet,
    LoggedTraining,
    Prescription,
    Walk,
    WalkSession,
)
from models.progression_rules import DoubleRule, HarderRule, LinearRule, RpeRule, Rule, ScriptRule
from models.workouts import WorkoutExerciseDocument

METHOD_VERSION = 1  # grows with every change of a rule
MOST_EVIDENCE = 10  # sessions

RULES: Mapping[str, object] = {
    "order": "local day, then moment, then training_id; nothing is counted but by folding the log anew",
    "counted": "COMPLETED trainings with a set of the exercise that was done, warm-ups excluded, outside of deload "
    "phases and of sessions that were made lighter ones; made from the workout, or performed, since the prescription "
    "is what it is now",
    "prescription": "the targets of the session's sets where they differ from the workout's and the walk's, and were "
    "not planned by another prescription; else the walk's. Several weights: the one of most sets, then the least",
    "as_planned": "a session that met all its targets, though not the prescription, is neither met nor missed",
    "all_sets": "as many sets as prescribed, and each planned one, with the repetitions or hold and with the weight or "
    "more",
    "linear": "weight + increment after `successes` sessions in a row in which all sets reached the bottom",
    "double": "weight + increment when all sets reached the top of the range",
    "heavier": "a heavier session without a target of its own goes on from its weight when all sets were done",
    "deload": "after so many sessions in a row below the bottom or below the weight: weight less `percent` or `weight`",
    "rpe": "maximum = weight * (1 + (reps + 10 - rpe) / 30), the middle one of the sets, the lower of two; next = "
    "maximum / (1 + (reps at the top + 10 - prescribed rpe) / 30), within max_step_percent, in whole increments",
    "harder": "the next harder movement when all sets reached the top in `sessions` sessions in a row: `to` or one on "
    "the way there, else the lowest difficulty, then the same family, then the slug; it begins at the bottom",
    "easier": "after so many sessions in a row missed at the bottom: where it was climbed from, else the greatest "
    "difficulty, then the same family, then the slug",
    "script": "the steps of each session's number, whatever was done",
    "no_weight": "where none is prescribed, that of the first session: of as many sets as prescribed, else the "
    "lightest",
    "rounding": "weights have 4 digits after the point; display_weight is the nearest step, the lighter one of two",
    "unit": "a weight in the other unit is compared rounded half up to 2 digits after the point",
    "deload_day": "half the sets, rounded up, at the same weight",
}


class Done(NamedTuple):
    """What a session has of one movement; None is a movement that was not named."""

    exercise: str | None
    sets: tuple[LoggedSet, ...]


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

    `evidence` has what was done in the sessions that the decision follows from.
    """

    standing: Standing
    decision: Decision
    reason: str
    evidence: tuple[tuple[LoggedTraining, Done], ...] = ()

    @property
    def next(self) -> Prescription:
        """What it prescribes, with its evidence."""
        return self.prescription(DoneSession(**_done(*each)) for each in self.evidence)

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
    reason: str

    @property
    def told(self) -> WalkSession:
        """As clients read it."""
        return WalkSession(
            **_done(self.training, self.done),
            prescription=self.before.prescription(),
            met=self.met,
            missed=self.missed,
            decision=self.decision,
            reason=self.reason,
        )


class Course:
    """A prescription with its rule, by which sessions are folded one by one."""

    def __init__(self, prescribed: WorkoutExerciseDocument, rule: Rule | None, ladder: Ladder = NO_LADDER) -> None:
        self._template = prescribed
        self._rule = rule
        low, high = ends(prescribed.reps)
        seconds = optional_decimal(prescribed.hold_seconds)
        self._begin = Standing(
            sets=prescribed.sets,
            low=low,
            high=high,
            seconds=seconds,
            most_seconds=seconds,
            weight=optional_decimal(prescribed.weight),
            rpe=optional_decimal(prescribed.rpe),
            unit=prescribed.unit,
            rounding=optional_decimal(getattr(rule, "rounding", None)),
            exercise=prescribed.exercise,
        )
        self._climb = Climb(rule, ladder, low, seconds) if isinstance(rule, HarderRule) else None

    def begin(self) -> Position:
        """Before the first session."""
        standing, decision, why = self._begin, Decision.START, "Nothing was done of it yet: it begins as it is written."
        if self._climb is not None:
            standing = self._climb.at_bottom(standing, standing.exercise)
        if isinstance(self._rule, ScriptRule):
            standing, steps = run_script(self._rule, standing, 1)
            if steps:
                decision, why = Decision.SCRIPT, f"Nothing was done of it yet. Session 1 of the script: {steps}."
        return Position(standing, decision, why)

    def step(self, position: Position, session: Session) -> Step:
        """Where the walk goes by a session."""
        standing, training = position.standing, session.training
        done = self._chosen(standing, session)
        judged = judge(standing, self._template, done.sets, planned_otherwise=session.planned_otherwise)
        outside = ""
        if training.deload is not None:
            outside = f"It is part of a deload ({training.deload}), which stands outside of progression."
        elif not judged.done:
            outside = "No set was done, which says nothing: it stays."
        if outside:
            return Step(position, position, training, done, None, None, Decision.HOLD, outside)
        outcome = self._outcome(standing, judged=judged, exercise=done.exercise)
        earlier = position.evidence if position.decision is Decision.HOLD else ()
        evidence = (*earlier, (training, done))[-MOST_EVIDENCE:]
        reason, decision = outcome.reason, outcome.decision
        if judged.told and judged.weight is not None:
            reason = f"The training's targets said {judged.weight:f} {standing.unit}. {reason}"
        after = Position(outcome.standing, decision, f"{training.day}: {reason}", evidence)
        return Step(position, after, training, done, outcome.met, outcome.missed, decision, reason)

    def walk(self, sessions: Iterable[Session], shown: int = MOST_SESSIONS) -> Walk:
        """The fold over all sessions, which may come in any order. The newest `shown` are told."""
        position, steps = self.begin(), deque[Step](maxlen=shown)
        ordered = sorted(sessions, key=lambda session: session.training[1:3] + session.training[:1])
        for session in ordered:
            step = self.step(position, session)
            position = step.after
            steps.append(step)
        return Walk(count=len(ordered), sessions=tuple(step.told for step in steps), next=position.next)

    def _outcome(self, standing: Standing, *, judged: Judged, exercise: str | None) -> Outcome:
        rule = self._rule
        if self._climb is not None:
            return self._climb.step(standing, judged, exercise)
        match rule:
            case LinearRule():
                return linear(rule, standing, judged)
            case DoubleRule():
                return double(rule, standing, judged)
            case RpeRule():
                return effort(rule, standing, judged)
            case ScriptRule():
                return script(rule, standing, judged)
        return no_rule(standing, judged)

    def _chosen(self, standing: Standing, session: Session) -> Done:
        """Of the movements of the session the one that is prescribed, else the last that was done."""
        best = [done for done in session.done if done.exercise == standing.exercise] or list(session.done)
        return next((done for done in reversed(best) if any(set_.done for set_ in done.sets)), best[-1])


def walk(
    prescribed: WorkoutExerciseDocument, rule: Rule | None, sessions: Iterable[Session], ladder: Ladder = NO_LADDER
) -> Walk:
    """What the rule prescribes of an exercise session by session, and next. `ladder` is what a rule climbs along."""
    return Course(prescribed, rule, ladder).walk(sessions)


def on_deload_day(prescription: Prescription, phase: str) -> Prescription:
    """The same on a day of the deload phase of that name: half the sets, rounded up."""
    sets = (prescription.sets + 1) // 2
    why = (
        f"The day lies in a deload phase ({phase}): {sets} of {prescription.sets} sets, at the same weight. After it "
        f"goes on what stands now: {prescription.reason}"
    )
    return prescription.model_copy(update={"sets": sets, "decision": Decision.DELOAD, "reason": why})


def _done(training: LoggedTraining, done: Done) -> dict[str, Any]:
    """The members of a `DoneSession`."""
    sets = tuple(
        DoneSet(weight=one.weight, unit=one.unit, reps=one.reps, hold_seconds=one.hold_seconds or None, rpe=one.rpe)
        for one in done.sets
        if one.done and not one.warm_up
    )
    return {"training_id": training.id, "day": training.day, "exercise": done.exercise, "done": sets}


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
