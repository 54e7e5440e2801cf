"""How fast ingestion takes a block in, what bounds it, and how much memory the producer needs.

    python -m benchmarks.ingestion

A generated block of 5,000 transactions through the real parts: msgspec, the journal on disk and a
broker on this machine. The process is held to one core; the broker runs on the others.
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
from data_ingestion.clock import SystemClock
from data_ingestion.delivery import KafkaDelivery
from data_ingestion.journal import Journal
from data_ingestion.publishing import Delivery, Publisher
from data_ingestion.raw_json import decode_block
from data_ingestion.records import Record
from data_ingestion.simulation.network import Network
from data_ingestion.simulator import Simulator
from monitoring.producer_metrics import ProducerMetrics
from monitoring.simulator_metrics import SimulatorMetrics

BLOCK = 5_000
AIM = 10_000
MEMORY_AIM = 150
HOUR_BLOCKS, HOUR_BLOCK, HOUR_POLLS = 6, 4_200, 360


class Nowhere:
    """A delivery that acknowledges at once."""

    def deliver(self, records: Sequence[Record]) -> None:
        """Take them."""


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """A real broker in this folder; its bootstrap servers."""
    kafka = Broker(folder, free_port(), free_port())
    kafka.prepare()
    with (folder / "broker.log").open("wb") as log:
        running = subprocess.Popen(kafka.command(), stdout=log, stderr=log)
    try:
        while socket.socket().connect_ex(("127.0.0.1", kafka.port)):
            time.sleep(0.2)
        ensure_topics(f"localhost:{kafka.port}", partitions=2)
        yield f"localhost:{kafka.port}"
    finally:
        running.kill()
        running.wait()


def bodies(count: int) -> list[bytes]:
    """The JSON of so many different blocks of `BLOCK` transactions."""
    made = []
    for seed in range(count):
        settings = SimulatorSettings(simulator_first_block=BLOCK)
        metrics = SimulatorMetrics(CollectorRegistry())
        block = Network(settings, seed, time.time(), metrics).chain.main[-1]
        made.append(b"".join(block.json(None, True)))
    return made


class Speed(NamedTuple):
    """Transactions a second by the clock, and microseconds of the core for each."""

    rate: float
    core: float


def speed_of(blocks: Sequence[bytes], take: Callable[[bytes], object]) -> Speed:
    """The best of the blocks: the others had company on the core."""
    clock, core = [], []
    for body in blocks:
        begun, worked = time.perf_counter(), time.process_time()
        take(body)
        clock.append(time.perf_counter() - begun)
        core.append(time.process_time() - worked)
    return Speed((BLOCK + 1) / min(clock), min(core) / (BLOCK + 1) * 1e6)


def publisher(folder: Path, delivery: Delivery) -> Publisher:
    """A publisher with a journal of its own in this folder."""
    metrics = ProducerMetrics(CollectorRegistry())
    return Publisher(
        Journal(folder / "journal.sqlite", 14), delivery, SystemClock(Event()), metrics
    )


def speed(folder: Path, servers: str) -> None:
    """Print the table of speeds."""
    os.sched_setaffinity(0, {0})
    blocks = bodies(4)
    clock, metrics = SystemClock(Event()), ProducerMetrics(CollectorRegistry())
    delivery = KafkaDelivery(servers, 2, 8, clock, metrics)
    delivery.connect()
    reading = publisher(folder / "none", Nowhere())
    keeping = publisher(folder / "disk", Nowhere())
    whole = publisher(folder / "kafka", delivery)
    rows = {
        "read and describe": speed_of(
            blocks, lambda b: reading._read(decode_block(b).tx, "block", 1)
        ),
        "… and keep in the journal": speed_of(
            blocks, lambda b: keeping.block(decode_block(b), False)
        ),
        "… and publish to the broker": speed_of(
            blocks, lambda b: whole.block(decode_block(b), False)
        ),
    }
    delivery.close()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    megabytes = sum(map(len, blocks)) / len(blocks) / 1e6
    print(f"A block of {BLOCK:,} transactions, {megabytes:.1f} MB of JSON, one core:\n")
    print("| step | transactions/s | of the aim | µs of the core each |\n|---|---:|---:|---:|")
    for step, found in rows.items():
        print(f"| {step} | {found.rate:,.0f} | {found.rate / AIM:.1f} × | {found.core:.0f} |")


@contextmanager
def producer(folder: Path, servers: str, source: str) -> Iterator[tuple[psutil.Process, int]]:
    """The producer as a process, asking often; the process and its port."""
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
    running = subprocess.Popen(door, env=os.environ | environment)
    try:
        yield psutil.Process(running.pid), port
    finally:
        running.terminate()
        running.wait(30)


def total(port: int, metric: str) -> float:
    """Sum of a metric of the producer over its labels; 0 before it answers."""
    try:
        lines = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text.splitlines()
    except requests.RequestException:
        return 0
    found = [line for line in lines if line.startswith(f"bitcoin_producer_{metric}")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def memory(folder: Path, servers: str) -> None:
    """Print the table of memory over an hour's equivalent of blocks and polls."""
    simulator = Simulator(
        SimulatorSettings(
            simulator_block_seconds=10**9,
            simulator_block_transactions=10_000,
            simulator_history=100_000,
        )
    )
    source = simulator.start()
    with producer(folder, servers, source) as (process, port):
        seen = [(0, _after(process, port, blocks=1))]
        for hour in range(1, 3):
            for _ in range(HOUR_BLOCKS):
                requests.post(f"{source}/simulator/burst?count={HOUR_BLOCK}", timeout=60)
                requests.post(f"{source}/simulator/mine", timeout=60)
                height = 1 + (hour - 1) * HOUR_BLOCKS
                _after(process, port, blocks=height)
            polls = total(port, "source_requests_total") + HOUR_POLLS
            while total(port, "source_requests_total") < polls:
                time.sleep(0.1)
            seen.append((hour, _after(process, port, blocks=1 + hour * HOUR_BLOCKS)))
    simulator.stop()
    print("\nMemory of the producer (resident), by hours' worth of traffic taken in:\n")
    print("| hours | MiB | of the aim |\n|---:|---:|---:|")
    for hour, mebibytes in seen:
        print(f"| {hour} | {mebibytes:.0f} | {mebibytes / MEMORY_AIM:.2f} × |")


def _after(process: psutil.Process, port: int, blocks: int) -> float:
    """The resident memory in MiB once so many blocks are published."""
    while total(port, 'published_total{topic="bitcoin-blocks"}') < blocks:
        time.sleep(0.1)
    return float(process.memory_info().rss) / 2**20


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name) / "kafka") as servers:
        speed(Path(name), servers)
        memory(Path(name), servers)


if __name__ == "__main__":
    main()
