"""The records that ingestion publishes, made from what it read; pure.

A record's mark is what the memory keeps of it: 16 bytes, so that the last 14 days fit on disk. Of a
transaction these are the first half of its id, of a dead letter a digest of its bytes (the same
transaction may come again in a readable shape). Two of 10 million marks agree by chance once in
10^24 such memories.
"""

from dataclasses import dataclass
from hashlib import blake2b

from core.topics import BLOCKS, DEAD_LETTERS, TRANSACTIONS
from core.transaction import Block, DeadLetter, ObservedTransaction

MARK_BYTES = 16

MAX_ORIGINAL_BYTES = 200_000
"""Bytes of an original that a dead letter keeps; escaped it stays below 1 MB."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message: its topic, key and value, its mark in the memory, and a block's height."""

    topic: str
    key: str
    value: bytes
    mark: bytes | None = None
    height: int | None = None


def transaction_record(transaction: ObservedTransaction) -> Record:
    """The message of one transaction; unknown facts are left out."""
    return Record(
        TRANSACTIONS,
        transaction.hash,
        transaction.model_dump_json(exclude_none=True).encode(),
        mark=transaction_mark(transaction.hash),
    )


def block_record(block: Block) -> Record:
    """The message of one block."""
    return Record(BLOCKS, block.hash, block.model_dump_json().encode(), height=block.height)


def dead_letter_record(original: bytes, reason: str, key: str, time: int) -> Record:
    """The message of an item that cannot be used; `time` in Unix seconds."""
    text = original[:MAX_ORIGINAL_BYTES].decode(errors="replace")
    if len(original) > MAX_ORIGINAL_BYTES:
        reason = f"{reason} (the first {MAX_ORIGINAL_BYTES} of its {len(original)} bytes are kept)"
    letter = DeadLetter(reason=reason, time=time, original=text)
    return Record(
        DEAD_LETTERS, key, letter.model_dump_json().encode(), mark=dead_letter_mark(original)
    )


def transaction_mark(transaction_hash: str) -> bytes:
    """What the memory keeps of a transaction."""
    return bytes.fromhex(transaction_hash[: 2 * MARK_BYTES])


def dead_letter_mark(original: bytes) -> bytes:
    """What the memory keeps of an item that could not be used."""
    return blake2b(original, digest_size=MARK_BYTES).digest()
