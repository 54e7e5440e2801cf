"""Metrics of the API; `monitoring/exposition.py` adds up those of several processes."""

from collections import Counter as TallyCounter
from collections.abc import Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram

from monitoring.prometheus_metrics import ServiceMetrics

BUCKETS = (
    *(5e-05, 1e-04, 2.5e-04, 5e-04, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds in seconds: one prediction takes some 100 µs, the largest batch a few seconds."""

FLAGGERS = ("model", "rule", "both")
"""What can flag a transaction."""

MARKS = ("useful", "not_useful", "known", "withdrawn")
"""What callers can say of a transaction."""
STREAM_ENDS = ("lake", "restart", "slow", "time")
"""Why a stream ends: no lake, the service closes, the client is slow, it has lasted its time."""

UNMATCHED = "unmatched"
"""The route of a request to a path that does not exist: the path itself is never a label."""


class ApiMetrics(ServiceMetrics):
    """Every metric of the API, for the routes that `declare_routes` names."""

    service = "api"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.requests = self.counter(
            "requests",
            "Requests answered, by route and HTTP status (499: the caller left before the answer)",
            route=(),
            status=(),
        )
        self.latency = self.histogram(
            "request_seconds",
            "Time from the request's arrival to the start of its answer, in seconds",
            BUCKETS,
            route=(),
        )
        self.in_flight = self.gauge(
            "requests_in_flight",
            "Requests in progress, sampled once a second and at each scrape",
            "livesum",
        )
        self.predictions = self.counter(
            "predictions",
            "Transactions scored for callers, by whether they were flagged",
            flagged=("false", "true"),
        )
        self.anomalies = self.counter(
            "anomalies",
            "Transactions flagged for callers, by what flags them",
            flagged_by=FLAGGERS,
        )
        self.marks = self.counter(
            "marks",
            "Marks of transactions that callers have written, by mark",
            mark=MARKS,
        )
        self._declare_streams()
        self._declare_model()
        self.declare_loops("champion", "heartbeat", "market")
        # Looking labels up takes longer than counting, so the children are kept.
        self._flagged, self._not_flagged = map(self.predictions.labels, ("true", "false"))
        self._flaggers = {by: self.anomalies.labels(by) for by in FLAGGERS}
        self._routes: set[str] = set()
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.declare_routes({UNMATCHED: [404]})

    def _declare_streams(self) -> None:
        self.streams = self.gauge(
            "streams", "Clients that are connected to /anomalies/stream", "livesum"
        )
        self.stream_events = self.counter(
            "stream_events",
            "Flagged and watched transactions announced to the clients of /anomalies/stream",
        )
        self.streams_ended = self.counter(
            "streams_ended",
            "Connections to /anomalies/stream that the service ended, by reason",
            reason=STREAM_ENDS,
        )

    def _declare_model(self) -> None:
        gauge = partial(self.gauge, mode="livemin")
        self.model_ready = gauge(
            "model_ready", "Whether every process has a champion to score with: 1 or 0"
        )
        self.model_version = gauge(
            "model_version", "Version of the registered model that scores; 0 before there is one"
        )
        self.model_trained = gauge(
            "model_trained_timestamp_seconds",
            "When the model that scores was trained, in Unix seconds; 0 before there is one",
        )
        self.model_threshold = gauge(
            "model_threshold_ratio",
            "Score in 0..1 from which the model that scores flags; 0 before there is one",
        )
        self.model_loads = self.counter("model_loads", "Champions loaded by this service")

    def declare_routes(self, statuses: Mapping[str, Iterable[int]]) -> None:
        """Start every counter at zero, for each route and the statuses that it can answer."""
        self._routes.update(statuses)
        for route, route_statuses in statuses.items():
            for status in route_statuses:
                self._add_children(route, status)

    def record_request(self, route: str, status: int, seconds: float) -> None:
        """Count one request; a route that was not declared counts as unmatched."""
        children = self._children.get((route, status)) or self._add_children(route, status)
        requests, latency = children
        requests.inc()
        latency.observe(seconds)

    def _add_children(self, route: str, status: int) -> tuple[Counter, Histogram]:
        label = route if route in self._routes else UNMATCHED
        children = self.requests.labels(label, str(status)), self.latency.labels(label)
        if label == route:  # others are not kept, so that callers cannot fill the memory
            self._children[route, status] = children
        return children

    def record_prediction(self, flagged_by: str | None) -> None:
        """Count one transaction that was scored for a caller, by what flags it."""
        if flagged_by is None:
            self._not_flagged.inc()
        else:
            self._flagged.inc()
            self._flaggers[flagged_by].inc()

    def record_predictions(self, flagged_by: Iterable[str | None]) -> None:
        """Count a batch of scored transactions, by what flags each."""
        counts = TallyCounter(flagged_by)
        self._not_flagged.inc(counts.pop(None, 0))
        self._flagged.inc(counts.total())
        for by, count in counts.items():
            if by is not None:
                self._flaggers[by].inc(count)
