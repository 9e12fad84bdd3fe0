"""Worked numbers that papers and other projects print: ours are the same, or the difference has a name.

`tests/data/metric_vectors.json` holds each with its source and tolerance.
"""

import datetime as dt
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.load import load_days
from analytics.progression import walk
from analytics.readiness import hooper
from analytics.strength import best_set, share_of_1rm
from analytics.volume import daily_volumes, fold, seconds_per_rep, session_rpe_load, session_volume
from models.events import EventType
from models.exercises import Facts
from models.load import LoadDay
from models.metrics import ZERO, SessionVolume
from models.performed import PerformedEvent, PerformedTraining
from models.readiness import CheckInValues
from models.sets import Unit
from tests.support import progression
from tests.support.bodies import uuid
from tests.support.muscles import muscle_sets

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "metric_vectors.json").read_text())
FIRST = dt.date(2026, 1, 5)


def last_day(loads: Sequence[float]) -> LoadDay:
    days = {FIRST + dt.timedelta(place): float(load) for place, load in enumerate(loads)}
    return load_days(days, days, FIRST, max(days))[-1]


def ratios(loads: Sequence[float]) -> dict[str, float | None]:
    day = last_day(loads)
    return {"rac": day.acwr, "rau": day.acwr_uncoupled, "ewma": day.acwr_ewma}


def monotony(loads: Sequence[float]) -> dict[str, float | None]:
    day = last_day(loads)
    return {"monotony": day.monotony, "strain": day.strain}


def training(exercises: Sequence[Sequence[dict[str, Any]]], date: str = "2026-01-05", **fields: Any) -> dict[str, Any]:
    """A completed training, as its event has it."""
    sets = [{"name": f"{place}", "sets": list(exercise)} | fields for place, exercise in enumerate(exercises)]
    moment = f"{date}T12:00:00Z"
    ids = {"training_id": uuid(int(date[-2:])), "user_id": uuid(9), "version": 1, "status": "COMPLETED"}
    return ids | {"date": moment, "timezone": "UTC", "day": date, "exercises": sets}


def session(sets: Sequence[dict[str, Any]]) -> SessionVolume:
    return session_volume(PerformedTraining.model_validate(training([sets])), {})


