import json
import random
from datetime import timedelta
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_champion, a_transaction

from core.topics import ANOMALIES
from core.transaction import Transaction
from data_processing.announcements import Announcements, published_hashes
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics

pytestmark = pytest.mark.stack

HORIZON = timedelta(hours=24)


class Listener:
    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, announcement: dict[str, Any]) -> None:
        self.told.append(announcement["hash"])


def on_topic(broker: str) -> list[dict[str, Any]]:
    consumer = KafkaConsumer(bootstrap_servers=broker)
    where = TopicPartition(ANOMALIES, 0)
    consumer.assign([where])
    consumer.seek_to_beginning()
    end, found = consumer.end_offsets([where])[where], []
    while consumer.position(where) < end:
        for records in consumer.poll(1_000).values():
            found += [json.loads(record.value) for record in records]
    consumer.close()
    return found


@pytest.fixture
def flagging(stream: Stream) -> Stream:
    stream.champion = a_champion(budget=0.2)
    return stream


def test_what_is_flagged_and_committed_is_published_once_though_the_process_dies(
    flagging: Stream, kafka: Kafka, sinks: Sinks, broker: str, metrics: StreamMetrics
) -> None:
    rng = random.Random()
    transactions = {t["hash"]: t for t in (a_transaction(rng) for _ in range(60))}
    taken = flagging.take(kafka.records(*transactions.values()))
    assert 0 < taken.flagged < 60
    died = Announcements(sinks, broker, [], metrics)
    died.notice(taken)
    assert died.due()

    listener = Listener()
    restarted = Announcements(sinks, broker, [listener], metrics)
    restarted.recover(HORIZON)
    restarted.run()
    assert not restarted.due()
    once_more = Announcements(sinks, broker, [listener], metrics)
    once_more.recover(HORIZON)
    assert not once_more.due()

    ours = [told for told in on_topic(broker) if told["hash"] in transactions]
    flagged = sinks.ask(
        'SELECT "hash" FROM scored_transactions WHERE is_anomaly', "scored_transactions"
    )["hash"].to_pylist()
    assert sorted(told["hash"] for told in ours) == sorted(flagged) == sorted(listener.told)
    assert metrics.announced._value.get() == taken.flagged


def test_an_announcement_is_the_transaction_and_why(
    flagging: Stream,
    kafka: Kafka,
    rng: random.Random,
    sinks: Sinks,
    broker: str,
    metrics: StreamMetrics,
) -> None:
    rng = random.Random()
    odd = a_transaction(rng, fee=10**9, input_value=3 * 10**9, output_value=2 * 10**9)
    taken = flagging.take(kafka.records(odd))
    announcements = Announcements(sinks, broker, [], metrics)
    announcements.notice(taken)
    announcements.run()
    (told,) = [told for told in on_topic(broker) if told["hash"] == odd["hash"]]
    assert Transaction.model_validate(told) == Transaction.model_validate(odd)
    assert told["anomaly_score"] >= told["threshold"]
    assert told["explanation"].startswith("Unusual:")
    assert told["event_time"] == kafka.now.isoformat()
    assert told["reasons"][0]["feature"]
    assert odd["hash"] in published_hashes(broker)


def test_anomalies_wait_for_a_broker_that_is_away(
    flagging: Stream,
    kafka: Kafka,
    rng: random.Random,
    sinks: Sinks,
    broker: str,
    metrics: StreamMetrics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kafka.errors import KafkaTimeoutError

    clock = timedelta()
    announcements = Announcements(sinks, broker, [], metrics, lambda: clock.total_seconds())
    announcements.notice(flagging.take(kafka.records(*(a_transaction(rng) for _ in range(40)))))

    def away(_: list[dict[str, Any]]) -> None:
        raise KafkaTimeoutError

    monkeypatch.setattr(announcements, "_publish", away)
    announcements.run()
    assert not announcements.due()
    monkeypatch.undo()
    clock += timedelta(seconds=5)
    assert announcements.due()
    announcements.run()
    assert not announcements.due()
    assert metrics.announced._value.get() > 0
