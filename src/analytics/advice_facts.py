"""What the rules of advice share: their thresholds, what several of them ask of the inputs, and what they draft.

Thresholds stand in `RULES`, each with where it is from.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, takewhile
from math import prod
from uuid import UUID

from analytics.advice_inputs import AdviceInputs, Plan, Standing, day_of
from analytics.load import CHRONIC_DAYS, TARGET
from analytics.preferences import LAST_TIMES, LEAST_TIMES
from analytics.readiness import HIGH, LOW
from analytics.readiness import LEAST_CONFIDENCE as LEAST_READINESS
from analytics.sets import Fields
from analytics.words import counted, named
from models.advice import AdviceEvidence, AdviceKind, AdviceSubject, ConfidencePart, EvidenceSource, UsualRange
from models.load import Band, LoadDay

SURE = 0.3  # what the Hooper index alone reaches, where it is known on 21 of 28 days
LEAST_CONFIDENCE = 0.2  # of what asks for more, or for something else
LOAD_DAYS = 12
USUAL_LOAD = UsualRange(least=TARGET[0], most=TARGET[1])
MONOTONY = 2.0
OVER_DAYS, OVER_OF = 10, 14
STRAIN = 1.5
MISSED_WORKOUTS, MISSED_IN_ROW = 2, 2
WEEKS, LIGHT = 8, 0.7
DELOAD_APART = 14
WEEK = 7
HARD_SETS, ENOUGH_SETS = 24, 40
BALANCE_WEEKS, BALANCE_APART = 4, 7
SESSIONS = 3
AHEAD_DAYS = 14
SEARCH_DAYS = 28
DAYS_BACK = WEEKS * WEEK  # of load that the rules look at
COVERS: Mapping[AdviceKind, int] = {AdviceKind.REST: 1, AdviceKind.DELOAD: WEEK}  # days
RATIO_WORDS = "{:.2f} times that of four weeks"

RULES: Mapping[str, object] = {
    "order": "rest where readiness is low, else deload, else rest where the load is high; then regress, hold, "
    "progress, balance, prefer. Rest or deload, given or accepted for the day, excludes what asks for more, and "
    "whatever would change the same trainings; an exercise is changed by one piece of advice, and by none beside one "
    "that was accepted for the day",
    "load": "as of the last day that is over: the day itself, and those from the present one on, have a part once they "
    "have a load",
    "more": "progress, balance, and hold at no less than the workout says; withheld where the band is over, readiness "
    f"is {LOW:g} or less with a confidence of {LEAST_READINESS:g} or more, or monotony is above {MONOTONY:g} (Foster "
    "1998; the bound is our own)",
    "rest": {
        "low_readiness": f"score of {LOW:g} or less with a confidence of {SURE:g} or more",
        "high_load": f"band over, and a readiness that is unknown or below {HIGH:g}; not on a day of a deload",
        "not": "where a training of the day was begun, nor on a day for which rest was accepted",
        "from": "our own: one spread of the athlete's own days to either side of 50 is 40 and 60",
    },
    "deload": {
        "load": f"band over on {OVER_DAYS} of the last {OVER_OF} days",
        "strain": f"on {OVER_DAYS} of the last {OVER_OF} days above {STRAIN:g} times the median of the 28 days before",
        "missed": f"{MISSED_WORKOUTS} workouts with an exercise that was missed {MISSED_IN_ROW} sessions in a row",
        "weeks": f"{WEEKS} weeks, none with less than {LIGHT:g} of their mean load",
        "not": f"within {DELOAD_APART} days of one that was accepted, or beside a phase that is one",
        "from": "weeks: lifters deload every 5.6 weeks, standard deviation 2.3 (Rogerson et al., Sports Med Open 2024);"
        " the others are our own",
    },
    "regress": "the rule of progression of the exercise says deload or easier; or script, at less than the workout "
    "says",
    "hold": "it says hold, and what is planned is still as the workout says, though the rule stands elsewhere",
    "progress": "it says progress or harder; or script, at no less than the workout says",
    "balance": f"hard sets of push and pull of {BALANCE_WEEKS} weeks outside 2:3 to 3:2, of {HARD_SETS} or more in "
    "all; unknown where as many or more are of names that mean no movement, and where these decide whether it is "
    f"balanced; not within {BALANCE_APART} days of one that was accepted; our own: no study shows which share is best",
    "prefer": f"skipped {LEAST_TIMES} of the last {LAST_TIMES} times planned or more, and {LEAST_TIMES} times the same "
    "other movement done in its place; never a movement that a goal is about. Where the exercise's rule is `harder`, "
    "movements that are harder or easier are the exercise; our own",
    "confidence": "product of the shares of the data that the rule wants; one that the rule can do without counts as "
    f"(1 + share) / 2; no probability. Progress, hold, balance and prefer are withheld below {LEAST_CONFIDENCE:g}",
    "wanted": {
        "load_days_of_28": LOAD_DAYS,
        "weeks": WEEKS,
        "workouts": MISSED_WORKOUTS,
        "sessions": SESSIONS,
        "weeks_of_push_and_pull": BALANCE_WEEKS,
        "hard_sets": ENOUGH_SETS,
        "times_planned": LAST_TIMES,
    },
    "ahead": f"planned trainings of the next {AHEAD_DAYS} days; a deload those of {WEEK}",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a rule advises: `after` is what the planned trainings become that accepting changes. `more` is whether that
    asks for more than what is planned."""

    kind: AdviceKind
    subject: AdviceSubject
    title: str
    reason: str
    evidence: Sequence[AdviceEvidence]
    parts: Sequence[ConfidencePart]
    after: Sequence[tuple[Plan, Fields]] = ()
    more: bool = False

    @property
    def confidence(self) -> float:
        """The product of its parts."""
        return round(prod(part.share for part in self.parts), 4)


