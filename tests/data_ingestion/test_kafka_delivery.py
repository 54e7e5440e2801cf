"""The delivery to the broker: a record that it finds too large does not stop the others."""

from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import MessageSizeTooLargeError
from kafka.future import Future
from tests.support.blockchain_samples import tx_hash
from tests.support.ingestion_fakes import FakeClock, metric_value
from tests.support.ingestion_processes import TopicReader, wait_for

from core.topics import BLOCKS, DEAD_LETTERS, MAX_MESSAGE_BYTES, TRANSACTIONS
from core.transaction import DeadLetter
from data_ingestion.journal import Journal, Record
from data_ingestion.kafka_delivery import KafkaDelivery
from data_ingestion.publishing import Publisher, smaller_record
from monitoring.producer_metrics import ProducerMetrics


class StrictBroker:
    """A broker behind one kafka-python producer, which a refused size ends with all its records."""

    def __init__(self, limits: dict[str, int], taken: list[Record]) -> None:
        self._limits, self._taken = limits, taken
        self._sent: list[tuple[Record, Future]] = []

    def send(self, topic: str, value: bytes, key: bytes) -> Future:
        if len(key) + len(value) > MAX_MESSAGE_BYTES:
            raise MessageSizeTooLargeError
        self._sent.append((Record(topic, key.decode(), value), Future()))
        return self._sent[-1][1]

    def flush(self, **_time_limit: float) -> None:
        refused = any(len(one.value) > self._limits.get(one.topic, 10**9) for one, _ in self._sent)
        for record, future in self._sent:
            if refused:
                future.failure(MessageSizeTooLargeError())
            else:
                self._taken.append(record)
                future.success(None)
        self._sent = []

    def close(self, **_time_limit: float) -> None:
        """It holds no connection."""


class StrictDelivery(KafkaDelivery):
    """A delivery to such a broker."""

    limits: dict[str, int]
    taken: list[Record]

    def connect(self) -> None:
        if self._producer is None:
            self._producer = StrictBroker(self.limits, self.taken)


SMALL = [Record(TRANSACTIONS, tx_hash(number), b"{}") for number in range(4)]


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize(
    ("poison", "limits"),
    [
        (Record(TRANSACTIONS, tx_hash(9), b"9" * 5_000_000), {}),
        (Record(TRANSACTIONS, tx_hash(9), b"9" * 900_000), {TRANSACTIONS: 500_000}),
        (Record(DEAD_LETTERS, "k" * 5_000_000, b"{}"), {}),
    ],
)
def test_a_record_that_is_too_large_costs_only_itself(
    clock: FakeClock, metrics: ProducerMetrics, place: int, poison: Record, limits: dict[str, int]
) -> None:
    delivery = StrictDelivery("none:1", 1, 1, clock, metrics)
    delivery.limits, delivery.taken = limits, []
    delivery.deliver([*SMALL[:place], poison, *SMALL[place:]])
    letter = smaller_record(poison, int(clock.time()))
    assert letter is not None
    expected = [*SMALL[:place], letter, *SMALL[place:]]
    got = [(one.topic, one.key, one.value) for one in delivery.taken]
    assert got == [(one.topic, one.key, one.value) for one in expected]
    assert metric_value(metrics, "dead_letters_total", reason="too_large") == 1


def test_a_dead_letter_that_no_topic_takes_is_given_up_and_the_rest_arrives(
    clock: FakeClock, metrics: ProducerMetrics
) -> None:
    delivery = StrictDelivery("none:1", 1, 1, clock, metrics)
    delivery.limits, delivery.taken = {DEAD_LETTERS: 100}, []
    delivery.deliver([Record(DEAD_LETTERS, tx_hash(9), b"9" * 200), *SMALL])
    assert [one.key for one in delivery.taken] == [one.key for one in SMALL]
    assert metric_value(metrics, "unacknowledged") == 0


def set_block_limit(broker: str, most: int) -> None:
    """Set the largest message of the topic of blocks, in bytes, and wait until it holds."""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    wanted = {"max.message.bytes": str(most)}
    topic = ConfigResource(ConfigResourceType.TOPIC, BLOCKS, wanted)
    admin.alter_configs([topic], raise_on_unknown=False)
    wait_for(lambda: f"'{most}'" in str(admin.describe_configs([topic])))
    admin.close()


@pytest.fixture
def blocks_of_at_most_half_a_megabyte(broker: str) -> Iterator[None]:
    """The limit of a topic that was made by hand."""
    set_block_limit(broker, 500_000)
    yield
    set_block_limit(broker, MAX_MESSAGE_BYTES)


@pytest.mark.stack
def test_what_an_earlier_version_held_and_no_broker_takes_is_a_dead_letter_once(
    broker: str,
    blocks_of_at_most_half_a_megabyte: None,
    journal: Journal,
    metrics: ProducerMetrics,
    clock: FakeClock,
) -> None:
    """A value above the client's limit, one above the topic's, and a key of 5 MB."""
    topics = TopicReader(broker)
    topics.read()
    held = [
        Record(TRANSACTIONS, tx_hash(1), b"1" * 5_000_000, b"1" * 16),
        Record(DEAD_LETTERS, "k" * 5_000_000, b'{"a":1}', b"2" * 16),
        Record(BLOCKS, tx_hash(3), b"3" * 900_000, height=3),
        Record(BLOCKS, tx_hash(4), b"{}", height=4),
    ]
    journal.hold(held)
    delivery = KafkaDelivery(broker, 2, 10, clock, metrics)
    Publisher(journal, delivery, clock, metrics).deliver_held()
    delivery.close()
    assert journal.held() == []
    assert journal.last_block() == (4, tx_hash(4))
    assert metric_value(metrics, "dead_letters_total", reason="too_large") == 3
    assert metric_value(metrics, "delivery_failures_total") == 0
    letters = topics.read().dead_letters
    assert b'{"a":1}' in letters
    reasons = {DeadLetter.model_validate_json(one).reason for one in letters if len(one) > 9}
    assert {reason.split(" (")[0] for reason in reasons} == {
        "its record of 5000064 bytes is too large for the topic bitcoin-transactions",
        "its record of 900064 bytes is too large for the topic bitcoin-blocks",
    }
    assert topics.blocks == [b"{}"]
