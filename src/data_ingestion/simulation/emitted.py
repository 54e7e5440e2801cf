"""A transaction as the simulator keeps it: its JSON in two pieces, around what confirming changes.

The larger piece (inputs and outputs) is kept compressed, so that hours of history fit in memory.
"""

import json
import zlib
from dataclasses import dataclass, replace
from typing import Any

_AROUND = ("double_spend", "time", "block_index", "block_height", "inputs", "out", "rbf")


@dataclass(frozen=True, slots=True)
class Emitted:
    """One transaction; `head` is its JSON up to `double_spend`, `tail` its inputs and outputs.

    Money is in satoshi, weight in weight units, `time` in Unix seconds. `origin` says where it
    comes from, or names the kind of an injected anomaly.
    """

    hash: str
    head: bytes
    tail: bytes
    time: int
    fee: int
    size: int
    weight: int
    rbf: bool = False
    replaced: bool = False
    origin: str = "generated"

    def json(self, block: tuple[int, int] | None = None) -> bytes:
        """The API's JSON, unconfirmed or as part of the block of this height and time."""
        height = b"null" if block is None else b"%d" % block[0]
        return b'%s"double_spend":%s,"time":%d,"block_index":%s,"block_height":%s,%s%s}' % (
            self.head,
            b"true" if self.replaced else b"false",
            self.time if block is None else block[1],
            height,
            height,
            zlib.decompress(self.tail),
            b',"rbf":true' if self.rbf and block is None else b"",
        )

    def deleted(self) -> "Emitted":
        """The same after another transaction has spent its coins."""
        return replace(self, replaced=True)


def tx_index(transaction_hash: str) -> int:
    """The API's number of a transaction: 53 bits of the hash in its internal byte order.

    >>> tx_index("25e4fb7042fc25fe98582adf598357e3b0bc60021cd80de628599512abb63598")
    5355406891307691
    """
    return int.from_bytes(bytes.fromhex(transaction_hash)[:-9:-1]) >> 11


def packed(tail: bytes) -> bytes:
    """Compress inputs and outputs; hexadecimal noise halves at the fastest level."""
    return zlib.compress(tail, 1)


def from_item(item: dict[str, Any], now: int, origin: str = "replayed") -> Emitted:
    """Take over a recorded transaction of the API's schema; a null time becomes now.

    Raises `KeyError` for an item without a hash, inputs or outputs.
    """
    head = {key: value for key, value in item.items() if key not in _AROUND}
    tail = {"inputs": item["inputs"], "out": item["out"]}
    return Emitted(
        hash=item["hash"],
        head=_dumps(head)[:-1] + b",",
        tail=packed(_dumps(tail)[1:-1]),
        time=item.get("time") or now,
        fee=item.get("fee") or 0,
        size=item.get("size") or 0,
        weight=item.get("weight") or 0,
        rbf=bool(item.get("rbf")),
        origin=origin,
    )


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
