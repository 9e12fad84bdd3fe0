"""Rules of progression, one kind a class: what a workout says of how the next prescription of an exercise follows from
what was done. `analytics.progression_rules` is what they do.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from models.exercises import Catalogue
from models.fields import Percent, PercentOfStep, PositiveSeconds, Slug, Step, Weight, both, either, number, wrong
from models.sets import Document, known
from models.wording import messages

MAX_ITERATION = 1_000
_Sessions = Annotated[int, Field(ge=1, le=20)]


class DeloadRule(Document):
    """When to go back, and how far: by `percent` or by `weight`, and by one step of `rounding` at least."""

    after: _Sessions
    """Sessions in a row that missed their prescription."""
    percent: Percent | None = None
    """Of the weight."""
    weight: Step | None = None
    """In the exercise's `unit`."""

    @model_validator(mode="after")
    def _by_one(self) -> Self:
        either(self, "percent", "weight")
        return self


class LinearRule(Document):
    """More weight whenever all sets were done as prescribed."""

    kind: Literal["linear"]
    increment: Step
    """What is added to the weight, in the exercise's `unit`; of assistance, which is negative, so much less is left."""
    successes: _Sessions = 1
    """Sessions in a row that must be met first."""
    deload: DeloadRule | None = None
    rounding: Step | None = None
    """The smallest step that the plates allow: that of `display_weight`, and the least that a deload takes off it."""


class DoubleRule(Document):
    """First more repetitions, up to the top of the range on all sets, then more weight from the bottom again."""

    kind: Literal["double"]
    increment: Step
    """What is added to the weight, in the exercise's `unit`; of assistance, which is negative, so much less is left."""
    deload: DeloadRule | None = None
    """A session is missed where a set stays below the bottom of the range."""
    rounding: Step | None = None
    """The smallest step that the plates allow: that of `display_weight`, and the least that a deload takes off it."""


class RpeRule(Document):
    """The weight that should give the prescribed repetitions at the prescribed RPE, from what was done and how hard."""

    kind: Literal["rpe"]
    increment: Step | None = None
    """The weight changes by a multiple of it, the smaller one, and by one whatever `max_step_percent` is; by default as
    computed."""
    max_step_percent: PercentOfStep = 10.0
    """Greatest change from one session to the next, in percent of the prescribed weight, or of a heavier one that all
    sets were done with."""
    rounding: Step | None = None
    """The smallest step that the plates allow, for `display_weight` alone."""


class RegressRule(Document):
    """When to go back to an easier movement."""

    after: _Sessions
    """Sessions in a row that missed their prescription at the bottom."""


class HarderRule(Document):
    """The next harder movement of the catalogue's graph, when all sets reached the top of repetitions or hold."""

    kind: Literal["harder"]
    to: Slug | None = None
    """The movement that it leads to and ends at, harder by harder, and not the exercise's own; without it the easiest
    of those that are harder, and lead on, comes next."""
    from_seconds: PositiveSeconds | None = None
    """Of a hold: what a new movement begins with. `hold_seconds` is the top, and also the bottom by default."""
    step_reps: Annotated[int, Field(ge=1, le=100)] | None = None
    """Repetitions are prescribed from the bottom of the range up, by this step; by default the whole range is."""
    step_seconds: Step | None = None
    """The same of a hold, from `from_seconds` up."""
    sessions: _Sessions = 2
    """Sessions in a row that must reach the top."""
    deload: RegressRule | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        both(self, "from_seconds", "step_seconds")
        if self.step_reps is not None and self.step_seconds is not None:
            raise wrong(("step_reps", "must not be given beside `step_seconds`"))
        return self


class ScriptStep(Document):
    """What happens when the session of that number comes; until the next step it stays so."""

    iteration: Annotated[int, Field(ge=1, le=MAX_ITERATION)]
    """Number of the session, from 1."""
    op: Literal["set", "add", "subtract", "add_percent", "subtract_percent"]
    value: Weight


class ScriptRule(Document):
    """What each session prescribes, whatever was done before."""

    kind: Literal["script"]
    of: Literal["weight", "reps", "sets", "hold_seconds"]
    """What the steps change."""
    steps: Annotated[list[ScriptStep], Field(min_length=1, max_length=200)]
    """By iteration; those of one are applied in their order."""
    rounding: Step | None = None
    """The smallest step that the plates allow, for `display_weight` alone."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        iterations = [step.iteration for step in self.steps]
        if iterations != sorted(iterations):
            raise wrong(("steps", "must be in the order of `iteration`"))
        for place, step in enumerate(self.steps):
            value = ("steps", place, "value")
            if step.value < 0 and not (step.op == "set" and self.of == "weight"):
                raise wrong((value, "may be negative only where a weight is set"))
            counted = self.of in ("reps", "sets") and not step.op.endswith("percent")
            if counted and not step.value.is_integer():
                raise wrong((value, f"must be a whole number of {self.of}"))
        return self


def _without_kind(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    # Pydantic puts the kind into the place of an error, where the document has none.
    try:
        return handler(value)
    except ValidationError as error:
        found = [(place if place == ("kind",) else place[1:], message) for place, message in messages(error)]
        raise wrong(*found) from None


def _readable(value: object) -> object:
    try:
        return _RULE.validate_python(value, extra="ignore")
    except ValidationError:
        return None


Rule = Annotated[
    LinearRule | DoubleRule | RpeRule | HarderRule | ScriptRule,
    Field(discriminator="kind"),
    WrapValidator(_without_kind),
]
_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)

# A rule as it is stored and published, perhaps by a later version: members that are not known here are passed over, and
# a rule that cannot be read, as one of another kind, is None.
StoredRule = Annotated[Rule | None, BeforeValidator(_readable)]


def rule_fields(rule: Rule) -> dict[str, Any]:
    """A rule as it is stored, published and read: defaults included, unknown members left out."""
    return {name: _said(value) for name, value in rule.model_dump(mode="json", exclude_none=True).items()}


def check_rule(rule: Rule | None, said: Mapping[str, Any]) -> None:
    """Raises `wrong` where the prescription lacks what the rule judges by. `said` are its members by name."""
    missing = [name for name in _needed(rule, said) if said[name] is None]
    if missing:
        raise wrong(*((name, "is required by the rule in `progression`") for name in missing))
    if isinstance(rule, HarderRule) and rule.from_seconds is not None and rule.from_seconds > said["hold_seconds"]:
        raise wrong((("progression", "from_seconds"), "must not be more than `hold_seconds`"))


def check_movement(rule: Rule | None, catalogue: Catalogue, pointer: str) -> None:
    """Raises `UnknownExercise` where the rule leads to a movement that the catalogue lacks. `pointer` is the rule's."""
    if isinstance(rule, HarderRule) and rule.to is not None and rule.to not in catalogue.latest:
        raise catalogue.unknown(rule.to, f"{pointer}/to")


def _needed(rule: Rule | None, said: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(rule, DoubleRule):
        return ("reps",)
    if isinstance(rule, RpeRule):
        return ("reps", "rpe")
    if isinstance(rule, HarderRule):
        held = rule.step_seconds is not None or (rule.step_reps is None and said["reps"] is None)
        return ("exercise", "hold_seconds" if held else "reps")
    if isinstance(rule, ScriptRule) and rule.of in ("reps", "hold_seconds") and rule.steps[0].op != "set":
        return (rule.of,)
    return ()


def _said(value: Any) -> Any:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return known({name: _said(member) for name, member in value.items()})
    return [_said(member) for member in value] if isinstance(value, list) else value
