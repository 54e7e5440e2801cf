"""One of three brokers may fail at any time: publishing and scoring go on, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient
from tests.support.broker_cluster import REPLICATION, BrokerCluster
from tests.support.stream_processes import QUICK_JAVA, Load, StreamProcess, values, wait_for

from core.topics import ANOMALIES, BLOCKS, DEAD_LETTERS, TRANSACTIONS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


@pytest.fixture
def cluster(java: None, tmp_path: Path) -> Iterator[BrokerCluster]:
    cluster = BrokerCluster(tmp_path)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


def leaders(cluster: BrokerCluster) -> dict[int, int]:
    """The number of partitions of transactions that each broker leads."""
    admin = KafkaAdminClient(bootstrap_servers=cluster.servers)
    try:
        names = [TRANSACTIONS, BLOCKS, ANOMALIES, DEAD_LETTERS]
        described = admin.describe_topics(names)
    finally:
        admin.close()
    partitions = [partition for topic in described for partition in topic["partitions"]]
    assert all(len(partition["replica_nodes"]) == REPLICATION for partition in partitions)
    found: dict[int, int] = {}
    for partition in partitions:
        found[partition["leader_id"]] = found.get(partition["leader_id"], 0) + 1
    return found


def test_one_of_three_brokers_is_killed_under_load_and_all_goes_on_without_it(
    cluster: BrokerCluster, tmp_path: Path
) -> None:
    lake = str(tmp_path / "data" / "lake")
    stream = StreamProcess(tmp_path / "data", cluster.servers, tmp_path / "log", QUICK_JAVA)
    load = Load(cluster.servers, a_second=60)

    def scored() -> int:
        return sum(values(lake, "scored_transactions", "hash").values())

    stream.start()
    load.start()
    try:
        wait_for(scored, "the first rows")  # type: ignore[arg-type]
        counts = leaders(cluster)
        killed = max(counts, key=lambda node: counts[node])
        cluster.kill_one(killed)
        published, rows = len(load.sent), scored()
        wait_for(lambda: len(load.sent) > published + 100, "records to be published")
        wait_for(lambda: scored() > rows + 100, "rows to be scored")
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
