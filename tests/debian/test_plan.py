"""The page of the plan in a real Chromium: it shows what the API says, and what is done there is done.

`TRAINING_TEST_SCREENSHOTS` names a folder for pictures of what was looked at.
"""

import asyncio
import datetime as dt
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from storage.database import Database
from tests.support.athletes import TOPIC
from tests.support.browser import Browser
from tests.support.dashboard import READY, address, assert_for_everybody, enter, texts
from tests.support.web import USER, Client, bearer, make_settings, serve, token
from web import goals
from web.api import ALL_ROUTES

ME = f"/api/v1/training/users/{USER}"
STRANGER = "0193f1a0-0000-7000-8000-00000000000b"
EVIL = "<img src=x onerror='window.harmed = true'>"
WORKOUT: dict[str, Any] = {
    "name": f"Push {EVIL}",
    "exercises": [
        {
            "name": "Bench press",
            "exercise": "barbell-bench-press",
            "sets": 3,
            "reps": {"min": 8, "max": 12},
            "weight": 60,
            "progression": {"kind": "double", "increment": 2.5},
        },
        {"name": "Dip", "exercise": "dip", "sets": 2, "reps": 8},
    ],
}
HOOPER = ("sleep", "fatigue", "stress", "soreness")
OPENED = "document.getElementById('training').open && document.querySelector('#training .body').ariaBusy === 'false'"
SENT = "document.querySelector(arguments[0]).textContent.startsWith(arguments[1])"
PRESS = "[...document.querySelectorAll('#advice button')].find((one) => one.ariaLabel === arguments[0]).click()"
ENTER = """
const field = document.getElementById(arguments[0]).elements[arguments[1]];
field.value = arguments[2];
field.dispatchEvent(new Event("input", { bubbles: true }));
"""
CLICK = """
const form = document.getElementById(arguments[0]);
form.querySelector(".result").textContent = "";
document.body.focus();
form.querySelector(arguments[1]).click();
"""
SEEN = """
return [...document.querySelectorAll(arguments[0])].filter((one) => !one.checkVisibility() ||
  one.scrollWidth > one.clientWidth + 1 && one.clientWidth).map((one) => one.textContent);
"""
TOLD = """
document.activeElement.matches(`#${arguments[0]} .result`) && document.activeElement.textContent
"""
# Of each training in the calendar its state, as its form says it.
CALENDAR = """
return [...document.querySelectorAll("#plan .training")]
  .map((one) => [one.className.split(" ")[1], one.querySelector(".title").textContent]);
"""


