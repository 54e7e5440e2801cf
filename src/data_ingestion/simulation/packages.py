"""A parent without a fee and the child that pays for both, as Lightning's channels close today.

Both are of version 3 (TRUC, BIP 431). The parent has a pay-to-anchor output of 0 satoshi, which is
dust that the child spends in the same package (ephemeral dust, Bitcoin Core 29.0); nodes relay the
two together (one-parent-one-child package relay, Bitcoin Core 28.0).
"""

import json
import math
from random import Random
from typing import Any

from data_ingestion.simulation.transactions import SimulatedTransaction, from_item, rename

ANCHOR_SCRIPT = "51024e73"
"""Witness version 1 with the program 4e73 (BIP 433), which needs no signature."""

ORIGIN = "package"

_ANCHOR_OUTPUT, _ANCHOR_INPUT = 8 + 1 + 4, 32 + 4 + 1 + 4
"""Bytes without witness that a pay-to-anchor output and an input that spends it take."""

_VERSION = 3

Pair = tuple[SimulatedTransaction, SimulatedTransaction]


def package(
    first: SimulatedTransaction, second: SimulatedTransaction, fee_rate: float, rng: Random
) -> Pair | None:
    """Make parent and child of two transactions; together they pay this fee rate, in sat/vB.

    None where the second cannot afford it. Both are received when `first` was.
    """
    parent = _parent(json.loads(first.json()), rng)
    child = _child(json.loads(second.json()), parent, fee_rate, rng)
    if child is None:
        return None
    mined_at = child["fee"] * 4 / (parent["weight"] + child["weight"])
    made = [from_item(item, first.time, ORIGIN, mined_at) for item in (parent, child)]
    return made[0], made[1]


def _parent(item: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The same without a fee, which an output gets, and with an anchor behind all others."""
    item["out"][0]["value"] += item["fee"]
    anchor = {"type": 0, "spent": True, "value": 0, "spending_outpoints": []}
    item["out"].append(anchor | {"n": len(item["out"]), "script": ANCHOR_SCRIPT})
    return _completed(item, 0, _ANCHOR_OUTPUT, rng)


def _child(
    item: dict[str, Any], parent: dict[str, Any], fee_rate: float, rng: Random
) -> dict[str, Any] | None:
    """The same, spending the anchor, with a fee for both, which its largest output pays."""
    anchor = parent["out"][-1]
    spent = {key: anchor[key] for key in ("type", "spent", "value", "n", "tx_index", "script")}
    item["inputs"].append(
        {
            "sequence": 0xFFFFFFFD,
            "witness": "",
            "script": "",
            "index": len(item["inputs"]),
            "prev_out": spent | {"spending_outpoints": [{"tx_index": 0, "n": len(item["inputs"])}]},
        }
    )
    weight = item["weight"] + 4 * _ANCHOR_INPUT
    fee = math.ceil(fee_rate * (parent["weight"] + weight) / 4)
    largest = max(item["out"], key=lambda output: int(output["value"]))
    largest["value"] -= fee - item["fee"]
    if largest["value"] < 1_000:
        return None
    child = _completed(item, fee, _ANCHOR_INPUT, rng)
    anchor["spending_outpoints"] = [{"tx_index": child["tx_index"], "n": len(child["inputs"]) - 1}]
    return child


def _completed(item: dict[str, Any], fee: int, longer: int, rng: Random) -> dict[str, Any]:
    """Make it another transaction, of version 3, so many bytes longer without its witness."""
    rename(item, rng)
    return item | {
        "fee": fee,
        "ver": _VERSION,
        "size": item["size"] + longer,
        "weight": item["weight"] + 4 * longer,
        "vin_sz": len(item["inputs"]),
        "vout_sz": len(item["out"]),
    }
