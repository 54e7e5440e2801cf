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
from benchmarks.stream_lake import ages_when_seen, fill, percentile, rows_in
from benchmarks.stream_peer import PeerProcess
from kafka import KafkaProducer
from local.broker import Broker
from local.services import LIMITS
from tests.support.stream_processes import KafkaProcess, StreamProcess, wait_for
from tests.support.stream_samples import a_transaction, as_json

from core.settings import ROOT
from core.topics import TRANSACTIONS

AS_BY_DEFAULT = {**LIMITS, "TRIGGER_SECONDS": "", "STATISTICS_SECONDS": ""}
"""As the stack runs it. Without its limits on threads and on malloc's arenas, memory depends on the
number of cores and on chance."""

WARM_UP_SECONDS, MEASURED_SECONDS = 40, 60
SEEN_HASHES = 2_000_000
GIB = 2**30


def main() -> None:
    """Print one table."""
    hashes = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    print("| what | measured | aim |\n|---|---:|---:|", flush=True)
    with folder_and_broker() as (folder, kafka):
        publish(kafka.servers, hashes)
        rate = throughput(StreamProcess(folder / "load", kafka.servers, folder / "log"), hashes)
        print(f"| Kafka to scored, {hashes:,} hashes | {rate:,.0f}/s | 8,000/s |", flush=True)
        peer = throughput(PeerProcess(folder / "peer", kafka.servers, folder / "log"), hashes)
        print(f"| … Spark's own removal of repeats, unscored | {peer:,.0f}/s | |")
        print(f"| … this stream against that | {rate / peer:.2f} x | |", flush=True)
    with folder_and_broker() as (folder, kafka):
        seconds, cores = at_rate(folder, kafka, 50)
        print(f"| published to scored, p95, at 50/s | {seconds:.1f} s | 12 s |")
        print(f"| … processor, at 50/s | {cores:.2f} cores | |", flush=True)
    with folder_and_broker() as (folder, kafka):
        seconds, cores = at_rate(folder, kafka, 7)
        print(f"| processor, at mainnet's 7/s | {cores:.2f} cores | 0.50 |")
        print(f"| … published to scored, p95, at 7/s | {seconds:.1f} s | |", flush=True)
    with folder_and_broker() as (folder, kafka):
        size, peak = memory_with_many_hashes(folder, kafka)
        print(f"| driver, {SEEN_HASHES:,} hashes in memory | {size / GIB:.2f} GiB | 2 GiB |")
    limit = container_limit()
    print(f"| … with its workers, at most | {peak / GIB:.2f} GiB | {limit / GIB:.2f} GiB |")
    if peak > limit:
        sys.exit("the stream takes more memory than its container has")


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
    stream.settings = AS_BY_DEFAULT | {"TRIGGER_SECONDS": "0"}
    stream.start()
    try:
        wait_for(lambda: rows_of(stream) > 0, "the first commit", 600)
        first, begun = rows_of(stream), time.monotonic()
        wait_for(lambda: rows_of(stream) >= hashes, "the last commit", 3_600)
        return (hashes - first) / (time.monotonic() - begun)
    finally:
        stream.kill()


def rows_of(stream: StreamProcess) -> int:
    """Rows in the table of a running stream."""
    assert stream.running is not None
    assert stream.running.poll() is None, stream.last_line()
    return rows_in(stream.data, stream.table)


def at_rate(folder: Path, kafka: KafkaProcess, a_second: int) -> tuple[float, float]:
    """The 95th percentile of seconds to scored, and processor seconds a second, all processes."""
    stream = StreamProcess(folder / "data", kafka.servers, folder / "log", AS_BY_DEFAULT)
    stream.start()
    producer, rng = KafkaProducer(bootstrap_servers=kafka.servers), random.Random(2)
    try:
        feed(producer, rng, a_second, WARM_UP_SECONDS)
        wait_for(lambda: rows_of(stream) > 0, "the first commit", 600)
        feed(producer, rng, a_second, WARM_UP_SECONDS)
        before, begun = processor_seconds(stream), time.monotonic()
        with ages_when_seen(stream.data) as ages:
            feed(producer, rng, a_second, MEASURED_SECONDS)
        used = processor_seconds(stream) - before
        return percentile(ages, 95), used / (time.monotonic() - begun)
    finally:
        producer.close()
        stream.kill()


def feed(producer: KafkaProducer, rng: random.Random, a_second: int, seconds: float) -> None:
    """Publish evenly for some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        transaction = a_transaction(rng)
        producer.send(TRANSACTIONS, as_json(transaction), key=transaction["hash"].encode())
        time.sleep(1 / a_second)
    producer.flush()


def family(stream: StreamProcess) -> list[psutil.Process]:
    """The processes of Python's driver, Java and the workers."""
    assert stream.running is not None
    driver = psutil.Process(stream.running.pid)
    return [driver, *driver.children(recursive=True)]


def processor_seconds(stream: StreamProcess) -> float:
    """Processor time of all processes so far, ended workers included."""
    times = [process.cpu_times() for process in family(stream)]
    own = sum(t.user + t.system for t in times)
    return own + sum(t.children_user + t.children_system for t in times[:1])


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
