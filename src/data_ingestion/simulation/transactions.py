"""A transaction as the simulator keeps it, and a replacement of one.

Confirming or replacing changes only the middle of its JSON (time, height, `double_spend`), so the
JSON is kept as the two constant pieces around it. The larger one, inputs and outputs, is
compressed, so that hours of history fit in memory.
"""

import json
import zlib
from dataclasses import dataclass
from random import Random
from typing import Any

from core.transaction import tx_index

_NOT_IN_HEAD = ("double_spend", "time", "block_index", "block_height", "inputs", "out", "rbf")

_MIN_OUTPUT = 1_000
"""Satoshi that must stay in the output that pays for a higher fee."""

_RELAYED_WEIGHT = 40
"""Weight units that one satoshi relays: 0.1 sat/vB, since 2025 the least in Bitcoin Core."""


@dataclass(frozen=True, slots=True)
class SimulatedTransaction:
    """One transaction; `head` is its JSON up to `double_spend`, `tail` its inputs and outputs.

    Money is in satoshi, weight in weight units, `time` in Unix seconds. `origin` says where it
    comes from, or names the kind of an injected anomaly. `mined_at` is the fee rate (sat/vB) that
    miners see of it and its package; None where it is alone.
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
    mined_at: float | None = None

    @property
    def fee_rate(self) -> float:
        """What miners see, in sat/vB."""
        return self.fee * 4 / max(self.weight, 1) if self.mined_at is None else self.mined_at

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


def compress(tail: bytes) -> bytes:
    """Compress inputs and outputs; random hexadecimal halves already at the fastest level."""
    return zlib.compress(tail, 1)


def from_item(
    item: dict[str, Any], now: int, origin: str = "replayed", mined_at: float | None = None
) -> SimulatedTransaction:
    """Make a transaction of one in the API's schema; a null time becomes `now`.

    Raises `KeyError` for an item without a hash, inputs or outputs.
    """
    head = {key: value for key, value in item.items() if key not in _NOT_IN_HEAD}
    tail = {"inputs": item["inputs"], "out": item["out"]}
    return SimulatedTransaction(
        hash=item["hash"],
        head=_dumps(head)[:-1] + b",",
        tail=compress(_dumps(tail)[1:-1]),
        time=item.get("time") or now,
        fee=item.get("fee") or 0,
        size=item.get("size") or 0,
        weight=item.get("weight") or 0,
        rbf=bool(item.get("rbf")),
        origin=origin,
        mined_at=mined_at,
    )


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def replacement(old: SimulatedTransaction, now: int, rng: Random) -> SimulatedTransaction | None:
    """Spend the same coins with 1.3 to 3 times the fee (BIP 125), taken from the largest output.

    The raise pays at least for relaying it. None where that output cannot afford it.
    """
    item = json.loads(old.json())
    raise_by = int(old.fee * rng.uniform(0.3, 2.0)) + -(-old.weight // _RELAYED_WEIGHT)
    largest = max(item["out"], key=lambda output: int(output["value"]))
    if largest["value"] < raise_by + _MIN_OUTPUT:
        return None
    largest["value"] -= raise_by
    rename(item, rng)
    item |= {"fee": old.fee + raise_by, "time": now}
    return from_item(item, now, "replacement")


def rename(item: dict[str, Any], rng: Random) -> None:
    """Give a transaction in the API's schema another hash, and its places the number of that."""
    item["hash"] = rng.randbytes(32).hex()
    item["tx_index"] = tx_index(item["hash"])
    for spent in item["inputs"]:
        spent["prev_out"]["spending_outpoints"][0]["tx_index"] = item["tx_index"]
    for output in item["out"]:
        output["tx_index"] = item["tx_index"]