class Seed:
    """What the athlete does over HTTP, in days from today on."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.today = dt.datetime.now(dt.UTC).date()

    def day(self, days: int) -> str:
        return str(self.today + dt.timedelta(days))

    async def send(self, method: str, path: str, body: Any = None, status: int = 201) -> Any:
        async with self.client.request(method, path, json=body, headers=bearer()) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def ask(self, path: str) -> Any:
        return await self.send("GET", f"{ME}/{path}", status=200)

    async def trained(self, workout: dict[str, Any], days: int) -> None:
        """A session as the workout prescribes it, all sets at the top of their range."""
        exercises = (await self.ask(f"workouts/{workout['id']}/next?day={self.day(days)}"))["exercises"]
        for set_ in (set_ for exercise in exercises for set_ in exercise["sets"]):
            aim = set_["target"]
            reps = aim["reps"] if isinstance(aim["reps"], int) else aim["reps"]["max"]
            set_ |= {"done": True, "reps": reps, "weight": aim.get("weight", 0)}
        of = {"workout_id": workout["id"], "workout_version": workout["version"], "title": "Session"}
        await self.training(days, status="COMPLETED", exercises=exercises, **of)

    async def training(self, days: int, **fields: Any) -> Any:
        return await self.send("POST", "/api/v1/trainings", {"date": f"{self.day(days)}T12:00:00Z"} | fields)

    async def all(self) -> None:
        """Eight sessions, ten check-ins, a phase with a deload in it, a goal, and a training of each state."""
        workout = await self.send("POST", f"{ME}/workouts", WORKOUT)
        for days in (-40, -36, -30, -26, -20, -15, -9, -5):  # so that its estimates are near a line, and not on it
            await self.trained(workout, days)
        for days in range(-10, 0):
            check_in = {name: 2 + (days * place) % 3 for place, name in enumerate(HOOPER, 1)} | {"sleep_hours": 7.5}
            await self.send("PUT", f"{ME}/check-ins/{self.day(days)}", check_in)
        slots = [{"workout_id": workout["id"], "weekday": weekday} for weekday in (2, 5)]
        base = {"name": f"Base {EVIL}", "first": self.day(1), "last": self.day(28), "schedule": slots}
        phase = await self.send("POST", f"{ME}/phases", base)
        light = {"name": "Light week", "kind": "microcycle", "parent_id": phase["id"], "deload": True}
        await self.send("POST", f"{ME}/phases", light | {"first": self.day(15), "last": self.day(21)})
        await self.training(-1, title="Missed run")
        await self.training(0, title="Given up", skipped_at=f"{self.day(0)}T08:00:00Z", skip_reason="Ill")
        planned = [item for item in (await self.calendar())["items"] if item["state"] == "planned"]
        later = await self.ask(f"trainings/{planned[-1]['training_id']}")
        date = dt.datetime.fromisoformat(later["date"]) + dt.timedelta(1)
        await self.send("PUT", f"/api/v1/trainings/{later['id']}", later | {"date": date.isoformat()}, 200)
        goal = {"name": f"Press 120 {EVIL}", "metric": "e1rm_kg", "movement": "barbell-bench-press", "target": 120}
        await self.send("POST", f"{ME}/goals", goal | {"start_day": self.day(-40), "due": self.day(30)})

    async def calendar(self) -> Any:
        """The weeks that the page shows first."""
        monday = self.today - dt.timedelta(self.today.weekday() + 7)
        return await self.ask(f"calendar?from={monday}&to={monday + dt.timedelta(41)}")


async def test_the_plan_is_shown_and_advice_is_taken_and_given_back(browser: Browser, db: Database) -> None:
    async with serve(ALL_ROUTES, database=db, settings=make_settings(events_topic=TOPIC)) as client:
        seed = Seed(client)
        await seed.all()
        await VolumeFold(db, TOPIC).fold_log()
        await InsightsFold(db, "training_insights").run_due()
        await asyncio.to_thread(open_page, browser, address(client))
        await asyncio.to_thread(plan, browser, await seed.calendar())
        await asyncio.to_thread(what_is_prescribed, browser, await seed.calendar())
        await asyncio.to_thread(what_comes_next, browser, await seed.ask(f"workouts/{await workout_of(seed)}/next"))
        await asyncio.to_thread(goal, browser, await seed.ask("goals/progress"))
        await take_and_give_back(browser, seed)
        await check_in(browser, seed)
        await set_a_goal(browser, seed)
        await plan_a_phase(browser, seed)
        await asyncio.to_thread(assert_for_everybody, browser, "plan", ".body *")
        await asyncio.to_thread(one_training, browser)
        await asyncio.to_thread(nothing_yet, browser)


async def workout_of(seed: Seed) -> str:
    (workout,) = (await seed.ask("workouts"))["items"]
    return str(workout["id"])


def open_page(browser: Browser, base: str) -> None:
    browser.look(1280, "light")
    browser.open(f"{base}/dashboard/plan")
    enter(browser, token())
    browser.until(READY)


def plan(browser: Browser, calendar: dict[str, Any]) -> None:
    """Each training by its form, phases as bands, a deload as one, and today."""
    items = calendar["items"]
    shown = browser.run(CALENDAR)
    assert sorted(map(tuple, shown)) == sorted((item["state"], item.get("title", "Training")) for item in items)
    assert {"planned", "moved", "done", "missed", "skipped"} <= {state for state, _ in shown}
    bands = set(texts(browser, "#plan .band"))
    assert {phase["name"] for phase in calendar["phases"]} == {name.removesuffix(" \u2013 deload") for name in bands}
    assert "Light week \u2013 deload" in bands
    assert len(texts(browser, "#plan .training.light")) == sum(item["deload"] for item in items) > 0
    today = browser.run("return document.querySelector('#plan .today time').dateTime")
    assert today == calendar["day"]
    assert browser.find("#plan .summary").text.split(": ")[1].startswith(f"{len(items)} trainings")
    browser.find("#plan .data summary").click()
    browser.until("document.querySelectorAll('#plan .data tbody tr').length === arguments[0]", len(items))
    browser.find("#plan .data summary").click()
    browser.find("#later").click()
    browser.until("!document.querySelector('#plan .today') && document.getElementById('plan').ariaBusy === 'false'")
    browser.find("#now").click()
    browser.until("document.querySelector('#plan .today')")
    assert browser.run("return [document.querySelectorAll('main img').length, typeof window.harmed]") == [
        0,
        "undefined",
    ]


def what_is_prescribed(browser: Browser, calendar: dict[str, Any]) -> None:
    """The training that comes next tells its numbers and why; those after it which session they follow from."""
    coming = [item for item in calendar["items"] if item["state"] in ("planned", "moved")]
    first, second = coming[0], coming[1]
    weight = f"{first['prescriptions'][0]['prescription']['weight']:g} kg"
    assert texts(browser, "#plan .numbers") == [f"Bench press 3 × 8–12 × {weight}", "Dip 2 × 8"]
    reasons = [one["prescription"]["reason"] for one in first["prescriptions"]]
    places = [calendar["items"].index(item) for item in (first, second)]
    browser.run("document.querySelectorAll('#plan .training')[arguments[0]].click()", places[0])
    browser.until(OPENED)
    assert texts(browser, "#training .cards > li > .note") == reasons
    words = f"3 sets of 8 to 12 reps at {weight}"
    assert any(text.startswith(words) for text in texts(browser, "#training .cards p"))
    assert "8 to 12 reps at 60 kg" in texts(browser, "#training tbody td"), "the plan holds what was laid"
    browser.find("#close").click()
    browser.run("document.querySelectorAll('#plan .training')[arguments[0]].click()", places[1])
    browser.until(OPENED)
    assert second["prescriptions_reason"] in texts(browser, "#training .body > p")
    browser.find("#close").click()


def what_comes_next(browser: Browser, report: dict[str, Any]) -> None:
    """The prescription of each exercise, with its reason and the sessions that it is computed from."""
    browser.until("document.querySelectorAll('#next .cards > li').length === arguments[0]", len(report["items"]))
    reasons = [item["prescription"]["reason"] for item in report["items"]]
    assert texts(browser, "#next .cards > li > .note") == reasons
    bench = report["items"][0]["prescription"]
    assert bench["decision"] == "progress"
    assert f"at {bench['weight']:g} kg" in texts(browser, "#next .cards > li > p:nth-of-type(2)")[0]
    rows = browser.run("return document.querySelectorAll('#next .cards > li:first-child tbody tr').length")
    assert rows == len(bench["evidence"]) > 0


def goal(browser: Browser, report: dict[str, Any]) -> None:
    """How far it is, in words and as a bar, and the forecast with its interval."""
    (progress,) = report["items"]
    forecast = progress["forecast"]
    shown = " ".join(texts(browser, "#goals .card"))
    for words in (progress["goal"]["name"], progress["reason"], progress["forecast_reason"], "due in 30 days"):
        assert words in shown
    assert "of Barbell bench press: 120 kg" in shown, "movements are called by their names"
    assert browser.run("return document.querySelector('#goals progress').value") == int(100 * progress["share"])
    browser.until("document.querySelector('#forecast .chart').data")
    traces = {trace["name"]: trace for trace in browser.run("return document.querySelector('#forecast .chart').data")}
    assert set(traces) == {"Values", "Target", "Line", "80 % interval"}
    interval = traces["80 % interval"]
    assert interval["x"] == [forecast["day"]]
    ends = forecast["value"] - interval["error_y"]["arrayminus"][0], forecast["value"] + interval["error_y"]["array"][0]
    assert ends == pytest.approx((forecast["low"], forecast["high"]))
    assert len(traces["Values"]["x"]) == 8
    assert forecast["assumes"] in " ".join(texts(browser, "#forecast details p"))


async def take_and_give_back(browser: Browser, seed: Seed) -> None:
    """Advice says why, and what it changes. Accepted it does; undone all is as before."""
    report, before = await seed.ask("advice"), await seed.calendar()
    advice = next(one for one in report["advice"] if one["kind"] == "progress")
    (change,) = advice["changes"]
    place = [item["training_id"] for item in before["items"]].index(change["training_id"])
    training = await seed.ask(f"trainings/{change['training_id']}")
    await asyncio.to_thread(advised, browser, report)
    assert "8 to 12 reps at 60 kg" in await asyncio.to_thread(targets, browser, place)
    await asyncio.to_thread(press, browser, f"Accept: {advice['title']}", "Accepted, 1 planned training changed")
    weight = change["exercises"][0]["after"]["planned"][0]["target"]["weight"]
    assert f"8 to 12 reps at {weight:g} kg" in await asyncio.to_thread(targets, browser, place)
    (taken,) = (await seed.ask("advice/accepted"))["items"]
    assert (taken["id"], taken["undone"]) == (advice["id"], False)
    await asyncio.to_thread(press, browser, f"Undo: {advice['title']}", "Undone, 1 planned training as before")
    assert "8 to 12 reps at 60 kg" in await asyncio.to_thread(targets, browser, place)
    assert stripped(await seed.ask(f"trainings/{training['id']}")) == stripped(training)
    assert await seed.calendar() == before


def targets(browser: Browser, place: int) -> list[str]:
    """What the calendar says of its training at that place, when it is opened."""
    browser.run("document.querySelectorAll('#plan .training')[arguments[0]].click()", place)
    browser.until(OPENED)
    found = texts(browser, "#training tbody td")
    browser.find("#close").click()
    return found


def stripped(training: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in training.items() if name not in ("version", "updated_at")}


def advised(browser: Browser, report: dict[str, Any]) -> None:
    advice = report["advice"]
    assert texts(browser, "#advice .card > h3") == [one["title"] for one in advice]
    assert texts(browser, "#advice .card > h3 + p") == [one["reason"] for one in advice]
    shown = " ".join(texts(browser, "#advice .body"))
    for one in advice:
        for words in (*(part["reason"] for part in one["confidence_parts"]), *(e["what"] for e in one["evidence"])):
            assert words in shown
    for words in ("disputed", "not_a_diagnosis", "reason", "indicator"):
        assert report["risk"][words] in shown


def press(browser: Browser, name: str, told: str) -> None:
    browser.run(PRESS, name)
    browser.until(SENT, "#advice-result", told)
    browser.until("document.activeElement === document.getElementById('advice-result')")
    browser.until("['advice', 'plan', 'next'].every((id) => document.getElementById(id).ariaBusy === 'false')")


async def check_in(browser: Browser, seed: Seed) -> None:
    """What is said of today is stored, and readiness tells of it."""
    await asyncio.to_thread(say, browser, dict.fromkeys(HOOPER, "6") | {"sleep_hours": "5.5"})
    (stored,) = (await seed.ask(f"check-ins?from={seed.day(0)}"))["items"]
    assert {name: stored[name] for name in (*HOOPER, "sleep_hours")} == dict.fromkeys(HOOPER, 6) | {"sleep_hours": 5.5}
    report = await seed.ask("readiness")
    today = report["items"][-1]
    assert (today["day"], today["hooper"]) == (seed.day(0), 24)
    await asyncio.to_thread(ready, browser, report["items"])
    await asyncio.to_thread(say, browser, {"soreness": "", "stress": "2"})
    (stored,) = (await seed.ask(f"check-ins?from={seed.day(0)}"))["items"]
    assert (stored["version"], stored["stress"], "soreness" in stored) == (2, 2, False)


def say(browser: Browser, values: dict[str, str]) -> None:
    browser.until("!document.querySelector('#check-in fieldset').disabled")
    for name, value in values.items():
        if name in HOOPER:
            browser.choose(f"#{name}", value)
        else:
            browser.run("arguments[0].value = arguments[1]", browser.find(f"#{name}"), value)
    browser.run("document.querySelector('#check-in .result').textContent = ''")
    browser.find("#check-in button").click()
    browser.until(SENT, "#check-in .result", "Saved for")
    browser.until("['readiness', 'advice'].every((id) => document.getElementById(id).ariaBusy === 'false')")


async def set_a_goal(browser: Browser, seed: Seed) -> None:
    """A goal is set, changed and deleted where goals are; what is wrong with it is said."""
    await asyncio.to_thread(fill, browser, "goal-form", {"name": "Ten dips", "movement": "dIp", "target": "10.5"})
    await asyncio.to_thread(browser.choose, "#goal-metric", "reps")
    assert "Value to reach: " in await asyncio.to_thread(submitted, browser, "goal-form")
    (refused,) = await asyncio.to_thread(browser.errors)
    assert "422" in refused
    await asyncio.to_thread(fill, browser, "goal-form", {"target": "10", "due": seed.day(20)})
    assert (await asyncio.to_thread(submitted, browser, "goal-form")).startswith("Saved: Ten dips, by ")
    (made,) = (one for one in (await seed.ask("goals"))["items"] if one["name"] == "Ten dips")
    told = {"metric": "reps", "movement": "dip", "target": 10, "start_day": seed.day(0), "due": seed.day(20)}
    assert {name: made[name] for name in told} == told
    first = "document.querySelector('#goals .card strong')?.textContent === 'Ten dips'"
    await asyncio.to_thread(browser.until, first)  # what is due next
    await asyncio.to_thread(browser.run, "document.querySelector('#goals .card > button').click()")
    await asyncio.to_thread(fill, browser, "goal-form", {"target": "12"})
    await asyncio.to_thread(submitted, browser, "goal-form")
    changed = await seed.ask(f"goals/{made['id']}")
    assert (changed["target"], changed["movement"], changed["version"]) == (12, "dip", 2)
    await asyncio.to_thread(
        browser.until, "document.querySelector('#goals .card').textContent.includes('12 reps to reach')"
    )
    await asyncio.to_thread(browser.run, "document.querySelector('#goals .card > button').click()")
    assert (await asyncio.to_thread(submitted, browser, "goal-form", "#goal-delete")) == "Deleted: Ten dips."
    assert [one["name"] for one in (await seed.ask("goals"))["items"]] == [f"Press 120 {EVIL}"]
    await asyncio.to_thread(browser.until, "document.querySelectorAll('#goals .card').length === 1")


async def plan_a_phase(browser: Browser, seed: Seed) -> None:
    """A phase is laid, moved and deleted, each after it was seen what that does; until then nothing is written."""
    before = await seed.calendar()
    days = {"name": "Extra", "first": seed.day(2), "last": seed.day(8), "timezone": "UTC"}
    await asyncio.to_thread(fill, browser, "phase", days)
    await asyncio.to_thread(browser.run, "document.querySelector('#slots select').selectedIndex = 1")
    told = await asyncio.to_thread(submitted, browser, "phase")
    assert told == "Saving it would do this: 1 training made. Nothing is written yet."
    await asyncio.to_thread(fill, browser, "phase", {"last": seed.day(15)})
    stale = await asyncio.to_thread(browser.run, "return document.getElementById('phase-do').disabled")
    assert stale, "something else was entered since"
    assert "2 trainings made" in await asyncio.to_thread(submitted, browser, "phase")
    assert await seed.calendar() == before
    await asyncio.to_thread(browser.picture, "plan-phase-1280-light")
    assert await asyncio.to_thread(submitted, browser, "phase", "#phase-do") == "Saved: 2 trainings made."
    (made,) = (one for one in (await seed.ask("phases"))["items"] if one["name"] == "Extra")
    assert (len(made["trainings"]), made["schedule"][0]["weekday"], made["kind"]) == (2, 1, "mesocycle")
    await asyncio.to_thread(
        browser.until, "[...document.querySelectorAll('#plan .band')].some((one) => one.textContent === 'Extra')"
    )
    await asyncio.to_thread(browser.choose, "#phase-which", made["id"])
    await asyncio.to_thread(fill, browser, "phase", {"first": seed.day(3), "last": seed.day(16)})
    await asyncio.to_thread(submitted, browser, "phase")
    await asyncio.to_thread(submitted, browser, "phase", "#phase-do")
    assert (await seed.ask(f"phases/{made['id']}"))["first"] == seed.day(3)
    await asyncio.to_thread(browser.choose, "#phase-which", made["id"])
    assert "deleted" in await asyncio.to_thread(submitted, browser, "phase", "#phase-delete")
    assert (await asyncio.to_thread(submitted, browser, "phase", "#phase-do")).startswith("Deleted: ")
    assert await seed.calendar() == before
    await asyncio.to_thread(
        browser.until, "document.querySelectorAll('#plan .training').length === arguments[0]", len(before["items"])
    )


def fill(browser: Browser, form: str, entered: dict[str, str]) -> None:
    """Enter it into the form, which is open then."""
    browser.run("document.getElementById(arguments[0]).closest('details').open = true", form)
    for name, value in entered.items():
        browser.run(ENTER, form, name, value)


def submitted(browser: Browser, form: str, button: str = "[type=submit]") -> str:
    """Press a button of the form; what it says then, which is where one is."""
    browser.run(CLICK, form, button)
    browser.until(TOLD, form)
    return str(browser.run("return document.activeElement.textContent"))


def ready(browser: Browser, items: list[Any]) -> None:
    today = items[-1]
    browser.until("document.getElementById('readiness-summary').textContent.endsWith(arguments[0])", today["reason"])
    assert texts(browser, "#readiness .facts dd")[:2] == [
        f"{round(today['score'])} of 100",
        f"{round(today['confidence'], 2):g} of 1",
    ]
    assert texts(browser, "#readiness .components p:last-child") == [one["reason"] for one in today["components"]]
    scores, confidences = browser.run("return document.querySelector('#readiness .chart').data.map(({y}) => y)")
    assert scores == [item["score"] for item in items]
    assert confidences == [item["confidence"] for item in items]
    assert len(scores) == 28


def one_training(browser: Browser) -> None:
    """A training opens by the keyboard, tells its targets, and goes by Escape to where one was."""
    browser.look(390, "dark")
    assert browser.run(SEEN, "#plan .training .title, #plan .band") == [], "on narrow screens all has its words"
    browser.run("document.querySelector('#plan .training.planned').focus()")
    browser.press(Keys.ENTER)
    browser.until(OPENED)
    assert EVIL in browser.find("#training h2").text
    assert "3" in texts(browser, "#training tbody th")
    assert "8 to 12 reps at 60 kg" in texts(browser, "#training tbody td")
    browser.picture("plan-training-390-dark")
    end = browser.run("return document.getElementById('close').getBoundingClientRect().bottom")
    assert end <= browser.run("return innerHeight"), "who opened it can close it"
    assert browser.faint() == []
    assert browser.run("return document.documentElement.scrollWidth") == 390
    browser.press(Keys.ESCAPE)
    browser.until("!document.getElementById('training').open")
    assert browser.run("return document.activeElement.className").startswith("training planned")
    assert browser.errors() == []


def nothing_yet(browser: Browser) -> None:
    """Who has nothing is told what to do."""
    browser.find("#forget").click()
    enter(browser, token(STRANGER))
    browser.until(READY)
    words = texts(browser, ".words:not([hidden])")
    for start in ("Nothing is planned", "There is no workout", "There is no readiness", "There is no goal"):
        assert sum(text.startswith(start) for text in words) == 1, words
    assert browser.run("return document.getElementById('forecast').hidden")
    browser.look(390, "light")
    browser.picture("plan-nothing-390-light")
    assert browser.run("return document.documentElement.scrollWidth") == 390
    assert browser.errors() == []


async def test_a_part_that_fails_leaves_the_others(browser: Browser, db: Database) -> None:
    routes = [route for route in ALL_ROUTES if route not in goals.ROUTES]
    async with serve(routes, database=db) as client:
        await asyncio.to_thread(half, browser, address(client))


def half(browser: Browser, base: str) -> None:
    browser.open(f"{base}/dashboard/plan")
    enter(browser, token())
    browser.until(READY)
    assert texts(browser, ".words.bad:not([hidden])") == ["The service knows no such data of this user."]
    assert browser.find("#advice .summary").text
    browser.run("document.getElementById('check-in').requestSubmit()")
    browser.until(SENT, "#check-in .result", "Give one value")
    browser.errors()  # of a 404 the browser itself tells
