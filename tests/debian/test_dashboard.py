"""The dashboard and the operator's page in a real Chromium, with an imported log: what is drawn, told and asked.

`TRAINING_TEST_SCREENSHOTS` names a folder for pictures of what was looked at.
"""

import asyncio
import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from storage.database import Database
from tests.support.athletes import TOPIC
from tests.support.browser import Browser
from tests.support.dashboard import LOOKS, READY, TEXTS, address, assert_for_everybody, enter
from tests.support.imports import import_file
from tests.support.strong import strong_file
from tests.support.web import NOWHERE, USER, Client, bearer, make_settings, serve, token
from web.api import ALL_ROUTES
from web.watch import AgentState, Backlog, RelayState, Trouble, Watch

METRICS = f"/api/v1/training/users/{USER}/metrics"
STRANGER = "0193f1a0-0000-7000-8000-00000000000b"
LATELY = "0193f1a0-0000-7000-8000-00000000000c"
EVIL = "<img src=x onerror='window.harmed = true'>"
CHARTS = ("volume", "load", "progress", "calendar")
# Of a chart: whether each of its traces is drawn as a shape within the picture.
DRAWN = """
return arguments[0].every((id) => {
  const svg = document.querySelector(`#${id} .main-svg`);
  return svg && svg.querySelector(".points path[d], .js-line[d], .heatmaplayer image") && svg.clientWidth > 200;
});
"""
MOVEMENT = """
return [...document.querySelectorAll("#movement option")].find((one) => one.textContent === arguments[0]).value
"""
LENGTHS = "return document.querySelector(arguments[0]).data.map((trace) => trace.y.length)"
DASH = "\u2013"


async def imported(client: Client, database: Database, data: bytes) -> None:
    """The log, and a training of an exercise whose name is markup, folded."""
    await import_file(client, database, data, "Europe/Berlin")
    ((last,),) = await database.all("SELECT max(day) FROM trainings")
    evil = {
        "date": f"{last}T09:00:00+01:00",
        "timezone": "Europe/Berlin",
        "status": "COMPLETED",
        "exercises": [{"name": EVIL, "sets": [{"weight": 60, "reps": 5}, {"weight": 62.5, "reps": 5}]}],
    }
    assert (await client.post("/api/v1/trainings", json=evil, headers=bearer())).status == 201
    await VolumeFold(database, TOPIC).fold_log()
    await InsightsFold(database, "training_insights").run_due()


async def trained_lately(client: Client, database: Database) -> None:
    """By another user: ten days ago after 40, and in a year that was mistyped."""
    now = dt.datetime.now(dt.UTC)
    squats = [{"weight": 60, "reps": 1}, {"weight": 40, "reps": 5}]
    climb = {"name": "Squat", "exercise": "pistol-squat", "sets": [{"reps": 3}]}
    for date in (now.replace(year=1926, day=1), now - dt.timedelta(40), now - dt.timedelta(10)):
        body = {
            "date": date.isoformat(),
            "timezone": "Europe/Berlin",
            "status": "COMPLETED",
            "exercises": [{"name": "Squat (Barbell)", "sets": squats}, climb],
        }
        answer = await client.post("/api/v1/trainings", json=body, headers=bearer(LATELY))
        assert answer.status == 201
        squats = [{"weight": 60, "reps": 2}, {"weight": 50, "reps": 5}]
    await VolumeFold(database, TOPIC).fold_log()
    await InsightsFold(database, "training_insights").run_due()


async def ask(client: Client, path: str) -> Any:
    answer = await client.get(f"{METRICS}/{path}", headers=bearer())
    assert answer.status == 200, await answer.text()
    return await answer.json()


@pytest.fixture
def log(tmp_path: Path) -> bytes:
    """The real log, where there is one."""
    real = os.environ.get("TRAINING_TEST_STRONG_LOG")
    return (Path(real) if real else strong_file(tmp_path / "log.csv", sessions=60)).read_bytes()


