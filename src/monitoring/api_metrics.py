"""Metrics of the API; `monitoring/exposition.py` adds up those of several processes."""

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from monitoring.prometheus_metrics import ServiceMetrics

BUCKETS = (
    *(5e-05, 1e-04, 2.5e-04, 5e-04, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds in seconds: one prediction takes some 100 µs, the largest batch a few seconds."""

UNMATCHED = "unmatched"
"""The route of a request to a path that does not exist: the path itself is never a label."""


class ApiMetrics(ServiceMetrics):
    """Every metric of the API; all exist from the start, for the routes that are made known.

    What requests bring is noted at first, which costs them next to nothing, and counted when it is
    settled: once a second, and by the process that answers a scrape.
    """

    service = "api"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        counter, gauge = self.counter, self.gauge
        self.requests = counter(
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
        self.in_flight = gauge(
            "requests_in_flight",
            "Requests in progress, sampled once a second and at each scrape",
            "livesum",
        )
        self.predictions = counter(
            "predictions",
            "Transactions scored for callers, by whether they were flagged",
            flagged=("false", "true"),
        )
        self.model_ready = gauge(
            "model_ready", "Whether every process has a champion to score with: 1 or 0", "livemin"
        )
        self.model_version = gauge(
            "model_version",
            "Version of the registered model that scores; 0 before there is one",
            "livemin",
        )
        self.model_trained = gauge(
            "model_trained_timestamp_seconds",
            "When the model that scores was trained, in Unix seconds; 0 before there is one",
            "livemin",
        )
        self.model_threshold = gauge(
            "model_threshold_ratio",
            "Score in 0..1 from which the model that scores flags; 0 before there is one",
            "livemin",
        )
        self.model_loads = counter("model_loads", "Champions loaded by this service")
        self._routes: set[str] = set()
        self._answered: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        self._scored = self._flagged = 0

    def know(self, routes: Iterable[tuple[str, Iterable[int]]]) -> None:
        """Begin every counter at zero, for each route and the statuses it can answer."""
        for route, statuses in routes:
            self._routes.add(route)
            self.latency.labels(route)
            for status in statuses:
                self.requests.labels(route, str(status))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Note one request; a route that was not made known counts as unmatched."""
        self._answered[route, status].append(seconds)

    def scored(self, transactions: int, flagged: int) -> None:
        """Note how many transactions were scored for a caller."""
        self._scored += transactions
        self._flagged += flagged

    def settle(self) -> None:
        """Count what was noted."""
        answered, self._answered = self._answered, defaultdict(list)
        for (route, status), times in answered.items():
            label = route if route in self._routes else UNMATCHED
            self.requests.labels(label, str(status)).inc(len(times))
            for seconds in times:
                self.latency.labels(label).observe(seconds)
        self.predictions.labels("true").inc(self._flagged)
        self.predictions.labels("false").inc(self._scored - self._flagged)
        self._scored = self._flagged = 0
