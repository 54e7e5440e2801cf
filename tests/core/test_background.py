"""A background loop outlives every failure, and shows when it no longer turns."""

import logging
import subprocess
import sys
from pathlib import Path
from queue import Queue
from threading import Event

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from core.background import LATE_SECONDS, BackgroundLoop


def test_a_loop_goes_on_after_failures_and_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    errors = [OSError(28, "No space left on device"), OSError(28, "No space left on device"), None]
    results: Queue[bool] = Queue()

    def step() -> None:
        error = errors.pop(0) if errors else None
        if error is not None:
            raise error

    loop = BackgroundLoop("champion", step, 0.001)
    loop.on_turn = results.put
    loop.start()
    assert [results.get(timeout=30) for _ in range(4)] == [False, False, True, True]
    loop.stop()
    assert loop.failures == 2
    assert [record.getMessage() for record in caplog.records] == [
        "event=turn_failed loop=champion reason=OSError: [Errno 28] No space left on device",
        "event=turn_succeeds_again loop=champion",
    ]


def test_a_failure_is_the_problem_until_a_turn_succeeds() -> None:
    steps = [KeyError("version"), None]

    def step() -> None:
        error = steps.pop(0)
        if error is not None:
            raise error

    loop = BackgroundLoop("heartbeat", step, 1)
    problems = []
    for _ in range(2):
        loop.turn()
        problems.append(loop.problem)
    assert problems == ["KeyError: 'version'", None]
    assert loop.failures == 1


def test_a_loop_that_hangs_is_late_and_one_that_fails_is_not() -> None:
    now = 1_000.0
    loop = BackgroundLoop("champion", lambda: 1 / 0, 5, lambda: now)
    now += LATE_SECONDS - 1
    sentences = [loop.lateness]
    now += 1
    sentences.append(loop.lateness)
    loop.turn()
    sentences.append(loop.lateness)
    late = "the loop champion has not turned for 600 s: restart the service"
    assert sentences == [None, late, None]


def test_a_loop_stops_at_the_end_of_its_turn() -> None:
    begun, finish, ended = Event(), Event(), Event()

    def step() -> None:
        begun.set()
        finish.wait(30)
        ended.set()

    loop = BackgroundLoop("recent-rows", step, 60)
    loop.start()
    assert begun.wait(30)
    loop.stop(timeout=0.01)
    ended_early = ended.is_set()
    finish.set()
    loop.stop()
    assert (ended_early, ended.is_set()) == (False, True)


READS_WITHOUT_END = """
import sys
from deltalake import DeltaTable
from core.background import BackgroundLoop
from core.lake import query

reads = [BackgroundLoop("reads", lambda: query("SELECT * FROM t", t=DeltaTable(sys.argv[1])), 0)]
reads.append(BackgroundLoop("opens", lambda: DeltaTable(sys.argv[1]), 0))
begun = [loop.last_turn for loop in reads]
for loop in reads:
    loop.start()
while reads[0].last_turn == begun[0] or reads[1].last_turn == begun[1]:
    pass
"""


def test_a_process_ends_in_peace_while_its_loops_read_tables(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"number": range(1000)}))
    command = [sys.executable, "-c", READS_WITHOUT_END, str(tmp_path)]
    assert [subprocess.run(command).returncode for _ in range(3)] == [0, 0, 0]
