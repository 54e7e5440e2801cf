"""Metrics of the API; `monitoring/exposition.py` tells those of several processes as one."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitoring.common import PREFIX, observe_all

BUCKETS = (
    *(5e-05, 1e-04, 2.5e-04, 5e-04, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds in seconds: one prediction takes some 100 µs, the largest batch a few seconds."""

UNMATCHED = "unmatched"
"""The route of a request to a path that does not exist: the path itself is never a label."""


class ApiMetrics:
    """Every metric of the API; all exist from the start, for the routes that are made known.

    What requests bring is noted at first, which costs them next to nothing, and counted when it is
    settled: once a second, and by the process that answers a scrape.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            f"{PREFIX}api_requests",
            "Requests answered, by route and HTTP status (499: the caller left before the answer)",
            ["route", "status"],
            registry=registry,
        )
        self.latency = Histogram(
            f"{PREFIX}api_request_seconds",
            "Time from the request's arrival to its answer, in seconds",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            f"{PREFIX}api_requests_in_flight",
            "Requests under way, sampled once a second and at each scrape",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.predictions = Counter(
            f"{PREFIX}api_predictions",
            "Transactions scored for callers, by whether they were flagged",
            ["flagged"],
            registry=registry,
        )
        for flagged in ("false", "true"):
            self.predictions.labels(flagged)
        self._model(registry)
        self._routes: set[str] = set()
        self._answered: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        self._scored = self._flagged = 0

    def _model(self, registry: CollectorRegistry) -> None:
        self.model_ready = Gauge(
            f"{PREFIX}api_model_ready",
            "Whether every process has a champion to score with: 1 or 0",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.model_version = Gauge(
            f"{PREFIX}api_model_version",
            "Version of the registered model that scores; 0 before there is one",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.model_trained = Gauge(
            f"{PREFIX}api_model_trained_timestamp_seconds",
            "When the model that scores was trained, in Unix seconds; 0 before there is one",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.model_threshold = Gauge(
            f"{PREFIX}api_model_threshold_ratio",
            "Score from 0 to 1 at which the model in service flags; 0 before there is one",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.model_loads = Counter(
            f"{PREFIX}api_model_loads", "Champions loaded into service", registry=registry
        )

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
        """Count what was noted: together it costs a fifth of what each by itself would."""
        answered, self._answered = self._answered, defaultdict(list)
        for (route, status), taken in answered.items():
            known = route if route in self._routes else UNMATCHED
            self.requests.labels(known, str(status)).inc(len(taken))
            observe_all(self.latency.labels(known), np.array(taken))
        self.predictions.labels("true").inc(self._flagged)
        self.predictions.labels("false").inc(self._scored - self._flagged)
        self._scored = self._flagged = 0