def valens(sets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def done(set_: dict[str, Any]) -> dict[str, Any]:
        held = set_["reps"] is None
        seconds = {"duration_seconds": set_["time_s"]} if held else {"tempo": f"{set_['time_s']}-0-0-0"}
        return {"weight": set_["weight"] or 0, "reps": set_["reps"] or 0, "rpe": set_["rpe"]} | seconds

    volume = session([done(set_) for set_ in sets]).volume
    return {
        "volume_load_valens_rule": volume.external_load_kg,
        "tut_s": volume.time_under_tension_seconds,
        "sets_rpe>=7_or_none": volume.hard_sets,
    }


def wger(sets: Sequence[Sequence[float]]) -> dict[str, Any]:
    first, second, other = ({"reps": reps, "weight": weight} for reps, weight in sets)
    trainings = [("2024-02-01", [[first]]), ("2024-02-02", [[second]]), ("2024-02-10", [[], [other]])]
    events = [
        PerformedEvent.model_validate(
            {
                "event_type": EventType.TRAINING_CREATED,
                "timestamp": f"{date}T13:00:00Z",
                "payload": training(exercises, date),
            }
        )
        for date, exercises in trainings
    ]
    folded = [fold(event, {}, None) for event in events]
    weeks: defaultdict[int, Decimal] = defaultdict(Decimal)
    names: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (_, day), daily in daily_volumes(folded).items():
        weeks[day.isocalendar().week] += daily.volume.external_load_kg
    for done in folded:
        for exercise in done.session.exercises:
            names[exercise.name] += exercise.volume.external_load_kg
    return {
        "total": sum(weeks.values()),
        "by_exercise": [names["0"], names["1"]],
        "iso_week5": weeks[5],
        "iso_week6": weeks[6],
        "sets": sum(done.session.volume.sets for done in folded),
    }


def under_tension(exercise: dict[str, Any]) -> dict[str, Any]:
    done = {"weight": 0, "reps": exercise["reps"], "tempo": exercise["tempo"]}
    rep = seconds_per_rep(exercise["tempo"])
    whole = session([done] * exercise["sets"]).volume
    one = session([done]).volume
    return {"rep": rep, "set": one.time_under_tension_seconds, "total": whole.time_under_tension_seconds}


def system_load(lift: dict[str, Any]) -> Decimal | None:
    """In pounds throughout: the figure is linear in the unit."""
    body = training([[{"weight": lift["added"], "reps": 1}]], exercise="dip", exercise_revision=1)
    performed = PerformedTraining.model_validate(body | {"bodyweight_kg": lift["bw"]})
    facts = Facts(bw_fraction=Decimal(str(lift["frac"])))
    return session_volume(performed, {("dip", 1): facts}).volume.system_load_kg


def fractional(sets: Mapping[str, int]) -> dict[str, Decimal]:
    bench, press, extension = sets.values()
    return muscle_sets(
        [
            (["chest"], ["triceps", "shoulders"], bench),
            (["shoulders"], ["triceps"], press),
            (["triceps"], [], extension),
        ]
    )


def e1rm(weight: float, reps: int) -> Decimal | None:
    best = best_set([(Decimal(str(weight)), reps)], ZERO)
    return best and best[0]


def formulas(lift: dict[str, Any]) -> dict[str, Decimal | None]:
    return {"epley": e1rm(lift["w"], lift["reps"])}


def rpe_loads(sessions: Sequence[Sequence[int]]) -> list[Decimal | None]:
    return [session_rpe_load(Decimal(rpe), minutes * 60) for minutes, rpe in sessions]


def scripted(told: Mapping[str, Any]) -> list[float | None]:
    """What a script prescribes in its first 8 sessions."""
    ops = {"set": "set", "+": "add", "-": "subtract", "+%": "add_percent"}
    steps = [{"iteration": step["it"], "op": ops[step["op"]], "value": step["v"]} for step in told["rules"]]
    log = progression.sessions(*[progression.alike(1, 0, 5)] * 7)
    by = progression.rule("script", of="weight", steps=steps)
    return progression.weights(walk(progression.prescribed(sets=1, reps=5), by, log))


def lifted(case: dict[str, Any]) -> dict[str, Any]:
    """`lp(increment, successes, so many so far, decrement, failures, so many so far)`, in pounds, and one session."""
    given = [int(part.removesuffix("lb")) for part in case["rule"][3:-1].split(",")]
    increment, successes, done, decrement, failures, failed = given + [5, 1, 0, 0, 1, 0][len(given) :]
    deload = {"deload": {"after": failures, "weight": decrement}} if decrement else {}
    good, bad = (progression.alike(3, case["w"], reps, unit=Unit.LB) for reps in (5, 4))
    log = [good] * done + [bad] * failed + [bad if case["result"] == "failed" else good]
    by = progression.rule("linear", increment=increment, successes=successes, **deload)
    template = progression.prescribed(reps=5, weight=case["w"], unit=Unit.LB)
    return {"w": walk(template, by, progression.sessions(*log)).next.weight}


DELIVERED: Mapping[str, Callable[[Any], Any]] = {
    "acwr-williams2017-menaspa": lambda athletes: {
        "ewma": [last_day(loads).acwr_ewma for loads in athletes],
        "rolling_coupled": [last_day(loads).acwr for loads in athletes],
    },
    "acwr-pypi-readme": ratios,
    "acwr-ceiling": lambda loads: {name: ratios(loads)[name] for name in ("rac", "rau")},
    "monotony-runalyze-1": monotony,
    "monotony-runalyze-const": lambda loads: monotony(loads)["monotony"],
    "monotony-pypi-1": monotony,
    "srpe": rpe_loads,
    "srpe-week": rpe_loads,
    "e1rm-easycalc": formulas,
    "e1rm-formulas-100x1": formulas,
    "e1rm-formulas-100x3": formulas,
    "e1rm-formulas-100x5": formulas,
    "e1rm-formulas-100x10": formulas,
    "e1rm-liftlog": lambda sets: [e1rm(weight, reps) for reps, weight in sets],
    "relative-intensity-wger": lambda reps: [share_of_1rm(count, None) for count in reps],
    "rpe-curve-liftosaur": lambda _: {
        "5@10": share_of_1rm(5, 10),
        "3@10": share_of_1rm(3, 10),
        "5@8": share_of_1rm(5, 8),
        "12@8": share_of_1rm(12, 8),
    },
    "volume-valens": valens,
    "volume-wger": wger,
    "tut-tempo": lambda exercises: [under_tension(exercise) for exercise in exercises],
    "bw-load-ifa": lambda lifts: [system_load(lift) for lift in lifts],
    "fractional-sets": fractional,
    "prog-wger-walk": scripted,
    "prog-liftosaur-lp": lambda cases: [lifted(case) for case in cases],
    "hooper-4": lambda items: hooper(CheckInValues(FIRST, **items)),
}

# Where the project decides otherwise than the source: our value, and what the difference is.
OURS: Mapping[str, tuple[Any, str]] = {
    "acwr-ceiling": ({"rac": 4.0, "rau": None}, "what is divided by 0 is null"),
    "monotony-runalyze-1": (
        {"monotony": math.sqrt(3), "strain": 70 * math.sqrt(3)},
        "the standard deviation is taken with n - 1, there with n: ours is sqrt(6/7) of it",
    ),
    "monotony-runalyze-const": (
        None,
        "days that do not differ have no monotony; there it is infinite, or capped at 10",
    ),
    "e1rm-formulas-100x1": ({"epley": 100}, "the e1RM of one repetition is its weight"),
    "volume-valens": (
        {"volume_load_valens_rule": 300, "tut_s": 110, "sets_rpe>=7_or_none": 2},
        "repetitions without a weight add no kilograms; there each adds 1",
    ),
}

# Of vectors that are delivered, the numbers that nothing of ours computes.
LEFT_OUT: Mapping[str, str] = {
    "brzycki": "a formula of the e1RM; ours is Epley's",
    "lombardi": "likewise",
    "mayhew": "likewise",
    "oconner": "likewise",
    "wathan": "likewise",
    "lander": "likewise",
    "desgorces": "likewise",
    "est_max_reps": "the most repetitions that a set would have allowed are no figure of ours",
    "state": "counters that are stored; ours are folded from the log each time",
}

NOT_DELIVERED: Mapping[str, str] = {
    "pmc-runalyze-1": "fitness and fatigue (CTL, ATL, TSB) are a model of endurance sports; load is told by the ACWR",
    "e1rm-valens": "three formulas by turns, with a jump where they meet; beyond 12 repetitions nothing is estimated",
    "e1rm-stronglifts-export": "a chart of its own at RPE 10; Epley is the formula here",
}


def agree(found: Any, expected: Any, tolerance: Any, where: str) -> None:
    if isinstance(expected, dict):
        known = {name: value for name, value in expected.items() if name not in LEFT_OUT}
        assert found.keys() == known.keys(), where
        for name, value in known.items():
            of_name = tolerance[name] if isinstance(tolerance, dict) else tolerance
            agree(found[name], value, of_name, f"{where}: {name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for place, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
            agree(mine, theirs, tolerance, f"{where}: {place}")
    elif expected is None:
        assert found is None, where
    else:
        assert found is not None, where
        assert abs(float(found) - expected) <= tolerance, f"{where}: {found} is not {expected}"


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(vector, id=f"{vector['id']} ({vector['source']})")
        for vector in VECTORS
        if vector["id"] in DELIVERED
    ],
)
def test_printed_numbers(vector: dict[str, Any]) -> None:
    name = vector["id"]
    expected, difference = OURS.get(name, (vector["expected"], "none"))
    tolerance = vector["tol"] or 1e-9
    found = DELIVERED[name](vector["input"])
    agree(found, expected, tolerance, f"{name}, from {vector['source']}; difference: {difference}")


def test_every_vector_is_delivered_or_listed_with_its_reason() -> None:
    names = [vector["id"] for vector in VECTORS]
    assert sorted([*DELIVERED, *NOT_DELIVERED]) == sorted(names)


def test_every_difference_is_one() -> None:
    """What stands in `OURS` and `LEFT_OUT` is needed: no source agrees with it."""
    told = {vector["id"]: vector for vector in VECTORS}
    for name, (ours, _) in OURS.items():
        theirs = told[name]["expected"]
        with pytest.raises((AssertionError, TypeError)):
            agree(ours, theirs, told[name]["tol"] or 1e-9, name)
    expected = [told[name]["expected"] for name in DELIVERED]
    parts = [part for each in expected for part in (each if isinstance(each, list) else [each])]
    keys = {key for part in parts if isinstance(part, dict) for key in part}
    assert LEFT_OUT.keys() <= keys
