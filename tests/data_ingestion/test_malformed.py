"""Malformed items, made from real shapes: none stops ingestion, each is published or explained."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from tests.data_ingestion.running import Witness
from tests.data_ingestion.samples import FakeClock, FakeDelivery, payment, spent

from core.topics import DEAD_LETTERS, TRANSACTIONS, ensure_topics
from core.transaction import DeadLetter, ObservedTransaction
from data_ingestion.delivery import KafkaDelivery
from data_ingestion.journal import Journal
from data_ingestion.publishing import Publisher
from data_ingestion.raw_json import decode_page, hash_of
from data_ingestion.records import dead_letter_mark, transaction_mark
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
    return [path] + [found for key, one in inner for found in places(one, (*path, key))]


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    """A real shape with some places replaced or removed, or cut somewhere as bytes."""
    value = copy.deepcopy(draw(st.sampled_from(SHAPES)))
    for _ in range(draw(st.integers(1, 4))):
        *way, last = draw(st.sampled_from(places(value)[1:]))
        inside = value
        for key in way:
            inside = inside[key]
        if draw(st.booleans()):
            inside[last] = draw(ODD)
        else:
            del inside[last]
        if not value:
            break
    return json.dumps(value).encode()


def known(item: bytes, delivery: FakeDelivery) -> bool:
    """Whether it was published, or became a dead letter, in an earlier example."""
    marks = {record.mark for record in delivery.taken}
    name = hash_of(item)
    return dead_letter_mark(item) in marks or (name is not None and transaction_mark(name) in marks)


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
    before = len(delivery.taken)
    publisher.page(decode_page(b'{"txs":[' + item + b"]}"))
    assert len(delivery.taken) > before or known(item, delivery)
    for record in delivery.taken[before:]:
        if record.topic == TRANSACTIONS:
            ObservedTransaction.model_validate_json(record.value)
        else:
            assert record.topic == DEAD_LETTERS
            letter = DeadLetter.model_validate_json(record.value)
            assert letter.original == item.decode()
            assert any(character.isalpha() for character in letter.reason)


@pytest.mark.stack
def test_2000_malformed_items_are_with_a_real_broker_or_explained_there(
    broker: str, tmp_path: Path
) -> None:
    items: list[bytes] = []
    PATIENT(given(item=malformed())(lambda item: items.append(item)))()
    ensure_topics(broker, partitions=2)
    witness = Witness(broker)
    journal, metrics = (
        Journal(tmp_path / "journal.sqlite", days=14),
        ProducerMetrics(CollectorRegistry()),
    )
    delivery = KafkaDelivery(broker, 2, 10, FakeClock(), metrics)
    publisher = Publisher(journal, delivery, FakeClock(), metrics)
    for start in range(0, len(items), 100):
        publisher.page(decode_page(b'{"txs":[' + b",".join(items[start : start + 100]) + b"]}"))
    delivery.close()
    journal.close()
    witness.look()
    explained = {DeadLetter.model_validate_json(one).original for one in witness.dead_letters}
    lost = [i for i in items if i.decode() not in explained and hash_of(i) not in witness.hashes]
    assert len(items) >= 2_000
    assert lost == []