@dataclass(frozen=True)
class Facts:
    """What several rules ask of the inputs."""

    inputs: AdviceInputs

    @cached_property
    def days(self) -> Sequence[LoadDay]:
        """The load up to the last day that is over. The day itself, and those from the present one on, are no rest days
        before they are over: they have a part once they have a load."""
        days, end = self.inputs.load.days, len(self.inputs.load.days)
        begin = min(self.inputs.day, self.inputs.today or self.inputs.day)
        while end and days[end - 1].day >= begin and not days[end - 1].load:
            end -= 1
        return days[:end]

    @property
    def latest(self) -> LoadDay | None:
        """The last of them: how the load stands."""
        return self.days[-1] if self.days else None

    @property
    def known_days(self) -> int:
        """On how many of the 28 days that end with that one the load is known."""
        if self.latest is None:
            return 0
        return sum(0 <= (self.latest.day - day).days < CHRONIC_DAYS for day in self.inputs.load.known)

    @property
    def over(self) -> bool:
        """Whether the load is above its usual range."""
        return self.latest is not None and self.latest.band is Band.OVER

    @property
    def low(self) -> bool:
        """Whether readiness is low, and is known well enough to say so."""
        readiness = self.inputs.readiness
        return readiness.score is not None and readiness.score <= LOW and readiness.confidence >= LEAST_READINESS

    @property
    def worn(self) -> bool:
        """Whether readiness is low, and sure enough."""
        return self.low and self.inputs.readiness.confidence >= SURE

    @property
    def against(self) -> list[str]:
        """What speaks against doing more, in words: readiness, the load, or days that are much alike."""
        said = [f"your readiness is {self.inputs.readiness.score:g} of 100"] if self.low else []
        if self.over:
            said.append(f"the load is {RATIO_WORDS.format(self.latest and self.latest.acwr)}, above the usual range")
        monotony = None if self.latest is None else self.latest.monotony
        if monotony is not None and monotony > MONOTONY:
            said.append(f"the days of your last week were much alike (monotony {monotony:.1f}, above {MONOTONY:g})")
        return said

    @cached_property
    def light_days(self) -> frozenset[dt.date]:
        """Days of deload phases, and of the weeks of deloads that were accepted."""
        weeks = [
            {standing.day + dt.timedelta(n) for n in range(WEEK)}
            for standing in self.inputs.standing
            if standing.kind is AdviceKind.DELOAD
        ]
        return self.inputs.deload_days.union(*weeks)

    @cached_property
    def accepted(self) -> Standing | None:
        """Rest or deload that was accepted and covers the day: rest before deload."""
        found = [one for one in self.inputs.standing if one.kind in COVERS and self._covered(one)]
        return min(found, key=lambda one: one.kind is AdviceKind.DELOAD, default=None)

    def _covered(self, one: Standing) -> bool:
        return 0 <= (self.inputs.day - one.day).days < COVERS[one.kind]

    def within(self, kind: AdviceKind, days: int) -> Standing | None:
        """Advice of the kind that was accepted for a day less than so many days away."""
        near = (one for one in self.inputs.standing if one.kind is kind)
        return next((one for one in near if abs((self.inputs.day - one.day).days) < days), None)

    def light(self, plan: Plan) -> bool:
        """Whether the training is one of a deload: by its day, or made so by advice, wherever it lies now."""
        return day_of(plan) in self.light_days or any(self._changed(AdviceKind.DELOAD, plan))

    def sets_added(self, plan: Plan, exercise_id: UUID) -> int:
        """How many sets advice has added to the exercise of the training: one each time."""
        return sum(one.subject.exercise_id == exercise_id for one in self._changed(AdviceKind.BALANCE, plan))

    def _changed(self, kind: AdviceKind, plan: Plan) -> Iterator[Standing]:
        """The advice of the kind that made the training what it is. What was undone and could not be put back is there
        too."""
        changed = chain(self.inputs.standing, self.inputs.left)
        return (one for one in changed if one.kind is kind and plan.id in one.trainings)

    def ahead(self, days: int) -> list[Plan]:
        """The planned trainings of so many days from the day on."""
        end = self.inputs.day + dt.timedelta(days)
        return [plan for plan in self.inputs.planned if self.inputs.day <= day_of(plan) < end]

    def load_evidence(self) -> list[AdviceEvidence]:
        """How the load stands to what is usual."""
        if self.latest is None:
            return []
        return [
            AdviceEvidence(
                what="mean load of 7 days over that of 28 (ACWR)",
                value=known_value(self.latest.acwr),
                usual=USUAL_LOAD,
                source=EvidenceSource.LOAD,
                first=self.latest.day - dt.timedelta(27),
                last=self.latest.day,
            )
        ]

    def readiness_evidence(self) -> list[AdviceEvidence]:
        """How the day's readiness stands to the athlete's own usual day."""
        day, readiness = self.inputs.day, self.inputs.readiness
        usual = UsualRange(least=LOW, most=HIGH)
        value = known_value(readiness.score)
        source = EvidenceSource.READINESS
        return [
            AdviceEvidence(
                what="readiness", value=value, unit="of 100", usual=usual, source=source, first=day, last=day
            )
        ]

    def load_part(self) -> ConfidencePart:
        """How well the load of 28 days is known; a rule can do without."""
        return part("load", self.known_days, LOAD_DAYS, self._load_known, spare=True)

    def readiness_part(self) -> ConfidencePart:
        """How sure the readiness of the day is; a rule can do without."""
        return part("readiness", self._readiness_share, 1, self._readiness_known, spare=True)

    def against_part(self) -> ConfidencePart:
        """How well that is known which may speak against doing more; a rule can do without."""
        there = self._readiness_share + min(1.0, self.known_days / LOAD_DAYS)
        return part("readiness and load", there, 2, f"{self._readiness_known} {self._load_known}", spare=True)

    @property
    def _readiness_share(self) -> float:
        readiness = self.inputs.readiness
        return 0.0 if readiness.score is None else readiness.confidence

    @property
    def _readiness_known(self) -> str:
        readiness = self.inputs.readiness
        if readiness.score is None:
            return "The readiness of the day is not known."
        return f"The readiness of the day has a confidence of {readiness.confidence:.2f}."

    @property
    def _load_known(self) -> str:
        until = "" if self.latest is None else f" up to {named(self.latest.day)}"
        return f"A load was logged on {counted(self.known_days, 'day')} of the 28{until}; {LOAD_DAYS} are enough."


def part(what: str, there: float, wanted: float, reason: str, *, spare: bool = False) -> ConfidencePart:
    """How much of what is wanted is there; of data that can be spared half of it is lost with all of them."""
    share = min(1.0, there / wanted)
    return ConfidencePart(what=what, share=round((1 + share) / 2 if spare else share, 4), reason=reason)


def known_value(value: float | None) -> float | None:
    """A figure as evidence has it: 4 digits after the point tell more than anybody reads."""
    return None if value is None else round(value, 4)


def missed_in_row(sessions: Sequence[tuple[UUID, dt.date, bool]]) -> int:
    """How many of the latest sessions of an exercise missed what was prescribed, one after the other."""
    return sum(1 for _ in takewhile(lambda session: session[2], reversed(sessions)))
