"""The document `docs/metrics.md`: every metric of every service, read from the classes.

python -m monitoring.metrics_document > docs/metrics.md
"""

import sys
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from monitoring.prometheus_metrics import SERVICES, service_metrics

_UNITS = {"seconds": "seconds", "bytes": "bytes", "ratio": "0 to 1", "score": "0 to 1"}

_HEADER = """\
# Metrics

Every metric of this project, by service. Each service also has process metrics (`process_…`) and
`bitcoin_build_info`. Kafka's metrics (`kafka_…`) come from its agent, by the rules in
`local/kafka-metrics.yml`; MLflow's (`mlflow_…`) come from MLflow. Made by
`python -m monitoring.metrics_document > docs/metrics.md`.

With `WORKERS` above 1 the API reports its processes as one service: counts, processor time, memory
and open files are sums, a model is ready when every process has it, and the start time is that of
the newest process.
"""


@dataclass(frozen=True)
class Metric:
    """One metric as Prometheus stores it: a counter's `name` ends with `_total`."""

    service: str
    name: str
    kind: str
    labels: tuple[str, ...]
    help: str

    @property
    def unit(self) -> str:
        """The unit that the name ends with; `number` where it has none."""
        words = self.name.removesuffix("_total").rsplit("_", 1)
        return _UNITS.get(words[-1], "number")

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its time series."""
        if self.kind == "histogram":
            return tuple(f"{self.name}{end}" for end in ("_bucket", "_count", "_sum"))
        return (self.name,)


def catalogue() -> list[Metric]:
    """All metrics, by service and name."""
    return [metric for service in SERVICES for metric in of_service(service)]


def of_service(service: str) -> list[Metric]:
    """One service's own metrics by name; those that every process has are left out."""
    registry = CollectorRegistry()
    labels = service_metrics(service, registry).labels
    metrics = [
        Metric(
            service,
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            labels[family.name],
            family.documentation,
        )
        for family in registry.collect()
    ]
    return sorted(metrics, key=lambda metric: metric.name)


def render() -> str:
    """The text, with a table for each service."""
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
