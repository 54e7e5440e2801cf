"""The journal: what survives a kill, what is forgotten, and how large it grows."""

import os
import sqlite3
from pathlib import Path

import pytest
from tests.support.blockchain_samples import NOW, block_hash, tx_hash

from core.topics import BLOCKS, TRANSACTIONS
from data_ingestion.journal import DAY, Journal, Record


def mark(number: int) -> bytes:
    return number.to_bytes(16, "big")


def transaction(number: int) -> Record:
    return Record(TRANSACTIONS, tx_hash(number), b"{}", mark(number))


def mined(height: int, branch: int = 0) -> Record:
    return Record(BLOCKS, block_hash(height, branch), b"{}", height=height)


def reopened(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "new" / "journal.sqlite", days=14)


def test_what_is_acknowledged_is_remembered(journal: Journal) -> None:
    journal.acknowledge([transaction(1), transaction(2)], NOW)
    assert journal.unpublished([mark(1), mark(2), mark(3)]) == {mark(3)}


def test_what_is_only_held_is_not_remembered(journal: Journal) -> None:
    journal.hold([transaction(1)])
    assert journal.unpublished([mark(1)]) == {mark(1)}


def test_held_records_survive_in_their_order_until_acknowledged(
    journal: Journal, tmp_path: Path
) -> None:
    records = [transaction(2), transaction(1), mined(7)]
    journal.hold(records)
    other = reopened(tmp_path)
    assert other.held() == records
    other.acknowledge(records, NOW)
    assert other.held() == []
    assert other.last_block() == (7, block_hash(7))
    other.close()


def test_an_acknowledgement_that_fails_changes_nothing(journal: Journal) -> None:
    journal.hold([transaction(1), mined(7)])
    broken = Record(BLOCKS, None, b"", height=8)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        journal.acknowledge([transaction(1), mined(7), broken], NOW)
    assert len(journal.held()) == 2
    assert journal.last_block() is None
    assert journal.unpublished([mark(1)]) == {mark(1)}


def test_marks_are_kept_for_all_of_their_days_and_then_dropped(journal: Journal) -> None:
    journal.acknowledge([transaction(1)], NOW)
    journal.acknowledge([transaction(2)], NOW + 14 * DAY)
    assert journal.unpublished([mark(1)]) == set()
    journal.acknowledge([transaction(3)], NOW + 18 * DAY)
    assert journal.unpublished([mark(1), mark(2)]) == {mark(1)}


def test_a_new_branch_takes_the_place_of_the_old_one(journal: Journal) -> None:
    journal.acknowledge([mined(7), mined(8), mined(9)], NOW)
    journal.acknowledge([mined(8, branch=1)], NOW)
    assert journal.last_block() == (8, block_hash(8, 1))
    assert journal.block_hash_at(7) == block_hash(7)
    assert journal.block_hash_at(9) is None


def test_an_empty_journal_has_no_block_and_no_request_to_wait_for(journal: Journal) -> None:
    assert journal.last_block() is None
    assert journal.next_request == 0


def test_the_time_of_the_next_request_survives(journal: Journal, tmp_path: Path) -> None:
    journal.next_request = NOW + 0.25
    other = reopened(tmp_path)
    assert other.next_request == NOW + 0.25
    other.close()


def test_a_mark_takes_few_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    large = Journal(path, days=14)
    for start in range(0, 100_000, 5_000):
        large.acknowledge(
            [Record(TRANSACTIONS, "", b"", os.urandom(16)) for _ in range(start, start + 5_000)],
            NOW,
        )
    large.close()
    assert path.stat().st_size < 100_000 * 40
