"""What users say is data: no statement, no line of the log and no document takes it for anything else."""

import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agents.volume import VolumeFold
from runtime import logs
from storage.database import Database
from storage.outbox import ask
from storage.volume import DeadLetter, fold
from tests.support.web import Client, serve, token
from web.api import ALL_ROUTES

# What breaks out of SQL's and JSON's strings, arrays, LIKE, COPY, psycopg2's own parameters, and lines.
HOSTILE = [
    "'; DROP TABLE trainings; --",
    "x' OR '1'='1",
    '"},"version":99,"x":{"',
    "\\'; SELECT pg_sleep(9) --",
    "%s %(user_id)s %% %",
    "$1 $$ $tag$ :name ?",
    '{a,"b",NULL}',
    "NULL",
    "\\N\t\\.",
    "\\",
    '"',
    "\\u0000 \\x00",
    "a\r\n\x1b[2Ja\x9b2J\x85b\u2028c\u2029d",
    "ﬀ\u202e\ufeff\U0001f3cb\ufffd",
    "=cmd|' /C calc'!A0",
]
_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
texts = st.sampled_from(HOSTILE) | st.text(st.sampled_from("'\"\\%${}():;,-\n\t /*N") | _characters, max_size=30)
names = texts.map(str.strip).filter(bool)
keys = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
on_one_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


said = st.fixed_dictionaries(
    {
        "title": texts,
        "notes": texts,
        "name": names,
        "exercise_notes": texts,
        "source": texts.filter(bool),
        "key": keys,
        "actor": texts.filter(lambda text: text.isprintable() and 1 <= len(text) <= 255),
    }
)


