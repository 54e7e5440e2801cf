"""The metrics of several processes, reported as one service's."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from monitoring.exposition import Processes

STARTED = "process_start_time_seconds"


def exported(*processes: int) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Processes(processes))
    return {s.name: s.value for family in registry.collect() for s in family.samples}


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, younger than this one, which waits until its input is closed."""
    command = [sys.executable, "-c", "print(flush=True); input()"]
    piped = subprocess.PIPE
    with subprocess.Popen(command, stdin=piped, stdout=piped, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stdout.readline()
        yield process


def test_metrics_are_summed_and_the_start_is_that_of_the_youngest(
    other: subprocess.Popen[bytes],
) -> None:
    own, others, both = exported(os.getpid()), exported(other.pid), exported(other.pid, os.getpid())
    assert set(both) == set(own) and len(both) == 6
    assert both["process_max_fds"] == own["process_max_fds"] + others["process_max_fds"]
    resident = "process_resident_memory_bytes"
    assert both[resident] > max(own[resident], others[resident])
    assert both[STARTED] == others[STARTED] > own[STARTED]


def test_a_process_that_ended_counts_nothing(other: subprocess.Popen[bytes]) -> None:
    other.kill()
    other.wait()
    assert set(exported(other.pid, os.getpid())) == set(exported(os.getpid()))
    assert not exported(other.pid)
