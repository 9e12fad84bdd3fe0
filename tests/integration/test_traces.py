"""A trace, from a request's header through the log into the record and the agent, with OpenTelemetry and without."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import aiohttp
import psycopg2
import pytest
from aiokafka import AIOKafkaProducer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from embedded.worker import Worker
from tests.support.brokers import KafkaAddress
from tests.support.databases import DatabaseUrls
from tests.support.load import until
from tests.support.topic import Record, read_topic
from tests.support.worker import token

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
OTHER = f"00-{TRACE[::-1]}-{PARENT}-00"
TRAININGS = "/api/v1/trainings"
BODY = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED"}


class Collector:
    """Takes spans over HTTP, as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        self.services: set[str] = set()
        self.spans: list[Span] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """It is away from now on."""
        self._server.shutdown()
        self._server.server_close()

    def of(self, kind: int) -> list[Span]:
        return [span for span in self.spans if span.kind == kind]

    def _take(self, request: ExportTraceServiceRequest) -> None:
        for each in request.resource_spans:
            named = {attribute.key: attribute.value.string_value for attribute in each.resource.attributes}
            self.services.add(named["service.name"])
            for scope in each.scope_spans:
                self.spans += scope.spans


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that workers send their spans to."""
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # milliseconds
    yield collector
    collector.close()


def attributes(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def lines(worker: Worker) -> list[dict[str, object]]:
    """What the worker has logged."""
    return [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]


def topic_of(worker: Worker) -> str:
    return worker.environment["TRAINING_EVENTS_TOPIC"]


def folded(urls: DatabaseUrls) -> tuple[int, int]:
    """How many trainings are folded, and how many records are set aside."""
    connection = psycopg2.connect(urls.owner)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT (SELECT count(*) FROM analytics.folded_trainings),
                          (SELECT count(*) FROM analytics.dead_letters)"""
            )
            found: tuple[int, int] = cursor.fetchone()
            return found
    finally:
        connection.close()


async def post(worker: Worker, user: str, traceparent: str | None) -> str:
    """Create a training; returns its id."""
    headers = {"Authorization": f"Bearer {token(user)}"} | ({"traceparent": traceparent} if traceparent else {})
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(worker.url + TRAININGS, json=BODY) as answer,
    ):
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["id"])


async def published(worker: Worker, broker: KafkaAddress) -> dict[str, Record]:
    """The records, by their trainings."""
    records = await read_topic(broker.bootstrap, topic_of(worker))
    return {record.event["payload"]["training_id"]: record for record in records}


async def test_a_trace_goes_from_the_request_into_the_record_and_the_log_of_the_agent(
    start_worker: Callable[..., Worker], database_urls: DatabaseUrls, broker: KafkaAddress
) -> None:
    worker, user = start_worker(), str(uuid4())
    traced, untraced = await post(worker, user, TRACEPARENT), await post(worker, user, None)
    await until(lambda: folded(database_urls) == (2, 0), 20, "both are folded")
    records = await published(worker, broker)
    assert records[traced].headers[-1] == ("traceparent", TRACEPARENT.encode())
    assert records[traced].headers[:-1][-1][0] == records[untraced].headers[-1][0] == "ce_requestid"

    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        headers = [("traceparent", OTHER.encode())]
        await producer.send_and_wait(topic_of(worker), b"no event", key=user.encode(), headers=headers)
    finally:
        await producer.stop()
    await until(lambda: folded(database_urls) == (2, 1), 20, "it is set aside")
    worker.stop()
    logged = lines(worker)
    requests = [line for line in logged if line["message"] == "request" and line["status"] == 201]
    assert [line.get("trace_id") for line in requests] == [TRACE, None]
    (letter,) = [line for line in logged if "dead letter" in str(line["message"])]
    assert letter["trace_ids"] == [TRACE[::-1]]


async def test_spans_of_a_request_and_of_the_batch_that_it_led_to_are_one_trace(
    collector: Collector, start_worker: Callable[..., Worker], database_urls: DatabaseUrls, broker: KafkaAddress
) -> None:
    """A collector that goes away then holds up nobody: the worker stops in time."""
    worker, user = start_worker(), str(uuid4())
    traced, begun = await post(worker, user, TRACEPARENT), await post(worker, user, None)
    assert worker.get(f"/api/v1/training/users/{user}/workouts")[0] == 401

    def links() -> set[tuple[bytes, bytes]]:
        return {(link.trace_id, link.span_id) for span in collector.of(Span.SPAN_KIND_CONSUMER) for link in span.links}

    await until(lambda: len(links()) == 2 and len(collector.of(Span.SPAN_KIND_SERVER)) == 3, 20, "spans arrive")
    assert collector.services == {"training-service"}
    # In the order in which they ended; none is of /health/ready, for which the test has asked.
    of_trace, of_none, refused = collector.of(Span.SPAN_KIND_SERVER)
    assert (of_trace.trace_id.hex(), of_trace.parent_span_id.hex()) == (TRACE, PARENT)
    assert of_none.parent_span_id == b""
    for span in (of_trace, of_none):
        assert span.name == f"POST {TRAININGS}"
        assert attributes(span) == {
            "http.request.method": "POST",
            "url.scheme": "http",
            "http.route": TRAININGS,
            "http.response.status_code": 201,
        }
    assert refused.name == "GET /api/v1/training/users/{userId}/workouts"
    assert attributes(refused)["http.response.status_code"] == 401

    records = await published(worker, broker)
    for id_, span in ((traced, of_trace), (begun, of_none)):
        carried = dict(records[id_].headers)["traceparent"].decode()
        assert carried.startswith(f"00-{span.trace_id.hex()}-{span.span_id.hex()}-")
        assert int(carried[-2:], 16) & 1  # sampled
    assert links() == {(span.trace_id, span.span_id) for span in (of_trace, of_none)}
    batches = collector.of(Span.SPAN_KIND_CONSUMER)
    assert {span.name for span in batches} == {f"process {topic_of(worker)}"}
    assert sum(int(str(attributes(span)["messaging.batch.message_count"])) for span in batches) == 2
    assert user not in str(collector.spans)

    collector.close()
    assert worker.get("/nothing")[0] == 404
    worker.stop()
    assert worker.exit_code == 0


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_of_opentelemetry_is_imported_where_nobody_asks_for_it(environment: dict[str, str]) -> None:
    script = "import sys, runtime.tracing as t; print(t.begin(), [m for m in sys.modules if 'opentelemetry' in m])"
    source = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=kept | source | environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None []\n"


def test_without_the_extra_a_line_says_that_there_are_no_spans(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from runtime import tracing

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/v1/traces")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert tracing.begin() is None
    assert "the extra `otel` is not installed" in caplog.text
