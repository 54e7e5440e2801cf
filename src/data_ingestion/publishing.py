"""From items to acknowledged records: read, leave out what is known, hold, deliver, remember.

The order makes a crash harmless at any point: records are in the journal before the broker sees
the first of them, and become memory and cursor, in one commit, after it has acknowledged the last.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from core.blockchain_json.describe import UnusableItemError
from core.transaction import Block, TransactionSource
from data_ingestion.clock import Clock
from data_ingestion.journal import Journal
from data_ingestion.observation import observe
from data_ingestion.raw_json import RawBlock, hash_of
from data_ingestion.records import (
    Record,
    block_record,
    dead_letter_record,
    transaction_record,
)
from monitoring.producer_metrics import ProducerMetrics

Item = bytes | msgspec.Raw

_HASH = re.compile("[0-9a-f]{64}")


class UnusableBlockError(ValueError):
    """A block whose items are mostly unusable: rather a bad answer than a bad block."""


class _Read(NamedTuple):
    """An item as the record it becomes, and the kind of refusal where it is a dead letter."""

    record: Record
    refusal: str | None


def _read(item: Item, now: int, origin: TransactionSource, height: int | None) -> _Read:
    try:
        return _Read(transaction_record(observe(item, now, origin, height)), None)
    except UnusableItemError as error:
        letter = dead_letter_record(bytes(item), str(error), hash_of(item) or "", now)
        return _Read(letter, error.refusal)


class Delivery(Protocol):
    """Takes records to the broker."""

    def deliver(self, records: Sequence[Record]) -> None:
        """Return when every record is acknowledged; raises `StoppedError`."""


class Publisher:
    """Publishes pages and blocks; raises `StoppedError` where the delivery does."""

    def __init__(
        self, journal: Journal, delivery: Delivery, clock: Clock, metrics: ProducerMetrics
    ) -> None:
        self._journal = journal
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics

    def resume(self) -> None:
        """Deliver what the last process left unacknowledged; some of it may be a repeat."""
        self._deliver(self._journal.held())

    def page(self, items: Sequence[Item]) -> None:
        """Publish the transactions of a page that were not published before."""
        self._publish(self._fresh(self._read(items, "mempool", None)))

    def block(self, raw: RawBlock, unusable_too: bool) -> None:
        """Publish a block's transactions that were not published before, then the block.

        Raises `UnusableBlockError` where most of its items cannot be used, unless told to send
        these to the dead letters, and `pydantic.ValidationError` where the block is out of bounds.
        """
        read = self._read(raw.tx, "block", raw.height)
        unusable = sum(one.refusal is not None for one in read)
        if 2 * unusable > len(read) and not unusable_too:
            raise UnusableBlockError(f"{unusable} of its {len(read)} items cannot be used")
        block = Block(
            hash=raw.hash,
            height=raw.height,
            previous_hash=raw.prev_block,
            time=raw.time,
            transaction_hashes=[one.record.key for one in read if _HASH.fullmatch(one.record.key)],
        )
        self._publish([*self._fresh(read), block_record(block)])
        self._metrics.block_height.set(raw.height)

    def _read(
        self, items: Sequence[Item], origin: TransactionSource, height: int | None
    ) -> list[_Read]:
        now = int(self._clock.time())
        self._metrics.items.labels(origin).inc(len(items))
        return [_read(item, now, origin, height) for item in items]

    def _fresh(self, read: Sequence[_Read]) -> list[Record]:
        """The records that were not published before, each once."""
        by_mark = {one.record.mark: one for one in read}
        unknown = self._journal.unpublished([mark for mark in by_mark if mark])
        fresh = [one for mark, one in by_mark.items() if mark in unknown]
        self._metrics.repeats.inc(len(read) - len(fresh))
        for one in fresh:
            if one.refusal is not None:
                self._metrics.dead_letters.labels(one.refusal).inc()
        return [one.record for one in fresh]

    def _publish(self, records: Sequence[Record]) -> None:
        self._journal.hold(records)
        self._deliver(records)

    def _deliver(self, records: Sequence[Record]) -> None:
        if records:
            self._delivery.deliver(records)
            self._journal.settle(records, self._clock.time())
