"""A part of the scale stack is killed under load, again and again: nothing is lost or doubled.

The parts of docker-compose.scale.yml that a record passes, as processes on this machine: three
brokers, the stream on two workers, the lake on an object store. tests/docker/test_scale.py kills
them in Docker.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.broker_cluster import BrokerCluster
from tests.support.processes import Part, missing
from tests.support.spark_cluster import SparkCluster
from tests.support.store_server import INSTALL_GATEWAY, StoreServer, gateway, store_server
from tests.support.stream_processes import QUICK_JAVA, Load, StreamProcess, values, wait_for

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.stack, pytest.mark.soak, pytest.mark.timeout(1_800)]

KILLS = 5
A_SECOND = 200
LOOK_SECONDS = 2.0
"""Between two looks at the lake, which take the processor from what is looked at."""


@dataclass(frozen=True)
class ScaleStack:
    """The parts that run, and the lake."""

    brokers: BrokerCluster
    spark: SparkCluster
    store: StoreServer
    stream: StreamProcess
    load: Load
    lake: str

    def kill(self, part: str) -> None:
        """Kill a broker, a worker or the store, and start it again as Docker does."""
        if part == "broker":
            self.brokers.kill_one(1)
            self.brokers.start_one(1)
            return
        killed: Part = self.spark.parts[-1] if part == "worker" else self.store.part
        killed.kill()
        killed.start()

    def scored(self) -> set[object]:
        """The hashes in the lake; none while the store does not answer."""
        try:
            return set(values(self.lake, "scored_transactions", "hash"))
        except OSError:
            return set()

    def wait(self, reached: Callable[[], bool], what: str) -> None:
        def going_on() -> bool:
            self.stream.keep_alive()
            return reached()

        wait_for(going_on, what, every=LOOK_SECONDS)

    def wait_scored(self) -> None:
        """Wait until all that was published by now is scored."""
        published = set(self.load.sent)
        self.wait(lambda: published <= self.scored(), "what was published")


@pytest.fixture
def stack(java: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScaleStack]:
    if shutil.which("versitygw") is None:
        missing(f"versitygw is not installed: {INSTALL_GATEWAY}")
    brokers, spark = BrokerCluster(tmp_path), SparkCluster(tmp_path)
    with ExitStack() as running:
        store = running.enter_context(store_server(tmp_path, gateway))
        for name, value in store.settings.items():
            monkeypatch.setenv(name, value)
        settings = {
            "SPARK_MASTER": spark.master,
            "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
            "LAKE_URI": store.uri("lake"),
        }
        stream = StreamProcess(
            tmp_path / "data", brokers.servers, tmp_path / "stream.log", QUICK_JAVA | settings
        )
        load = Load(brokers.servers, A_SECOND)
        for part in (brokers, spark):
            running.callback(part.close)
            part.start()
        stream.start()
        running.callback(stream.kill)
        load.start()
        running.callback(load.stop)
        yield ScaleStack(brokers, spark, store, stream, load, store.uri("lake"))


@pytest.mark.parametrize("part", ["broker", "worker", "store"])
def test_nothing_is_lost_or_doubled_when_a_part_is_killed(stack: ScaleStack, part: str) -> None:
    stack.wait(lambda: bool(stack.scored()), "the first rows")
    stack.wait_scored()
    for _ in range(KILLS):
        begun = time.monotonic()
        stack.kill(part)
        published = len(stack.load.sent) + A_SECOND
        stack.wait(lambda least=published: len(stack.load.sent) > least, "records")  # type: ignore[misc]
        stack.wait_scored()
        log.info("%s: all scored again after %.0f s", part, time.monotonic() - begun)
    stack.load.stop()
    stack.wait_scored()
    raw, scored = (values(stack.lake, f"{name}_transactions", "hash") for name in ("raw", "scored"))
    assert set(raw) == set(scored)
    assert set(raw.values()) == set(scored.values()) == {1}
    bad = values(stack.lake, "quarantine", "value")
    assert stack.load.garbage <= set(bad)
    assert set(bad.values()) == {1}
    log.info("%s: %d rows, each once", part, len(raw))
