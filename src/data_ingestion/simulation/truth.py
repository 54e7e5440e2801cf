"""What really happened: the simulator's own record, to judge everyone else's by. Bounded."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from data_ingestion.simulation.chain import Block
from data_ingestion.simulation.emitted import Emitted

BOUND = 200_000
"""So many hashes of each sort are remembered: eight hours at 7 transactions a second."""


@dataclass(frozen=True)
class MinedBlock:
    """One mined block; `main_chain` says whether a reorganisation has left it out since."""

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

    def emit(self, transaction: Emitted, kind: str | None) -> None:
        """Note a transaction that entered the mempool, and its kind where it was injected."""
        self._emitted.append(transaction.hash)
        if kind is not None:
            _remember(self._injected, transaction.hash, kind, self._bound)

    def replace(self, old: str, new: str) -> None:
        """Note that a transaction was replaced by one that pays more."""
        _remember(self._replaced, old, new, self._bound)

    def mine(self, block: Block) -> None:
        """Note a new block of the main chain."""
        hashes = tuple(t.hash for t in block.transactions)
        self._blocks[block.hash] = MinedBlock(block.hash, block.height, True, hashes)
        self._mined += len(hashes)
        while self._mined > self._bound and len(self._blocks) > 1:
            oldest = self._blocks.pop(next(iter(self._blocks)))
            self._mined -= len(oldest.hashes)

    def orphan(self, block: Block) -> None:
        """Note that a reorganisation took a block off the main chain."""
        known = self._blocks.get(block.hash)
        if known is not None:
            self._blocks[block.hash] = MinedBlock(known.hash, known.height, False, known.hashes)

    def report(self) -> dict[str, Any]:
        """All of it as JSON values; `mined` is the main chain's, oldest first, coinbases too."""
        blocks = list(self._blocks.values())
        return {
            "emitted": list(self._emitted),
            "mined": [name for block in blocks if block.main_chain for name in block.hashes],
            "injected": dict(self._injected),
            "replaced": dict(self._replaced),
            "blocks": [asdict(block) for block in blocks],
        }


def _remember(known: dict[str, str], key: str, value: str, bound: int) -> None:
    known[key] = value
    if len(known) > bound:
        del known[next(iter(known))]
