"""The stream on a real broker: throughput, latency, processor time and memory.

python -m benchmarks.stream [HASHES]     500,000 distinct hashes by default

Each row is a new stream process on a new data folder, with 200 trees. The peer does less: Spark's
own removal of repeats on RocksDB and one Delta table, no validation and no scoring.
"""

import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import yaml
from benchmarks.stream_lake import fill
from benchmarks.stream_pace import (
    MEASURED_SECONDS,
    WARM_UP_SECONDS,
    Pace,
    at_rates,
    family,
    feed,
    rows_of,
)
from benchmarks.stream_peer import PeerProcess
from kafka import KafkaProducer
from local.broker import Broker
from local.services import LIMITS
from tests.support.stream_processes import KafkaProcess, StreamProcess, wait_for
from tests.support.stream_samples import a_transaction, as_json

from core.settings import ROOT, StreamSettings
from core.topics import TRANSACTIONS

AS_BY_DEFAULT = {**LIMITS, "TRIGGER_SECONDS": "", "STATISTICS_SECONDS": ""}
"""As the stack runs it. Without its limits on threads and on malloc's arenas, memory depends on the
number of cores and on chance."""

TRIGGERS = ("5", "")
"""Seconds from one micro-batch to the next, side by side; none is the default."""

AIMS = {"seconds": "2.0 s", "cores": "0.50"}
SEEN_HASHES = 2_000_000
GIB = 2**30


def main() -> None:
    """Print one table."""
    hashes = hashes_asked(500_000)
    print("| what | measured | aim |\n|---|---:|---:|", flush=True)
    with folder_and_broker() as (folder, kafka):
        publish(kafka.servers, hashes)
        rate = throughput(StreamProcess(folder / "load", kafka.servers, folder / "log"), hashes)
        print(f"| Kafka to scored, {hashes:,} hashes | {rate:,.0f}/s | 16,000/s |", flush=True)
        peer = throughput(PeerProcess(folder / "peer", kafka.servers, folder / "log"), hashes)
        print(f"| … Spark's own removal of repeats, unscored | {peer:,.0f}/s | |")
        print(f"| … this stream against that | {rate / peer:.2f} x | |", flush=True)
    for trigger in TRIGGERS:
        with folder_and_broker() as (folder, kafka):
            settings = AS_BY_DEFAULT | {"TRIGGER_SECONDS": trigger}
            show(trigger, at_rates(folder, kafka, settings, [50, 7]))
    with folder_and_broker() as (folder, kafka):
        size, peak = memory_with_many_hashes(folder, kafka)
        print(f"| driver, {SEEN_HASHES:,} hashes in memory | {size / GIB:.2f} GiB | 2 GiB |")
    limit = container_limit()
    print(f"| … with its workers, at most | {peak / GIB:.2f} GiB | {limit / GIB:.2f} GiB |")
    if peak > limit:
        sys.exit("the stream takes more memory than its container has")


def hashes_asked(default: int, position: int = 1) -> int:
    """HASHES, at its position on the command line.

    Ends with an error where the first commit, from which on a rate is measured, has all of them.
    """
    hashes = int(sys.argv[position]) if len(sys.argv) > position else default
    if 0 < hashes <= (least := StreamSettings().max_batch_records):
        sys.exit(f"HASHES: more than {least}, which is one micro-batch")
    return hashes


def show(trigger: str, paces: list[Pace]) -> None:
    """Print how long transactions took at each rate, and where the time went."""
    words = f"{trigger} s between micro-batches" if trigger else "by default"
    aims = dict.fromkeys(("seconds", "cores"), "") if trigger else AIMS
    for pace in paces:
        at = f"at {pace.a_second}/s, {words}"
        print(f"| published to scored, p95, {at} | {pace.age:.1f} s | {aims['seconds']} |")
        print(f"| … first seen to scored, p95 | {pace.seen_age:.1f} s | |")
        print(f"| … processor | {pace.cores:.2f} cores | {aims['cores']} |")
        print(f"| … micro-batches | {pace.batches} in {MEASURED_SECONDS} s | |")
        stages = ", ".join(f"{name} {ms:.0f}" for name, ms in pace.milliseconds.items() if ms >= 1)
        print(f"| … milliseconds of one: {stages} | {sum(pace.milliseconds.values()):.0f} | |")
        sys.stdout.flush()


@contextmanager
def folder_and_broker() -> Iterator[tuple[Path, KafkaProcess]]:
    """A temporary folder and a broker in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kafka = KafkaProcess(folder / "kafka", Broker)
        kafka.start()
        try:
            yield folder, kafka
        finally:
            kafka.kill()


def publish(servers: str, count: int, **fields: Any) -> None:
    """Publish distinct transactions, all with these fields, as fast as possible."""
    rng = random.Random(1)
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=50, batch_size=2**18)
    for _ in range(count):
        transaction = a_transaction(rng, **fields)
        producer.send(TRANSACTIONS, as_json(transaction), key=transaction["hash"].encode())
    producer.flush()
    producer.close()


def throughput(stream: StreamProcess, hashes: int) -> float:
    """Rows a second from the first commit seen to the last one."""
    stream.settings = AS_BY_DEFAULT | {"TRIGGER_SECONDS": "0"} | stream.settings
    stream.start()
    try:
        wait_for(lambda: rows_of(stream) > 0, "the first commit", 600)
        first, begun = rows_of(stream), time.monotonic()
        wait_for(lambda: rows_of(stream) >= hashes, "the last commit", 3_600)
        return (hashes - first) / (time.monotonic() - begun)
    finally:
        stream.kill()


def container_limit() -> int:
    """The memory that Docker gives the stream; bytes."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return int(services["spark"]["mem_limit"].removesuffix("m")) * 2**20


def memory_of(processes: list[psutil.Process]) -> int:
    """PSS of those that still run; bytes."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            total += process.memory_full_info().pss
    return total


@contextmanager
def highest_memory(stream: StreamProcess) -> Iterator[list[int]]:
    """Collect the PSS of the stream's processes, twice a second; bytes."""
    sizes: list[int] = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            with suppress(psutil.NoSuchProcess):
                sizes.append(memory_of(family(stream)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield sizes
    finally:
        done.set()
        watcher.join()


def memory_with_many_hashes(folder: Path, kafka: KafkaProcess) -> tuple[int, int]:
    """PSS with that many hashes in memory: of the driver, Python's and Java's part, at the end, and
    the highest of all processes since the start; bytes.
    """
    stream = StreamProcess(folder / "data", kafka.servers, folder / "log", AS_BY_DEFAULT)
    stream.start()
    wait_for(
        lambda: "event=query_started" in stream.log.read_text(errors="replace"), "the tables", 300
    )
    stream.stop()
    fill(stream.data, SEEN_HASHES)
    stream.log.rename(stream.log.with_suffix(".first"))
    stream.start()
    producer = KafkaProducer(bootstrap_servers=kafka.servers)
    try:
        with highest_memory(stream) as sizes:
            feed(producer, random.Random(4), 50, 1)  # the first micro-batch loads the hashes
            loaded = f"event=seen_hashes_loaded hashes={SEEN_HASHES}"
            wait_for(lambda: loaded in stream.log.read_text(errors="replace"), "the hashes", 600)
            feed(producer, random.Random(3), 50, WARM_UP_SECONDS)
        driver = [
            process
            for process in family(stream)
            if process.status() != psutil.STATUS_ZOMBIE
            and "pyspark.daemon" not in process.cmdline()
        ]
        return memory_of(driver), max(sizes)
    finally:
        producer.close()
        stream.kill()


if __name__ == "__main__":
    main()
