"""Advice over REST, on a real PostgreSQL: given, accepted, undone, and never across what the athlete does meanwhile."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

import web.metrics
from models.advice import AcceptedAdvice
from models.advice_reports import AcceptedPage, AdviceReport
from models.errors import AdviceGone
from storage.advice_accepted import AcceptedAdvices, Accepting
from storage.database import Cursor, Database
from storage.plans import read_planned
from storage.training_writes import Author
from tests.support.api import User
from tests.support.reports import settle
from tests.support.web import Client, bearer, serve
from web.api import ROUTES

DAY = dt.date(2026, 1, 12)  # a Monday
USERS = "/api/v1/training/users"
TOPIC = "readiness_events"
PULL = {
    "name": "Pull-up",
    "exercise": "pull-up",
    "sets": 3,
    "reps": {"min": 5, "max": 8},
    "weight": 2.5,
    "rest": 120,
    "progression": {"kind": "double", "increment": 2.5, "deload": {"after": 2, "percent": 10}},
}


class Asker(User):
    """A user of advice."""

    async def do(self, method: str, path: str, body: Any = None, *, status: int = 200, key: str | None = None) -> Any:
        """The document that answers a request about the user, or None."""
        headers = bearer(self.user_id) | ({} if key is None else {"Idempotency-Key": key})
        answer = await self.client.request(method, f"{USERS}/{self.user_id}{path}", json=body, headers=headers)
        text = await answer.read()
        assert answer.status == status, text
        self.headers = answer.headers
        return orjson.loads(text) if text else None

    async def advice(self, day: dt.date = DAY) -> list[dict[str, Any]]:
        """What is advised."""
        found = (await self.report(day))["advice"]
        assert isinstance(found, list)
        return found

    async def report(self, day: dt.date = DAY) -> dict[str, Any]:
        """The whole answer, which is exactly as its model says."""
        found: dict[str, Any] = await self.do("GET", f"/advice?day={day}")
        AdviceReport.model_validate_json(orjson.dumps(found), strict=True, extra="forbid")
        return found

    async def log(self, planned: dict[str, Any], **fields: Any) -> None:
        """PUT the planned training with other fields."""
        answer = await self.ask("PUT", f"/{planned['id']}", planned | fields)
        assert answer.status == 200, await answer.text()

    async def accept(self, id_: str, *, status: int = 201, key: str | None = None, day: dt.date = DAY) -> Any:
        """The answer to accepting it."""
        found = await self.do("POST", f"/advice/{id_}/accept?day={day}", status=status, key=key)
        if status < 300:
            AcceptedAdvice.model_validate_json(orjson.dumps(found), strict=True, extra="forbid")
        return found

    async def undo(self, id_: str, *, status: int = 200, key: str | None = None) -> Any:
        """The answer to undoing it."""
        return await self.do("POST", f"/advice/{id_}/undo", status=status, key=key)

    async def workout(self, *exercises: dict[str, Any], name: str = "Pull") -> str:
        """The id of a new workout."""
        return str((await self.do("POST", "/workouts", {"name": name, "exercises": list(exercises)}, status=201))["id"])

    async def plan(self, workout: str, days: int) -> dict[str, Any]:
        """A training planned from the workout, so many days after `DAY`."""
        date = f"{DAY + dt.timedelta(days)}T17:30:00+01:00"
        body = {"date": date, "timezone": "Europe/Berlin"}
        found: dict[str, Any] = await self.do("POST", f"/workouts/{workout}/trainings", body, status=201)
        return found

    async def training(self, id_: str) -> dict[str, Any]:
        """The training as it is."""
        answer = await self.ask("GET", f"/{id_}")
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found

    async def perform(self, planned: dict[str, Any], *, reps: int, weight: float = 2.5) -> None:
        """Do a planned training, all of its sets alike."""
        done = planned | {
            "status": "COMPLETED",
            "exercises": [_done(one, reps, weight) for one in planned["exercises"]],
        }
        answer = await self.ask("PUT", f"/{planned['id']}", done)
        assert answer.status == 200, await answer.text()

    async def begin(self, planned: dict[str, Any]) -> int:
        """Begin a planned training, if it is still at this version; the status of the answer."""
        headers = {"If-Match": f'"{planned["version"]}"'}
        answer = await self.ask("PUT", f"/{planned['id']}", planned | {"status": "IN_PROGRESS"}, headers=headers)
        return answer.status


def _done(exercise: dict[str, Any], reps: int, weight: float) -> dict[str, Any]:
    return exercise | {"sets": [set_ | {"done": True, "reps": reps, "weight": weight} for set_ in exercise["sets"]]}


def _said(training: dict[str, Any]) -> dict[str, Any]:
    """What a training says, without when and which version."""
    return {name: value for name, value in training.items() if name not in ("version", "updated_at")}


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ROUTES, database=db) as client:
        yield client


@pytest.fixture
def user(client: Client) -> Asker:
    return Asker(client)


async def progressing(user: Asker, *, ahead: tuple[int, ...] = (2,)) -> list[dict[str, Any]]:
    """A user who reached the top of the range; the trainings that are planned so many days ahead."""
    workout = await user.workout(PULL)
    await user.perform(await user.plan(workout, -3), reps=8)
    return [await user.plan(workout, days) for days in ahead]


async def test_what_is_accepted_changes_the_plan_and_is_undone_as_before(user: Asker, everything: Database) -> None:
    planned, later = await progressing(user, ahead=(2, 5))
    (advice,) = await user.advice()
    assert (advice["kind"], advice["title"]) == ("progress", "Pull-up: go on to 3 × 5–8 at 5 kg")
    assert advice == (await user.advice())[0]
    (change,) = advice["changes"]
    assert (change["training_id"], change["day"], change["title"]) == (planned["id"], "2026-01-14", "Pull")

    accepted = await user.accept(advice["id"])
    assert (accepted["id"], accepted["undone"], accepted["day"]) == (advice["id"], False, str(DAY))
    assert accepted["changes"] == [change | {"version": 1, "version_after": 2}]
    changed = await user.assert_told(planned["id"])
    assert changed["version"] == 2
    targets = [set_["target"] for set_ in changed["exercises"][0]["sets"]]
    assert targets == [{"reps": {"min": 5, "max": 8}, "weight": 5, "rest_seconds": 120}] * 3
    assert changed | {"exercises": []} == planned | {
        "exercises": [],
        "version": 2,
        "updated_at": changed["updated_at"],
    }
    assert await user.training(later["id"]) == later
    report = await user.report()
    assert (report["advice"], report["accepted"]) == ([], [accepted])

    undone = await user.undo(advice["id"])
    assert (undone["undone"], undone["version"]) == (True, 2)
    assert undone["changes"] == [change | {"version": 1, "version_after": 2, "version_restored": 3}]
    before = await user.assert_told(planned["id"])
    assert orjson.dumps(_said(before)) == orjson.dumps(_said(planned))
    assert before["version"] == 3
    events = await user.events(planned["id"])
    assert [event["event_type"] for event in events] == ["training_created", "training_updated", "training_updated"]
    first, *_, last = (event["payload"] for event in events)
    assert last == first | {"version": 3, "previous_status": "PLANNED"}
    log = await everything.all(
        "SELECT topic, event_type, version, payload FROM outbox WHERE aggregate_id = %s ORDER BY version",
        [UUID(advice["id"])],
    )
    assert [row[:3] for row in log] == [(TOPIC, "advice_accepted", 1), (TOPIC, "advice_undone", 2)]
    assert orjson.loads(log[1][3])["payload"]["changes"] == undone["changes"]

    (again,) = await user.advice()
    assert again["id"] != advice["id"]
    assert again | {"id": advice["id"]} == advice
    await user.accept(advice["id"], status=409)
    await user.accept(again["id"])
    assert (await user.training(planned["id"]))["version"] == 4


async def test_accepting_and_undoing_are_idempotent_by_themselves_and_by_key(user: Asker) -> None:
    (planned,) = await progressing(user)
    (advice,) = await user.advice()
    accepted = await user.accept(advice["id"], key="one")
    assert await user.accept(advice["id"], status=201, key="one") == accepted
    assert user.headers["Idempotent-Replayed"] == "true"
    assert await user.accept(advice["id"], status=200) == accepted
    assert await user.accept(advice["id"], status=200, key="two") == accepted
    await user.accept(advice["id"], status=422, key="one", day=DAY + dt.timedelta(1))
    undone = await user.undo(advice["id"], key="three")
    assert await user.undo(advice["id"], key="three") == undone
    assert user.headers["Idempotent-Replayed"] == "true"
    assert await user.undo(advice["id"]) == undone
    assert await user.accept(advice["id"], key="one") == accepted  # the key is judged first
    assert (await user.training(planned["id"]))["version"] == 3
    unknown = await user.accept(str(uuid4()), status=409)
    assert unknown["type"] == "/problems#advice-gone"
    await user.undo(str(uuid4()), status=404)


async def test_accepted_advice_of_a_kind_of_a_later_version_stops_no_other(user: Asker, db: Database) -> None:
    await progressing(user)
    (advice,) = await user.advice()
    await user.accept(advice["id"])
    await db.execute("UPDATE advice SET content = jsonb_set(content::jsonb, '{kind}', '\"stretch\"')")
    report = await user.do("GET", f"/advice?day={DAY}")
    assert [one["kind"] for one in report["accepted"]] == ["stretch"]  # as it was stored


async def test_an_id_belongs_to_its_day(user: Asker) -> None:
    await progressing(user)
    (advice,) = await user.advice()
    other = DAY + dt.timedelta(1)
    refused = await user.accept(advice["id"], status=409, day=other)
    assert refused["type"] == "/problems#advice-gone"
    assert f"advised for {other} has this id: it is of another day" in refused["detail"]
    accepted = await user.accept(advice["id"])
    refused = await user.accept(advice["id"], status=422, day=other)
    (fault,) = refused["errors"]
    assert fault["parameter"] == "day"
    assert fault["message"].startswith(f"must be {DAY}")
    assert await user.accept(advice["id"], status=200) == accepted


async def test_advice_waits_for_what_was_logged(user: Asker, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.metrics, "PAUSES", ())
    (training,) = await progressing(user)
    address = f"/advice?day={DAY}&at_least={training['id']}:1"
    assert (await user.do("GET", address))["stale"] is True
    await settle(db)
    assert (await user.do("GET", address))["stale"] is False
    assert "stale" not in await user.report()


async def test_a_plan_that_was_changed_since_is_not_undone(user: Asker) -> None:
    workout = await user.workout(PULL)
    plans = [await user.plan(workout, days) for days in (0, 2, 4)]
    for days in range(-28, 1):
        worse = days > -1
        await check_in(user, days, worse=worse)
    (advice,) = await user.advice()
    assert advice["kind"] == "rest"
    await user.accept(advice["id"])
    moved = await user.training(plans[0]["id"])
    assert (moved["day"], moved["date"]) == ("2026-01-13", "2026-01-13T16:30:00Z")
    assert (await user.advice()) == []
    answer = await user.ask("PUT", f"/{moved['id']}", moved | {"notes": "with a friend"})
    assert answer.status == 200
    refused = await user.undo(advice["id"], status=409)
    assert refused["type"] == "/problems#plan-changed"
    assert refused["detail"].startswith(
        "Nothing is left to undo: no training is as the advice left it. The training “Pull”"
    )
    assert f"of Tuesday, 13 January 2026 ({plans[0]['id']}): It was changed on " in refused["detail"]
    assert (await user.training(moved["id"]))["version"] == 3
    assert (await user.do("GET", "/advice/accepted"))["items"][0]["undone"] is False


async def check_in(user: Asker, days: int, *, worse: bool) -> None:
    day = DAY + dt.timedelta(days)
    items = dict.fromkeys(("sleep", "fatigue", "stress", "soreness"), 6 if worse else 2 + days % 2)
    body = items | {"sleep_hours": 5 if worse else 8, "hrv_rmssd_ms": 40 if worse else 60}
    await user.do("PUT", f"/check-ins/{day}", body, status=201)


async def test_a_deload_halves_the_week_once_and_stands_outside_progression(user: Asker) -> None:
    workouts = [await user.workout(PULL | {"sets": 5}, name=f"Pull {n}") for n in range(2)]
    for days in (-9, -6):
        for workout in workouts:
            await user.perform(await user.plan(workout, days), reps=3)
    plans = [await user.plan(workout, days) for workout, days in zip([*workouts, workouts[0]], (1, 7, 3), strict=True)]
    found = await user.advice()
    deload = found[0]
    assert deload["kind"] == "deload"
    assert [change["training_id"] for change in deload["changes"]] == [plans[0]["id"], plans[2]["id"]]
    assert [(one["kind"], one["changes"][0]["training_id"]) for one in found[1:]] == [("regress", plans[1]["id"])]
    await user.accept(deload["id"])
    light = await user.assert_told(plans[0]["id"])
    assert len(light["exercises"][0]["sets"]) == 3
    assert [one["kind"] for one in await user.advice()] == ["regress"]
    await user.perform(light, reps=3)
    walk = (await user.do("GET", f"/workouts/{workouts[0]}/progression"))["items"][0]
    assert [session["met"] for session in walk["sessions"]] == [False, False, None]
    assert walk["sessions"][-1]["reason"].startswith("It was made a lighter session, which stands outside of ")
    assert "advice" not in orjson.dumps(walk).decode()  # coaches read it, and no coach reads advice

    # Undoing puts back what was not done, and says of the other one why it stays, and that it is a lighter one still.
    done = await user.training(plans[0]["id"])
    undone = await user.undo(deload["id"])
    AcceptedAdvice.model_validate_json(orjson.dumps(undone), strict=True, extra="forbid")
    stays, back = undone["changes"]
    assert stays == deload["changes"][0] | {
        "version": 1,
        "version_after": 2,
        "stays": "It was done on Tuesday, 13 January 2026.",
    }
    assert back == deload["changes"][1] | {"version": 1, "version_after": 2, "version_restored": 3}
    assert await user.assert_told(plans[0]["id"]) == done
    whole = await user.assert_told(plans[2]["id"])
    assert orjson.dumps(_said(whole)) == orjson.dumps(_said(plans[2]))
    assert await user.undo(deload["id"]) == undone
    walk = (await user.do("GET", f"/workouts/{workouts[0]}/progression"))["items"][0]
    assert [session["met"] for session in walk["sessions"]] == [False, False, None]


async def test_what_undoing_leaves_light_is_light_to_advice_too(user: Asker) -> None:
    workouts = [await user.workout(PULL | {"sets": 5}, name=f"Pull {n}") for n in range(2)]
    for days in (-9, -6):
        for workout in workouts:
            await user.perform(await user.plan(workout, days), reps=3)
    stays, back = [await user.plan(workout, days) for workout, days in zip(workouts, (1, 3), strict=True)]
    deload, *_ = await user.advice()
    await user.accept(deload["id"])
    await user.log(await user.training(stays["id"]), notes="with a friend")
    await user.undo(deload["id"])
    anew, *others = await user.advice()
    assert (anew["kind"], others) == ("deload", [])
    assert [change["training_id"] for change in anew["changes"]] == [back["id"]], "what is halved is not halved again"
    assert (await user.do("GET", f"/workouts/{workouts[0]}/next?day=2026-01-13"))["lighter"] is True


@pytest.mark.parametrize(
    ("became", "why"),
    [
        ("done", "It was done on Wednesday, 14 January 2026."),
        ("begun", "It was begun."),
        ("skipped", "It was skipped on Monday, 12 January 2026."),
        ("deleted", "It was deleted on "),
    ],
)
async def test_undoing_what_was_done_since_says_why_it_is_too_late(user: Asker, became: str, why: str) -> None:
    (planned,) = await progressing(user)
    (advice,) = await user.advice()
    await user.accept(advice["id"])
    changed = await user.training(planned["id"])
    if became == "done":
        await user.perform(changed, reps=8, weight=5)
    elif became == "begun":
        assert await user.begin(changed) == 200
    elif became == "skipped":
        await user.log(changed, skipped_at="2026-01-12T08:00:00Z")
    else:
        assert (await user.ask("DELETE", f"/{planned['id']}")).status == 204
    refused = await user.undo(advice["id"], status=409)
    assert refused["type"] == "/problems#plan-changed"
    assert why.rstrip(".") in refused["detail"]
    assert (await user.do("GET", "/advice/accepted"))["items"][0]["version"] == 1


async def test_later_advice_on_the_same_training_is_undone_first(user: Asker) -> None:
    workout = await user.workout(PULL, PULL | {"name": "Chin-up", "exercise": "chin-up"})
    await user.perform(await user.plan(workout, -3), reps=8)
    planned = await user.plan(workout, 2)
    first, second = await user.advice()
    for each in (first, second):
        await user.accept(each["id"])
    assert (await user.training(planned["id"]))["version"] == 3
    refused = await user.undo(first["id"], status=409)
    assert refused["detail"].startswith(f"Undo the advice {second['id']} (“{second['title']}”) first")
    for each in (second, first):
        (change,) = (await user.undo(each["id"]))["changes"]
        assert "stays" not in change
    before = await user.assert_told(planned["id"])
    assert orjson.dumps(_said(before)) == orjson.dumps(_said(planned))
    assert before["version"] == 5

    # Of advice that was undone since nothing is to be undone; and what the athlete changed is no advice's.
    first, second = await user.advice()
    for each in (first, second):
        await user.accept(each["id"])
    await user.log(await user.training(planned["id"]), notes="my own")
    refused = await user.undo(first["id"], status=409)
    assert "It was changed on " in refused["detail"]


async def test_what_was_accepted_covers_its_week_and_is_known_before_it(user: Asker) -> None:
    workouts = [await user.workout(PULL | {"sets": 5}, name=f"Pull {n}") for n in range(2)]
    for days in (-9, -6):
        for workout in workouts:
            await user.perform(await user.plan(workout, days), reps=3)
    for place, workout in enumerate(workouts):
        await user.plan(workout, 3 + place)
    deload = next(one for one in await user.advice() if one["kind"] == "deload")
    accepted = await user.accept(deload["id"])
    for days, covers in ((-1, False), (0, True), (6, True), (7, False)):
        report = await user.report(DAY + dt.timedelta(days))
        assert report["accepted"] == ([accepted] if covers else [])
        assert "deload" not in [one["kind"] for one in report["advice"]]
    await user.undo(deload["id"])
    assert (await user.report())["accepted"] == []


async def test_balance_and_preferences_come_from_what_was_done(user: Asker, db: Database) -> None:
    workout = await user.workout(PULL | {"progression": None}, {"name": "Dip", "exercise": "dip", "sets": 3, "reps": 8})
    hard = [{"reps": 8, "rpe": 8}] * 7
    for days in (-21, -14, -7, -1):
        planned = await user.plan(workout, days)
        pull, dip = planned["exercises"]
        extra = {"name": "Push-up", "exercise": "push-up", "sets": hard}
        done = planned | {"status": "COMPLETED", "exercises": [_done(pull, 5, 0), dip, extra]}
        assert (await user.ask("PUT", f"/{planned['id']}", done)).status == 200
    await settle(db)
    ahead = await user.plan(workout, 3)
    report = await user.report()
    assert [(one["kind"], one["subject"]["movement"]) for one in report["advice"]] == [
        ("balance", "pull-up"),
        ("prefer", "dip"),
    ]
    assert report["advice"][0]["evidence"][1]["value"] == 28
    (skipped,) = report["preferences"]["skipped"]
    assert (skipped["movement"], skipped["planned"], skipped["skipped"]) == ("dip", 4, 4)
    (replaced,) = report["preferences"]["replaced"]
    assert (replaced["by"], replaced["times"]) == ("push-up", 4)
    assert {one["movement"]: one["sessions"] for one in report["preferences"]["often"]} == {"pull-up": 4, "push-up": 4}
    for one in report["advice"]:
        await user.accept(one["id"])
    changed = await user.assert_told(ahead["id"])
    assert changed["version"] == 3
    assert [(one["exercise"], len(one["sets"])) for one in changed["exercises"]] == [("pull-up", 4), ("push-up", 3)]
    assert await user.advice() == []
    page = await user.do("GET", "/advice/accepted?limit=1")
    AcceptedPage.model_validate_json(orjson.dumps(page), strict=True, extra="forbid")
    rest = await user.do("GET", f"/advice/accepted?limit=1&cursor={page['next_cursor']}")
    assert [one["kind"] for one in (*page["items"], *rest["items"])] == ["prefer", "balance"]
    refused = await user.undo(report["advice"][0]["id"], status=409)
    assert report["advice"][1]["id"] in refused["detail"]  # what was accepted last is undone first
    for one in reversed(report["advice"]):
        await user.undo(one["id"])
    before = await user.assert_told(ahead["id"])
    assert before["version"] == 5
    assert orjson.dumps(_said(before)) == orjson.dumps(_said(ahead))


async def test_risk_is_what_the_report_of_load_says_of_the_day(user: Asker, db: Database) -> None:
    nothing = await user.report()
    assert (nothing["risk"]["position"], nothing["risk"]["measure"], nothing["advice"]) == ("unknown", None, [])
    squat = {"name": "Squat", "sets": [{"reps": 5, "weight": 100}] * 2}
    for days in range(-40, 1, 2):
        sets = squat["sets"] * (4 if days > -7 else 1)
        await user.create(
            status="COMPLETED", date=f"{DAY + dt.timedelta(days)}T12:00:00Z", exercises=[squat | {"sets": sets}]
        )
    await settle(db)
    for day in (DAY, DAY + dt.timedelta(40)):
        found = await user.report(day)
        load = await user.do("GET", f"/metrics/load?from={day}&to={day}")
        (item,) = load["items"]
        risk = found["risk"]
        assert (risk["ratio"], risk["band"], risk["measure"]) == (item["acwr"], item["band"], load["measure"])
        assert (risk["acute"], risk["observed_days_28"]) == (item["acute"], item["observed_days_28"])
    found = await user.report()
    assert (found["risk"]["position"], found["risk"]["known_days"]) == ("above", 14)
    assert found["advice"] == []  # the day's training is done: nothing is left to rest from


async def test_who_begins_the_training_meanwhile_wins_or_waits(user: Asker) -> None:
    for _ in range(4):
        other = Asker(user.client)
        (planned,) = await progressing(other)
        (advice,) = await other.advice()
        address = f"{USERS}/{other.user_id}/advice/{advice['id']}/accept?day={DAY}"
        accepting = other.client.post(address, headers=bearer(other.user_id))
        begun, answer = await asyncio.gather(other.begin(planned), accepting)
        assert (begun, answer.status) in {(200, 409), (412, 201)}
        training = await other.assert_told(planned["id"])
        assert training["version"] == 2
        weights = {set_["target"]["weight"] for set_ in training["exercises"][0]["sets"]}
        assert (training["status"], weights) == (("IN_PROGRESS", {2.5}) if begun == 200 else ("PLANNED", {5}))
        assert len((await other.do("GET", "/advice/accepted"))["items"]) == (begun == 412)


async def test_a_training_that_is_begun_after_it_was_read_is_read_anew(user: Asker, db: Database) -> None:
    (planned,) = await progressing(user)
    id_ = uuid4()
    looked = []

    async def decide(cursor: Cursor) -> Accepting:
        found = await read_planned(cursor, user.user_id, [UUID(planned["id"])])
        looked.append(len(found))
        if not found:
            raise AdviceGone
        assert await user.begin(planned) == 200
        content = orjson.dumps({"day": str(DAY), "undone": False, "changes": []}).decode()
        return Accepting(content, DAY, [(found[0], found[0].fields)])

    with pytest.raises(AdviceGone):
        await AcceptedAdvices(db, TOPIC, "training_events").accept(Author(user.user_id, "user"), id_, decide)
    assert looked == [1, 0]
    assert (await user.assert_told(planned["id"]))["status"] == "IN_PROGRESS"
    assert (await user.do("GET", "/advice/accepted"))["items"] == []


async def test_the_number_of_statements_does_not_grow_with_the_plan(user: Asker, db: Database) -> None:
    counts = []
    for _ in range(3):
        for _ in range(2):
            await progressing(user, ahead=(2, 4))
        await user.report()
        before = db.statements
        assert len(await user.advice()) == 2 * (len(counts) + 1)
        counts.append(db.statements - before)
    assert counts == [3, 3, 3]


async def test_only_the_athlete_has_advice_and_days_are_checked(user: Asker) -> None:
    (planned,) = await progressing(user)
    (advice,) = await user.advice()
    stranger = Asker(user.client)
    assert await stranger.advice() == []
    await stranger.accept(advice["id"], status=409)
    coach = bearer(uuid4(), coach_of=["team"])
    for path in ("/advice", "/advice/accepted"):
        answer = await user.client.get(f"{USERS}/{user.user_id}{path}", headers=coach)
        assert answer.status == 404
    for day in ("0001-01-01", "9999-12-31", "tomorrow"):
        fault = (await user.do("GET", f"/advice?day={day}", status=422))["errors"][0]
        assert fault["parameter"] == "day"
    await user.do("GET", "/advice/accepted?cursor=nowhere", status=422)
    assert (await user.do("GET", "/advice"))["day"] >= str(DAY)
    assert (await user.training(planned["id"]))["version"] == 1


async def test_who_follows_a_rule_to_a_harder_movement_skips_and_replaces_nothing(user: Asker) -> None:
    rule = {"kind": "harder", "sessions": 1}
    workout = await user.workout({"name": "Push-up", "exercise": "push-up", "sets": 2, "reps": 8, "progression": rule})
    for days in range(-7, 0):
        planned = await user.plan(workout, days)
        following = await user.do("GET", f"/workouts/{workout}/next?day={planned['day']}")
        await user.perform(planned | {"exercises": following["exercises"]}, reps=8 if days == -7 else 5, weight=0)
    assert following["exercises"][0]["exercise"] != "push-up"
    await user.plan(workout, 2)
    report = await user.report()
    assert report["preferences"]["skipped"] == []
    assert [one["kind"] for one in report["advice"]] == ["hold"]
    assert report["advice"][0]["changes"][0]["exercises"][0]["before"]["exercise"] == "push-up"
