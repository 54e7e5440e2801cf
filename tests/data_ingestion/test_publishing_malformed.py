"""Malformed items, made from real shapes: none stops ingestion, each is published or explained."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from tests.support.blockchain_samples import payment, spent
from tests.support.ingestion_fakes import FakeClock, FakeDelivery
from tests.support.ingestion_processes import TopicReader

from core.topics import DEAD_LETTERS, TRANSACTIONS, ensure_topics
from core.transaction import DeadLetter, ObservedTransaction
from data_ingestion.blockchain_client import decode_page
from data_ingestion.journal import Journal
from data_ingestion.kafka_delivery import KafkaDelivery
from data_ingestion.publishing import Publisher, dead_letter_record, hash_of
from monitoring.producer_metrics import ProducerMetrics

SHAPES = [
    payment(),
    payment(fee=..., inputs=[spent(9_000), spent(1_500)], vin_sz=2),
    payment(inputs=[{"prev_out": None}], fee=0),
    payment(weight=...),
]

ODD: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, as the keys that lead to it."""
    inner: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        inner = list(enumerate(value))
    return [path] + [place for key, one in inner for place in places(one, (*path, key))]


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    """A real shape with some places replaced or removed."""
    value = copy.deepcopy(draw(st.sampled_from(SHAPES)))
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(places(value)[1:]))
        parent = value
        for key in path:
            parent = parent[key]
        if draw(st.booleans()):
            parent[last] = draw(ODD)
        else:
            del parent[last]
        if not value:
            break
    return json.dumps(value).encode()


def repeated(item: bytes, delivery: FakeDelivery) -> bool:
    """Whether it was published, or became a dead letter, in an earlier example."""
    marks = {record.mark for record in delivery.records}
    letter = dead_letter_record(item, "", "", 0)
    return letter.mark in marks or hash_of(item) in delivery.keys(TRANSACTIONS)


@pytest.fixture(scope="module")
def delivery() -> FakeDelivery:
    return FakeDelivery()


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory, delivery: FakeDelivery) -> Any:
    journal = Journal(tmp_path_factory.mktemp("malformed") / "journal.sqlite", days=14)
    metrics = ProducerMetrics(CollectorRegistry())
    yield Publisher(journal, delivery, FakeClock(), metrics)
    journal.close()


PATIENT = settings(
    max_examples=2_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.slow
@PATIENT
@given(item=malformed())
def test_each_of_2000_malformed_items_is_published_or_explained(
    publisher: Publisher, delivery: FakeDelivery, item: bytes
) -> None:
    before = len(delivery.records)
    publisher.publish_page(decode_page(b'{"txs":[' + item + b"]}"))
    assert len(delivery.records) > before or repeated(item, delivery)
    for record in delivery.records[before:]:
        if record.topic == TRANSACTIONS:
            ObservedTransaction.model_validate_json(record.value)
        else:
            assert record.topic == DEAD_LETTERS
            letter = DeadLetter.model_validate_json(record.value)
            assert letter.original == item.decode()
            assert any(character.isalpha() for character in letter.reason)


@pytest.mark.stack
def test_2000_malformed_items_are_with_a_real_broker_or_explained_there(
    broker: str, journal: Journal, metrics: ProducerMetrics, clock: FakeClock
) -> None:
    items: list[bytes] = []
    PATIENT(given(item=malformed())(lambda item: items.append(item)))()
    ensure_topics(broker, partitions=2)
    topics = TopicReader(broker)
    delivery = KafkaDelivery(broker, 2, 10, clock, metrics)
    publisher = Publisher(journal, delivery, clock, metrics)
    for start in range(0, len(items), 100):
        publisher.publish_page(
            decode_page(b'{"txs":[' + b",".join(items[start : start + 100]) + b"]}")
        )
    delivery.close()
    topics.read()
    explained = {DeadLetter.model_validate_json(one).original for one in topics.dead_letters}
    lost = [i for i in items if i.decode() not in explained and hash_of(i) not in topics.hashes]
    assert len(items) >= 2_000
    assert lost == []
