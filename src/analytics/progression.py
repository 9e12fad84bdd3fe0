"""Progression: what an exercise's next session prescribes, as a fold of its rule over the log. Pure functions.

No counter is stored: each time all sessions are folded anew, in the order of (local day, moment, id). So a corrected
set corrects what follows from it and nothing before it, and the same log always gives the same prescriptions.

A session counts where a set was done, the day lies in no deload phase, and it was not made a lighter one. It is held
to what its sets' targets say, where they say something of their own, and else to what the walk prescribes
(`analytics.progression_sets`). What a rule makes of it stands in `analytics.progression_rules` and, for the catalogue's
graph, `analytics.progression_harder`; what a walk is made of in `analytics.progression_walk`.

Weights are computed to 4 digits after the point in the exercise's unit, from the previous prescription and not from
what is displayed; only a deload takes at least one step off that. Assistance is a negative weight: progress goes
towards 0 and beyond.
"""

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from analytics.progression_harder import Climb
from analytics.progression_ladder import NO_LADDER, Ladder
from analytics.progression_rules import Outcome, double, effort, linear, no_rule, script
from analytics.progression_script import run_script
from analytics.progression_sets import Judged, Standing, ends, judge, optional_decimal, usual_weight
from analytics.progression_walk import Done, Position, Session, Step
from analytics.progression_words import aim_words, weight_words
from analytics.words import named
from models.progression import MOST_TRIED, Decision, Prescription, Walk
from models.progression_rules import DoubleRule, HarderRule, LinearRule, RpeRule, Rule, ScriptRule
from models.workouts import WorkoutExerciseDocument

METHOD_VERSION = 2  # grows with every change of a rule
MOST_EVIDENCE = 10  # sessions

_N = TypeVar("_N", int, Decimal)

RULES: Mapping[str, object] = {
    "order": "local day, then moment, then training_id; nothing is counted but by folding the log anew",
    "counted": "COMPLETED trainings with a set of the exercise that was done, warm-ups excluded, outside of deload "
    "phases and of sessions that were made lighter ones; made from the workout, or performed, since the prescription "
    "is what it is now; performed is the date, or when it became COMPLETED where that came first",
    "prescription": "the targets of the session's sets where they say something else than the workout and the rule, "
    "and were not planned by another prescription; otherwise what the rule had come to, and so too where a target has "
    "less weight and all sets reached the bottom with the weight that the rule had come to. Several weights: the one "
    "of most sets, then the least",
    "as_planned": "a session that met all its targets, though not the prescription, is neither met nor missed",
    "all_sets": "as many sets as prescribed, and each planned one, with the repetitions or hold and with the weight or "
    "more",
    "missed": "not all sets were done, at the bottom and with the weight; and not as planned either",
    "linear": "weight + increment after `successes` sessions in a row in which all sets reached the bottom",
    "double": "weight + increment when all sets reached the top of the range",
    "heavier": "a heavier session without a target of its own goes on from its weight when all sets were done",
    "deload": "after so many sessions in a row below the bottom or below the weight: weight less `percent` or "
    "`weight`, or one step of `rounding` less than what is loaded where as much would be loaded as before",
    "rpe": "maximum = weight * (1 + (reps + 10 - rpe) / 30), the middle one of the sets, the lower of two; next = "
    "maximum / (1 + (reps at the top + 10 - prescribed rpe) / 30), within max_step_percent of the prescribed "
    "weight, or of a heavier one that was lifted, or within one increment where that is more; in whole increments",
    "harder": "the next harder movement when all sets reached the top in `sessions` sessions in a row: `to` or one on "
    "the way there, else any; of several one that leads on, then the lowest difficulty, then the same family, then the "
    "one with most movements beyond it, then the slug; it begins at the bottom",
    "easier": "after so many sessions in a row missed at the bottom: where it was climbed from, else the greatest "
    "difficulty, then the same family, then the slug",
    "script": "the steps of each session's number, whatever was done, within the bounds that a workout has",
    "no_weight": "where none is prescribed, that of the first session: of as many sets as prescribed, else the "
    "lightest",
    "rounding": "weights have 4 digits after the point; display_weight is the nearest step, the lighter one of two; it "
    "is what the sets of `exercises` aim at, and to lift it is to lift what is prescribed",
    "unit": "a weight in the other unit is the prescribed one where it is 0.5 kg or 1.25 lb away or less, in the unit "
    "that was logged: half of the smallest usual step of plates; else rounded half up to 2 digits after the point. "
    "A target's weight is in the workout's unit where its number is the workout's or the prescribed one, else in the "
    "unit that was logged",
    "deload_day": "half the sets, rounded up; no more weight than most sets had in the last session that counts, no "
    "more repetitions or seconds than it prescribed, and no harder movement than was done",
}


