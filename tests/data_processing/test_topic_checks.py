import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import UnknownTopicOrPartitionError
from tests.support.stream_processes import wait_for

from core.topics import BLOCKS, TRANSACTIONS
from data_processing.topic_checks import (
    TopicGuard,
    TopicReplacedError,
    TopicSettingError,
    check_append_times,
    find_cut,
)

pytestmark = pytest.mark.stack

BY_HAND = "made-by-hand"


@pytest.fixture
def admin(broker: str) -> Iterator[KafkaAdminClient]:
    """Its topic `made-by-hand` has the broker's defaults."""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(BY_HAND, 1, 1)])
    yield admin
    delete_topic(admin)
    admin.close()


def delete_topic(admin: KafkaAdminClient) -> None:
    admin.delete_topics([BY_HAND])
    wait_for(lambda: BY_HAND not in admin.list_topics(), "the topic to be gone")


@pytest.fixture
def sent(broker: str, admin: KafkaAdminClient) -> list[datetime]:
    """Three records on the topic: their times."""
    producer = KafkaProducer(bootstrap_servers=broker)
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now + timedelta(seconds=i) for i in range(3)]
    for at in times:
        millis = round(at.timestamp() * 1_000)
        producer.send(BY_HAND, b"record", partition=0, timestamp_ms=millis).get(10)
    producer.close()
    return times


def test_a_topic_with_its_producers_times_is_refused_with_the_command(
    broker: str, admin: KafkaAdminClient
) -> None:
    check_append_times(broker, [TRANSACTIONS, BLOCKS])
    with pytest.raises(TopicSettingError) as error:
        check_append_times(broker, [TRANSACTIONS, BY_HAND])
    command = f"--topic {BY_HAND} --add-config message.timestamp.type=LogAppendTime"
    assert str(error.value).endswith(command)


def test_a_log_that_has_all_that_was_read_is_not_cut(broker: str, sent: list[datetime]) -> None:
    newest = {(BY_HAND, 0): sent[-1]}
    assert find_cut(broker, {BY_HAND: {"0": 3}}, newest) is None
    assert find_cut(broker, {BY_HAND: {"0": 3}}, {}) is None
    assert find_cut(broker, {}, newest) is None


def test_a_log_that_ends_before_the_position_is_cut(broker: str, sent: list[datetime]) -> None:
    reason = find_cut(broker, {BY_HAND: {"0": 4}}, {})
    assert reason == f"{BY_HAND}-0 ends at offset 3, before 4"


@pytest.mark.parametrize("seconds", [-1.5, 0.5, 1.0])
def test_a_log_that_was_cut_and_has_grown_again_lacks_the_newest_row(
    broker: str, sent: list[datetime], seconds: float
) -> None:
    lost = sent[-1] + timedelta(seconds=seconds)
    reason = find_cut(broker, {BY_HAND: {"0": 3}}, {(BY_HAND, 0): lost})
    assert reason == f"{BY_HAND}-0 has lost the record of its newest row, of {lost.isoformat()}"


def test_rows_of_a_topic_before_this_one_say_nothing_about_the_log(
    broker: str, sent: list[datetime]
) -> None:
    before = sent[0] - timedelta(days=1)
    assert find_cut(broker, {BY_HAND: {"0": 0}}, {(BY_HAND, 0): before}) is None


def test_a_row_whose_record_has_expired_says_nothing_about_the_log(
    broker: str, admin: KafkaAdminClient, sent: list[datetime]
) -> None:
    admin.delete_records({TopicPartition(BY_HAND, 0): 2})
    assert find_cut(broker, {BY_HAND: {"0": 3}}, {(BY_HAND, 0): sent[0]}) is None


def test_a_topic_that_was_deleted_and_created_again_is_noticed(
    broker: str, admin: KafkaAdminClient
) -> None:
    guard = TopicGuard(broker, [TRANSACTIONS, BY_HAND], threading.Event())
    guard.check()
    delete_topic(admin)
    admin.create_topics([NewTopic(BY_HAND, 1, 1)])
    with pytest.raises(TopicReplacedError, match=f"^{BY_HAND} was deleted"):
        guard.check()
    guard.close()


def test_a_topic_that_is_absent_is_waited_for_until_the_stream_stops(broker: str) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(UnknownTopicOrPartitionError, match="there is no topic nowhere"):
        TopicGuard(broker, [TRANSACTIONS, "nowhere"], stop)
