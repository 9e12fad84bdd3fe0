"""The rule that climbs the catalogue's graph: from the top of a movement to the bottom of a harder one, and back."""

from dataclasses import replace
from decimal import Decimal

from analytics.progression_ladder import Choice, Ladder
from analytics.progression_rules import AS_PLANNED, Outcome, in_a_row
from analytics.progression_sets import Judged, Standing
from analytics.progression_words import aim_words
from models.progression import Decision
from models.progression_rules import HarderRule


class Climb:
    """The rule, from the bottom of a range of repetitions or of a hold up, along a ladder."""

    def __init__(self, rule: HarderRule, ladder: Ladder, low: int | None, seconds: Decimal | None) -> None:
        self._rule = rule
        self._ladder = ladder
        self._low = low
        self._seconds = seconds if rule.from_seconds is None else Decimal(str(rule.from_seconds))

    def at_bottom(self, standing: Standing, exercise: str | None) -> Standing:
        """At the bottom of that movement."""
        return replace(standing, low=self._low, seconds=self._seconds, exercise=exercise, successes=0, missed=0)

    def no_harder(self, standing: Standing, exercise: str | None) -> str | None:
        """The movement that is prescribed; where it is harder than the one that was done, that one."""
        above = frozenset[str]() if exercise is None else self._ladder.above(exercise)
        return exercise if standing.exercise in above else standing.exercise

    def step(self, standing: Standing, judged: Judged, exercise: str | None) -> Outcome:
        """What the rule makes of a session. `exercise` is the movement that was done, None where none was named."""
        current = standing.exercise
        if exercise is None or current is None or exercise == current:
            return self._judge(standing, judged)
        done, prescribed = self._ladder.name(exercise), self._ladder.name(current)
        if exercise not in self._ladder.above(current):
            return self._missed(standing, judged, f"{done} is not as hard as {prescribed}, which was prescribed")
        if not judged.low:
            why = f"{done} is harder than {prescribed}, and not all sets were done: it stays."
            return Outcome(standing, False, Decision.HOLD, why)
        there = replace(self.at_bottom(standing, exercise), trail=(*standing.trail, current))
        outcome = self._judge(there, judged)
        why = f"{done} was done, which is harder than {prescribed}: it goes on there. {outcome.reason}"
        return outcome._replace(decision=Decision.HARDER, reason=why)

    def _judge(self, standing: Standing, judged: Judged) -> Outcome:
        if judged.high:
            return self._topped(standing)
        if not judged.low:
            return self._missed(standing, judged, "Not all sets were done as prescribed")
        up = replace(self._up(standing), successes=0, missed=0)
        if (up.low, up.seconds) == (standing.low, standing.seconds):
            return Outcome(up, False, Decision.HOLD, "Not all sets reached the top, so it stays.")
        why = f"All sets were done as prescribed: {aim_words(up)} come next."
        return Outcome(up, True, Decision.PROGRESS, why)

    def _topped(self, standing: Standing) -> Outcome:
        stepped = self._rule.step_reps is not None
        low = standing.high if stepped else standing.low
        wanted = self._rule.sessions
        successes = min(standing.successes + 1, wanted)  # where nothing is harder it goes on for ever
        on = replace(standing, low=low, seconds=standing.most_seconds, successes=successes, missed=0)
        why = f"All sets reached the top{in_a_row(successes, wanted)}"
        if successes < wanted:
            return Outcome(on, True, Decision.HOLD, f"{why}.")
        choice = self._ladder.harder(on.exercise or "", self._rule.to)
        if choice.slug is None:
            return Outcome(on, True, Decision.HOLD, f"{why}, and {self._end(on.exercise)}: it stays.")
        up = replace(self.at_bottom(on, choice.slug), trail=(*on.trail, on.exercise or ""))
        way = "; `to` in the rule says where it is to lead" if choice.others and self._rule.to is None else ""
        return Outcome(up, True, Decision.HARDER, f"{why}: {self._choice(choice)}{way}.")

    def _missed(self, standing: Standing, judged: Judged, fault: str) -> Outcome:
        if judged.as_planned:
            return Outcome(standing, False, Decision.HOLD, f"{fault}, {AS_PLANNED}")
        missed, deload, why = standing.missed + 1, self._rule.deload, fault
        on = replace(standing, successes=0, missed=missed)
        if deload is None:
            return Outcome(on, False, Decision.HOLD, f"{why}: it stays.", True)
        if missed < deload.after:
            often = f"{missed} of {deload.after} sessions in a row before it goes back"
            return Outcome(on, False, Decision.HOLD, f"{why}: {often}.", True)
        if missed > 1:
            why += f", {missed} sessions in a row"
        bottom = self.at_bottom(on, on.exercise)
        if (bottom.low, bottom.seconds) != (on.low, on.seconds):
            back = f"{why}: back to {aim_words(bottom)}."
            return Outcome(bottom, False, Decision.DELOAD, back, True)
        choice = self._ladder.easier(on.exercise or "", on.trail)
        if choice.slug is None:
            return Outcome(bottom, False, Decision.HOLD, f"{why}, and there is nothing easier: it stays.", True)
        trail = on.trail[:-1] if choice.slug in on.trail[-1:] else on.trail
        down = replace(self.at_bottom(on, choice.slug), trail=trail)
        return Outcome(down, False, Decision.EASIER, f"{why}: {self._choice(choice)}.", True)

    def _up(self, standing: Standing) -> Standing:
        reps, seconds = self._rule.step_reps, self._rule.step_seconds
        if reps is not None and standing.low is not None and standing.high is not None:
            return replace(standing, low=min(standing.low + reps, standing.high))
        if seconds is not None and standing.seconds is not None and standing.most_seconds is not None:
            return replace(standing, seconds=min(standing.seconds + Decimal(str(seconds)), standing.most_seconds))
        return standing

    def _choice(self, choice: Choice) -> str:
        others = f" (it might have been {' or '.join(choice.others)})" if choice.others else ""
        return f"{self._ladder.name(choice.slug or '')} comes next{others}"

    def _end(self, exercise: str | None) -> str:
        to = self._rule.to
        if to is None:
            return "the catalogue has nothing harder that is measured alike (`to` in the rule may lead elsewhere)"
        if to == exercise:
            return "it is the movement that the rule leads to"
        return f"the catalogue has no way to {self._ladder.name(to)}"
