"""From items to acknowledged records, with a broker that can be dead."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from tests.data_ingestion.samples import (
    FakeClock,
    FakeDelivery,
    block,
    block_hash,
    item,
    name,
    value,
)

from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from core.transaction import Block, DeadLetter, ObservedTransaction
from data_ingestion.clock import StoppedError
from data_ingestion.journal import DAY, Journal
from data_ingestion.publishing import Publisher, UnusableBlockError
from monitoring.producer_metrics import ProducerMetrics


class Published:
    """A publisher and everything that it is connected to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.delivery, self.clock = FakeDelivery(), FakeClock()
        self.metrics = ProducerMetrics(CollectorRegistry())
        self.restart()

    def restart(self) -> None:
        """As after `kill -9`: only the file is left."""
        self.journal = Journal(self.path, days=14)
        self.publisher = Publisher(self.journal, self.delivery, self.clock, self.metrics)

    def hashes(self) -> list[str]:
        return self.delivery.keys(TRANSACTIONS)


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    made = Published(tmp_path / "journal.sqlite")
    yield made
    made.journal.close()


def test_a_page_is_published_once(published: Published) -> None:
    page = [item(1), item(2), item(1)]
    published.publisher.page(page)
    published.publisher.page(page)
    assert published.hashes() == [name(1), name(2)]
    assert value(published.metrics, "items_total", origin="mempool") == 6
    assert value(published.metrics, "repeats_total") == 4


def test_a_page_of_repeats_sends_nothing(published: Published) -> None:
    published.publisher.page([])
    assert published.delivery.taken == []


def test_a_block_brings_what_the_polls_missed_and_names_everything(published: Published) -> None:
    published.publisher.page([item(1)])
    published.publisher.block(block(7, [item(3), item(1), item(2)]), unusable_too=False)
    assert published.hashes() == [name(1), name(3), name(2)]
    sent = [ObservedTransaction.model_validate_json(r.value) for r in published.delivery.taken[:3]]
    assert [(one.source, one.block_height) for one in sent] == [
        ("mempool", None),
        ("block", 7),
        ("block", 7),
    ]
    message = Block.model_validate_json(published.delivery.taken[-1].value)
    assert message.transaction_hashes == [name(3), name(1), name(2)]
    assert (message.hash, message.previous_hash) == (block_hash(7), block_hash(6))
    assert published.journal.tip() == (7, block_hash(7))


def test_what_was_not_acknowledged_is_delivered_by_the_next_process(published: Published) -> None:
    published.delivery.dead = True
    with pytest.raises(StoppedError):
        published.publisher.block(block(7, [item(1), item(2)]), unusable_too=False)
    assert published.journal.tip() is None
    published.journal.close()
    published.restart()
    published.delivery.dead = False
    published.publisher.resume()
    assert published.hashes() == [name(1), name(2)]
    assert published.journal.tip() == (7, block_hash(7))
    published.publisher.page([item(1), item(2)])
    assert published.hashes() == [name(1), name(2)]


def test_memory_outlasts_a_slow_confirmation_but_not_for_ever(published: Published) -> None:
    published.publisher.page([item(1)])
    published.clock.now += 13 * DAY
    published.publisher.page([item(1), item(2)])
    assert published.hashes() == [name(1), name(2)]
    published.clock.now += 20 * DAY
    published.publisher.page([item(3)])
    published.publisher.page([item(1)])
    assert published.hashes() == [name(1), name(2), name(3), name(1)]


def test_an_item_that_cannot_be_used_becomes_one_dead_letter(published: Published) -> None:
    for _ in range(3):
        published.publisher.page([item(1), item(2, weight=...)])
    assert published.hashes() == [name(1)]
    assert published.delivery.keys(DEAD_LETTERS) == [name(2)]
    letter = DeadLetter.model_validate_json(published.delivery.taken[-1].value)
    assert "weight" in letter.reason
    assert json.loads(letter.original)["hash"] == name(2)
    assert value(published.metrics, "dead_letters_total", reason="weight_unknown") == 1


def test_a_transaction_is_still_published_after_its_dead_letter(published: Published) -> None:
    published.publisher.page([item(2, weight=...)])
    published.publisher.page([item(2)])
    assert published.hashes() == [name(2)]


def test_a_block_names_the_transactions_that_became_dead_letters(published: Published) -> None:
    items = [item(1), item(2, weight=...), b'{"hash":"5"}', b"7", item(3), item(4), item(5)]
    published.publisher.block(block(7, items), unusable_too=False)
    message = Block.model_validate_json(published.delivery.taken[-1].value)
    assert message.transaction_hashes == [name(n) for n in (1, 2, 3, 4, 5)]
    assert len(published.delivery.keys(DEAD_LETTERS)) == 3


def test_a_block_that_is_mostly_unusable_is_refused_at_first(published: Published) -> None:
    bad = block(7, [item(1, size=...), item(2, size=...), item(3)])
    with pytest.raises(UnusableBlockError, match="2 of its 3 items"):
        published.publisher.block(bad, unusable_too=False)
    assert published.delivery.taken == []
    published.publisher.block(bad, unusable_too=True)
    assert published.hashes() == [name(3)]
    assert published.delivery.keys(BLOCKS) == [block_hash(7)]


def test_a_block_out_of_bounds_publishes_nothing(published: Published) -> None:
    bad = block(7, [item(1)])
    bad.hash = "?"
    with pytest.raises(ValidationError):
        published.publisher.block(bad, unusable_too=False)
    assert published.delivery.taken == []
