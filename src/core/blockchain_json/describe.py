"""From one item of raw JSON to the transaction it describes, or the reason why not.

Every shape that was ever captured is read: today's and that of 2018 (no `fee`: derived), the three
forms of a coinbase transaction, and records pruned to some addresses (output = input - fee). What
cannot be known exactly is refused, never guessed: the websocket has no weight, for one.

What the raw JSON of a transaction knows and the eight fields do not.

Each fact is absent when the JSON does not tell it: outputs that were pruned, a script that is
missing, an older backend's `tx_index` of 0. The facts explain a verdict; no score is made of them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from core.blockchain_json.schema import Input, Output, RawTransaction, decode_transaction
from core.blockchain_json.scripts import dust_limit, script_type
from core.transaction import MAX_OUTPOINTS, DescribedTransaction

Model = TypeVar("Model", bound=BaseModel)

REFUSALS = ("malformed", "weight_unknown", "value_unknown", "inconsistent", "out_of_bounds")
"""The kinds of refusal: the values of the metric's label."""

_COINBASE_INDEX = 0xFFFFFFFF


class UnusableItemError(ValueError):
    """An item that cannot become a transaction; the message is a sentence for a person."""

    def __init__(self, refusal: str, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


def describe(item: bytes) -> DescribedTransaction:
    """Read one item; raises `UnusableItemError`."""
    return built(DescribedTransaction, described(read(item)))


def read(item: bytes | msgspec.Raw) -> RawTransaction:
    """Decode one item; raises `UnusableItemError`."""
    try:
        return decode_transaction(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableItemError("malformed", f"not a transaction: {error}") from error


def built(model: type[Model], fields: dict[str, Any]) -> Model:
    """Make the model of its fields; raises `UnusableItemError` where one is out of its bounds."""
    try:
        return model(**fields)
    except ValidationError as error:
        raise UnusableItemError("out_of_bounds", _sentence(error)) from error


def described(raw: RawTransaction) -> dict[str, Any]:
    """The fields of a `DescribedTransaction`; raises `UnusableItemError`."""
    if raw.weight is None:
        raise UnusableItemError(
            "weight_unknown", "its weight is missing, as in a websocket message: it cannot be known"
        )
    coinbase = is_coinbase(raw)
    inputs = 0 if coinbase else _sum_of_inputs(raw)
    outputs_known = raw.vout_sz is None or raw.vout_sz == len(raw.out)
    outputs = sum(output.value for output in raw.out) if outputs_known else None
    fee = 0 if coinbase else raw.fee
    input_value, output_value, fee = _balance(inputs, outputs, fee, coinbase)
    return {
        "hash": raw.hash,
        "size": raw.size,
        "weight": raw.weight,
        "fee": fee,
        "inputs_count": len(raw.inputs) if raw.vin_sz is None else raw.vin_sz,
        "outputs_count": len(raw.out) if raw.vout_sz is None else raw.vout_sz,
        "input_value": input_value,
        "output_value": output_value,
        **facts(raw, coinbase, outputs_known),
    }


def _balance(
    inputs: int | None, outputs: int | None, fee: int | None, coinbase: bool
) -> tuple[int, int, int]:
    """Inputs, outputs and fee in satoshi, the one that is missing derived from the other two."""
    if coinbase:
        if outputs is None:
            raise UnusableItemError(
                "value_unknown", "it is a coinbase transaction with outputs left out"
            )
        return 0, outputs, 0
    if [inputs, outputs, fee].count(None) > 1:
        raise UnusableItemError(
            "value_unknown",
            "inputs or outputs are left out and there is no fee to derive their value from",
        )
    if fee is None:
        fee = (inputs or 0) - (outputs or 0)
    if inputs is None:
        inputs = (outputs or 0) + fee
    if outputs is None:
        outputs = inputs - fee
    if outputs > inputs:
        raise UnusableItemError(
            "inconsistent", f"its outputs {outputs} are more than its inputs {inputs}"
        )
    if inputs - outputs != fee:
        raise UnusableItemError(
            "inconsistent", f"its fee is {fee}, but inputs {inputs} - outputs {outputs} is another"
        )
    return inputs, outputs, fee


def _sum_of_inputs(raw: RawTransaction) -> int | None:
    """The value that is spent in satoshi, or None when an input's is not told."""
    values = [i.prev_out.value for i in raw.inputs if i.prev_out and i.prev_out.value is not None]
    complete = len(values) == len(raw.inputs) == (len(values) if raw.vin_sz is None else raw.vin_sz)
    return sum(values) if complete else None


def is_coinbase(raw: RawTransaction) -> bool:
    """Whether it creates coins: one input that spends nothing, in any of the three forms.

    The forms: `prev_out` is an object of value 0 at index 0xffffffff; it is null; it is missing.
    """
    if len(raw.inputs) != 1 or raw.fee:
        return False
    return _spends_nothing(raw.inputs[0])


def _spends_nothing(spending: Input) -> bool:
    output = spending.prev_out
    if output is None or output.value is None:
        return True
    return output.value == 0 and output.tx_index == 0 and output.n == _COINBASE_INDEX


def _sentence(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']} (got {str(e['input'])[:80]})"
        for e in error.errors(include_url=False)
    )


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
