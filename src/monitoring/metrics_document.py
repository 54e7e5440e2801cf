"""Every metric of every service as rows, read from the classes: the text of `docs/metrics.md`.

python -m monitoring.metrics_document > docs/metrics.md
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from prometheus_client import CollectorRegistry

from monitoring.prometheus_metrics import (
    ApiMetrics,
    DashboardMetrics,
    ProducerMetrics,
    SimulatorMetrics,
    StreamMetrics,
    TrainerMetrics,
    new_registry,
)

SERVICES: dict[str, Callable[[CollectorRegistry], Any]] = {
    "producer": ProducerMetrics,
    "stream": StreamMetrics,
    "trainer": TrainerMetrics,
    "api": ApiMetrics,
    "dashboard": DashboardMetrics,
    "simulator": SimulatorMetrics,
}

_UNITS = {"seconds": "seconds", "bytes": "bytes", "ratio": "0 to 1", "score": "0 to 1"}

_HEADER = """\
# Metrics

Every metric of this project. Process metrics (`process_…`) and `bitcoin_build_info` come from
each service; Kafka's (`kafka_…`) from its agent, by the rules in `local/kafka-metrics.yml`;
MLflow's (`mlflow_…`) from MLflow. Made by
`python -m monitoring.metrics_document > docs/metrics.md`.

With `WORKERS` above 1 the API tells its processes as one: counts, processor time, memory and files
are sums, a model is ready when every process has it, and the start is the youngest process's.
"""


@dataclass(frozen=True)
class Metric:
    """One metric as Prometheus sees it: `name` is a counter's with `_total`."""

    service: str
    name: str
    kind: str
    labels: tuple[str, ...]
    help: str

    @property
    def unit(self) -> str:
        """The base unit that the name carries; a bare number where it carries none."""
        words = self.name.removesuffix("_total").rsplit("_", 1)
        return _UNITS.get(words[-1], "number")

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which its samples are kept."""
        if self.kind == "histogram":
            return tuple(f"{self.name}{end}" for end in ("_bucket", "_count", "_sum"))
        return (self.name,)


def catalogue() -> list[Metric]:
    """All metrics, by service and name."""
    return [metric for service in SERVICES for metric in of_service(service)]


def of_service(service: str) -> list[Metric]:
    """One service's own metrics; what every process has is left out."""
    registry = new_registry(service)
    SERVICES[service](registry)
    collectors = cast(dict[Any, list[str]], registry._collector_to_names)
    named = {
        names[0]: tuple(getattr(c, "_labelnames", ())) for c, names in collectors.items() if names
    }
    found = [
        Metric(
            service,
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            named[family.name],
            family.documentation,
        )
        for family in registry.collect()
        if family.name.startswith(f"bitcoin_{service}_")
    ]
    return sorted(found, key=lambda metric: metric.name)


def render() -> str:
    """The document: a table for each service."""
    parts = [_HEADER]
    for service in SERVICES:
        lines = [f"## {service}", "", "| metric | kind | unit | labels | meaning |"]
        lines.append("|---|---|---|---|---|")
        lines += [
            f"| `{m.name}` | {m.kind} | {m.unit} | {', '.join(m.labels)} | {m.help} |"
            for m in of_service(service)
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
