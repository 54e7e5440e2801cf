"""Nothing is lost and nothing doubled, whatever is killed: the stream as a separate process."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient
from tests.support.delta_tables import cut_off_checkpoint
from tests.support.processes import missing
from tests.support.stream_processes import (
    QUICK_JAVA,
    KafkaProcess,
    Load,
    StreamProcess,
    wait_for,
)
from tests.support.stream_rig import Rig, values

from core.topics import TRANSACTIONS, ensure_topics

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def kafka_process(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaProcess]:
    """A broker to kill; the next test continues on its log."""
    process = KafkaProcess(tmp_path_factory.mktemp("killed_kafka"))
    process.start()
    yield process
    process.kill()


@pytest.fixture
def rig(kafka_process: KafkaProcess, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(kafka_process, tmp_path, tmp_path / "data")
    rig.load.start()
    yield rig
    rig.close()


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
    kafka_process: KafkaProcess, tmp_path: Path, small_disk: Path
) -> None:
    rig = Rig(kafka_process, tmp_path, small_disk / "data")
    try:
        rig.load.start()
        rig.stream.start()
        rig.wait_for_progress()
        ballast = small_disk / "ballast"
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], capture_output=True)
        assert rig.stream.running is not None
        assert rig.stream.running.wait(180) == 1
        lines = rig.stream.log.read_text(errors="replace").splitlines()  # Java may write after it
        assert "No space left on device" in [x for x in lines if "event=stream_failed" in x][-1]
        for table in ("raw_transactions", "scored_transactions", "quarantine"):
            assert max(values(rig.data, table, "append_time").values()) >= 1, "readable, not torn"
        ballast.unlink()
        rig.wait_for_progress()
        rig.settle()
        rig.assert_once()
    finally:
        rig.close()


ONE_OF_EACH = "stream broker both "
"""What is killed, one after the other."""

LONG_RUN = [pytest.mark.soak, pytest.mark.timeout(3_600)]


def kill_them(rig: Rig, kills: str) -> None:
    rig.stream.start()
    rig.wait_for_progress()
    for kind in kills.split():
        time.sleep(rig.rng.uniform(0, 3))  # a random moment of a micro-batch, not a wait
        if kind != "broker":
            rig.stream.kill()
        if kind != "stream":
            rig.kafka.kill()
            rig.kafka.start()
        rig.wait_for_progress()


@pytest.mark.parametrize("kills", [ONE_OF_EACH, pytest.param(ONE_OF_EACH * 5, marks=LONG_RUN)])
def test_kill_9_of_stream_and_broker_loses_nothing_and_doubles_nothing(
    rig: Rig, kills: str
) -> None:
    """Also, since the processes run already: a lost checkpoint, a second writer, SIGTERM."""
    kill_them(rig, kills)
    second = StreamProcess(
        rig.data, rig.kafka.servers, rig.folder / "second.log", QUICK_JAVA, lock_seconds=1
    )
    second.start()
    rig.settle()
    rig.assert_once()
    assert second.running is not None
    assert second.running.wait(120) == 1, "a second writer refuses to start"
    assert "another stream writes to this lake: process" in second.last_line()

    assert rig.stream.stop() == 0, "SIGTERM ends it cleanly"
    assert rig.stream.last_line().endswith("event=stream_stopped reason=requested")
    shutil.rmtree(rig.data / "checkpoints")
    rig.load = Load(rig.kafka.servers)
    rig.load.start()
    rig.stream.start()
    rig.wait_for_progress()
    rig.settle()
    rig.assert_once()


def damage_what_a_power_failure_can(data: Path) -> None:
    """Empty the newest commit of a table and the query's newest offsets; cut a log's checkpoint."""
    lake, checkpoints = data / "lake", data / "checkpoints" / "stream"
    for name in ("raw_transactions", "scored_transactions"):
        cut_off_checkpoint(lake / name)
    newest = max((lake / "raw_transactions" / "_delta_log").glob("*.json"))
    newest.write_bytes(b"")
    for offsets in checkpoints.glob("*/offsets"):
        (offsets / str(max(int(file.name) for file in offsets.glob("[0-9]*")))).write_bytes(b"")


def damage_the_checkpoint(data: Path) -> None:
    for metadata in (data / "checkpoints" / "stream").glob("*/metadata"):
        metadata.unlink()


@pytest.mark.parametrize("damage", [damage_what_a_power_failure_can, damage_the_checkpoint])
def test_damaged_logs_and_checkpoints_are_repaired_at_the_start(
    rig: Rig, damage: Callable[[Path], None]
) -> None:
    rig.stream.start()
    rig.wait_for_progress()
    rig.wait_for_progress()
    rig.stream.kill()
    damage(rig.data)
    rig.stream.start()
    rig.settle()
    rig.assert_once()
    log = rig.stream.log.read_text(errors="replace")
    assert log.count("event=checkpoint_set_aside") == 1
    assert "event=stream_failed" not in log


def test_partitions_are_added_and_a_topic_is_made_anew_while_it_runs(rig: Rig) -> None:
    rig.stream.start()
    rig.wait_for_progress()
    admin = KafkaAdminClient(bootstrap_servers=rig.kafka.servers)
    partitions = len(admin.describe_topics([TRANSACTIONS])[0]["partitions"]) + 2
    admin.create_partitions({TRANSACTIONS: partitions})
    rig.load.stop()
    rig.load = Load(rig.kafka.servers)
    rig.load.start()
    wait_for(lambda: partitions - 1 in values(rig.data, "raw_transactions", "partition"), "rows")
    rig.settle()
    rig.assert_once()

    admin.delete_topics([TRANSACTIONS])
    wait_for(lambda: TRANSACTIONS not in admin.list_topics(), "the topic to be gone")
    ensure_topics(rig.kafka.servers, 2)
    admin.close()
    before, rig.load = rig.load.sent, Load(rig.kafka.servers)
    rig.load.sent |= before
    rig.load.start()
    rig.settle()
    rig.assert_once()