async def test_a_log_is_drawn_and_stays_here(browser: Browser, db: Database, log: bytes) -> None:
    async with serve(ALL_ROUTES, database=db, settings=make_settings(events_topic=TOPIC)) as client:
        await imported(client, db, log)
        await trained_lately(client, db)
        days = (await ask(client, "volume?period=day"))["items"]
        last = dt.date.fromisoformat(days[-1]["day"])
        weeks = (await ask(client, f"volume?period=week&by=category&from={last.replace(year=last.year - 1)}"))["items"]
        await asyncio.to_thread(draw, browser, address(client), days, weeks)
        await asyncio.to_thread(choose, browser)
        await asyncio.to_thread(assert_for_everybody, browser, "dashboard")
        await asyncio.to_thread(walk, browser)
        await asyncio.to_thread(leave, browser, address(client))
        await asyncio.to_thread(pause, browser)


def draw(browser: Browser, base: str, days: list[Any], weeks: list[Any]) -> None:
    """Every chart has what the API answers, and nothing of the token or the data has left."""
    browser.open(f"{base}/dashboard")
    enter(browser, token())
    browser.until(READY)
    browser.until(f"(() => {{ {DRAWN} }})()", CHARTS)
    mondays = {item["monday"] for item in weeks}
    categories = {item.get("category") for item in weeks}
    assert browser.run(LENGTHS, "#volume .chart") == [len(mondays)] * len(categories)
    assert f"{sum(item['sets'] for item in weeks):,} in all" in browser.find("#volume-summary").text
    assert len(set(browser.run(LENGTHS, "#load .chart"))) == 1
    assert browser.run("return document.querySelector('#load .chart').layout.shapes.length") == 1  # the band
    assert "band of 0.8 to 1.3" in browser.find("#load-summary").text
    assert browser.run(LENGTHS, "#calendar .chart") == [7]
    year = [day for day in days if day["day"][:4] == days[-1]["day"][:4]]
    assert f"on {len(year)} days of" in browser.find("#calendar-summary").text
    browser.find("#calendar summary").click()
    browser.until("document.querySelectorAll('#calendar tbody tr').length === arguments[0]", len(year))
    assert browser.find("#records-summary").text.startswith("Estimated one-repetition maximum: ")
    assert browser.errors() == []
    asked = browser.requests()
    assert len(asked) > 10
    assert {url for url in asked if not url.startswith((f"{base}/", "data:"))} == set()
    assert [url for url in asked if token()[:20] in url] == []
    assert browser.run("return [location.href, localStorage.length, sessionStorage.length]") == [
        f"{base}/dashboard",
        0,
        1,
    ]
    assert browser.run("return document.getElementById('token').value") == ""


def choose(browser: Browser) -> None:
    """What is chosen is asked for and drawn; a name is text, whatever it is made of."""
    browser.choose("#movement", browser.run(MOVEMENT, EVIL))
    browser.until("document.getElementById('progress-summary').textContent.startsWith('Best 72.9 kg')")
    assert browser.run(LENGTHS, "#progress .chart") == [1, 1]
    browser.choose("#kind", "reps_at_weight")
    browser.until("document.getElementById('records-summary').textContent.startsWith('Repetitions at a weight')")
    assert EVIL in browser.run(TEXTS, "#records tbody th")
    assert browser.run("return [document.querySelectorAll('main img').length, typeof window.harmed]") == [
        0,
        "undefined",
    ]
    browser.choose("#figure", "external_load_kg")
    browser.until("document.getElementById('volume-summary').textContent.startsWith('External load (kg) in')")
    browser.choose("#method", "ewma")
    browser.until("document.getElementById('load-summary').textContent.includes('Method ewma')")
    assert (
        browser.run("return document.querySelector('#load .chart').layout.shapes.length") == 0
    )  # of the coupled ratio
    browser.choose("#method", "coupled")
    browser.choose("#range", "3")
    load = "document.querySelector('#load .chart')"
    browser.until(f"{load}.data[0].x.length < 130 && {load}.layout.shapes.length")
    browser.choose("#range", "12")
    browser.choose("#movement", browser.run(MOVEMENT, "Bench Press (Barbell)"))
    browser.until("document.querySelector('#progress .chart').data?.[0].x.length > 5")
    assert browser.errors() == []


