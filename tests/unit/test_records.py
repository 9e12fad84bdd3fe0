"""Personal records: each kind by an example, and from whichever day they are judged anew."""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.records import records
from analytics.strength import best_set, rep_maxima
from models.metrics import ZERO
from models.records import Performance, Record, RecordKind
from tests.support.bodies import uuid

FIRST = dt.date(2026, 1, 5)
Sets = Sequence[tuple[Decimal | int, int]]
Key = tuple[str, RecordKind, Decimal, UUID]


def day(place: int) -> dt.date:
    return FIRST + dt.timedelta(place)


def done(
    place: int, *sets: tuple[Decimal | int, int], training: int | None = None, position: int = 1, **fields: Any
) -> Performance:
    """What was done of an exercise on a day, by its sets of (kg, repetitions); a day is its own training."""
    exact = [(Decimal(weight), reps) for weight, reps in sets]
    best = best_set(exact, ZERO)
    return Performance(
        training_id=uuid(place if training is None else training),
        day=day(place),
        date=dt.datetime.combine(day(place), dt.time(12), dt.UTC),
        position=position,
        movement="squat",
        name="Squat",
        exercise="squat",
        own_exercise=None,
        family=None,
        difficulty=None,
        external_load_kg=sum((max(weight, ZERO) * reps for weight, reps in exact), ZERO),
        max_weight_kg=max((weight for weight, _ in exact), default=None),
        e1rm_kg=best and best[0],
        longest_hold_seconds=None,
        rep_maxima=rep_maxima(exact),
        source_seq=place,
    )._replace(**fields)


def told(found: Iterable[Record], kind: RecordKind) -> list[tuple[Any, ...]]:
    """Day, weight, value, what it beat, and the day on which it was beaten; days by their places."""
    return [
        (
            (one.day - FIRST).days,
            one.at_weight_kg,
            one.value,
            one.previous,
            one.superseded_on and (one.superseded_on - FIRST).days,
        )
        for one in found
        if one.kind is kind
    ]


def test_weight_e1rm_and_session_volume() -> None:
    found = records([], [done(0, (100, 5)), done(1, (105, 1), (60, 3)), done(2, (100, 5)), done(3, (105, 6))])
    assert told(found, RecordKind.WEIGHT) == [(0, 0, 100, None, 1), (1, 0, 105, 100, None)]
    assert told(found, RecordKind.E1RM) == [
        (0, 0, Decimal("116.6667"), None, 3),
        (3, 0, 126, Decimal("116.6667"), None),
    ]
    assert told(found, RecordKind.SESSION_VOLUME) == [(0, 0, 500, None, 3), (3, 0, 630, 500, None)]


def test_repetitions_at_a_weight() -> None:
    found = records([], [done(0, (100, 5), (80, 8)), done(1, (90, 6)), done(2, (90, 5), (80, 8)), done(3, (100, 8))])
    assert told(found, RecordKind.REPS_AT_WEIGHT) == [
        (0, 80, 8, None, 3),
        (0, 100, 5, None, 3),
        (1, 90, 6, 5, 3),  # more than the 5 that were done with as much or more
        (3, 100, 8, 5, None),
    ]


def test_less_assistance_is_more() -> None:
    assisted = [done(place, (weight, 5)) for place, weight in enumerate((-20, -30, -10, 0))]
    found = records([], assisted)
    assert told(found, RecordKind.WEIGHT) == [(0, 0, -20, None, 2), (2, 0, -10, -20, 3)]
    assert [one[1] for one in told(found, RecordKind.REPS_AT_WEIGHT)] == [-20, -10, 0]
    assert told(found, RecordKind.SESSION_VOLUME) == []


def test_holds() -> None:
    held = [done(place, longest_hold_seconds=Decimal(s), max_weight_kg=ZERO) for place, s in enumerate((30, 20, 31))]
    found = records([], held)
    assert told(found, RecordKind.HOLD_SECONDS) == [(0, 0, 30, None, 2), (2, 0, 31, 30, None)]
    assert told(found, RecordKind.WEIGHT) == []


