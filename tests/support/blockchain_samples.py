"""Transactions and blocks as Blockchain.com returns them."""

import json
from collections.abc import Sequence
from typing import Any

from data_ingestion.blockchain_client import RawBlock, Tip

NOW = 1_700_000_000
P2WPKH = "0014" + "11" * 20
P2PKH = "76a914" + "22" * 20 + "88ac"


def tx_hash(number: int) -> str:
    """The hash of the transaction or block with this number."""
    return f"{number:032x}" * 2


def spent(value: int, tx_index: int = 77, **changes: Any) -> dict[str, Any]:
    """An input that spends `value` satoshi."""
    output = {"tx_index": tx_index, "n": 0, "value": value, "script": P2WPKH, "addr": "bc1a"}
    return {"sequence": 0xFFFFFFFD, "witness": "00", "prev_out": output | changes}


def paid(value: int, script: str = P2PKH, addr: str | None = "1b") -> dict[str, Any]:
    """An output of `value` satoshi."""
    output = {"value": value, "n": 0, "tx_index": 88, "script": script, "spent": False}
    return output if addr is None else output | {"addr": addr}


def payment(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A transaction in today's schema: 10,000 satoshi in, 9,000 out; `...` leaves a field out."""
    transaction = {
        "hash": tx_hash(number),
        "ver": 2,
        "vin_sz": 1,
        "vout_sz": 2,
        "size": 225,
        "weight": 573,
        "fee": 1000,
        "lock_time": 0,
        "tx_index": 88,
        "time": NOW - 5,
        "block_index": None,
        "block_height": None,
        "inputs": [spent(10_000)],
        "out": [paid(6_000), paid(3_000, addr="1c")],
    }
    return {key: value for key, value in (transaction | changes).items() if value is not ...}


def item(number: int = 1, **changes: Any) -> bytes:
    """A payment as the JSON of an item."""
    return json.dumps(payment(number, **changes)).encode()


def block(height: int, items: Sequence[bytes] = (), branch: int = 0, parent: int = 0) -> RawBlock:
    """A block of a branch; `parent` is the branch of the block below."""
    return RawBlock(
        block_hash(height, branch),
        height,
        block_hash(height - 1, parent),
        NOW,
        list(items),  # type: ignore[arg-type]  # bytes stand for msgspec.Raw
    )


def block_hash(height: int, branch: int = 0) -> str:
    """The hash of the block of this branch at this height."""
    return tx_hash(branch * 2**64 + height)


def tip(height: int, branch: int = 0) -> Tip:
    """The answer of `/latestblock`."""
    return Tip(block_hash(height, branch), height)
