"""Archives of the classes that Kafka and Spark load, from which both start sooner.

    python -m local.class_archives

Java writes such an archive when a process ends (JEP 350, dynamic class data sharing), so each is
run once: Kafka with some records, and the stream until it has written them. Does nothing when the
archives fit the jars and the Java of now. Java itself ignores an archive that does not fit.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from kafka import KafkaProducer

from core.lake import open_table
from core.settings import ROOT
from core.topics import TRANSACTIONS, ensure_topics
from local import jars
from local.broker import Broker
from local.ports import accepts, free_port

NAMES = ("kafka", "spark")
SECONDS = 240
"""The longest time for one step: a start, what is waited for, or an end with its archive."""

_RECORDS = 20


class ArchiveError(RuntimeError):
    """A process did not do what it was run for; the message is the end of its log."""


def make(folder: Path = jars.JARS) -> bool:
    """Make both archives unless those in the folder fit; whether they were made."""
    with (folder / "lock").open("w") as lock, tempfile.TemporaryDirectory() as work:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = folder / "archived", _fingerprint(folder)
        if stamp.is_file() and stamp.read_text() == wanted:
            return False
        for name in NAMES:
            jars.class_archive(name, folder).unlink(missing_ok=True)
        _run_both(Path(work))
        for name in NAMES:
            _keep(Path(work) / f"{name}.jsa", jars.class_archive(name, folder))
        stamp.write_text(wanted)
    return True


def _fingerprint(folder: Path) -> str:
    """A digest of what an archive depends on: Java, and the place, size and age of every jar."""
    java = subprocess.run(["java", "-version"], capture_output=True, check=True).stderr
    folders = [folder / "kafka", folder / "spark", jars.of_pyspark()]
    found = sorted(jar for each in folders for jar in each.glob("*.jar"))
    files = [f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in found]
    return hashlib.sha256(java + "\n".join(files).encode()).hexdigest()


def _run_both(work: Path) -> None:
    broker = Broker(work / "kafka", free_port(), free_port())
    broker.prepare()
    servers, lake = f"localhost:{broker.port}", str(work / "data" / "lake")
    with _running(broker.command(), work, "kafka") as wait:
        wait(lambda: accepts(broker.port))
        ensure_topics(servers, 1)
        with _running(_stream(), work, "spark", _settings(work, servers)) as wait:
            producer = KafkaProducer(bootstrap_servers=servers)
            for _ in range(_RECORDS):
                producer.send(TRANSACTIONS, b"no transaction")
            producer.close()
            wait(lambda: _quarantined(lake) == _RECORDS)


def _stream() -> list[str]:
    return [sys.executable, str(ROOT / "src" / "data_processing" / "spark_streaming.py")]


def _settings(work: Path, servers: str) -> dict[str, str]:
    return {
        "DATA_DIR": str(work / "data"),
        "DATA_ORIGIN": "simulated",
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "MLFLOW_TRACKING_URI": "http://localhost:9",
        "SPARK_JARS_DIR": str(jars.JARS / "spark"),
        "SPARK_UI_PORT": str(free_port()),
        "STREAM_METRICS_PORT": str(free_port()),
    }


def _quarantined(lake: str) -> int:
    table = open_table(lake, "quarantine", "simulated")
    return 0 if table is None else table.count()


@contextmanager
def _running(
    command: list[str], work: Path, name: str, settings: Mapping[str, str] | None = None
) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Run a command in a group of its own; yields how to wait for something it does.

    At the end of the block it is asked to end, and waited for: Java writes the archive then.
    """
    log, archive = work / f"{name}.log", work / f"{name}.jsa"
    java = {"JDK_JAVA_OPTIONS": f"-XX:ArchiveClassesAtExit={archive}"}
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            env={**os.environ, **java, **(settings or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def wait(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not done():
            if running.poll() is not None or time.monotonic() > deadline:
                raise ArchiveError(log.read_text(errors="replace")[-2_000:])
            time.sleep(0.2)

    try:
        yield wait
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(SECONDS)
        _wait_for_group(running.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _wait_for_group(group: int) -> None:
    """Wait until the last process of a group has ended: Java ends after the stream."""
    deadline = time.monotonic() + SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.2)


def _keep(made: Path, archive: Path) -> None:
    """Move an archive to its place, whole or not at all: Java would crash on a part of one."""
    copy = archive.with_suffix(".new")
    shutil.copyfile(made, copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    copy.rename(archive)


def main() -> None:
    """Make what is missing; where that fails, say so: the stack starts without them, slower."""
    try:
        if make():
            print("the classes of Kafka and Spark are archived: both start faster")
    except (ArchiveError, OSError, subprocess.SubprocessError) as error:
        print(f"no class archives, so Kafka and Spark start slower: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