class Course:
    """A prescription with its rule, by which sessions are folded one by one.

    `anew` says since which version of the workout, and which day, the prescription is what it is now; None where it
    always was.
    """

    def __init__(
        self,
        prescribed: WorkoutExerciseDocument,
        rule: Rule | None,
        ladder: Ladder = NO_LADDER,
        anew: tuple[int, dt.date] | None = None,
    ) -> None:
        self._template = prescribed
        self._rule = rule
        self._ladder = ladder
        self._anew = anew
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

    def begin(self, *, done: bool = False) -> Position:
        """Before the first session that counts; `done` is whether there was one that does not."""
        standing, decision, how = self._begin, Decision.START, "it begins as it is written."
        if self._climb is not None:
            standing = self._climb.at_bottom(standing, standing.exercise)
        if isinstance(self._rule, ScriptRule):
            standing, steps = run_script(self._rule, standing, 1)
            if steps:
                decision, how = Decision.SCRIPT, f"it begins with session 1 of the script, {steps}."
        if standing.weight is None and _goes_by_weight(self._rule):
            how += " No weight is prescribed: the first session sets it."
        return Position(standing, decision, f"{self._nothing(done)}: {how}")

    def step(self, position: Position, session: Session) -> Step:
        """Where the walk goes by a session."""
        standing, training = position.standing, session.training
        done = self._chosen(standing, session)
        judged = judge(standing, self._template, done.sets, planned_otherwise=session.planned_otherwise)
        outside = ""
        if training.deload is not None:
            outside = f"It is part of a deload ({training.deload}), which stands outside of progression."
        elif training.lighter:
            outside = "It was made a lighter session, which stands outside of progression."
        elif not judged.done:
            outside = "No set was done, which says nothing: it stays."
        if outside:
            after = position if position.evidence else self.begin(done=True)
            return Step(position, after, training, done, None, None, Decision.HOLD, outside)
        outcome = self._outcome(standing, judged=judged, exercise=done.exercise)
        earlier = position.evidence if position.decision is Decision.HOLD else ()
        evidence = (*earlier, (training, done))[-MOST_EVIDENCE:]
        said, decision = outcome.reason, outcome.decision
        if judged.told and judged.weight is not None:
            said = f"The training's targets said {weight_words(judged.weight, standing.unit)}. {said}"
        elif judged.passed is not None and standing.weight is not None:
            lighter, reached = (weight_words(weight, standing.unit) for weight in (judged.passed, standing.weight))
            said = f"The training's targets said {lighter}, and you did what was prescribed before, {reached}. {said}"
        elif standing.weight is None and outcome.standing.weight is not None:
            said = f"No weight was prescribed, so what you lifted counts. {said}"
        after = Position(outcome.standing, decision, said, evidence, standing)
        return Step(position, after, training, done, outcome.met, outcome.missed, decision, said)

    def light(self, position: Position) -> Prescription:
        """What a day in a deload prescribes of it: half the sets, rounded up, of no more than was done last.

        Neither is it heavier than the last session that counts, nor does it prescribe more repetitions or seconds than
        that did, nor a harder movement than was done.
        """
        standing, held = position.standing, position.held
        easy = replace(standing, sets=(standing.sets + 1) // 2)
        half = "its one set stays" if standing.sets == 1 else f"it has {easy.sets} of {standing.sets} sets"
        if held is not None:
            training, done = position.evidence[-1]
            easy = replace(
                easy,
                low=_least(standing.low, held.low),
                high=_least(standing.high, held.high),
                seconds=_least(standing.seconds, held.seconds),
                most_seconds=_least(standing.most_seconds, held.most_seconds),
                weight=_least(standing.weight, usual_weight(done.counted, held)),
                exercise=standing.exercise if self._climb is None else self._climb.no_harder(standing, done.exercise),
            )
            if replace(easy, sets=standing.sets) != standing:
                name = "" if easy.exercise == standing.exercise else f"{self._ladder.name(easy.exercise or '')}, "
                half += f", and asks for no more than you did on {named(training.day)}: {name}{aim_words(easy)}"
        said = f"{half}. Then it goes on where it stands. {position.reason}"
        light = replace(position, standing=easy, decision=Decision.DELOAD, said=said, evidence=())
        return light.prescription(position.sessions)

    def walk(self, sessions: Iterable[Session], shown: int = MOST_TRIED) -> Walk:
        """The fold over all sessions, which may come in any order. The newest `shown` are told."""
        position, steps, counted = self.begin(), deque[Step](maxlen=shown), 0
        ordered = sorted(sessions, key=lambda session: session.training[1:3] + session.training[:1])
        for session in ordered:
            step = self.step(position, session)
            position = step.after
            counted += step.counts
            steps.append(step)
        return Walk(
            count=len(ordered),
            counted=counted,
            sessions=tuple(step.told for step in steps),
            next=position.next,
            light=self.light(position),
        )

    def _nothing(self, done: bool) -> str:
        if self._anew is None:
            return "No session of it counts yet" if done else "Nothing was done of it yet"
        version, day = self._anew
        since = "no session since then counts" if done else "nothing was done since"
        return (
            f"Its prescription is new since {named(day)} (version {version} of the workout), so what was done before "
            f"does not count, and {since}"
        )

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


def _goes_by_weight(rule: Rule | None) -> bool:
    return isinstance(rule, (LinearRule, DoubleRule, RpeRule)) or (isinstance(rule, ScriptRule) and rule.of == "weight")


def _least(next_: _N | None, last: _N | None) -> _N | None:
    return next_ if next_ is None or last is None else min(next_, last)
