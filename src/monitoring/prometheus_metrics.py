"""The catalogue of metrics: how they are named and declared, and the class of each service.

Names follow Prometheus practice: the prefix `bitcoin_` and the service, base units, `_total` for
counters, and labels with a bounded set of values (never a hash or an address). Dashboards and alert
rules are checked against the catalogue by a test.
"""

import pkgutil
from collections.abc import Callable, Iterable
from importlib.metadata import version
from itertools import product
from platform import python_version
from typing import Any, ClassVar, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.process_collector import ProcessCollector

PREFIX = "bitcoin_"
"""The beginning of every metric's name in this project."""

SERVICES = {
    "producer": "monitoring.producer_metrics:ProducerMetrics",
    "stream": "monitoring.stream_metrics:StreamMetrics",
    "trainer": "monitoring.trainer_metrics:TrainerMetrics",
    "casework": "monitoring.casework_metrics:CaseworkMetrics",
    "api": "monitoring.api_metrics:ApiMetrics",
    "dashboard": "monitoring.dashboard_metrics:DashboardMetrics",
    "alerts": "monitoring.alert_metrics:AlertMetrics",
    "simulator": "monitoring.simulator_metrics:SimulatorMetrics",
}
"""The class with each service's metrics, as text: a service imports its own class only."""

M = TypeVar("M", Counter, Gauge, Histogram)
GaugeMode = Literal["all", "livemax", "livemin", "livesum"]
"""How prometheus_client combines a gauge of several processes that answer as one service."""


class ServiceMetrics:
    """The metrics of one service, each declared by one call in its class.

    The counter `rows` of the stream is exported as `bitcoin_stream_rows_total`. Each label is a
    keyword with its possible values, for all of which the metric exists from the start, at zero. An
    empty tuple is for values that are known later, or for which zero would be wrong.
    """

    service: ClassVar[str]

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.labels: dict[str, tuple[str, ...]] = {}
        """The label names of each metric, by the metric's whole name without `_total`."""

    def counter(self, name: str, meaning: str, **labels: Iterable[str]) -> Counter:
        """Declare what only grows."""
        return self._declare(Counter, name, meaning, labels)

    def gauge(
        self, name: str, meaning: str, mode: GaugeMode = "all", **labels: Iterable[str]
    ) -> Gauge:
        """Declare a value that rises and falls; `mode` is for several processes."""
        return self._declare(Gauge, name, meaning, labels, multiprocess_mode=mode)

    def histogram(
        self, name: str, meaning: str, buckets: Iterable[float], **labels: Iterable[str]
    ) -> Histogram:
        """Declare a distribution; `buckets` are upper bounds in the unit of the name."""
        return self._declare(Histogram, name, meaning, labels, buckets=tuple(buckets))

    def declare_loops(self, *names: str) -> None:
        """Declare the metrics of the service's background loops."""
        self.loop_failures = self.counter(
            "loop_failures", "Turns of a background loop that failed, by loop", loop=names
        )
        self.loop_last_turn = self.gauge(
            "loop_last_turn_timestamp_seconds",
            "When a turn of a background loop last ended, in Unix seconds; 0 before its start",
            "livemin",
            loop=names,
        )

    def turn_recorder(self, name: str) -> Callable[[bool], None]:
        """What records each turn of a loop that starts now: whether it succeeded."""
        failures, last_turn = self.loop_failures.labels(name), self.loop_last_turn.labels(name)
        last_turn.set_to_current_time()

        def record(succeeded: bool) -> None:
            last_turn.set_to_current_time()
            if not succeeded:
                failures.inc()

        return record

    def _declare(
        self,
        kind: type[M],
        name: str,
        meaning: str,
        labels: dict[str, Iterable[str]],
        **options: Any,
    ) -> M:
        name = f"{PREFIX}{self.service}_{name}"
        metric = kind(name, meaning, tuple(labels), registry=self.registry, **options)
        self.labels[name] = tuple(labels)
        if labels:
            for values in product(*labels.values()):
                metric.labels(*values)
        return metric


def service_metrics(service: str, registry: CollectorRegistry) -> ServiceMetrics:
    """Make the metrics of a service by its name."""
    metrics: ServiceMetrics = pkgutil.resolve_name(SERVICES[service])(registry)
    return metrics


def new_registry(service: str) -> CollectorRegistry:
    """Make a service's registry, with its process metrics and `bitcoin_build_info`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    info = Gauge(
        f"{PREFIX}build_info",
        "Version of the service that runs; always 1",
        ["service", "version", "python_version"],
        registry=registry,
        multiprocess_mode="livemax",
    )
    info.labels(service, version("bitcoin-anomaly-detection"), python_version()).set(1)
    return registry


def serve(registry: CollectorRegistry, address: str, port: int) -> None:
    """Answer `/metrics` on a separate thread; raises `OSError` when the port is taken."""
    start_http_server(port, address, registry=registry)
