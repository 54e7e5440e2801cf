"""One of three brokers may fail at any time: publishing and scoring go on, and nothing is lost."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from tests.support.broker_cluster import REPLICATION, BrokerCluster
from tests.support.stream_processes import QUICK_JAVA, Load, StreamProcess, values, wait_for

from core.topics import ANOMALIES, BLOCKS, DEAD_LETTERS, TRANSACTIONS

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

LONG_RUN = [pytest.mark.soak, pytest.mark.timeout(1_800)]


@pytest.fixture
def cluster(java: None, tmp_path: Path) -> Iterator[BrokerCluster]:
    cluster = BrokerCluster(tmp_path)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


def partitions(cluster: BrokerCluster) -> list[dict[str, Any]]:
    """The partitions of the project's topics, as Kafka describes them."""
    admin = KafkaAdminClient(bootstrap_servers=cluster.servers)
    try:
        described = admin.describe_topics([TRANSACTIONS, BLOCKS, ANOMALIES, DEAD_LETTERS])
    finally:
        admin.close()
    found = [partition for topic in described for partition in topic["partitions"]]
    assert all(len(partition["replica_nodes"]) == REPLICATION for partition in found)
    return found


def leaders(cluster: BrokerCluster) -> Counter[int]:
    """The number of partitions that each broker leads."""
    return Counter(partition["leader_id"] for partition in partitions(cluster))


def all_in_sync(cluster: BrokerCluster) -> bool:
    return all(len(each["isr_nodes"]) == REPLICATION for each in partitions(cluster))


@pytest.mark.parametrize(("kills", "a_second"), [(1, 60), pytest.param(5, 200, marks=LONG_RUN)])
def test_one_of_three_brokers_is_killed_under_load_and_all_goes_on_without_it(
    cluster: BrokerCluster, tmp_path: Path, kills: int, a_second: int
) -> None:
    lake = str(tmp_path / "data" / "lake")
    stream = StreamProcess(tmp_path / "data", cluster.servers, tmp_path / "log", QUICK_JAVA)
    load = Load(cluster.servers, a_second)

    def scored() -> int:
        return sum(values(lake, "scored_transactions", "hash").values())

    stream.start()
    load.start()
    try:
        wait_for(scored, "the first rows")  # type: ignore[arg-type]
        for _ in range(kills):
            wait_for(lambda: all_in_sync(cluster), "three replicas of each partition")
            ((killed, _),) = leaders(cluster).most_common(1)
            begun = time.monotonic()
            cluster.kill_one(killed)
            published, rows = len(load.sent) + 100, scored() + 100
            wait_for(lambda least=published: len(load.sent) > least, "records")  # type: ignore[misc]
            wait_for(lambda least=rows: scored() > least, "rows")  # type: ignore[misc]
            log.info("broker %d: scoring again after %.0f s", killed, time.monotonic() - begun)
            assert killed not in leaders(cluster)
            cluster.start_one(killed)
        load.stop()
        wait_for(
            lambda: load.sent <= set(values(lake, "scored_transactions", "hash")),
            "everything that was published",
        )
        assert stream.running is not None
        assert stream.running.poll() is None, "the stream was not restarted"
        for name in ("raw_transactions", "scored_transactions"):
            assert set(values(lake, name, "hash").values()) == {1}, name
    finally:
        load.stop()
        stream.kill()
