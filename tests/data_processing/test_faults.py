"""Nothing is lost and nothing doubled, whatever is killed: the stream as a process of its own."""

import gc
import logging
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from local.broker import Broker
from local.ports import free_port
from tests.data_processing.processes import QUICK_JAVA, KafkaProcess, Load, StreamProcess, wait
from tests.support.processes import missing

from core.lake import open_table, query

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(1_200),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def let_go(caplog: pytest.LogCaptureFixture) -> None:
    """A captured record of kafka-python's would hold the connection it tells of, and its socket."""
    caplog.set_level(logging.CRITICAL, logger="kafka")


def values(data: Path, table: str, column: str) -> Counter[object]:
    """Each value of a column and how often it is there; empty while there is no table."""
    found = open_table(str(data / "lake"), table, "simulated")
    if found is None:
        return Counter()
    rows = query(f'SELECT "{column}" AS v FROM {table}', **{table: found})
    return Counter(rows["v"].to_pylist())


class Rig:
    """A broker, a stream and a load, to be killed at will."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.kafka = KafkaProcess(Broker(folder / "kafka", free_port(), free_port()))
        self.kafka.start()
        self.stream = StreamProcess(
            self.data, self.kafka.servers, folder / "stream.log", QUICK_JAVA
        )
        self.load = Load(self.kafka.servers)
        self.rng = random.Random()

    def rows(self) -> int:
        return sum(values(self.data, "scored_transactions", "hash").values())

    def wait_for_progress(self) -> None:
        before = self.rows()

        def more() -> bool:
            self.stream.keep_alive()
            return self.rows() > before

        wait(more, "rows to be scored")

    def settle(self) -> None:
        """Stop the load and wait until all that was acknowledged has arrived."""
        self.load.stop()

        def arrived() -> bool:
            self.stream.keep_alive()
            there = set(values(self.data, "scored_transactions", "hash"))
            bad = set(values(self.data, "quarantine", "value"))
            return self.load.sent <= there and self.load.garbage <= bad

        wait(arrived, "everything that was published")

    def assert_once(self) -> None:
        raw = values(self.data, "raw_transactions", "hash")
        scored = values(self.data, "scored_transactions", "hash")
        assert set(raw) == set(scored)
        assert self.load.sent <= set(raw)
        for table, found in {
            "raw": raw,
            "scored": scored,
            "quarantine": values(self.data, "quarantine", "value"),
        }.items():
            assert [value for value, times in found.items() if times > 1] == [], table

    def close(self) -> None:
        self.load.stop()
        if self.stream.running is not None:
            self.stream.kill()
        self.kafka.kill()
        gc.collect()  # kafka-python leaves the sockets of refused connections to it: not later


@pytest.fixture
def rig(java: None, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.load.start()
    yield made
    made.close()


def kill_them(rig: Rig, streams: int, brokers: int, both: int) -> None:
    rig.stream.start()
    rig.wait_for_progress()
    for kind in ["stream"] * streams + ["broker"] * brokers + ["both"] * both:
        time.sleep(rig.rng.uniform(0, 3))  # a random moment of a micro-batch, not a wait
        if kind != "broker":
            rig.stream.kill()
        if kind != "stream":
            rig.kafka.kill()
            rig.kafka.start()
        rig.wait_for_progress()


def test_kill_9_of_stream_and_broker_loses_nothing_and_doubles_nothing(rig: Rig) -> None:
    """Also here, to start the processes once: a lost checkpoint, a second writer, SIGTERM."""
    kill_them(rig, streams=1, brokers=1, both=1)
    second = StreamProcess(rig.data, rig.kafka.servers, rig.data / "second.log", QUICK_JAVA)
    second.start()
    rig.settle()
    rig.assert_once()
    assert second.running is not None
    assert second.running.wait(120) == 1, "a second writer refuses to start"
    assert "another stream writes to this lake: process" in second.last_line()

    assert rig.stream.stop() == 0, "SIGTERM ends it cleanly"
    assert rig.stream.last_line().endswith("stream stopped on request")
    shutil.rmtree(rig.data / "checkpoints")
    rig.load = Load(rig.kafka.servers)
    rig.load.start()
    rig.stream.start()
    rig.wait_for_progress()
    rig.settle()
    rig.assert_once()


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_kill_9_twenty_times_the_broker_five_and_both_three(rig: Rig) -> None:
    kill_them(rig, streams=20, brokers=5, both=3)
    rig.settle()
    rig.assert_once()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        missing("mounting a small file system needs root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        missing("this machine cannot mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_it_loudly_and_it_goes_on_when_there_is_room(
    java: None, tmp_path: Path, small_disk: Path
) -> None:
    rig = Rig(tmp_path)
    rig.data = small_disk / "data"
    rig.stream.data = rig.data
    try:
        rig.load.start()
        rig.stream.start()
        rig.wait_for_progress()
        ballast = small_disk / "ballast"
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], capture_output=True)
        assert rig.stream.running is not None
        assert rig.stream.running.wait(180) == 1
        assert "No space left on device" in rig.stream.last_line()
        for table in ("raw_transactions", "scored_transactions", "quarantine"):
            assert max(values(rig.data, table, "append_time").values()) >= 1, "readable, not torn"
        ballast.unlink()
        rig.wait_for_progress()
        rig.settle()
        rig.assert_once()
    finally:
        rig.close()
