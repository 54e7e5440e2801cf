"""The messages that ingestion publishes."""

import json

from tests.data_ingestion.samples import NOW, block_hash, item, name

from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from core.transaction import Block, DeadLetter, ObservedTransaction
from data_ingestion.observation import observe
from data_ingestion.records import (
    MAX_ORIGINAL_BYTES,
    block_record,
    dead_letter_record,
    transaction_record,
)


def test_a_transaction_is_keyed_by_its_hash_and_reads_back() -> None:
    observed = observe(item(), NOW, "mempool")
    record = transaction_record(observed)
    assert (record.topic, record.key) == (TRANSACTIONS, name(1))
    assert ObservedTransaction.model_validate_json(record.value) == observed


def test_unknown_facts_are_left_out() -> None:
    assert (
        None not in json.loads(transaction_record(observe(item(), NOW, "block", 1)).value).values()
    )


def test_a_block_tells_its_height_to_the_journal() -> None:
    block = Block(
        hash=block_hash(5),
        height=5,
        previous_hash=block_hash(4),
        time=NOW,
        transaction_hashes=[name(1), name(2)],
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
