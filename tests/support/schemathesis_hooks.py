"""Hooks of schemathesis: values that no schema can tell, so that more requests get past the checks of the door; and a
check of its answers that it lacks.
"""

import datetime as dt
import re
from typing import Any
from uuid import UUID, uuid4

import schemathesis

from tests.support.strong import HEADER
from web.openapi import REQUEST_HEADERS

COMPLETED, DELETED, EXERCISE, SET, UNDONE, PLANNED, ANALYSED, WORKOUT, GOAL, PHASE, LEFT_GOAL, LEFT_PHASE = (
    UUID(f"0193f1a0-0000-7000-8000-00000000c00{n:x}") for n in range(12)
)
ADVICE, UNDONE_ADVICE = (UUID(f"0193f1a0-0000-7000-8000-00000000ad0{n}") for n in range(2))  # that was accepted
VIDEO = "video-1"  # of the one set of `ANALYSED`
DAY, LEFT_DAY = "2026-01-05", "2026-01-06"  # on which the user checked in
GROUP, LEFT = "team", "club"  # of the test's user, who leaves the second
ERASED = UUID("0193f1a0-0000-7000-8000-00000000e000")  # another user, who may be erased again and again

LOG = f"{HEADER}2026-01-05 12:00:00,Legs,1h,Squat,1,100,5,0,0,,,\n".encode()

_OURS = (COMPLETED, DELETED, PLANNED, ANALYSED, WORKOUT)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_KEY = re.compile(r"[!-~]{1,255}")
_VALIDATORS = re.compile(r"[Ii]nput (should|tag)|[Vv]alue error|should (match|have|be)|[Uu]nable to")


