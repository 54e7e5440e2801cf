"""Metrics of the API; `monitoring/exposition.py` adds up those of several processes."""

from collections.abc import Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram

from monitoring.prometheus_metrics import ServiceMetrics

BUCKETS = (
    *(5e-05, 1e-04, 2.5e-04, 5e-04, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds in seconds: one prediction takes some 100 µs, the largest batch a few seconds."""

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
            "Time from the request's arrival to its answer, in seconds",
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
        self._declare_model()
        # Looking a label up takes longer than counting, so the children are kept.
        self.flagged, self.not_flagged = map(self.predictions.labels, ("true", "false"))
        self._request_counters: dict[tuple[str, int], Counter] = {}
        self._latencies: dict[str, Histogram] = {}
        self.declare_routes({UNMATCHED: [404]})

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
        for route, route_statuses in statuses.items():
            self._latencies[route] = self.latency.labels(route)
            for status in route_statuses:
                self._request_counter(route, status)

    def record_request(self, route: str, status: int, seconds: float) -> None:
        """Count one request; a route that was not declared counts as unmatched."""
        label = route if route in self._latencies else UNMATCHED
        self._request_counter(label, status).inc()
        self._latencies[label].observe(seconds)

    def _request_counter(self, route: str, status: int) -> Counter:
        counter = self._request_counters.get((route, status))
        if counter is None:
            counter = self._request_counters[route, status] = self.requests.labels(
                route, str(status)
            )
        return counter

    def record_prediction(self, is_anomaly: bool) -> None:
        """Count one transaction that was scored for a caller."""
        (self.flagged if is_anomaly else self.not_flagged).inc()

    def record_predictions(self, count: int, flagged: int) -> None:
        """Count a batch of scored transactions, of which so many are flagged."""
        self.flagged.inc(flagged)
        self.not_flagged.inc(count - flagged)
