"""The running service against its own OpenAPI document: no 5xx, and no answer that the document does not have."""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

import pytest
import structlog

from storage.database import Database
from storage.erasures import Erasures
from tests.support.advised import advised
from tests.support.api import User
from tests.support.coaches import Person
from tests.support.imports import form, importer
from tests.support.schemathesis_hooks import (
    ADVICE,
    ANALYSED,
    COMPLETED,
    DAY,
    DELETED,
    ERASED,
    EXERCISE,
    GOAL,
    GROUP,
    LEFT,
    LEFT_DAY,
    LEFT_GOAL,
    LEFT_PHASE,
    LOG,
    PHASE,
    PLANNED,
    SET,
    UNDONE,
    UNDONE_ADVICE,
    VIDEO,
    WORKOUT,
)
from tests.support.web import USER, Client, bearer, serve, token
from web import imports as web_imports
from web import metrics, own_exercises
from web.api import ALL_ROUTES, ROUTES

EXAMPLES = 8  # of each operation and phase: the bounds of every field are tried beside, and our own tests vary bodies
CLAIMS = {"roles": ["admin", "identity"], "groups": [GROUP, LEFT], "coach_of": [GROUP]}
HOOKS = "tests.support.schemathesis_hooks"
# That what the schema allows is also accepted cannot be asked for: time zones, slugs, cursors, versions and statuses
# are judged by more than a schema.
EXCLUDED = "positive_data_acceptance"


async def test_every_answer_is_documented(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PAUSES", ())  # what random requests ask for never comes
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(f'[parameters]\nuserId = "{USER}"\n[auth.openapi.bearer]\nbearer = "{token(**CLAIMS)}"\n')
    with structlog.testing.capture_logs() as log:
        async with serve(ALL_ROUTES, database=db) as client:
            user = User(client, USER)
            row = {"name": "Row", "id": str(EXERCISE), "sets": [{"id": str(SET)}]}
            for id_ in (COMPLETED, DELETED):
                await user.create(id=str(id_), status="COMPLETED", exercises=[row])
            await user.ask("DELETE", f"/{DELETED}")
            await user.create(id=str(PLANNED))
            await _plan(Person(client, USER), db)
            for slug in ("pistol-squat", "manna"):
                body = {**own_exercises.ROUTES[0].body_example, "name": slug, "slug": slug}
                own = await client.post(own_exercises.PATH.format(userId=USER), json=body, headers=bearer())
                assert own.status == 201, await own.text()
            alias = f"{own_exercises.ALIASES_PATH.format(userId=USER)}/Row"
            assert (await client.put(alias, json={"exercise": "pistol-squat"}, headers=bearer())).status == 200
            imports = web_imports.PATH.format(userId=USER)
            answer = await client.post(imports, data=form({"file": LOG}), headers=bearer())
            assert answer.status == 202
            await importer(db).work_off()
            await db.execute("UPDATE imports SET id = %s, status = 'undone'", [UNDONE])
            for group in CLAIMS["groups"]:
                await Person(client, USER, **CLAIMS).admit(group, "read", "plan")
            await Erasures(db).begin(ERASED)
            output, code = await _run(client, settings)
    assert code == 0, output
    # It was no idle run: requests got through to every handler.
    done = {(entry["method"], entry["route"]) for entry in log if 200 <= entry.get("status", 0) < 300}
    assert {(route.method, route.path) for route in ROUTES} <= done, output


async def _plan(user: Person, db: Database) -> None:
    """A set with a recording, a workout, two of whatever else is read, changed and deleted, and advice."""
    recorded = {"name": "Row", "id": str(EXERCISE), "sets": [{"id": str(SET), "reps": 5, "video_id": VIDEO}]}
    training = {"id": str(ANALYSED), "date": f"{DAY}T12:00:00Z", "status": "COMPLETED", "exercises": [recorded]}
    await user.told("POST", "/api/v1/trainings", training)
    await user.told("POST", user.address("/workouts"), {"id": str(WORKOUT), "name": "Pull"})
    aim = {"name": "Rows", "metric": "weekly_trainings", "target": 3, "start_day": DAY, "due": LEFT_DAY}
    for id_ in (GOAL, LEFT_GOAL):
        await user.told("POST", user.address("/goals"), {"id": str(id_), **aim})
    for id_ in (PHASE, LEFT_PHASE):
        await user.told("POST", user.address("/phases"), {"id": str(id_), "name": "Week", "first": DAY, "last": DAY})
    for day in (DAY, LEFT_DAY):
        await user.told("PUT", user.address(f"/check-ins/{day}"), {"sleep": 2})
    for id_ in (ADVICE, UNDONE_ADVICE):
        path = user.address(f"/advice/{(given := await advised(user, DAY))['id']}")
        await user.told("POST", f"{path}/accept?day={DAY}")
        if id_ == UNDONE_ADVICE:
            await user.told("POST", f"{path}/undo")
        known = [id_, id_.bytes, UUID(given["id"])]
        await db.execute("UPDATE advice SET id = %s, digest = %s WHERE id = %s", known)


async def _run(client: Client, settings: Path) -> tuple[str, int | None]:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "schemathesis",
        f"--config-file={settings}",
        "run",
        str(client.make_url("/openapi.json")),
        f"--max-examples={EXAMPLES}",
        f"--exclude-checks={EXCLUDED}",
        "--generation-deterministic",
        "--no-color",
        cwd=settings.parent,
        env=os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode(), process.returncode
