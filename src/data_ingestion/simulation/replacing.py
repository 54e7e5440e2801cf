"""Replacements: a waiting transaction is sent again with a higher fee (BIP 125)."""

import json
from random import Random

from data_ingestion.simulation.emitted import Emitted, from_item, tx_index

_LEAST_LEFT = 1_000
"""Satoshi that must stay in the output that pays for the raise."""


def replacement(old: Emitted, now: int, rng: Random) -> Emitted | None:
    """Spend the same coins with 1.3 to 3 times the fee, taken from the largest output.

    None where that output cannot afford it.
    """
    item = json.loads(old.json())
    raise_by = int(old.fee * rng.uniform(0.3, 2.0)) + old.size
    largest = max(item["out"], key=lambda output: int(output["value"]))
    if largest["value"] < raise_by + _LEAST_LEFT:
        return None
    largest["value"] -= raise_by
    name = rng.randbytes(32).hex()
    item |= {"hash": name, "fee": old.fee + raise_by, "time": now, "tx_index": tx_index(name)}
    for spent in item["inputs"]:
        spent["prev_out"]["spending_outpoints"][0]["tx_index"] = item["tx_index"]
    for output in item["out"]:
        output["tx_index"] = item["tx_index"]
    return from_item(item, now, "replacement")
