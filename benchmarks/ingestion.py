"""How fast ingestion publishes a block, what limits it, and how much memory the producer needs.

    python -m benchmarks.ingestion

A generated block of 5,000 transactions passes the real parts: msgspec, the journal on disk and a
broker on this machine. The process is bound to one core; the broker runs on the others.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import NamedTuple

import psutil
import requests
from local.broker import Broker
from local.ports import free_port
from prometheus_client import CollectorRegistry

from core.settings import ROOT, SimulatorSettings
from core.topics import ensure_topics
from data_ingestion.blockchain_client import RawBlock, decode_block
from data_ingestion.clock import SystemClock
from data_ingestion.journal import Journal, Record
from data_ingestion.kafka_delivery import KafkaDelivery
from data_ingestion.publishing import Delivery, Publisher, item_record
from data_ingestion.simulation.network import Network
from data_ingestion.simulation.simulator_service import Simulator
from monitoring.producer_metrics import ProducerMetrics
from monitoring.simulator_metrics import SimulatorMetrics

BLOCK = 5_000
AIM = 10_000
MEMORY_AIM = 150
HOUR_BLOCKS, HOUR_BLOCK, HOUR_POLLS = 6, 4_200, 360


class NoDelivery:
    """A delivery that acknowledges at once."""

    def deliver(self, records: Sequence[Record]) -> None:
        """Do nothing."""


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """A real broker in this folder; yields its bootstrap servers."""
    kafka = Broker(folder, free_port(), free_port())
    kafka.prepare()
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(kafka.command(), stdout=log, stderr=log)
    try:
        while socket.socket().connect_ex(("127.0.0.1", kafka.port)):
            time.sleep(0.2)
        ensure_topics(f"localhost:{kafka.port}", partitions=2)
        yield f"localhost:{kafka.port}"
    finally:
        process.kill()
        process.wait()


def block_bodies(count: int) -> list[bytes]:
    """The JSON of `count` different blocks of `BLOCK` transactions."""
    bodies = []
    for seed in range(count):
        settings = SimulatorSettings(simulator_first_block=BLOCK)
        metrics = SimulatorMetrics(CollectorRegistry())
        block = Network(settings, seed, time.time(), metrics).chain.main[-1]
        bodies.append(b"".join(block.json(None, True)))
    return bodies


class Speed(NamedTuple):
    """Transactions a second, and microseconds of processor time for each."""

    rate: float
    microseconds: float


def speed_of(bodies: Sequence[bytes], step: Callable[[RawBlock], object]) -> Speed:
    """Decode each block and run `step` on it; the best of the blocks counts.

    The others had to share the core with other processes.
    """
    elapsed, processor = [], []
    for body in bodies:
        start, processor_start = time.perf_counter(), time.process_time()
        step(decode_block(body))
        elapsed.append(time.perf_counter() - start)
        processor.append(time.process_time() - processor_start)
    return Speed((BLOCK + 1) / min(elapsed), min(processor) / (BLOCK + 1) * 1e6)


def publisher(folder: Path, delivery: Delivery) -> Publisher:
    """A publisher with its own journal in this folder."""
    metrics = ProducerMetrics(CollectorRegistry())
    return Publisher(
        Journal(folder / "journal.sqlite", 14), delivery, SystemClock(Event()), metrics
    )


def print_speed(folder: Path, servers: str) -> None:
    """Print the table of speeds."""
    os.sched_setaffinity(0, {0})
    bodies = block_bodies(4)
    clock, metrics = SystemClock(Event()), ProducerMetrics(CollectorRegistry())
    delivery = KafkaDelivery(servers, 2, 8, clock, metrics)
    delivery.connect()
    journalled = publisher(folder / "disk", NoDelivery())
    delivered = publisher(folder / "kafka", delivery)
    rows = {
        "read and describe": speed_of(
            bodies, lambda raw: [item_record(item, 0, "block", 1) for item in raw.tx]
        ),
        "… and keep in the journal": speed_of(
            bodies, lambda raw: journalled.publish_block(raw, accept_unusable=False)
        ),
        "… and publish to the broker": speed_of(
            bodies, lambda raw: delivered.publish_block(raw, accept_unusable=False)
        ),
    }
    delivery.close()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    megabytes = sum(map(len, bodies)) / len(bodies) / 1e6
    print(f"A block of {BLOCK:,} transactions, {megabytes:.1f} MB of JSON, one core:\n")
    print("| step | transactions/s | of the aim | µs of the core each |\n|---|---:|---:|---:|")
    for step, (rate, microseconds) in rows.items():
        print(f"| {step} | {rate:,.0f} | {rate / AIM:.1f} × | {microseconds:.0f} |")


@contextmanager
def producer(folder: Path, servers: str, source: str) -> Iterator[tuple[psutil.Process, int]]:
    """The producer with a short request interval; yields its process and port."""
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "BLOCKCHAIN_API_URL": source,
        "DATA_DIR": str(folder),
        "PRODUCER_METRICS_PORT": str(port),
        "REQUEST_INTERVAL_SECONDS": "0.02",
        "LOG_LEVEL": "WARNING",
    }
    door = [sys.executable, str(ROOT / "src" / "data_ingestion" / "kafka_producer.py")]
    process = subprocess.Popen(door, env=os.environ | environment)
    try:
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(30)


def total(port: int, metric: str) -> float:
    """Sum of a metric of the producer over its labels; 0 before it answers."""
    try:
        lines = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text.splitlines()
    except requests.RequestException:
        return 0
    samples = [line for line in lines if line.startswith(f"bitcoin_producer_{metric}")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in samples)


def print_memory(folder: Path, servers: str) -> None:
    """Print the memory after the blocks and polls of none, one and two hours."""
    simulator = Simulator(
        SimulatorSettings(
            simulator_block_seconds=10**9,
            simulator_block_transactions=10_000,
            simulator_history=100_000,
        )
    )
    source = simulator.start()
    with producer(folder, servers, source) as (process, port):
        rows = [(0, memory_after(process, port, blocks=1))]
        for hour in range(1, 3):
            for _ in range(HOUR_BLOCKS):
                requests.post(f"{source}/simulator/burst?count={HOUR_BLOCK}", timeout=60)
                requests.post(f"{source}/simulator/mine", timeout=60)
                memory_after(process, port, blocks=1 + (hour - 1) * HOUR_BLOCKS)
            polls = total(port, "source_requests_total") + HOUR_POLLS
            while total(port, "source_requests_total") < polls:
                time.sleep(0.1)
            rows.append((hour, memory_after(process, port, blocks=1 + hour * HOUR_BLOCKS)))
    simulator.stop()
    print("\nMemory of the producer (resident), by hours of traffic published:\n")
    print("| hours | MiB | of the aim |\n|---:|---:|---:|")
    for hour, mebibytes in rows:
        print(f"| {hour} | {mebibytes:.0f} | {mebibytes / MEMORY_AIM:.2f} × |")


def memory_after(process: psutil.Process, port: int, blocks: int) -> float:
    """The resident memory in MiB once this many blocks are published."""
    while total(port, 'published_total{topic="bitcoin-blocks"}') < blocks:
        time.sleep(0.1)
    return float(process.memory_info().rss) / 2**20


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name) / "kafka") as servers:
        print_speed(Path(name), servers)
        print_memory(Path(name), servers)


if __name__ == "__main__":
    main()
