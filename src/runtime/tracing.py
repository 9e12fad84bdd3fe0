"""Spans for OpenTelemetry: one of each request, and one of each batch that an agent folds, linked to the requests.

There are none, and nothing of OpenTelemetry is imported, but where its own environment variables name a collector and
the extra `otel` is installed. Then all of its variables hold: OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER,
OTEL_EXPORTER_OTLP_HEADERS … Spans are sent as protobuf over HTTP, by a thread beside the event loop; what the collector
does not take is dropped. No span holds an id of a user: of an address it has the template, and no header and no body.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/
https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
"""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import hdrs, web

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NAME = "training-service"  # of the service, unless the environment names it
STOP = 1.0  # seconds that the last spans have to reach the collector
_HEADER = "traceparent"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Record(Protocol):
    """A record of Kafka's, of which this much is looked at."""

    @property
    def topic(self) -> str: ...
    @property
    def headers(self) -> Any: ...


def begin(quiet: Collection[str] = ()) -> "Spans | None":
    """The maker of spans, where the environment asks for one; requests of the routes `quiet` have none."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or os.environ.get("OTEL_TRACES_EXPORTER") == "none" or not any(map(os.environ.get, ENDPOINTS)):
        return None
    try:
        return Spans(quiet)
    except ImportError as error:
        log.warning("a collector is named, and the extra `otel` is not installed, so there are no spans: %s", error)
        return None


class Spans:
    """Makes spans and has them sent. Raises `ImportError` where the extra `otel` is not installed."""

    def __init__(self, quiet: Collection[str] = ()) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - the extra is optional
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        resource = Resource.create({"service.name": NAME}).merge(OTELResourceDetector().detect())
        self._api = trace
        self._root = context.Context
        self._propagator = TraceContextTextMapPropagator()
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # which may wait for long
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME)
        self._quiet = frozenset(quiet)

    @web.middleware
    async def middleware(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """A span of the request, as the child of the one that it names. To be the outermost, so that it sees all."""
        resource = request.match_info.route.resource
        route = None if resource is None else resource.canonical
        if route in self._quiet:
            return await handler(request)
        known = request.method in hdrs.METH_ALL
        attributes = {"http.request.method": request.method if known else "_OTHER", "url.scheme": request.scheme}
        if route is not None:
            attributes["http.route"] = route
        with self._tracer.start_as_current_span(
            " ".join([request.method if known else "HTTP", *([] if route is None else [route])]),
            self._propagator.extract(request.headers, self._root()),
            self._api.SpanKind.SERVER,
            attributes,
            record_exception=False,  # its text may hold what a user wrote
        ) as span:
            response = await handler(request)
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= 500:
                span.set_attribute("error.type", str(response.status))
                span.set_status(self._api.StatusCode.ERROR)
        return response

    def traceparent(self, _: Sequence[str] = ()) -> str | None:
        """The header that names the span under way; None where there is none."""
        here = self._api.get_current_span().get_span_context()
        return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}" if here.is_valid else None

    def batch(self, records: Sequence[_Record]) -> Callable[[], None]:
        """A span of a batch of records, linked to the spans that made them. Returns what ends it."""
        found = dict.fromkeys(value for record in records for name, value in record.headers if name == _HEADER)
        parents = (self._propagator.extract({_HEADER: value.decode("ascii", "replace")}) for value in found if value)
        made = (self._api.get_current_span(parent).get_span_context() for parent in parents)
        topic = records[0].topic
        span = self._tracer.start_span(
            f"process {topic}",
            self._root(),
            self._api.SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.batch.message_count": len(records),
            },
            [self._api.Link(context) for context in made if context.is_valid],
        )
        return span.end

    async def close(self) -> None:
        """Send what is left, for `STOP` seconds at most."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has not waited
                loop.call_soon_threadsafe(sent.set)

        threading.Thread(target=send, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(sent.wait(), STOP)
