"""Blocks: their JSON, their coinbase transaction, and the chain that they form, with forks.

Left out: proof of work, and Bitcoin's limit of a block's weight. A simulated block takes every
waiting transaction, so that each one is mined in the end.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from core.ordinary_traffic.script_types import SCRIPT_TYPES
from core.transaction import COIN, tx_index
from data_ingestion.simulation.transactions import SimulatedTransaction, compress

_BLOCK_HEAD = (
    '{{"hash":"{0}","ver":536870912,"prev_block":"{1}","mrkl_root":"{2}","time":{3},'
    '"bits":386053475,"next_block":[{4}],"fee":{5},"nonce":{6},"n_tx":{7},"size":{8},'
    '"block_index":{9},"main_chain":{10},"height":{9},"weight":{11},"tx":['
)
_HEADER = 81
"""Bytes of a block besides its transactions: the header and a short count."""


@dataclass(frozen=True)
class Block:
    """One mined block; its transactions in order, the coinbase first."""

    hash: str
    previous: str
    height: int
    time: int
    nonce: int
    transactions: tuple[SimulatedTransaction, ...]

    def json(self, next_hash: str | None, main_chain: bool) -> Iterator[bytes]:
        """The API's JSON in pieces, so that its megabytes are not held in memory twice."""
        txs = self.transactions
        yield _BLOCK_HEAD.format(
            self.hash,
            self.previous,
            merkle_root([t.hash for t in txs]),
            self.time,
            f'"{next_hash}"' if next_hash else "",
            sum(t.fee for t in txs),
            self.nonce,
            len(txs),
            _HEADER + sum(t.size for t in txs),
            self.height,
            "true" if main_chain else "false",
            4 * _HEADER + sum(t.weight for t in txs),
        ).encode()
        for position, transaction in enumerate(txs):
            yield (b"," if position else b"") + transaction.json((self.height, self.time))
        yield b"]}"


def subsidy(height: int) -> int:
    """New coins of a block in satoshi: 50 BTC, halved every 210,000 blocks.

    >>> subsidy(840_000) / COIN
    3.125
    """
    return 50 * COIN >> height // 210_000


def merkle_root(hashes: Sequence[str]) -> str:
    """The Merkle root over transaction hashes; the last hash of an odd level counts twice.

    >>> merkle_root(["4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"])
    '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b'
    """
    row = [bytes.fromhex(name)[::-1] for name in hashes]
    while len(row) > 1:
        row += row[-1:] * (len(row) % 2)
        pairs = zip(row[::2], row[1::2], strict=True)
        row = [sha256(sha256(a + b).digest()).digest() for a, b in pairs]
    return row[0][::-1].hex()


def coinbase(height: int, time: int, fees: int, rng: Random) -> SimulatedTransaction:
    """The miner's transaction: an input that spends nothing, the reward, and a commitment."""
    name, miner = rng.randbytes(32).hex(), SCRIPT_TYPES[0]
    index, payload = tx_index(name), rng.randbytes(miner.payload)
    script = "03" + height.to_bytes(3, "little").hex() + rng.randbytes(24).hex()
    head = (
        f'{{"hash":"{name}","ver":1,"vin_sz":1,"vout_sz":2,"size":193,"weight":664,"fee":0,'
        f'"relayed_by":"0.0.0.0","lock_time":0,"tx_index":{index},'
    )
    tail = (
        f'"inputs":[{{"sequence":4294967295,"witness":"0120{"00" * 32}","script":"{script}",'
        f'"index":0,"prev_out":{{"type":0,"spent":true,"value":0,"spending_outpoints":'
        f'[{{"tx_index":{index},"n":0}}],"n":4294967295,"tx_index":0,"script":""}}}}],'
        f'"out":[{{"type":0,"spent":false,"value":{subsidy(height) + fees},'
        f'"spending_outpoints":[],"n":0,"tx_index":{index},"script":"{miner.script(payload)}",'
        f'"addr":"{miner.address(payload)}"}},{{"type":0,"spent":false,"value":0,'
        f'"spending_outpoints":[],"n":1,"tx_index":{index},'
        f'"script":"6a24aa21a9ed{rng.randbytes(32).hex()}"}}]'
    )
    return SimulatedTransaction(
        name, head.encode(), compress(tail.encode()), time, 0, 193, 664, origin="coinbase"
    )


class Chain:
    """The newest blocks, orphans too, that hold about `history` transactions together."""

    def __init__(self, height: int, history: int, rng: Random) -> None:
        self._rng = rng
        self._history = history
        self._start = height
        self._first_parent = "0" * 19 + rng.randbytes(32).hex()[19:]
        self._blocks: dict[str, Block] = {}
        self.main: deque[Block] = deque()

    @property
    def height(self) -> int:
        """Height of the newest block, or of the one before the first."""
        return self.main[-1].height if self.main else self._start

    def extend(
        self,
        transactions: Sequence[SimulatedTransaction],
        time: int,
        reward: SimulatedTransaction | None = None,
    ) -> Block:
        """Mine these transactions into a block on top of the main chain.

        Its coinbase transaction is `reward`, or a new one.
        """
        height, fees = self.height + 1, sum(t.fee for t in transactions)
        name = "0" * 19 + self._rng.randbytes(32).hex()[19:]
        previous = self.main[-1].hash if self.main else self._first_parent
        reward = reward or coinbase(height, time, fees, self._rng)
        block = Block(
            name, previous, height, time, self._rng.getrandbits(32), (reward, *transactions)
        )
        self.main.append(block)
        self._blocks[name] = block
        self._drop_oldest()
        return block

    def fork(self, depth: int) -> list[Block]:
        """Take the newest blocks off the main chain, but never the first; newest first."""
        depth = min(depth, len(self.main) - 1)
        return [self.main.pop() for _ in range(depth)]

    def find(self, hash_or_height: str) -> Block | None:
        """The block of this hash, orphans too, or the main chain's block of this height."""
        if hash_or_height in self._blocks:
            return self._blocks[hash_or_height]
        if len(hash_or_height) > 10 or not hash_or_height.isdecimal() or not self.main:
            return None
        index = int(hash_or_height) - self.main[0].height
        return self.main[index] if 0 <= index < len(self.main) else None

    def is_main(self, block: Block) -> bool:
        """Whether the block is part of the main chain."""
        return self.find(str(block.height)) is block

    def next_hash(self, block: Block) -> str | None:
        """Hash of the main chain's block that follows this one; None for the newest and orphans."""
        after = self.find(str(block.height + 1))
        return after.hash if after is not None and after.previous == block.hash else None

    def _drop_oldest(self) -> None:
        """Drop the oldest blocks beyond the history, but never the main chain's newest three."""
        held = sum(len(block.transactions) for block in self._blocks.values())
        newest = {block.hash for block in list(self.main)[-3:]}
        for name, block in list(self._blocks.items()):
            if held <= self._history or name in newest:
                return
            held -= len(block.transactions)
            del self._blocks[name]
            if self.main and self.main[0] is block:
                self.main.popleft()
