"""The metrics of several processes that answer one port, reported as one service's.

prometheus_client stores the counts of each process in a folder and adds them up, but leaves out the
process metrics (memory, processor time, open files), which are added up here.
"""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_STARTED = "process_start_time_seconds"


def exposition(registry: CollectorRegistry) -> bytes:
    """All metrics in Prometheus's text format, summed where there are several processes."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return generate_latest(registry)
    processes = _alive_processes(Path(folder))
    merged = CollectorRegistry()
    MultiProcessCollector(merged, path=folder)  # type: ignore[no-untyped-call]
    merged.register(Processes(processes))
    return generate_latest(merged)


def _alive_processes(folder: Path) -> list[int]:
    """The processes that still run; the gauges of those that crashed are removed."""
    recorded = {int(file.stem.rsplit("_", 1)[1]) for file in folder.glob("*_*.db")}
    alive = {process for process in recorded if _runs(process)}
    for process in recorded - alive:
        mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
    return sorted(alive)


def _runs(process: int) -> bool:
    """Whether a process runs; one that ended stays in the list until its parent has looked."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # not there, or ended while it was read
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


class Processes(Collector):
    """Process metrics of several processes: their sums, and the start time of the newest.

    A replaced worker therefore shows as a restart. Memory that the processes share is counted for
    each of them.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self.processes = list(processes)

    def collect(self) -> Iterable[Metric]:
        """One family for each metric of `ProcessCollector`."""
        sums: dict[str, Metric] = {}
        for process in self.processes:
            for family in ProcessCollector(pid=partial(int, process), registry=None).collect():
                total = sums.setdefault(family.name, family)
                if total is not family:
                    _add(total, family)
        return sums.values()


def _add(total: Metric, family: Metric) -> None:
    (one,), (other,) = total.samples, family.samples
    value = max(one.value, other.value) if one.name == _STARTED else one.value + other.value
    total.samples = [one._replace(value=value)]
