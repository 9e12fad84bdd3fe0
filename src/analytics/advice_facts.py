"""What the rules of advice share: their thresholds, what several of them ask of the inputs, and what they draft.

Thresholds stand in `RULES`, each with where it is from.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from math import prod

from analytics.advice_inputs import AdviceInputs, Plan, Prescribed, day_of
from analytics.load import TARGET
from analytics.preferences import LAST_TIMES, LEAST_TIMES
from analytics.readiness import HIGH, LOW
from analytics.sets import Fields
from models.advice import AdviceEvidence, AdviceKind, AdviceSubject, ConfidencePart, EvidenceSource, UsualRange
from models.load import Band, LoadDay

SURE = 0.3  # what the Hooper index alone reaches, where it is known on 21 of 28 days
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

RULES: Mapping[str, object] = {
    "order": "rest where readiness is low, else deload, else rest where the load is high; then regress, progress, "
    "balance, prefer. Rest or deload, given or accepted for the day, excludes progress and balance, and whatever would "
    "change the same trainings; an exercise is changed by one piece of advice",
    "rest": {
        "low_readiness": f"score of {LOW:g} or less with a confidence of {SURE:g} or more",
        "high_load": f"band over, and a readiness that is unknown or below {HIGH:g}",
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
    "regress": "the rule of progression of the exercise says deload or easier; or hold, at less than the workout says, "
    "which is what is planned",
    "progress": "it says progress, harder or script; or hold, at no less than the workout says, which is what is "
    f"planned; nothing speaks against more: band over, low readiness, monotony above {MONOTONY:g} (Foster 1998; the "
    "bound is our own)",
    "balance": f"hard sets of push and pull of {BALANCE_WEEKS} weeks outside 2:3 to 3:2, of {HARD_SETS} or more in "
    f"all; not within {BALANCE_APART} days of the last that was accepted; our own: no study shows which share is best",
    "prefer": f"skipped {LEAST_TIMES} of the last {LAST_TIMES} times planned or more, and {LEAST_TIMES} times the same "
    "other movement done in its place; never a movement that a goal is about; our own",
    "confidence": "product of the shares of the data that the rule wants; one that the rule can do without counts as "
    "(1 + share) / 2; no probability",
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
    """What a rule advises: `after` is what the planned trainings become that accepting changes."""

    kind: AdviceKind
    subject: AdviceSubject
    title: str
    reason: str
    evidence: Sequence[AdviceEvidence]
    parts: Sequence[ConfidencePart]
    after: Sequence[tuple[Plan, Fields]] = ()

    @property
    def confidence(self) -> float:
        """The product of its parts."""
        return round(prod(part.share for part in self.parts), 4)


@dataclass(frozen=True)
class Facts:
    """What several rules ask of the inputs."""

    inputs: AdviceInputs

    @property
    def today(self) -> LoadDay | None:
        """The load of the day."""
        return self.inputs.load.days[-1] if self.inputs.load.days else None

    @property
    def over(self) -> bool:
        """Whether the load is above its usual range."""
        return self.today is not None and self.today.band is Band.OVER

    @property
    def worn(self) -> bool:
        """Whether readiness is low, and sure enough."""
        readiness = self.inputs.readiness
        return readiness.score is not None and readiness.score <= LOW and readiness.confidence >= SURE

    @property
    def no_more(self) -> bool:
        """Whether something speaks against doing more: the load, readiness, or days that are much alike."""
        alike = self.today is not None and self.today.monotony is not None and self.today.monotony > MONOTONY
        return self.over or self.worn or alike

    @cached_property
    def light_days(self) -> frozenset[dt.date]:
        """Days of deload phases, and of the weeks of deloads that were accepted."""
        weeks = [
            {standing.day + dt.timedelta(n) for n in range(WEEK)}
            for standing in self.inputs.standing
            if standing.kind is AdviceKind.DELOAD
        ]
        return self.inputs.deload_days.union(*weeks)

    def ahead(self, days: int) -> list[Plan]:
        """The planned trainings of so many days from the day on."""
        end = self.inputs.day + dt.timedelta(days)
        return [plan for plan in self.inputs.planned if self.inputs.day <= day_of(plan) < end]

    def load_evidence(self) -> list[AdviceEvidence]:
        """How the load stands to what is usual."""
        if self.today is None:
            return []
        return [
            AdviceEvidence(
                what="mean load of 7 days over that of 28 (ACWR)",
                value=known_value(self.today.acwr),
                usual=USUAL_LOAD,
                source=EvidenceSource.LOAD,
                first=self.inputs.day - dt.timedelta(27),
                last=self.inputs.day,
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
        known = self.inputs.load.known_days
        return part("load", known, LOAD_DAYS, f"The load is known on {known} of the last 28 days.", spare=True)

    def readiness_part(self) -> ConfidencePart:
        """How sure the readiness of the day is; a rule can do without."""
        readiness = self.inputs.readiness
        if readiness.score is None:
            return part("readiness", 0, 1, "The readiness of the day is not known.", spare=True)
        reason = f"The readiness of the day has a confidence of {readiness.confidence:.2f}."
        return part("readiness", readiness.confidence, 1, reason, spare=True)


def part(what: str, there: float, wanted: float, reason: str, *, spare: bool = False) -> ConfidencePart:
    """How much of what is wanted is there; of data that can be spared half of it is lost with all of them."""
    share = min(1.0, there / wanted)
    return ConfidencePart(what=what, share=round((1 + share) / 2 if spare else share, 4), reason=reason)


def known_value(value: float | None) -> float | None:
    """A figure as evidence has it: 4 digits after the point tell more than anybody reads."""
    return None if value is None else round(value, 4)


def missed_in_row(one: Prescribed) -> int:
    """How many of the latest sessions of an exercise missed what was prescribed, one after the other."""
    return sum(1 for _ in takewhile(lambda session: session[2], reversed(one.sessions)))
