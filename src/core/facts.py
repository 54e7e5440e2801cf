"""What the raw JSON of a transaction knows and the eight fields do not.

Each fact is absent when the JSON does not tell it: outputs that were pruned, a script that is
missing, an older backend's `tx_index` of 0. The facts explain a verdict; no score is made of them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from core.raw_transaction import Input, Output, RawTransaction
from core.scripts import dust_limit, script_type
from core.transaction import MAX_OUTPOINTS

_FINAL_BUT_LOCKABLE = 0xFFFFFFFE
"""BIP 125: an input whose sequence number is below it signals that it may be replaced."""

_UNIX_TIME_END = 2**32


def facts(transaction: RawTransaction, coinbase: bool, outputs_known: bool) -> dict[str, Any]:
    """The optional fields of `DescribedTransaction`, those that are known.

    `outputs_known` is False for a record pruned to some addresses.
    """
    inputs = [] if coinbase else transaction.inputs
    known = _spending(inputs) | {
        "rbf": _signals_replacement(inputs, transaction.rbf),
        "lock_time": _within_uint32(transaction.lock_time),
    }
    if outputs_known and transaction.out:
        known |= _amounts(transaction.out) | _scripts(transaction.out)
        known |= _addresses(inputs, transaction.out)
    return {name: value for name, value in known.items() if value is not None}


def _amounts(outputs: list[Output]) -> dict[str, Any]:
    """Extremes of the outputs' values, and the largest group of one same value above 0: the mark
    of a coinjoin (Meiklejohn and Orlandi 2015, "Privacy-enhancing overlays in Bitcoin").
    """
    values = [output.value for output in outputs]
    paid = [value for value in values if value > 0]
    distinct = len(set(paid)) == len(paid)
    equal = min(len(paid), 1) if distinct else max(Counter(paid).values())
    return {
        "largest_output": max(values),
        "smallest_output": min(values),
        "equal_outputs": equal,
    }


def _scripts(outputs: list[Output]) -> dict[str, Any]:
    """What is paid: script types, data (OP_RETURN, 0x6a), and how much of it is dust."""
    scripts = [output.script for output in outputs if output.script]
    if len(scripts) < len(outputs):
        return {}
    return {
        "output_types": sorted({script_type(script) for script in scripts}),
        "op_return": any(script.startswith("6a") for script in scripts),
        "dust_outputs": sum(
            output.value < dust_limit(script)
            for output, script in zip(outputs, scripts, strict=True)
        ),
    }


def _spending(inputs: list[Input]) -> dict[str, Any]:
    """What is spent: script types and outpoints, as `tx_index:n` (the JSON has no previous hash).

    The backend's `tx_index` names a transaction: the first 53 bits of its id since 2020, a row
    number before.
    """
    spent = [i.prev_out for i in inputs if i.prev_out is not None]
    if len(spent) < len(inputs):
        return {}
    found: dict[str, Any] = {}
    if all(output.script for output in spent):
        found["input_types"] = sorted({script_type(output.script or "") for output in spent})
    if all(output.tx_index > 0 for output in spent):
        kept = spent[:MAX_OUTPOINTS]
        found["spent_outpoints"] = [f"{output.tx_index}:{output.n}" for output in kept]
        found["outpoints_cut"] = len(spent) > MAX_OUTPOINTS
    return found


def _addresses(inputs: list[Input], outputs: list[Output]) -> dict[str, Any]:
    """Distinct addresses, and whether an input's is paid again: change to the same address, the
    reuse that Nakamoto's paper (section 10) advises against.
    """
    if any(i.prev_out is None for i in inputs):
        return {}
    spending = _distinct(i.prev_out.addr for i in inputs if i.prev_out)
    paid = _distinct(output.addr for output in outputs)
    return {
        "addresses_count": len(spending | paid),
        "address_reused": not spending.isdisjoint(paid),
    }


def _distinct(addresses: Iterable[str | None]) -> set[str]:
    return {address for address in addresses if address}


def _signals_replacement(inputs: list[Input], said: bool | None) -> bool | None:
    """BIP 125, explicit signalling; inherited signalling is not visible in one transaction."""
    if any(i.sequence is None for i in inputs):
        return said
    return any((i.sequence or 0) < _FINAL_BUT_LOCKABLE for i in inputs)


def _within_uint32(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < _UNIX_TIME_END else None
