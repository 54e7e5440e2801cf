"""The path of an item: it is read, turned into a record, held, delivered and remembered.

An item is the JSON of one transaction. It becomes the record of a transaction, or of a dead letter
if it cannot be used. The order makes a crash harmless at any point: the journal holds the records
before the broker receives the first of them. After the broker has acknowledged the last, one commit
remembers them all and moves the position in the chain.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgspec

from core.blockchain_json.describe import UnusableItemError, build, decode_item, fields_of
from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from core.transaction import (
    MAX_HEIGHT,
    Block,
    DeadLetter,
    ObservedTransaction,
    TransactionSource,
)
from data_ingestion.blockchain_client import RawBlock
from data_ingestion.clock import Clock
from data_ingestion.journal import Journal, Record
from monitoring.producer_metrics import ProducerMetrics

Item = bytes | msgspec.Raw

MAX_ORIGINAL_BYTES = 200_000
"""Bytes of the item that a dead letter keeps; escaped they stay below 1 MB."""

_MARK_BYTES = 16
"""Length of a mark, so that those of 14 days fit on disk.

The mark of a transaction is the first half of its hash. That of a dead letter is a digest of its
bytes, because the same transaction may come again in a readable form. Among 10 million marks two
are equal by chance with a probability of 10^-24.
"""

_UNIX_TIME_END = 2**32
_MAX_REASON = 1_000
_HASH = re.compile("[0-9a-f]{64}")


class _ItemWithHash(msgspec.Struct):
    hash: str


_ITEM_WITH_HASH = msgspec.json.Decoder(_ItemWithHash)


def observe(
    item: Item, first_seen: int, origin: TransactionSource, block_height: int | None = None
) -> ObservedTransaction:
    """Read one item; `first_seen` is a Unix time in seconds.

    Raises `core.blockchain_json.describe.UnusableItemError`.
    """
    raw = decode_item(item)
    if block_height is None and raw.block_height and 0 < raw.block_height <= MAX_HEIGHT:
        block_height = raw.block_height  # an unconfirmed item has null, 0 or nothing
    observed = {
        "time": raw.time if raw.time and 0 <= raw.time < _UNIX_TIME_END else None,
        "first_seen": first_seen,
        "block_height": block_height,
        "source": origin,
    }
    return build(ObservedTransaction, fields_of(raw, mined=origin == "block") | observed)


def hash_of(item: Item) -> str | None:
    """The hash in an item, or None if it has none of 64 hexadecimal digits."""
    try:
        text = _ITEM_WITH_HASH.decode(item).hash
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return text if _HASH.fullmatch(text) else None


def transaction_record(transaction: ObservedTransaction) -> Record:
    """The record of a transaction; facts that are not known are left out."""
    value = transaction.model_dump_json(exclude_none=True).encode()
    mark = bytes.fromhex(transaction.hash[: 2 * _MARK_BYTES])
    return Record(TRANSACTIONS, transaction.hash, value, mark=mark)


def block_record(block: Block) -> Record:
    """The record of a block."""
    return Record(BLOCKS, block.hash, block.model_dump_json().encode(), height=block.height)


def dead_letter_record(original: bytes, reason: str, key: str, time: int) -> Record:
    """The record of an item that cannot be used; `time` is a Unix time in seconds."""
    text, reason = original[:MAX_ORIGINAL_BYTES].decode(errors="replace"), reason[:_MAX_REASON]
    if len(original) > MAX_ORIGINAL_BYTES:
        reason = f"{reason} (the first {MAX_ORIGINAL_BYTES} of its {len(original)} bytes are kept)"
    value = DeadLetter(reason=reason, time=time, original=text).model_dump_json().encode()
    mark = blake2b(original, digest_size=_MARK_BYTES).digest()
    return Record(DEAD_LETTERS, key, value, mark=mark)


def smaller_record(record: Record, now: int) -> Record | None:
    """What to publish instead of a record that is too large for the broker; None if nothing is.

    That is a dead letter with its beginning, or a dead letter without its key.
    """
    if record.topic == DEAD_LETTERS:
        return Record(DEAD_LETTERS, "", record.value) if record.key else None
    size = len(record.key) + len(record.value)
    reason = f"its record of {size} bytes is too large for the topic {record.topic}"
    key = record.key if _HASH.fullmatch(record.key) else ""
    return dead_letter_record(record.value, reason, key, now)


class ItemRecord(NamedTuple):
    """The record of an item; `refusal` is the kind of refusal of a dead letter, else None."""

    record: Record
    refusal: str | None


def item_record(item: Item, now: int, origin: TransactionSource, height: int | None) -> ItemRecord:
    """Turn an item into its record; `now` is the Unix time in seconds."""
    try:
        return ItemRecord(transaction_record(observe(item, now, origin, height)), None)
    except UnusableItemError as error:
        record = dead_letter_record(bytes(item), str(error), hash_of(item) or "", now)
        return ItemRecord(record, error.refusal)


class UnusableBlockError(ValueError):
    """Most items of a block cannot be used: the response is more likely wrong than the block."""


class Delivery(Protocol):
    """Sends records to the broker."""

    def deliver(self, records: Sequence[Record]) -> None:
        """Return when every record is acknowledged; raises `StoppedError`."""


class Publisher:
    """Publishes the items of pages and blocks, each once; raises `StoppedError` as its delivery."""

    def __init__(
        self, journal: Journal, delivery: Delivery, clock: Clock, metrics: ProducerMetrics
    ) -> None:
        self._journal = journal
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics

    def deliver_held(self) -> None:
        """Deliver what the last process held; the broker may already have some of it."""
        self._deliver(self._journal.held())

    def publish_page(self, items: Sequence[Item]) -> None:
        """Publish those of the unconfirmed transactions that were not published before."""
        self._publish(self._unpublished(self._records(items, "mempool", None)))

    def publish_block(self, raw: RawBlock, accept_unusable: bool) -> None:
        """Publish those of a block's transactions that were not published before, then the block.

        Raises `UnusableBlockError` when most of its items cannot be used, unless `accept_unusable`
        makes dead letters of them.
        """
        records = self._records(raw.tx, "block", raw.height)
        unusable = sum(refusal is not None for _, refusal in records)
        if 2 * unusable > len(records) and not accept_unusable:
            raise UnusableBlockError(f"{unusable} of its {len(records)} items cannot be used")
        keys = dict.fromkeys(record.key for record, _ in records)  # a block has each once
        block = Block(
            hash=raw.hash,
            height=raw.height,
            previous_hash=raw.prev_block,
            time=raw.time,
            transaction_hashes=[key for key in keys if key],
        )
        self._publish([*self._unpublished(records), block_record(block)])
        self._metrics.block_height.set(raw.height)

    def _records(
        self, items: Sequence[Item], origin: TransactionSource, height: int | None
    ) -> list[ItemRecord]:
        now = int(self._clock.time())
        self._metrics.items.labels(origin).inc(len(items))
        return [item_record(item, now, origin, height) for item in items]

    def _unpublished(self, records: Sequence[ItemRecord]) -> list[Record]:
        """The records that were not published before, each once."""
        by_mark = {item.record.mark: item for item in records}
        marks = self._journal.unpublished([mark for mark in by_mark if mark])
        unpublished = [item for mark, item in by_mark.items() if mark in marks]
        self._metrics.repeats.inc(len(records) - len(unpublished))
        for _, refusal in unpublished:
            if refusal is not None:
                self._metrics.dead_letters.labels(refusal).inc()
        return [record for record, _ in unpublished]

    def _publish(self, records: Sequence[Record]) -> None:
        self._journal.hold(records)
        self._deliver(records)

    def _deliver(self, records: Sequence[Record]) -> None:
        if records:
            self._delivery.deliver(records)
            self._journal.acknowledge(records, self._clock.time())