@schemathesis.check
def words_are_for_people(_context: Any, response: Any, _case: schemathesis.Case) -> None:
    """What is wrong is not said in the validator's own words."""
    if response.status_code == 422:
        for error in response.json().get("errors", ()):
            assert not _VALIDATORS.search(error["message"]), error


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out what tries wrong users alone: the settings put the test's own in their place, so nothing is wrong."""
    return case.meta is None or getattr(case.meta.phase.data, "parameter", None) != "userId"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Name a movement and a time zone that exist where some name is allowed, the version that is there, and new ids."""
    slug = (case.path_parameters or {}).get("slug", "")
    own = 1 <= len(slug) <= 200 and case.path.endswith("/own-exercises/{slug}")
    if (own or _SLUG.fullmatch(slug)) and not slug.startswith("test-"):  # which another request made
        # One to which nothing refers, so that it can be deleted; the others stay.
        case.path_parameters["slug"] = "manna" if case.method == "DELETE" else "pistol-squat"
    group = LEFT if case.method == "DELETE" else GROUP
    day = LEFT_DAY if case.method == "DELETE" else DAY
    for name, known in {"day": day, "version": "1", "name": "Row", "group": group, "table": "session_volume"}.items():
        if _is_some(name, str((case.path_parameters or {}).get(name, ""))):
            case.path_parameters[name] = known
    if case.path.endswith(("/users/{userId}", "/erasure")):
        case.path_parameters["userId"] = str(ERASED)
    if case.path.endswith("/imports/{id}") and _UUID.fullmatch(str((case.path_parameters or {}).get("id"))):
        case.path_parameters["id"] = str(UNDONE)  # which an undo changes nothing of
    if isinstance(case.body, dict) and isinstance(case.body.get("file"), bytes):
        case.body["file"] = LOG
    if isinstance(case.body, dict):
        _mend(case.body)
        if slug and str(case.body.get("slug")).startswith("test-"):
            case.body["slug"] = case.path_parameters["slug"]
    _lead(case.method, case.path.rpartition("/")[2], case.path_parameters or {})
    if case.method == "PUT" and case.path.endswith("/trainings/{id}"):
        _save(case.path_parameters or {})
    headers = case.headers or {}
    if headers.get("If-Match") == REQUEST_HEADERS["If-Match"]["example"]:
        headers["If-Match"] = "*"
    if _KEY.fullmatch(headers.get("Idempotency-Key") or ""):
        headers["Idempotency-Key"] = str(uuid4())


def _is_some(name: str, value: str) -> bool:
    """Whether a parameter of the path is of its form."""
    if name == "version":
        return _VERSION.fullmatch(value) is not None
    if name == "day":
        try:
            return dt.date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False
    return 1 <= len(value.strip()) <= 200


def _lead(method: str, last: str, ids: dict[str, Any]) -> None:
    """To what the test made, where an id is asked for that another request would have to answer first.

    Nothing else changes that, although schemathesis also tries ids that it has seen.
    """
    if all(_UUID.fullmatch(str(id_)) for id_ in ids.values()):
        kept = {"goalId": GOAL, "phaseId": PHASE, "adviceId": UNDONE_ADVICE if last == "undo" else ADVICE}
        left = {"goalId": LEFT_GOAL, "phaseId": LEFT_PHASE}
        ids |= {name: str(id_) for name, id_ in (left if method == "DELETE" else kept).items() if name in ids}
        if last == "form-analyses":
            ids |= {"id": str(ANALYSED), "exerciseId": str(EXERCISE), "setId": str(SET)}
        elif "setId" in ids:
            ids |= {"id": str(COMPLETED), "exerciseId": str(EXERCISE), "setId": str(SET)}
        elif last in {"reopen", "restore"}:
            ids["id"] = str(COMPLETED if last == "reopen" else DELETED)
        elif method != "GET" and ids.get("id") in map(str, _OURS):
            ids["id"] = str(uuid4())


def _save(ids: dict[str, Any]) -> None:
    """Into the training that is there to be changed."""
    if all(_UUID.fullmatch(str(id_)) for id_ in ids.values()):
        ids["id"] = str(PLANNED)


def _are_slugs(slugs: list[Any]) -> bool:
    named = [slug for slug in slugs if isinstance(slug, str) and len(slug) <= 100 and _SLUG.fullmatch(slug)]
    return len(set(named)) == len(slugs) <= 20


def _mend(body: dict[str, Any]) -> None:
    if _UUID.fullmatch(str(body.get("id"))):
        body["id"] = str(uuid4())
    if isinstance(body.get("source_id"), str) and 1 <= len(body["source_id"]) <= 200 and "\0" not in body["source_id"]:
        body["source_id"] = f"test:{uuid4()}"
    name = body.get("name")
    if "difficulty" in body and isinstance(name, str) and name.strip() and len(name) <= 200 and "\0" not in name:
        body["name"] = f"test {uuid4()}"  # an own exercise's is its own
    _mend_plan(body)
    if isinstance(body.get("timezone"), str) and len(body["timezone"]) <= 64:
        body["timezone"] = "Europe/Berlin"
    if isinstance(body.get("slug"), str) and len(body["slug"]) <= 100 and _SLUG.fullmatch(body["slug"]):
        body["slug"] = f"test-{uuid4()}"
    if isinstance(body.get("easier_slugs"), list) and _are_slugs(body["easier_slugs"]):
        body["easier_slugs"] = body["easier_slugs"] and ["box-pistol-squat"]
    for member in ("exercise", "own_exercise"):
        if isinstance(body.get(member), str) and len(body[member]) <= 100 and _SLUG.fullmatch(body[member]):
            body[member] = "pistol-squat"
    exercises = body.get("exercises")
    for exercise in exercises if isinstance(exercises, list) else ():
        slug = exercise.get("exercise") if isinstance(exercise, dict) else None
        if isinstance(slug, str) and len(slug) <= 100 and _SLUG.fullmatch(slug):
            exercise["exercise"] = "pistol-squat"
            if isinstance(exercise.get("exercise_revision"), int) and exercise["exercise_revision"] >= 1:
                exercise["exercise_revision"] = 1


def _mend_plan(body: dict[str, Any]) -> None:
    """Days in order, and what a phase, a goal or an analysis names is there."""
    for first, last in (("first", "last"), ("start_day", "due")):
        if all(_DAY.fullmatch(str(body.get(name))) for name in (first, last)):
            body |= {first: DAY, last: LEFT_DAY}
    if _UUID.fullmatch(str(body.get("goal_id"))):
        body["goal_id"] = str(GOAL)
    if _UUID.fullmatch(str(body.get("parent_id"))):
        body["parent_id"] = None
    slots = body.get("schedule")
    for slot in slots if isinstance(slots, list) else ():
        if isinstance(slot, dict) and _UUID.fullmatch(str(slot.get("workout_id"))):
            slot["workout_id"] = str(WORKOUT)
    if isinstance(body.get("video_id"), str) and "analyser" in body:
        body["video_id"] = VIDEO
