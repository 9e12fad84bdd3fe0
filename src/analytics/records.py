"""Personal records: a pure function from what was performed to what was the best so far.

Trainings come in the order of (local day, moment, id); what a training has of one movement counts together.

| kind | of one movement, a record is |
|---|---|
| weight | the greatest weight of a set with a repetition or a hold, in kg, other than 0 |
| reps_at_weight | the repetitions of a set where no earlier one had as much weight and as many repetitions |
| e1rm | the greatest e1RM, in kg |
| hold_seconds | the longest hold, in s |
| session_volume | the greatest external load of a training, in kg, above 0, without exercises called assisted |
| harder_movement | the greatest difficulty performed, of a family of movements: `family:` and its name |

A set is no warm-up (a session's load has them, too) and, but for a hold, no positive weight of an exercise that is
called assisted (`analytics.strength.is_assisted`), which may be help. Weights are signed: assistance is negative, and
less of it is more. A weight of 0 is no record, but it ends those of assistance: after repetitions without any, some is
no record. The first performance sets the first records, whose `previous` is None. An equal performance is none: a
record stays with who set it first.

`previous` of repetitions at a weight is the most that were done before with as much weight or more. A record of them is
superseded by a set of at least its weight and at least its repetitions; a record of another kind by the next one. Sets
of one training supersede none of it and are no `previous` of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, groupby
from operator import attrgetter

from analytics.strength import is_assisted, rep_maxima
from models.metrics import ZERO
from models.records import Performance, Record, RecordKind

METHOD_VERSION = 1  # grows with every change of a rule; a rebuild then brings the tables to the new rules

RULES: Mapping[str, object] = {
    "order": "local day, then moment, then training_id; an equal performance is no record",
    "warm_ups": "excluded from weight, reps_at_weight, e1rm and hold_seconds",
    "assisted": "exercises with the word assisted in the name or the movement's slug: positive weights, which may be "
    "assistance, excluded from weight, reps_at_weight, e1rm and session_volume",
    "weight": "greatest weight other than 0 of a set with a repetition or a hold; assistance is negative, and no "
    "record once repetitions went without it",
    "reps_at_weight": "repetitions of a set where no earlier one had as much weight and as many repetitions",
    "e1rm": "greatest e1rm_kg",
    "hold_seconds": "longest hold",
    "session_volume": "greatest external load of one training, above 0",
    "harder_movement": "greatest difficulty performed of a family of movements",
}

_training = attrgetter("day", "date", "training_id")
_order = attrgetter("day", "date", "training_id", "position")


def records(in_force: Iterable[Record], performances: Iterable[Performance]) -> list[Record]:
    """What changes: those of `in_force` that are superseded otherwise than they say, then the new records, in order.

    `in_force` are one user's records of the days before the first of `performances` that were not superseded on one of
    those days. What their `superseded_on` says beyond that is out of date: it is judged anew. Given all performances
    from a day on, that and the records of earlier days are what all the user's performances give, whatever was
    corrected or deleted on that day or later.
    """
    given = list(in_force)
    found = [record._replace(superseded_on=None) for record in given]
    standing: defaultdict[tuple[str, RecordKind], list[int]] = defaultdict(list)  # places in `found`
    for place, record in enumerate(found):
        standing[record.movement, record.kind].append(place)
    for (day, date, training_id), training in groupby(sorted(performances, key=_order), key=_training):
        for movement, kind, weight, value, performance in _claims(list(training)):
            # Kinds but repetitions at a weight stand at 0 kg, one each: they are compared by their value alone.
            stand = standing[movement, kind]
            rivals = [found[place].value for place in stand if found[place].at_weight_kg >= weight]
            previous = max(rivals) if rivals else None
            if previous is not None and previous >= value:
                continue
            weighs = kind is RecordKind.WEIGHT
            if weighs and value < 0 and _unassisted(found[at] for at in standing[movement, RecordKind.REPS_AT_WEIGHT]):
                continue
            for place in stand[:]:
                if found[place].at_weight_kg <= weight and found[place].value <= value:
                    found[place] = found[place]._replace(superseded_on=day)
                    stand.remove(place)
            if weighs and not value:
                continue
            stand.append(len(found))
            found.append(
                Record(
                    movement,
                    kind,
                    weight,
                    training_id,
                    day,
                    date,
                    performance.name,
                    performance.exercise,
                    performance.own_exercise,
                    value,
                    previous,
                    None,
                    performance.source_seq,
                )
            )
    changed = [now for then, now in zip(given, found, strict=False) if now.superseded_on != then.superseded_on]
    return changed + found[len(given) :]


def _unassisted(at_weights: Iterable[Record]) -> bool:
    # A weight of 0 leaves no record of weight: that it was done is told by those of repetitions.
    return any(record.at_weight_kg >= 0 for record in at_weights)


def _claims(training: Sequence[Performance]) -> Iterator[tuple[str, RecordKind, Decimal, Decimal, Performance]]:
    """What one training may set records with: movement, kind, weight, value, and the performance that is named."""
    movements: defaultdict[str, list[Performance]] = defaultdict(list)
    hardest: dict[str, Performance] = {}
    for performance in training:
        slug = performance.exercise or performance.own_exercise
        if performance.external_load_kg and is_assisted(performance.name, slug):
            movements[performance.movement].append(performance._replace(external_load_kg=ZERO))
        else:
            movements[performance.movement].append(performance)
        family, difficulty = performance.family, performance.difficulty
        if family is not None and difficulty is not None:
            known = hardest.get(family)
            if known is None or difficulty > (known.difficulty or 0):
                hardest[family] = performance
    for movement, done in movements.items():
        whole = done[0] if len(done) == 1 else _together(done)
        for kind, value in (
            (RecordKind.WEIGHT, whole.max_weight_kg),
            (RecordKind.E1RM, whole.e1rm_kg),
            (RecordKind.HOLD_SECONDS, whole.longest_hold_seconds or None),
            (RecordKind.SESSION_VOLUME, whole.external_load_kg or None),
        ):
            if value is not None:
                yield movement, kind, ZERO, value, whole
        # The lightest first: none is then compared with a set of its own training.
        for weight, reps in reversed(whole.rep_maxima):
            yield movement, RecordKind.REPS_AT_WEIGHT, weight, Decimal(reps), whole
    for family, performance in hardest.items():
        yield f"family:{family}", RecordKind.HARDER_MOVEMENT, ZERO, Decimal(performance.difficulty or 0), performance


def _together(done: Sequence[Performance]) -> Performance:
    """What a training has of one movement, in several exercises, as one: it is named as the first of them."""
    return done[0]._replace(
        external_load_kg=sum((one.external_load_kg for one in done), ZERO),
        max_weight_kg=_greatest(one.max_weight_kg for one in done),
        e1rm_kg=_greatest(one.e1rm_kg for one in done),
        longest_hold_seconds=_greatest(one.longest_hold_seconds for one in done),
        rep_maxima=rep_maxima(chain.from_iterable(one.rep_maxima for one in done)),
    )


def _greatest(values: Iterable[Decimal | None]) -> Decimal | None:
    return max((value for value in values if value is not None), default=None)
