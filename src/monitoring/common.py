"""What every service's metrics share: the prefix, the build's information, the exporter."""

from importlib.metadata import version
from platform import python_version

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from prometheus_client.process_collector import ProcessCollector

PREFIX = "bitcoin_"
"""Every metric of this project begins with it."""


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
    """Answer `/metrics` on a thread of its own; raises `OSError` when the port is taken."""
    start_http_server(port, address, registry=registry)


def observe_all(histogram: Histogram, values: NDArray[np.float64]) -> None:
    """Observe many values at once: one at a time they take longer than scoring them did."""
    bounds = np.asarray(histogram._upper_bounds)
    places = np.bincount(np.searchsorted(bounds, values), minlength=len(bounds))
    for bucket, count in zip(histogram._buckets, places.tolist(), strict=True):
        bucket.inc(count)
    histogram._sum.inc(float(values.sum()))