def test_no_weight_is_no_record_of_weight() -> None:
    """But it ends those of assistance: after it, less of that is none, and the first weight beats nothing."""
    found = records([], [done(place, (weight, 5)) for place, weight in enumerate((0, -20, -10, 0, 10, -5, 12))])
    assert told(found, RecordKind.WEIGHT) == [(4, 0, 10, None, 6), (6, 0, 12, 10, None)]
    found = records([], [done(place, (weight, 5)) for place, weight in enumerate((-10, 0, -5, 10))])
    assert told(found, RecordKind.WEIGHT) == [(0, 0, -10, None, 1), (3, 0, 10, None, None)]


def test_an_assisted_exercise_has_no_record_of_volume() -> None:
    """Apps write assistance as a positive weight."""
    logged = {"external_load_kg": Decimal(360), "rep_maxima": [], "max_weight_kg": None, "e1rm_kg": None}
    own = {"exercise": None, "own_exercise": "assisted"}
    for named in ({"name": "Squat (Assisted)"}, {"exercise": "assisted-squat"}, own):
        assert records([], [done(0, (45, 8))._replace(**logged, **named)]) == []
    both = [done(0, (100, 5)), done(0, (45, 8), position=2)._replace(**logged, name="Assisted squat")]
    assert told(records([], both), RecordKind.SESSION_VOLUME) == [(0, 0, 500, None, None)]


def test_the_first_time_at_a_harder_movement() -> None:
    def lever(place: int, slug: str, difficulty: int, position: int = 1) -> Performance:
        return done(place, position=position, movement=slug, exercise=slug, family="front-lever", difficulty=difficulty)

    ladder = [lever(0, "tuck", 4), lever(1, "straddle", 7, 1), lever(1, "tuck", 4, 2), lever(2, "tuck", 4)]
    harder = records([], [*ladder, lever(3, "one-leg", 6, 1), lever(3, "full", 9, 2)])
    assert {(one.movement, one.kind) for one in harder} == {("family:front-lever", RecordKind.HARDER_MOVEMENT)}
    assert [(one.exercise, one.value, one.previous) for one in harder] == [
        ("tuck", 4, None),
        ("straddle", 7, 4),
        ("full", 9, 7),
    ]


def test_a_movement_twice_in_a_training_counts_together() -> None:
    found = records([], [done(0, (100, 5)), done(0, (110, 3), (60, 5), position=2)])
    assert told(found, RecordKind.WEIGHT) == [(0, 0, 110, None, None)]
    assert told(found, RecordKind.SESSION_VOLUME) == [(0, 0, 500 + 330 + 300, None, None)]
    assert told(found, RecordKind.REPS_AT_WEIGHT) == [(0, 100, 5, None, None), (0, 110, 3, None, None)]


def test_the_local_day_comes_before_the_moment() -> None:
    """Who flies west may train on an earlier local day at a later moment: days are judged whole, so they come first."""
    noon = dt.datetime(2026, 1, 6, 12, tzinfo=dt.UTC)
    found = records([], [done(1, (90, 5), date=noon), done(0, (100, 5), date=noon + dt.timedelta(hours=1))])
    assert told(found, RecordKind.WEIGHT) == [(0, 0, 100, None, None)]


_weights = st.integers(-2, 3).map(lambda steps: Decimal(steps * 10))
_sets = st.lists(st.tuples(_weights, st.integers(1, 4)), max_size=3)


