"""A real broker and a real stream that can be killed and restarted, and a load to publish."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaProducer
from local import jars
from local.broker import Broker
from local.ports import accepts, free_port
from tests.support.processes import Part, kill_group
from tests.support.stream_samples import a_champion, a_transaction, as_json

from core.lake import open_table, query
from core.settings import ROOT
from core.topics import TRANSACTIONS, ensure_topics

TIMEOUT_SECONDS = 480.0
QUICK_JAVA = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""A test ends before the second compiler's work pays off."""


def values(lake: str, table: str, column: str) -> Counter[object]:
    """Each value of a column and how often it occurs; empty while there is no such table."""
    opened = open_table(lake, table, "simulated")
    if opened is None:
        return Counter()
    rows = query(f'SELECT "{column}" AS v FROM {table}', **{table: opened})
    return Counter(rows["v"].to_pylist())


def wait_for(
    ready: Callable[[], bool], what: str, seconds: float = TIMEOUT_SECONDS, every: float = 0.2
) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(every)


class QuickBroker(Broker):
    """A broker that can register again 2 s after it was killed, where Kafka's default is 9 s."""

    def properties(self) -> str:
        times = "broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\n"
        return super().properties() + times


class KafkaProcess:
    """A broker that restarts on the same port with the same log."""

    def __init__(self, folder: Path, broker: type[Broker] = QuickBroker) -> None:
        self.broker = broker(folder, free_port(), free_port())
        self.servers = f"localhost:{self.broker.port}"
        self.part = Part(self.broker.command(), folder / "broker.log", {})

    @property
    def running(self) -> subprocess.Popen[bytes] | None:
        return self.part.running

    def start(self) -> None:
        if self.running is None:
            self.broker.prepare()
        self.part.start()
        wait_for(lambda: accepts(self.broker.port), "the broker")
        ensure_topics(self.servers, 2)

    def kill(self) -> None:
        self.part.kill()


@dataclass
class StreamProcess:
    """The stream on a data folder; beside its log is the champion that it scores with."""

    data: Path
    servers: str
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None
    table: str = "scored_transactions"
    lock_seconds: float = 20.0

    def command(self) -> list[str]:
        champion = self.log.parent / "champion.pickle"
        if not champion.exists():
            champion.write_bytes(pickle.dumps(a_champion(trees=200, budget=0.001)))
        script = Path(__file__).parent / "stream_with_champion.py"
        return [sys.executable, str(script), str(champion), str(self.lock_seconds)]

    def start(self) -> None:
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "DATA_DIR": str(self.data),
            "DATA_ORIGIN": "simulated",
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "SPARK_MASTER": "local[2]",
            "SPARK_JARS_DIR": str(jars.JARS / "spark"),
            "SPARK_UI_PORT": str(free_port()),
            "STREAM_METRICS_PORT": str(free_port()),
            "TRIGGER_SECONDS": "1",
            "STATISTICS_SECONDS": "1",
        }
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command(),
                env=environment | self.settings,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def keep_alive(self) -> None:
        """Start it unless it runs, as Docker would."""
        if self.running is None or self.running.poll() is not None:
            self.start()

    def kill(self) -> None:
        """End Python, Java and the workers at once."""
        assert self.running is not None
        kill_group(self.running.pid)
        self.running.wait()

    def stop(self) -> int:
        """Ask it to end, as a whole group; its exit code."""
        assert self.running is not None
        os.killpg(self.running.pid, signal.SIGTERM)
        return self.running.wait(TIMEOUT_SECONDS)

    def last_line(self) -> str:
        return self.log.read_text(errors="replace").strip().splitlines()[-1]


class Load(threading.Thread):
    """Publishes distinct transactions, some of them three times, and garbage, until stopped.

    `sent` has the hashes and `garbage` the values that the broker has acknowledged, nothing else.
    Each time, `repeats` of the earlier transactions are sent again.
    """

    def __init__(self, servers: str, a_second: int = 100, repeats: int = 0) -> None:
        super().__init__(daemon=True)
        self._servers, self._a_second, self._repeats = servers, a_second, repeats
        self._earlier: list[tuple[bytes, bytes]] = []
        self._done = threading.Event()
        self.sent: set[str] = set()
        self.garbage: set[bytes] = set()
        self._rng = random.Random()

    def run(self) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self._servers,
            delivery_timeout_ms=300_000,
            max_block_ms=120_000,
            reconnect_backoff_max_ms=500,
        )
        while not self._done.wait(0.5):
            futures = []
            for number in range(self._a_second // 2):
                transaction = a_transaction(self._rng)
                value, key = as_json(transaction), transaction["hash"].encode()
                for _ in range(3 if number % 4 == 0 else 1):
                    future = producer.send(TRANSACTIONS, value, key=key)
                futures.append((future, transaction["hash"]))
            self._earlier.append((value, key))
            for old_value, old_key in self._rng.choices(self._earlier, k=self._repeats):
                producer.send(TRANSACTIONS, old_value, key=old_key)
            bad = self._rng.randbytes(12)
            bad_future = producer.send(TRANSACTIONS, b"!" + bad)
            producer.flush()
            self.sent |= {text for future, text in futures if future.succeeded()}
            self.garbage |= {b"!" + bad} if bad_future.succeeded() else set()
        producer.close()

    def stop(self) -> None:
        self._done.set()
        self.join(TIMEOUT_SECONDS)
