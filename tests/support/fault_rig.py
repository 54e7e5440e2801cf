"""Every service that carries transactions, as processes to damage; started again as Docker would.

The simulator, in the process of the test, feeds the producer. A load publishes to the same topic.
Producer, stream and API follow their real broker and their real MLflow.
"""

import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests
from local.ports import free_port
from tests.support.api_application import fitted, traffic
from tests.support.ingestion_processes import ProducerProcess, SimulatorControl
from tests.support.model_registry import register_pipeline
from tests.support.processes import answers, daemon
from tests.support.scale_parts import ScaleParts
from tests.support.store_server import StoreFile
from tests.support.stream_processes import QUICK_JAVA, KafkaProcess, Load, StreamProcess
from tests.support.tracking_server import TrackingServer

from core.lake import open_table, query
from core.registry.follower import promote
from core.settings import ROOT, SimulatorSettings
from data_ingestion.simulation.simulator_service import Simulator

RECOVER_SECONDS = 300.0
MOST_STARTS = 8
"""A service that is started so often in one recovery is in a loop of restarts."""

SPEED = 10
"""The simulator's clock and the producer run so many times as fast."""

PRODUCER = {
    "request_interval_seconds": 10 / SPEED,
    "request_timeout_seconds": 5,
    "block_timeout_seconds": 10,
    "backoff_max_seconds": 300 / SPEED,
    "grace_seconds": 4,
}
_SOURCE = SimulatorSettings(
    simulator_rate=1, simulator_first_block=300, simulator_block_seconds=600
)


class FollowingStream(StreamProcess):
    """The stream as its door starts it: it follows the champion in MLflow."""

    def command(self) -> list[str]:
        return [sys.executable, str(ROOT / "src" / "data_processing" / "spark_streaming.py")]


@dataclass
class Recovery:
    """The moment from which each service must show that it works again."""

    scored: int
    since: float
    starts: Counter[str] = field(default_factory=Counter)


