"""The record of what really happened, to check against what the other services report."""

from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import Any

from data_ingestion.simulation.chain import Block
from data_ingestion.simulation.transactions import SimulatedTransaction

BOUND = 200_000
"""Hashes of each sort that are kept: eight hours at 7 transactions a second."""


@dataclass(frozen=True)
class MinedBlock:
    """One mined block; `main_chain` is false once a reorganisation has orphaned it."""

    hash: str
    height: int
    main_chain: bool
    hashes: tuple[str, ...]


class Truth:
    """Emitted, mined, injected and replaced transactions, the newest `BOUND` of each."""

    def __init__(self, bound: int = BOUND) -> None:
        self._bound = bound
        self._emitted: deque[str] = deque(maxlen=bound)
        self._blocks: dict[str, MinedBlock] = {}
        self._mined = 0
        self._injected: dict[str, str] = {}
        self._replaced: dict[str, str] = {}

    def add_emitted(self, transaction: SimulatedTransaction, kind: str | None) -> None:
        """Record a transaction that entered the mempool; `kind` where it is an injected anomaly."""
        self._emitted.append(transaction.hash)
        if kind is not None:
            _put_bounded(self._injected, transaction.hash, kind, self._bound)

    def add_replaced(self, old: str, new: str) -> None:
        """Record that a transaction was replaced by one that pays more."""
        _put_bounded(self._replaced, old, new, self._bound)

    def add_block(self, block: Block) -> None:
        """Record a new block of the main chain."""
        hashes = tuple(t.hash for t in block.transactions)
        self._blocks[block.hash] = MinedBlock(block.hash, block.height, True, hashes)
        self._mined += len(hashes)
        while self._mined > self._bound and len(self._blocks) > 1:
            oldest = self._blocks.pop(next(iter(self._blocks)))
            self._mined -= len(oldest.hashes)

    def mark_orphan(self, block: Block) -> None:
        """Record that a reorganisation took a block off the main chain."""
        if (recorded := self._blocks.get(block.hash)) is not None:
            self._blocks[block.hash] = replace(recorded, main_chain=False)

    def report(self) -> dict[str, Any]:
        """All of it as JSON values; `mined` is the main chain's, oldest first, with coinbases."""
        blocks = list(self._blocks.values())
        return {
            "emitted": list(self._emitted),
            "mined": [name for block in blocks if block.main_chain for name in block.hashes],
            "injected": dict(self._injected),
            "replaced": dict(self._replaced),
            "blocks": [asdict(block) for block in blocks],
        }


def _put_bounded(entries: dict[str, str], key: str, value: str, bound: int) -> None:
    entries[key] = value
    if len(entries) > bound:
        del entries[next(iter(entries))]
