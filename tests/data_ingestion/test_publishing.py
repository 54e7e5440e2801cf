"""Records, and their way to a broker that can be dead."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from tests.support.blockchain_samples import NOW, block, block_hash, item, paid, spent, tx_hash
from tests.support.ingestion_fakes import FakeClock, FakeDelivery, metric_value

from core.topics import BLOCKS, DEAD_LETTERS, MAX_MESSAGE_BYTES, TRANSACTIONS
from core.transaction import Block, DeadLetter, ObservedTransaction
from data_ingestion.clock import StoppedError
from data_ingestion.journal import DAY, Journal, Record
from data_ingestion.publishing import (
    MAX_ORIGINAL_BYTES,
    Publisher,
    UnusableBlockError,
    block_record,
    dead_letter_record,
    hash_of,
    observe,
    smaller_record,
    transaction_record,
)
from monitoring.producer_metrics import ProducerMetrics


def test_a_transaction_is_keyed_by_its_hash_and_reads_back() -> None:
    observed = observe(item(), NOW, "mempool")
    record = transaction_record(observed)
    assert (record.topic, record.key) == (TRANSACTIONS, tx_hash(1))
    assert ObservedTransaction.model_validate_json(record.value) == observed


def test_unknown_facts_are_left_out() -> None:
    assert (
        None not in json.loads(transaction_record(observe(item(), NOW, "block", 1)).value).values()
    )


def test_the_record_of_a_block_has_its_height() -> None:
    block = Block(
        hash=block_hash(5),
        height=5,
        previous_hash=block_hash(4),
        time=NOW,
        transaction_hashes=[tx_hash(1), tx_hash(2)],
    )
    record = block_record(block)
    assert (record.topic, record.key, record.height) == (BLOCKS, block_hash(5), 5)
    assert Block.model_validate_json(record.value) == block


def test_a_dead_letter_keeps_original_reason_and_time() -> None:
    record = dead_letter_record(b'{"hash":5}', "no hash", "", NOW)
    assert record.topic == DEAD_LETTERS
    assert DeadLetter.model_validate_json(record.value) == DeadLetter(
        reason="no hash", time=NOW, original='{"hash":5}'
    )


def test_a_huge_original_is_cut_and_says_so() -> None:
    record = dead_letter_record(b'"' * 9_000_000, "too much", "", NOW)
    assert len(record.value) < 1_000_000
    assert f"the first {MAX_ORIGINAL_BYTES} of its 9000000 bytes" in record.value.decode()


def test_bytes_that_are_no_text_are_kept_readable() -> None:
    letter = json.loads(dead_letter_record(b"\xff{", "no text", "", NOW).value)
    assert letter["original"] == "\ufffd{"


def test_the_same_transaction_in_another_shape_is_another_dead_letter() -> None:
    first, second = item(size=0), item(size=-1)
    marks = {dead_letter_record(body, "bad", "", NOW).mark for body in (first, second, first)}
    assert len(marks) == 2


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"hash":"%s"}' % tx_hash(1).encode(), tx_hash(1)),
        (b'{"hash":"a"}', None),
        (b'{"hash":1}', None),
        (b'{"hash":"\xff"}', None),
        (b'{"hash":"%s"}' % (b"a" * 5_000_000), None),
        (b'{"hash":' + b"[" * 100_000, None),
    ],
)
def test_an_item_may_still_name_itself(body: bytes, named: str | None) -> None:
    assert hash_of(body) == named


class Published:
    """A publisher and the parts that it is connected to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.delivery, self.clock = FakeDelivery(), FakeClock()
        self.metrics = ProducerMetrics(CollectorRegistry())
        self.restart()

    def restart(self) -> None:
        """As after `kill -9`: only the journal is left."""
        self.journal = Journal(self.path, days=14)
        self.publisher = Publisher(self.journal, self.delivery, self.clock, self.metrics)

    def hashes(self) -> list[str]:
        return self.delivery.keys(TRANSACTIONS)


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    published = Published(tmp_path / "journal.sqlite")
    yield published
    published.journal.close()


def test_a_page_is_published_once(published: Published) -> None:
    page = [item(1), item(2), item(1)]
    published.publisher.publish_page(page)
    published.publisher.publish_page(page)
    assert published.hashes() == [tx_hash(1), tx_hash(2)]
    assert metric_value(published.metrics, "items_total", origin="mempool") == 6
    assert metric_value(published.metrics, "repeats_total") == 4


def test_a_page_of_repeats_sends_nothing(published: Published) -> None:
    published.publisher.publish_page([])
    assert published.delivery.records == []


def test_a_block_brings_what_the_polls_missed_and_names_everything(published: Published) -> None:
    published.publisher.publish_page([item(1)])
    published.publisher.publish_block(block(7, [item(3), item(1), item(2)]), accept_unusable=False)
    assert published.hashes() == [tx_hash(1), tx_hash(3), tx_hash(2)]
    sent = [
        ObservedTransaction.model_validate_json(r.value) for r in published.delivery.records[:3]
    ]
    assert [(one.source, one.block_height) for one in sent] == [
        ("mempool", None),
        ("block", 7),
        ("block", 7),
    ]
    message = Block.model_validate_json(published.delivery.records[-1].value)
    assert message.transaction_hashes == [tx_hash(3), tx_hash(1), tx_hash(2)]
    assert (message.hash, message.previous_hash) == (block_hash(7), block_hash(6))
    assert published.journal.last_block() == (7, block_hash(7))


def test_a_block_names_each_transaction_once(published: Published) -> None:
    raw = block(7, [item(1), item(2), item(1)])
    published.publisher.publish_block(raw, accept_unusable=False)
    (record,) = (r for r in published.delivery.records if r.topic == BLOCKS)
    message = Block.model_validate_json(record.value)
    assert message.transaction_hashes == [tx_hash(1), tx_hash(2)]