class FaultRig:
    """All services over `folder`; the stream's data are in `data`, which may be a small disk.

    With `scale` the brokers, the workers and the store of the lake are its parts.
    """

    def __init__(
        self, folder: Path, data: Path, rng: random.Random, scale: ScaleParts | None = None
    ) -> None:
        self.folder, self.data, self.rng, self.scale = folder, data, rng, scale
        self.kafka = scale.brokers if scale else KafkaProcess(folder / "kafka")
        (folder / "mlflow").mkdir()
        self.mlflow = TrackingServer(folder / "mlflow")
        begun, self._port = time.time(), free_port()
        self._simulator = Simulator(
            _SOURCE,
            clock=lambda: begun + (time.time() - begun) * SPEED,
        )
        self.extra: set[str] = set()
        self._ended: set[str] = set()
        self.versions: list[str] = []
        self.source = SimulatorControl(f"http://127.0.0.1:{self._port}")
        self._make_services()

    def start(self) -> None:
        """Start everything with two versions in the registry, and wait until all of it works."""
        self.kafka.start()
        self.mlflow.start()
        rows = traffic(2_000)
        self.versions = [
            register_pipeline(self.mlflow.uri, fitted(rows, seed), self.folder) for seed in (0, 1)
        ]
        promote(self.mlflow.uri, self.versions[0])
        self._simulator.start(port=self._port)
        self.load.start()
        self.recover()
        self.save_journal()

    def _make_services(self) -> None:
        servers, uri = self.kafka.servers, self.mlflow.uri
        follow = {"MLFLOW_TRACKING_URI": uri, "CHAMPION_POLL_SECONDS": "5"}
        log = self.folder / "stream.log"
        on_scale = self.scale.settings if self.scale else {}
        settings = QUICK_JAVA | follow | on_scale
        self.stream = FollowingStream(self.data, servers, log, settings)
        self.producer = ProducerProcess(servers, self.source.url, self._new("producer"), **PRODUCER)
        self.api_port = free_port()
        self.api = daemon(
            ROOT / "src" / "api" / "app.py",
            self.folder / "api.log",
            follow
            | on_scale
            | {"API_PORT": str(self.api_port), "DATA_DIR": str(self.data)}
            | {"DATA_ORIGIN": "simulated", "API_MODEL_POLL_SECONDS": "2"},
        )
        self.load = Load(servers, a_second=50, repeats=5)

    def _new(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    @property
    def lake(self) -> str:
        return self.scale.lake if self.scale else str(self.data / "lake")

    def lake_file(self, name: str) -> Path | StoreFile:
        """A file of the lake, to be damaged, without Hadoop's checksum of it."""
        if self.scale:
            return self.scale.store.file(f"{self.lake}/{name}")
        path = Path(self.lake) / name
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
        return path

    @property
    def journal(self) -> Path:
        return self.folder / "producer" / "producer" / "journal.sqlite"

    @property
    def checkpoint(self) -> Path:
        """The folder of the query's newest checkpoint."""
        found = (self.data / "checkpoints").rglob("metadata")
        return max(found, key=lambda path: path.stat().st_mtime).parent

    def save_journal(self) -> None:
        """Copy the producer's journal, as a backup does."""
        with sqlite3.connect(self.journal) as journal, sqlite3.connect(self.saved_journal) as copy:
            journal.backup(copy)
        journal.close()
        copy.close()

    @property
    def saved_journal(self) -> Path:
        return self.folder / "saved.sqlite"

    def count(self, table: str, where: str = "true") -> int:
        """The rows of a table, 0 while it cannot be read."""
        try:
            opened = open_table(self.lake, table, "simulated")
            if opened is None:
                return 0
            rows = query(f"SELECT COUNT(*) AS n FROM {table} WHERE {where}", **{table: opened})
        except Exception:  # a damaged log: the stream repairs it, or time runs out
            return 0
        return int(rows["n"][0].as_py())

    def values(self, table: str, column: str) -> Counter[object]:
        """Each value of a column and how often it occurs."""
        opened = open_table(self.lake, table, "simulated")
        assert opened is not None, f"no table {table}"
        rows = query(f'SELECT "{column}" AS v FROM {table}', **{table: opened})
        return Counter(rows["v"].to_pylist())

    def wait_for(self, ready: Callable[[], bool], what: str) -> None:
        """Wait, and start again what has ended; fails with the logs' last lines."""
        recovery = Recovery(0, 0.0)
        deadline = time.monotonic() + RECOVER_SECONDS
        while not ready():
            self._keep_alive(recovery)
            assert time.monotonic() < deadline, f"{what}: never happened\n{self.last_lines()}"
            time.sleep(0.5)

    def recover(self) -> None:
        """Wait until every service works: nothing but starting what has ended may be needed."""
        recovery = Recovery(self.count("scored_transactions"), time.time())
        deadline = time.monotonic() + RECOVER_SECONDS
        while unwell := self._unwell(recovery):
            self._keep_alive(recovery)
            looping = [name for name, starts in recovery.starts.items() if starts > MOST_STARTS]
            assert not looping, f"{looping} end at every start\n{self.last_lines()}"
            assert time.monotonic() < deadline, f"{unwell}\n{self.last_lines()}"
            time.sleep(0.5)

    def _unwell(self, recovery: Recovery) -> list[str]:
        """What does not work yet, each with the reason."""
        unwell = []
        if self.count("scored_transactions") <= recovery.scored:
            unwell.append("stream: no new scored rows")
        if self._published() < recovery.since:
            unwell.append("producer: has published nothing")
        if not answers(f"http://127.0.0.1:{self.api_port}/ready"):
            unwell.append("api: /ready is not 200")
        if not answers(f"{self.mlflow.uri}/health"):
            unwell.append("mlflow: does not answer")
        return unwell

    def _published(self) -> float:
        try:
            return self.producer.metric("last_published_timestamp_seconds")
        except requests.RequestException:
            return 0.0

    def _keep_alive(self, recovery: Recovery) -> None:
        running = {
            "kafka": (self.kafka.running, self.kafka.start),
            "stream": (self.stream.running, self.stream.start),
            "producer": (self.producer.process, self.producer.start),
            "api": (self.api.running, self.api.start),
            "mlflow": (self.mlflow.part.running, self.mlflow.start),
        }
        if self.scale:
            for name in ("worker", "store"):
                part = self.scale.killable[name]
                running[name] = (part.running, part.start)
        for name, (process, start) in running.items():
            if name not in self._ended and (process is None or process.poll() is not None):
                recovery.starts[name] += 1
                start()

    def last_lines(self) -> str:
        """The ends of the logs."""
        logs = [self.stream.log, self.producer.log, self.api.log]
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-1_000:]}"
            for path in logs
            if path.exists()
        )

    def settle(self) -> None:
        """Stop the load, mine what waits, wait until all that is owed has arrived, and end."""
        self.load.stop()
        self.source.post("mine")
        self.owed = self.source.mined() | self.load.sent | self.extra

        def arrived() -> bool:
            scored = self.count("scored_transactions")
            bad = self.count("quarantine")
            if scored < len(self.owed) or bad < len(self.load.garbage):
                return False
            return self.owed <= set(self.values("scored_transactions", "hash"))

        self.wait_for(arrived, "everything that was published is scored")
        self._ended.add("producer")
        self.producer.end()
        self.wait_for(self._all_scored, "every row is scored")
        assert self.stream.stop() == 0

    def _all_scored(self) -> bool:
        return self.count("raw_transactions") == self.count("scored_transactions")

    def assert_each_once(self) -> None:
        """Nothing is lost, nothing doubled, and nothing is there that was never sent."""
        raw = self.values("raw_transactions", "hash")
        scored = self.values("scored_transactions", "hash")
        quarantine = self.values("quarantine", "value")
        assert set(raw) == set(scored)
        assert self.owed <= set(raw)
        assert self.load.garbage <= set(quarantine)
        tables = {"raw": raw, "scored": scored, "quarantine": quarantine}
        for table, counts in tables.items():
            assert [value for value, times in counts.items() if times > 1] == [], table

    def close(self) -> None:
        """End every process."""
        if self.load.is_alive():
            self.load.stop()
        self.api.kill()
        if self.stream.running is not None:
            self.stream.kill()
        if self.producer.process is not None:
            self.producer.process.send_signal(signal.SIGKILL)
            self.producer.process.wait()
        self.mlflow.stop()
        self.kafka.kill()
        if self._simulator.url:
            self._simulator.stop()


def restore(copy: Path, journal: Path) -> None:
    """Replace a stopped producer's journal by a copy."""
    for suffix in ("-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, journal)
