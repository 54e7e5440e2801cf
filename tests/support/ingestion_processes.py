"""The producer, a broker that can die, and what tests read from Kafka and from the simulator."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from kafka import KafkaConsumer, TopicPartition
from local.broker import Broker
from local.ports import accepts, free_port
from tests.support.processes import Part

from core.settings import ROOT
from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from data_ingestion.journal import Journal

DOOR = ROOT / "src" / "data_ingestion"


def wait_for(ready: Callable[[], object], seconds: float = 120) -> None:
    """Wait until `ready` returns true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"not ready within {seconds} s"
        time.sleep(0.2)


class KillableBroker:
    """A real broker in its own folder, which can die and come back on the same port."""

    def __init__(self, folder: Path) -> None:
        kafka = Broker(folder, free_port(), free_port())
        kafka.prepare()
        self._port = kafka.port
        self._part = Part(kafka.command(), folder / "broker.log", {})
        self.servers = f"localhost:{kafka.port}"

    def start(self) -> None:
        """Start it unless it runs; returns when it listens."""
        self._part.start()
        wait_for(lambda: accepts(self._port))

    def kill(self) -> None:
        self._part.kill()


class ProducerProcess:
    """The producer's door, run from its own folder as a person would."""

    def __init__(self, servers: str, source: str, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "producer.log"
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "BLOCKCHAIN_API_URL": source,
            "DATA_DIR": str(folder),
            "PRODUCER_METRICS_PORT": str(self.port),
        } | {name.upper(): str(value) for name, value in settings.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "kafka_producer.py"],
                cwd=DOOR,
                env=os.environ | self._environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> list[str]:
        """End it by `kill -9`; returns the keys of the held records."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        return self.held()

    def end(self) -> int:
        """End it by SIGTERM; returns its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def held(self) -> list[str]:
        """The keys of the records that its journal holds for the broker."""
        if not (self.folder / "producer" / "journal.sqlite").exists():
            return []
        journal = Journal(self.folder / "producer" / "journal.sqlite", days=14)
        keys = [record.key for record in journal.held()]
        journal.close()
        return keys

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        lines = self.get("/metrics").text.splitlines()
        samples = [line for line in lines if line.startswith(f"bitcoin_producer_{name}")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples)


@contextmanager
def started(producer: ProducerProcess) -> Iterator[ProducerProcess]:
    """Start it, and kill it at the end of the block."""
    producer.start()
    try:
        yield producer
    finally:
        sys.stdout.write(producer.log.read_text()[-4000:])  # shown when the test fails
        if producer.process is not None:
            producer.process.kill()
            producer.process.wait()


class TopicReader:
    """Reads what is published to the topics after it was created.

    Each read has its own consumer: one that lives through a broker's death leaks its sockets.
    """

    def __init__(self, servers: str) -> None:
        self._servers = servers
        with self._consumer() as (consumer, partitions):
            self._next: dict[TopicPartition, int] = consumer.end_offsets(partitions)
        self.keys: set[str] = set()
        self.hashes: Counter[str] = Counter()
        self.blocks: list[bytes] = []
        self.dead_letters: list[bytes] = []

    @contextmanager
    def _consumer(self) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
        consumer = KafkaConsumer(bootstrap_servers=self._servers, max_poll_records=5_000)
        try:
            topics = (TRANSACTIONS, BLOCKS, DEAD_LETTERS)
            parts = [(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic)]
            partitions = [TopicPartition(topic, n) for topic, n in parts]
            consumer.assign(partitions)
            yield consumer, partitions
        finally:
            consumer.close()

    def read(self) -> "TopicReader":
        """Read everything that has been published by now."""
        with self._consumer() as (consumer, partitions):
            ends = consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, self._next[partition])
            while any(self._next[p] < ends[p] for p in partitions):
                for partition, records in consumer.poll(500).items():
                    self._add(partition.topic, records)
                    self._next[partition] = records[-1].offset + 1
        return self

    def _add(self, topic: str, records: list[Any]) -> None:
        self.keys |= {record.key.decode() for record in records}
        if topic == TRANSACTIONS:
            self.hashes.update(record.key.decode() for record in records)
        else:
            values = self.blocks if topic == BLOCKS else self.dead_letters
            values += [record.value for record in records]

    def repeats(self) -> set[str]:
        return {key for key, times in self.hashes.items() if times > 1}


class SimulatorControl:
    """The simulator's own endpoints."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str) -> Any:
        answer = requests.post(f"{self.url}/simulator/{path}", timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return requests.get(f"{self.url}/simulator/{path}", timeout=60).json()

    def mined(self) -> set[str]:
        """Every transaction of the main chain."""
        return set(self.get("truth")["mined"])

    def shortest_pause(self) -> float:
        """The shortest time between two requests, in seconds."""
        times: list[float] = sorted(one["monotonic"] for one in self.get("requests"))
        return min(after - before for before, after in zip(times, times[1:], strict=False))