def test_what_was_not_acknowledged_is_delivered_by_the_next_process(published: Published) -> None:
    published.delivery.dead = True
    with pytest.raises(StoppedError):
        published.publisher.publish_block(block(7, [item(1), item(2)]), accept_unusable=False)
    assert published.journal.last_block() is None
    published.journal.close()
    published.restart()
    published.delivery.dead = False
    published.publisher.deliver_held()
    assert published.hashes() == [tx_hash(1), tx_hash(2)]
    assert published.journal.last_block() == (7, block_hash(7))
    published.publisher.publish_page([item(1), item(2)])
    assert published.hashes() == [tx_hash(1), tx_hash(2)]


def test_memory_outlasts_a_slow_confirmation_but_not_for_ever(published: Published) -> None:
    published.publisher.publish_page([item(1)])
    published.clock.now += 13 * DAY
    published.publisher.publish_page([item(1), item(2)])
    assert published.hashes() == [tx_hash(1), tx_hash(2)]
    for day in range(20):
        published.clock.now += DAY
        published.publisher.publish_page([item(100 + day)])
    published.publisher.publish_page([item(1)])
    assert published.hashes()[-1] == tx_hash(1)


def test_an_item_that_cannot_be_used_becomes_one_dead_letter(published: Published) -> None:
    for _ in range(3):
        published.publisher.publish_page([item(1), item(2, weight=...)])
    assert published.hashes() == [tx_hash(1)]
    assert published.delivery.keys(DEAD_LETTERS) == [tx_hash(2)]
    letter = DeadLetter.model_validate_json(published.delivery.records[-1].value)
    assert "weight" in letter.reason
    assert json.loads(letter.original)["hash"] == tx_hash(2)
    assert metric_value(published.metrics, "dead_letters_total", reason="weight_unknown") == 1


def test_a_transaction_is_still_published_after_its_dead_letter(published: Published) -> None:
    published.publisher.publish_page([item(2, weight=...)])
    published.publisher.publish_page([item(2)])
    assert published.hashes() == [tx_hash(2)]


def test_a_block_names_the_transactions_that_became_dead_letters(published: Published) -> None:
    items = [item(1), item(2, weight=...), b'{"hash":"5"}', b"7", item(3), item(4), item(5)]
    published.publisher.publish_block(block(7, items), accept_unusable=False)
    message = Block.model_validate_json(published.delivery.records[-1].value)
    assert message.transaction_hashes == [tx_hash(n) for n in (1, 2, 3, 4, 5)]
    assert len(published.delivery.keys(DEAD_LETTERS)) == 3


def test_a_block_that_is_mostly_unusable_is_refused_at_first(published: Published) -> None:
    bad = block(7, [item(1, size=...), item(2, size=...), item(3)])
    with pytest.raises(UnusableBlockError, match="2 of its 3 items"):
        published.publisher.publish_block(bad, accept_unusable=False)
    assert published.delivery.records == []
    published.publisher.publish_block(bad, accept_unusable=True)
    assert published.hashes() == [tx_hash(3)]
    assert published.delivery.keys(BLOCKS) == [block_hash(7)]


HUGE = "9" * 4_200


@pytest.mark.parametrize(
    "changes",
    [
        {"hash": "a" * 5_000_000},
        {"hash": "a" * 5_000_000, "weight": ...},
        {"inputs": [spent(10_000, int(HUGE))] * 1_500, "vin_sz": 1_500, "fee": ...},
        {"out": [paid(int(HUGE)), paid(int(HUGE))], "fee": ...},
        {"lock_time": int(HUGE), "size": "x" * 5_000_000},
        {"out": [paid(6_000, "6a" * 3_000_000), paid(3_000)]},
        {"out": [paid(6_000, addr="b" * 5_000_000), paid(3_000, addr="c" * 5_000_000)]},
    ],
)
@pytest.mark.parametrize("origin", ["page", "block"])
def test_no_record_of_an_item_is_too_large_for_the_broker(
    published: Published, changes: dict[str, Any], origin: str
) -> None:
    odd = item(1, **changes)
    if origin == "page":
        published.publisher.publish_page([odd])
    else:
        published.publisher.publish_block(block(7, [odd]), accept_unusable=True)
    assert published.delivery.records
    for record in published.delivery.records:
        assert len(record.key) <= 64
        assert len(record.value) < MAX_MESSAGE_BYTES // 2


def test_a_record_that_is_too_large_becomes_a_dead_letter_with_its_beginning() -> None:
    record = Record(TRANSACTIONS, tx_hash(1), b"x" * 5_000_000, b"mark")
    letter = smaller_record(record, NOW)
    assert letter is not None and len(letter.value) < 1_000_000
    assert (letter.topic, letter.key) == (DEAD_LETTERS, tx_hash(1))
    assert (
        "too large for the topic bitcoin-transactions"
        in DeadLetter.model_validate_json(letter.value).reason
    )


def test_a_dead_letter_that_is_too_large_loses_its_key_and_then_its_place() -> None:
    record = Record(DEAD_LETTERS, "a" * 5_000_000, b"{}", b"mark")
    without_key = smaller_record(record, NOW)
    assert without_key == Record(DEAD_LETTERS, "", b"{}")
    assert smaller_record(without_key, NOW) is None


def test_a_block_out_of_bounds_publishes_nothing(published: Published) -> None:
    bad = block(7, [item(1)])
    bad.hash = "?"
    with pytest.raises(ValidationError):
        published.publisher.publish_block(bad, accept_unusable=False)
    assert published.delivery.records == []