@on_one_database
@given(words=said)
async def test_every_text_is_stored_and_given_back_to_the_letter(
    db: Database, client: Client, words: dict[str, str]
) -> None:
    exercise = {"name": words["name"], "notes": words["exercise_notes"], "sets": [{"reps": 5, "weight": 100}]}
    fields = {"title": words["title"], "notes": words["notes"], "source_id": words["source"]}
    body = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED", "exercises": [exercise], **fields}
    user = uuid4()
    headers = {"Authorization": f"Bearer {token(user, sub=words['actor'])}", "Idempotency-Key": words["key"]}
    created = await client.post("/api/v1/trainings", json=body, headers=headers)
    assert created.status == 201, await created.text()
    again = await client.post("/api/v1/trainings", json=body, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    address = created.headers["Location"]
    del headers["Idempotency-Key"]
    documents = [await created.json(), await again.json()]
    read = await (await client.get(address, headers=headers)).json()
    listed = await (await client.get("/api/v1/trainings", headers=headers)).json()
    history = await (await client.get(f"{address}/history", headers=headers)).json()
    assert documents == [read, read]
    assert listed["items"] == [read]
    assert {field: read[field] for field in fields} == fields
    (stored,) = read["exercises"]
    assert (stored["name"], stored["notes"]) == (words["name"], words["exercise_notes"])
    (change,) = history["items"]
    assert change["actor"] == words["actor"]
    assert change["event"]["payload"]["title"] == words["title"]

    await VolumeFold(db, "training_events").fold_log()
    rows = await db.all("SELECT name FROM analytics.exercise_volume WHERE user_id = %s", [user])
    assert rows == [(words["name"],)]


@on_one_database
@given(topic=texts, error=texts, reason=texts, raw=st.binary(max_size=40))
async def test_texts_of_operators_and_brokers_are_data_as_well(
    db: Database, topic: str, error: str, reason: str, raw: bytes
) -> None:
    offset = (await db.all("SELECT count(*) FROM analytics.dead_letters"))[0][0]
    letter = DeadLetter(topic=topic, partition=0, offset=offset, event_id=None, key=raw, value=raw, error=error)
    await fold(db, [], [letter])
    sql = 'SELECT topic, key, value, error FROM analytics.dead_letters WHERE "offset" = %s'
    ((stored, key, value, why),) = await db.all(sql, [offset])
    assert (stored, bytes(key), bytes(value), why) == (topic, raw, raw, error)
    assert await ask(db, "skip", seq=None, asked_by=reason, reason=reason) == 0


async def test_texts_in_the_address_reach_no_statement(client: Client) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    for hostile in HOSTILE:
        cursor = base64.urlsafe_b64encode(f"2026-01-05T12:00:00Z|{hostile}".encode()).decode().rstrip("=")
        tried = [(name, hostile) for name in ("from", "to", "status", "limit", "cursor", hostile)]
        for name, value in [*tried, ("cursor", cursor)]:
            response = await client.get("/api/v1/trainings", params={name: value}, headers=headers)
            assert response.status == 422
        quoted = "".join(f"%{byte:02X}" for byte in hostile.encode())
        assert (await client.get(f"/api/v1/trainings/{quoted}", headers=headers)).status == 404


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    libraries = {name: logging.getLogger(name).level for name in logs.LIBRARIES}
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for name, before in libraries.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def _log_everywhere(text: str) -> None:
    """The places where a text can stand in a line."""
    foreign, own = logging.getLogger("somebody"), structlog.get_logger("own")
    foreign.warning(text.replace("%", "%%"), *())
    foreign.warning("said %s", text)
    foreign.warning("said", extra={"text": text})
    own.warning("said %s", text)
    own.warning("said", text=text, texts=[text], more={text: text})
    own.error("failed", exc_info=ValueError(text))


FORGED = '","level":"critical","message":"forged"}\n{"timestamp":"2026-01-01","level":"critical","message":"forged"}\n'


@pytest.mark.usefixtures("_restored_logging")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts)
@example(FORGED)
def test_no_text_makes_a_line_or_a_field_of_the_log(capsys: pytest.CaptureFixture[str], text: str) -> None:
    capsys.readouterr()
    logs.configure("info", "json")
    _log_everywhere(text)
    raw = capsys.readouterr().err
    lines = [json.loads(line) for line in raw.splitlines()]  # Python's splitlines also breaks at U+0085 and U+2028
    assert [line["level"] for line in lines] == ["warning"] * 5 + ["error"]
    assert lines[1]["message"] == lines[3]["message"] == f"said {text}"
    assert lines[2]["text"] == lines[4]["text"] == text
    assert set(lines[4]) == {"timestamp", "level", "logger", "message", "text", "texts", "more"}
    assert not set(raw) & {chr(code) for code in [*range(10), *range(11, 32), *range(0x80, 0xA0), 0x2028, 0x2029]}


@pytest.mark.usefixtures("_restored_logging")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts)
@example("x\n2026-01-01T00:00:00Z [critical] forged\x1b[2J")
def test_no_text_orders_a_terminal_about(capsys: pytest.CaptureFixture[str], text: str) -> None:
    capsys.readouterr()
    logs.configure("info", "console")
    _log_everywhere(text)
    raw = capsys.readouterr().err
    lines = raw.splitlines()
    assert len([line for line in lines if not line.startswith("  ")]) == 6
    assert not set(raw) & {chr(code) for code in [*range(10), *range(11, 32), *range(0x7F, 0xA0), 0x2028, 0x2029]}


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_a_client_sends_is_not_in_the_log_of_requests(hostile: str) -> None:
    async with serve(ALL_ROUTES) as client:
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            quoted = "".join(f"%{byte:02X}" for byte in hostile.encode())
            await client.get(f"/{quoted}?{quoted}={quoted}", headers={"User-Agent": quoted, "X-Request-Id": quoted})
            await client.post("/api/v1/trainings", data=hostile.encode(), headers={"Authorization": f"Bearer {quoted}"})
    assert [line["status"] for line in lines] == [404, 401]
    for line in lines:
        assert set(line) == {"event", "log_level", "method", "route", "status", "ms", "user", "request_id"}
        assert line["method"] in ("GET", "POST")
        assert line["route"] in ("unknown", "/api/v1/trainings")
        assert line["user"] is None
        assert len(line["request_id"]) == 32
