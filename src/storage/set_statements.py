"""The SQL of `storage.sets`: one set of a training saved or removed, as the training's next version."""

from models.events import MAX_EVENT_BYTES
from models.sets import MAX_ORDER, MAX_SETS
from storage.training_parts import SET_COLUMNS, SET_RECORD, SET_TOLD, SETS, fields
from storage.training_statements import change

_MINE = "user_id = %(user_id)s AND training_id = %(id)s"
_KNOWN = f"EXISTS (SELECT FROM training_exercises WHERE {_MINE} AND id = %(exercise_id)s) AS known"
_OTHERS = f"{SETS} AND NOT (exercise_id = %(exercise_id)s AND id = %(set_id)s)"
_SET = SET_COLUMNS.removeprefix('id, "order", ')

# The set as it is to be, at the place it is to have, and what it finds there by the snapshot.
_PLACE = f"""
    SELECT n.id, coalesce(n."order", found.own, found.last + 1) AS "order", {_SET}, found.*
    FROM json_to_record(%(set)s) AS n({SET_RECORD}), LATERAL (
        SELECT {_KNOWN}, count(*) AS sets, coalesce(max(o."order"), 0) AS last,
               max(o."order") FILTER (WHERE o.id = n.id) AS own,
               coalesce(bool_or(o."order" = n."order" AND o.id <> n.id), false) AS taken
        FROM training_sets o WHERE {_MINE} AND exercise_id = %(exercise_id)s
    ) found"""

SAVE = change(
    "set_save",
    fields=fields(
        sets=f"""SELECT * FROM ({_OTHERS} UNION ALL SELECT {SET_TOLD} FROM place WHERE x.id = %(exercise_id)s) merged"""
    ),
    extra=("place", _PLACE),
    when=f"""NOT current.deleted AND place.known AND NOT place.taken AND place."order" <= {MAX_ORDER}
      AND (place.own IS NOT NULL OR place.sets < {MAX_SETS}) AND octet_length(snapshot.fields) <= {MAX_EVENT_BYTES}""",
    facts=""", place.known, place.taken, place."order", place.own, place.sets, octet_length(snapshot.fields)""",
    then=f""", saved AS (
    INSERT INTO training_sets (user_id, training_id, exercise_id, {SET_COLUMNS})
    SELECT %(user_id)s, %(id)s, %(exercise_id)s, {SET_COLUMNS} FROM changed, place
    ON CONFLICT (user_id, training_id, exercise_id, id) DO UPDATE
    SET ("order", {_SET}) = ROW (excluded."order", {", ".join(f"excluded.{name.strip()}" for name in _SET.split(","))})
)""",
)

DELETE = change(
    "set_delete",
    fields=fields(sets=_OTHERS),
    extra=(
        "place",
        f"""SELECT {_KNOWN}, EXISTS (
        SELECT FROM training_sets WHERE {_MINE} AND exercise_id = %(exercise_id)s AND id = %(set_id)s) AS present""",
    ),
    when="NOT current.deleted AND place.present",
    facts=", place.known, place.present",
    then=f""", gone AS (
    DELETE FROM training_sets s USING changed
    WHERE {_MINE.replace("user_id =", "s.user_id =", 1)} AND s.exercise_id = %(exercise_id)s AND s.id = %(set_id)s
)""",
)