def walk(browser: Browser) -> None:
    """Everything can be reached by the keyboard, in the order of the page, and it is seen where one is."""
    stops = browser.tour(".skip", 20)
    assert [name for name, visible in stops if not visible] == []
    expected = ["Skip to the content", "Figures", "Plan", "API", "range", "refresh", "forget"]
    assert [name for name, _ in stops][:7] == expected
    order = [name for name, _ in stops if name in {"figure", "measure", "method", "movement", "kind"}]
    assert order == ["figure", "measure", "method", "movement", "kind"]
    assert browser.run(TEXTS, "h1, h2")[0] == "Training dashboard"


def leave(browser: Browser, base: str) -> None:
    """The token can be forgotten; one that is not accepted, or that names who never trained, is told of in words."""
    browser.find("#forget").click()
    assert browser.run("return [sessionStorage.length, document.getElementById('report').hidden]") == [0, True]
    enter(browser, "no token")
    browser.until("document.getElementById('message').textContent.includes('This is no token')")
    enter(browser, token(key="another secret, which has 32 bytes"))
    browser.until("document.getElementById('message').textContent.startsWith('The token was not accepted.')")
    assert browser.run("return sessionStorage.length") == 0
    browser.errors()  # of a 401 the browser itself tells
    enter(browser, token(STRANGER))
    browser.until(READY)
    words = browser.run(TEXTS, ".words:not([hidden])")
    assert sum("There is no completed training" in text for text in words) >= 2
    assert browser.run("return document.querySelectorAll('.chart:not([hidden])').length") == 0
    assert browser.errors() == []


def pause(browser: Browser) -> None:
    """Of a pause today is told, of a history that is too long the end; and records are told as people say them."""
    browser.find("#forget").click()
    enter(browser, token(LATELY))
    browser.until(READY)
    browser.choose("#range", "")
    browser.until("document.querySelector('#load .chart').data?.[0].x.length > 4900")
    today = browser.run(
        "return new Date().toLocaleDateString('en-GB', {day: 'numeric', month: 'short', year: 'numeric'})"
    )
    words = browser.find("#load-summary").text
    assert words.startswith(f"External load (kg) on {today}: acute load 0, chronic load "), words
    assert "ratio 0, under the band" in words
    assert "are counted, and not in the charts" in browser.find("#fresh").text
    facts = dict(zip(browser.run(TEXTS, "#streaks dt"), browser.run(TEXTS, "#streaks dd"), strict=True))
    assert facts["Trainings"] == "3"
    cells = "#records tbody td"
    for kind, record, before, heading in (
        ("reps_at_weight", "5 reps at 50 kg", "1 rep", "Before, at this weight or more"),
        ("harder_movement", "difficulty 6", DASH, "Before"),
    ):
        browser.choose("#kind", kind)
        browser.until("document.querySelector(arguments[0]).textContent === arguments[1]", cells, record)
        assert browser.run(TEXTS, cells)[1] == before
        assert browser.run(TEXTS, "#records thead th")[2] == heading
    assert browser.errors() == []


async def test_what_fails_is_told_in_words(browser: Browser) -> None:
    async with serve(ALL_ROUTES) as client:  # PostgreSQL is away
        await asyncio.to_thread(fail, browser, address(client))


def fail(browser: Browser, base: str) -> None:
    browser.open(f"{base}/dashboard")
    enter(browser, token())
    browser.until("document.getElementById('message').textContent.startsWith('The service cannot answer right now.')")
    assert browser.run("return sessionStorage.length") == 1  # the token is well
    browser.errors()


# What two scrapes tell: 10 requests within 10 ms and 10 within 100 ms, beside 5 probes.
ARITHMETIC = r"""
const text = (fast, all, probes) => String.raw`# TYPE t histogram
t_bucket{route="/a",le="0.01"} ${fast}
t_bucket{route="/a",le="0.1"} ${all}
t_bucket{route="/a",le="+Inf"} ${all}
t_bucket{route="/b",le="0.01"} 0
t_bucket{route="/b",le="+Inf"} ${probes}
c_total{name="a\\b\"c\nd"} ${all}
c_total{name="e"} 1e3`;
return import(arguments[0]).then(({ parse, sum, rate, quantile }) => {
  const [before, after] = [parse(text(5, 5, 5)), parse(text(15, 25, 10))];
  const wanted = ({ route }) => route === "/a";
  const share = (value, from = before) => quantile(from, after, "t", value, wanted);
  return [
    after.get("c_total")[0].labels.name, sum(after, "c_total"), sum(after, "unknown"),
    rate(before, after, "c_total", 10), rate(after, before, "c_total", 10),
    share(0.5), share(0.75), share(0.5, after), quantile(before, after, "t", 0.95),
  ].map((value) => (typeof value === "number" ? Number(value.toFixed(6)) : value));
});
"""


