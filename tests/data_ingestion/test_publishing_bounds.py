"""The last value on each side of a bound: what is left out, cut or refused one step later."""

import json

import pytest
from prometheus_client import CollectorRegistry
from tests.support.blockchain_samples import NOW, block, item, tx_hash
from tests.support.ingestion_fakes import FakeClock, FakeDelivery

from core.topics import BLOCKS, DEAD_LETTERS
from data_ingestion.journal import Journal
from data_ingestion.publishing import (
    MAX_ORIGINAL_BYTES,
    Publisher,
    dead_letter_record,
    item_record,
    observe,
    transaction_record,
)
from monitoring.producer_metrics import ProducerMetrics


@pytest.mark.parametrize(
    ("height", "observed"), [(1, 1), (0, None), (-1, None), (None, None), (2**63, None)]
)
def test_the_height_of_an_item_is_positive_or_unknown(
    height: int | None, observed: int | None
) -> None:
    assert observe(item(block_height=height), NOW, "mempool").block_height == observed


@pytest.mark.parametrize(
    ("time", "observed"),
    [(1, 1), (2**32 - 1, 2**32 - 1), (2**32, None), (0, None), (-1, None), (..., None)],
)
def test_the_time_of_an_item_is_a_unix_time_or_unknown(time: object, observed: int | None) -> None:
    assert observe(item(time=time), NOW, "mempool").time == observed


def test_what_an_unconfirmed_item_does_not_say_is_not_in_its_record() -> None:
    value = json.loads(transaction_record(observe(item(), NOW, "mempool")).value)
    assert "block_height" not in value
    assert None not in value.values()


def test_every_mark_has_sixteen_bytes() -> None:
    letter = dead_letter_record(b"{}", "bad", "", NOW)
    transaction = transaction_record(observe(item(), NOW, "mempool"))
    assert transaction.mark == bytes.fromhex(tx_hash(1))[:16]
    assert letter.mark is not None and len(letter.mark) == 16


def test_an_item_without_a_hash_becomes_a_dead_letter_without_a_key() -> None:
    record, refusal = item_record(b"{}", NOW, "mempool", None)
    assert (record.topic, record.key) == (DEAD_LETTERS, "")
    assert refusal is not None


def test_an_original_of_just_the_kept_size_is_whole_and_its_reason_unchanged() -> None:
    letter = json.loads(dead_letter_record(b"x" * MAX_ORIGINAL_BYTES, "bad", "", NOW).value)
    assert (letter["reason"], len(letter["original"])) == ("bad", MAX_ORIGINAL_BYTES)


def test_a_block_of_which_just_half_is_unusable_is_published(journal: Journal) -> None:
    delivery, metrics = FakeDelivery(), ProducerMetrics(CollectorRegistry())
    publisher = Publisher(journal, delivery, FakeClock(), metrics)
    publisher.publish_block(block(7, [item(1), item(2, size=...)]), accept_unusable=False)
    assert len(delivery.keys(BLOCKS)) == 1