@st.composite
def histories(draw: st.DrawFn, first: int = 0) -> list[Performance]:
    """Trainings of days from `first` to 6; a day may have several."""
    performances = []
    for place in range(first, 7):
        for training in range(draw(st.integers(0, 2))):
            for position in range(1, draw(st.integers(1, 3)) + 1):
                movement = draw(st.sampled_from(["tuck", "full"]))
                performances.append(
                    done(
                        place,
                        *draw(_sets),
                        training=10 * place + training,
                        position=position,
                        movement=movement,
                        family="lever",
                        difficulty={"tuck": 4, "full": 9}[movement],
                        longest_hold_seconds=draw(st.none() | st.integers(1, 3).map(Decimal)),
                    )
                )
    return performances


def key(record: Record) -> Key:
    return record.movement, record.kind, record.at_weight_kg, record.training_id


@given(histories())
def test_records_are_what_their_definition_says(history: list[Performance]) -> None:
    """By comparing every set with all that were before it and all that came after."""
    order = sorted(history, key=lambda one: (one.day, one.training_id))
    found = {key(one): one for one in records([], history)}
    expected = set()
    for performance in order:
        place = (performance.day, performance.training_id)
        before = [one for one in order if one.movement == performance.movement and (one.day, one.training_id) < place]
        after = [one for one in order if one.movement == performance.movement and (one.day, one.training_id) > place]
        together = [
            one for one in order if one.movement == performance.movement and (one.day, one.training_id) == place
        ]
        for weight, reps in rep_maxima(set_ for one in together for set_ in one.rep_maxima):
            rivals = [r for one in before for w, r in one.rep_maxima if w >= weight]
            if max(rivals, default=0) >= reps:
                continue
            beaten = [
                one.day
                for one in after
                if any(w >= weight and r >= reps and (w, r) != (weight, reps) for w, r in one.rep_maxima)
            ]
            record = found[performance.movement, RecordKind.REPS_AT_WEIGHT, weight, performance.training_id]
            expected.add(key(record))
            assert (record.value, record.previous) == (reps, max(rivals, default=None))
            assert record.superseded_on == min(beaten, default=None)
        for kind, field in (
            (RecordKind.WEIGHT, "max_weight_kg"),
            (RecordKind.E1RM, "e1rm_kg"),
            (RecordKind.HOLD_SECONDS, "longest_hold_seconds"),
        ):
            best, earlier = greatest(together, field), greatest(before, field)
            if best is None or (earlier is not None and earlier >= best) or best == 0:
                continue
            record = found[performance.movement, kind, ZERO, performance.training_id]
            expected.add(key(record))
            assert (record.value, record.previous) == (best, earlier or None)
            later = [one.day for one in after if getattr(one, field) is not None and getattr(one, field) > best]
            assert record.superseded_on == min(later, default=None)
    others = (RecordKind.SESSION_VOLUME, RecordKind.HARDER_MOVEMENT)
    assert {one for one, record in found.items() if record.kind not in others} == expected


def greatest(performances: list[Performance], field: str) -> Decimal | None:
    values = [getattr(one, field) for one in performances]
    return max((value for value in values if value is not None), default=None)


@given(st.data(), st.integers(0, 7))
def test_corrections_and_deletes_are_as_if_they_had_always_been(data: st.DataObject, from_place: int) -> None:
    """What is stored of earlier days, and all that is performed from a day on, give what everything gives."""
    old = data.draw(histories())
    kept = [one for one in old if one.day < day(from_place)]
    new = kept + data.draw(histories(from_place))
    stored = {key(one): one for one in records([], old) if one.day < day(from_place)}
    in_force = [one for one in stored.values() if one.superseded_on is None or one.superseded_on >= day(from_place)]
    changed = records(in_force, [one for one in new if one.day >= day(from_place)])
    assert all(stored.get(key(one)) != one for one in changed)
    assert stored | {key(one): one for one in changed} == {key(one): one for one in records([], new)}


@settings(max_examples=25)
@given(histories(), st.randoms())
def test_the_order_of_reading_changes_nothing(history: list[Performance], random: Any) -> None:
    assert records([], random.sample(history, len(history))) == records([], history)
