"""Hooks of schemathesis: values that no schema can tell, so that more requests get past the checks of the door."""

import re
from typing import Any
from uuid import uuid4

import schemathesis

from web.openapi import REQUEST_HEADERS

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_KEY = re.compile(r"[!-~]{1,255}")


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Name a movement and a time zone that exist where some name is allowed, the version that is there, and new ids."""
    if isinstance(case.body, dict):
        _mend(case.body)
    headers = case.headers or {}
    if headers.get("If-Match") == REQUEST_HEADERS["If-Match"]["example"]:
        headers["If-Match"] = "*"
    if _KEY.fullmatch(headers.get("Idempotency-Key") or ""):
        headers["Idempotency-Key"] = str(uuid4())


def _mend(body: dict[str, Any]) -> None:
    if _UUID.fullmatch(str(body.get("id"))):
        body["id"] = str(uuid4())
    if isinstance(body.get("source_id"), str) and 1 <= len(body["source_id"]) <= 200 and "\0" not in body["source_id"]:
        body["source_id"] = f"test:{uuid4()}"
    if isinstance(body.get("timezone"), str) and len(body["timezone"]) <= 64:
        body["timezone"] = "Europe/Berlin"
    exercises = body.get("exercises")
    for exercise in exercises if isinstance(exercises, list) else ():
        slug = exercise.get("exercise") if isinstance(exercise, dict) else None
        if isinstance(slug, str) and len(slug) <= 100 and _SLUG.fullmatch(slug):
            exercise["exercise"] = "pistol-squat"
            if isinstance(exercise.get("exercise_revision"), int) and exercise["exercise_revision"] >= 1:
                exercise["exercise_revision"] = 1
