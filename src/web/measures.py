"""What Prometheus reads: the duration of every request, and what the process takes of the machine."""

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Measures:
    """The measures of one application; each has a registry of its own, so that two in one process do not clash."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, processor time, descriptors: on Linux
        GCCollector(registry=self.registry)
        self._duration = Histogram(
            "training_http_request_duration_seconds",
            "Time from a request's head to its answer, by route template",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._broken = Counter(
            "training_http_broken_answers_total",
            "Answers in chunks that were broken off, by route template and reason: client, slow, error",
            ("route", "reason"),
            registry=self.registry,
        )
        limited = Counter(
            "training_rate_limited_total",
            "Requests refused because the user's limit was used up, by class: read, write",
            ("class",),
            registry=self.registry,
        )
        self._limited = {name: limited.labels(name) for name in ("read", "write")}
        self._unsettled = Counter(
            "training_rate_settlement_failures_total",
            "Settlements of rate limits with the other workers that failed",
            registry=self.registry,
        )
        self._unlogged = Counter(
            "training_request_log_dropped_total",
            "Requests that are not in the log of requests",
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the template, so that the number of series stays small."""
        child = self._children.get((method, route, status))
        if child is None:
            child = self._children[method, route, status] = self._duration.labels(method, route, str(status))
        child.observe(seconds)

    def broken(self, route: str, reason: str) -> None:
        """Count an answer in chunks that was broken off: by the client, for being slow, or by an error of ours."""
        self._broken.labels(route, reason).inc()

    def limited(self, name: str) -> None:
        """Count a request that was refused because the limit of this class was used up."""
        self._limited[name].inc()

    def unsettled(self) -> None:
        """Count a settlement of rate limits that failed: until one succeeds this worker limits alone."""
        self._unsettled.inc()

    def unlogged(self, number: int) -> None:
        """Count requests that the log of requests lacks."""
        self._unlogged.inc(number)