class Working(Watch):
    """A worker that publishes and folds, and holds one event back."""

    def __init__(self, database: Database) -> None:
        self.readings = 0
        agents = [("volume", 4), ("naming", 4), ("insights", None)]
        super().__init__(
            database,
            lag_limit=30,
            relay=lambda: RelayState("leader", 0.1, None, published=self.readings * 100, batches=self.readings),
            agents=lambda: [
                AgentState(name, partitions, lag=partitions and 3, folded=self.readings * 50)
                for name, partitions in agents
            ],
            backlog=self._backlog,
        )

    async def serving(self) -> list[Trouble]:
        self.readings += 1
        return []

    async def _backlog(self) -> Backlog:
        return Backlog(
            depth=7, relay_lag=1.5, fold_lag=2.5, leader="worker", quarantined=1, dead_letters=2, stale_users=4
        )


async def test_an_operator_sees_how_it_stands(browser: Browser) -> None:
    async with serve(ALL_ROUTES, watch=Working(Database(NOWHERE))) as client:
        await asyncio.to_thread(operate, browser, address(client))
        await asyncio.to_thread(assert_for_everybody, browser, "operator")
        assert browser.errors() == []
    await asyncio.to_thread(resume, browser, 1)
    await asyncio.to_thread(browser.until, "!document.getElementById('message').hidden")
    assert "cannot be reached" in browser.find("#message").text
    browser.errors()


def resume(browser: Browser, times: int) -> None:
    """Have it ask at once, so often."""
    for _ in range(times):
        browser.find("#pause").click()
        browser.find("#pause").click()


def operate(browser: Browser, base: str) -> None:
    readings = "Number(document.getElementById('fresh').dataset.readings) >= arguments[0]"
    browser.look(*LOOKS[0])
    browser.open(f"{base}/dashboard/operator")
    for count in range(1, 5):
        browser.until(readings, count)
        resume(browser, 1)
    browser.find("#pause").click()
    state = dict(zip(browser.run(TEXTS, "#state dt"), browser.run(TEXTS, "#state dd"), strict=True))
    assert (state["REST"], state["Relay of this worker"], state["Leader of the relays"]) == (
        "Served",
        "Leader",
        "Known",
    )
    assert (state["Held in quarantine"], state["Dead letters"]) == ("1", "2")
    assert state["Memory"].endswith(" MiB")
    assert state["Partitions by agent"] == "volume 4, naming 4"
    assert [text.split(":")[0] for text in browser.run(TEXTS, "#faults li")] == ["quarantine", "dead letters"]
    for chart, traces in (("throughput", 3), ("lag", 2), ("backlog", 3)):
        lengths = browser.run(LENGTHS, f"#{chart} .chart")
        assert len(lengths) == traces
        assert min(lengths) >= 3
    assert browser.find("#lag-summary").text == "Outbox: 1.5. Fold: 2.5."
    assert (
        browser.find("#backlog-summary").text
        == "Events in the outbox: 7. Records before the agents: 6. Users to compute: 4."
    )
    published = browser.run("return document.querySelector('#throughput .chart').data[1].y.at(-1)")
    assert published > 0
    module = browser.run("return document.querySelector('script[type=module]').src").replace(
        "operator.js", "prometheus.js"
    )
    told = browser.run(ARITHMETIC, module)
    assert told == ['a\\b"c\nd', 1025, None, 2, None, 0.01, 0.055, None, 0.1]
    assert {url for url in browser.requests() if not url.startswith((f"{base}/", "data:"))} == set()
