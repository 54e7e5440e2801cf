"""The metrics of several processes that answer one port, told as those of one service.

prometheus_client keeps each process's counts in files of one folder and adds them up; it leaves out
what the system knows of the processes, which is added up here.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_STARTED = "process_start_time_seconds"


def exposition(registry: CollectorRegistry) -> bytes:
    """All metrics as Prometheus reads them, summed over the processes where there are several."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder or not getattr(values.ValueClass, "_multiprocess", False):
        return generate_latest(registry)
    processes = _alive(Path(folder))
    merged = CollectorRegistry()
    MultiProcessCollector(merged, path=folder)  # type: ignore[no-untyped-call]
    merged.register(Processes(processes))
    return generate_latest(merged)


def _alive(folder: Path) -> list[int]:
    """The processes that count; the gauges of those that ended without a word are dropped."""
    known = {int(file.stem.rsplit("_", 1)[1]) for file in folder.glob("*_*.db")}
    alive = {process for process in known if Path(f"/proc/{process}").exists()}
    for process in known - alive:
        mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
    return sorted(alive)


class Processes(Collector):
    """Process metrics of several processes: their sums, and the start of the youngest.

    So a worker that is replaced shows as a restart, and memory is the service's; pages that the
    processes share are counted for each.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self.processes = list(processes)

    def collect(self) -> Iterable[Metric]:
        """One family for each metric of `ProcessCollector`."""
        found: dict[str, Metric] = {}
        for process in self.processes:
            for family in _families(process):
                known = found.setdefault(family.name, family)
                if known is not family:
                    _add(known, family)
        return found.values()


def _families(process: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: process, registry=None).collect()


def _add(known: Metric, more: Metric) -> None:
    (one,), (other,) = known.samples, more.samples
    value = max(one.value, other.value) if one.name == _STARTED else one.value + other.value
    known.samples = [one._replace(value=value)]
