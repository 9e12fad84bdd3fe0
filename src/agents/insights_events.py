"""What the agent of insights says of what it computed: personal records, and the band of the load."""

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import orjson
from uuid_utils.compat import uuid7

from analytics import records as records_rules
from analytics.load import METHOD_VERSION, TARGET, reason
from models.insights import Computed, Insights, SaidBand, SaidRecord, Stale
from models.load import Ratio, Unknown
from models.records import Record, RecordKind, movement_key

LATE = dt.timedelta(days=7)  # between a training and its event, beyond which its records are history
_DAY = dt.timedelta(days=1)
_STEP = Decimal("0.0001")
_NAMESPACE = UUID("5f0c6a52-6c3e-4b0e-9d5c-5d1c7a0f4a55")  # of the ids of what is announced


def announce(stale: Stale, insights: Insights) -> Computed:
    """With what is to be announced of it, as far as the log has not told of it."""
    user_id = stale.history.user_id
    said: dict[UUID, SaidRecord] = {}
    logged = {(done.training_id, done.logged) for done in stale.history.performances}
    for record, accepted in insights.records:
        if (
            record.superseded_on is None
            and record.previous is not None
            and record.training_id in stale.trainings
            and abs(accepted.at - record.date) <= LATE
        ):
            slug = record.exercise if (record.training_id, record.exercise) in logged else None
            new = _said(user_id, record, record.previous, movement_key(record.name, slug, None))
            known = said.get(new.id)
            if known is None or known.value < new.value:
                said[new.id] = new
    return Computed(stale, insights, list(said.values()), _band(stale, insights))


def _said(user_id: UUID, record: Record, previous: Decimal, logged: str) -> SaidRecord:
    # By the movement as it was logged: it stays when the user says later what movement a name means.
    weight = f"{record.at_weight_kg.normalize():f}"
    id_ = uuid5(_NAMESPACE, "/".join((str(user_id), record.kind, weight, str(record.training_id), logged)))
    # Pounds in kilograms have more digits than anybody reads.
    value = record.value.quantize(_STEP, ROUND_HALF_UP)
    at_weight = record.at_weight_kg.quantize(_STEP, ROUND_HALF_UP)
    payload = {
        "record_id": id_,
        "movement": record.movement,
        "kind": record.kind,
        "at_weight_kg": float(at_weight) if record.kind is RecordKind.REPS_AT_WEIGHT else None,
        "value": float(value),
        "previous": float(previous.quantize(_STEP, ROUND_HALF_UP)),
        "training_id": record.training_id,
        "day": record.day,
        "date": record.date,
        "name": record.name,
        "exercise": record.exercise,
        "own_exercise": record.own_exercise,
        "method": {"version": records_rules.METHOD_VERSION},
    }
    # Told as a double, it is compared as one.
    return SaidRecord(uuid7(), id_, Decimal(repr(float(value))), _members(payload))


def _band(stale: Stale, insights: Insights) -> SaidBand | None:
    """Where the user's load stands today; None where today lies before what was computed, and nothing changes."""
    history = stale.history
    zone = ZoneInfo(history.timezone)
    today = stale.now.astimezone(zone).date()
    measure = stale.judged
    load = None
    next_day = None
    if measure is not None and today < insights.first:
        next_day = insights.first
    elif measure is not None and today <= insights.last:
        rows = next(series.days for series in insights.load if series.measure is measure)
        if not rows or today < rows[0].day:
            return None
        load = rows[(today - rows[0].day).days]
        next_day = today + _DAY if today < insights.last else None
    id_ = uuid5(_NAMESPACE, f"{history.user_id}/load_band")
    band = None if load is None else load.band
    payload = {
        "load_id": id_,
        "day": today,
        "band": band,
        "measure": measure,
        "acwr": None if load is None else load.acwr,
        "acute": None if load is None else load.acute,
        "chronic": None if load is None else load.chronic,
        "reason": Unknown.NO_CHRONIC_LOAD if load is None else reason(load),
        "method": {"version": METHOD_VERSION, "ratio": Ratio.COUPLED, "gap": "zero", "target": TARGET},
    }
    next_at = None if next_day is None else dt.datetime.combine(next_day, dt.time(), zone)
    return SaidBand(uuid7(), id_, today, band, measure, next_at, _members(payload))


def _members(payload: dict[str, object]) -> str:
    """The members of a JSON object, without its braces; those that are None are left out."""
    known = {name: value for name, value in payload.items() if value is not None}
    return orjson.dumps(known, option=orjson.OPT_UTC_Z).decode()[1:-1]
