"""What waits for the query, beside a real broker and the files of a checkpoint."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from prometheus_client import Gauge
from tests.support.stream_processes import wait_for

from data_processing.waiting_records import WaitingRecords
from monitoring.stream_metrics import StreamMetrics

pytestmark = pytest.mark.stack

TOPIC = "waited-for"
BEGIN = 1_700_000_000
"""The Unix time of the first record; each is a second younger than the one before."""

Commit = Callable[[int, dict[str, int]], None]
Lag = Callable[[], tuple[float, float]]


@pytest.fixture
def sent(broker: str) -> Iterator[None]:
    """Five records on a topic: three in its partition 0, then two in 1."""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(TOPIC, 2, 1)])
    producer = KafkaProducer(bootstrap_servers=broker)
    for second, partition in enumerate([0, 0, 0, 1, 1]):
        at = (BEGIN + second) * 1_000
        producer.send(TOPIC, b"record", partition=partition, timestamp_ms=at).get(10)
    producer.close()
    yield
    admin.delete_topics([TOPIC])
    wait_for(lambda: TOPIC not in admin.list_topics(), "the topic to be gone")
    admin.close()


@pytest.fixture
def waiting(broker: str, tmp_path: Path, metrics: StreamMetrics) -> Iterator[WaitingRecords]:
    """Its clock stands still, a minute after the first record."""
    waiting = WaitingRecords(broker, tmp_path, clock=lambda: BEGIN + 60.0)
    waiting.show(metrics)
    yield waiting
    waiting.close()


@pytest.fixture
def begin(tmp_path: Path) -> Callable[[], None]:
    """Write what Spark writes of a query that starts at the first record."""
    return lambda: write(tmp_path / "sources/0/0", {"0": 0, "1": 0})


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    def commit(batch: int, read: dict[str, int]) -> None:
        write(tmp_path / "offsets" / str(batch), read)
        write(tmp_path / "commits" / str(batch), {})

    return commit


@pytest.fixture
def lag(metrics: StreamMetrics) -> Lag:
    """What the gauges of records and of seconds say at a scrape."""

    def read(gauge: Gauge) -> float:
        return float(next(iter(gauge.collect())).samples[0].value)

    return lambda: (read(metrics.lag_records), read(metrics.lag_seconds))


def write(path: Path, offsets: dict[str, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"v1\n{json.dumps({TOPIC: offsets})}")


def test_before_the_query_has_a_position_none_waits(
    sent: None, waiting: WaitingRecords, lag: Lag
) -> None:
    waiting.loop.turn()
    assert lag() == (0, 0)


def test_what_a_first_micro_batch_still_reads_waits(
    sent: None, waiting: WaitingRecords, lag: Lag, begin: Callable[[], None], tmp_path: Path
) -> None:
    begin()
    write(tmp_path / "offsets/0", {"0": 3, "1": 2})  # planned, and not committed
    waiting.loop.turn()
    assert lag() == (5, 60)


def test_it_is_as_old_as_the_first_record_of_the_partition_with_most(
    sent: None, waiting: WaitingRecords, lag: Lag, commit: Commit
) -> None:
    commit(7, {"0": 1, "1": 2})
    waiting.loop.turn()
    assert lag() == (2, 59)
    commit(8, {"0": 3, "1": 1})
    waiting.loop.turn()
    assert lag() == (1, 56)


def test_what_is_committed_waits_no_longer_though_the_broker_is_not_asked_again(
    sent: None, waiting: WaitingRecords, lag: Lag, commit: Commit
) -> None:
    commit(0, {"0": 0, "1": 0})
    waiting.loop.turn()
    commit(1, {"0": 3, "1": 2})
    assert lag() == (0, 0)


def test_without_a_broker_what_was_seen_last_still_waits(
    sent: None, waiting: WaitingRecords, lag: Lag, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(0, {"0": 1, "1": 0})
    waiting.loop.turn()
    waiting.close()
    monkeypatch.setattr(waiting, "_servers", "localhost:1")
    waiting.loop.turn()
    assert waiting.loop.failures == 0
    assert lag() == (4, 59)
