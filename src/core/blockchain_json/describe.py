"""From one item of raw JSON to the transaction that it describes, or the reason why there is none.

It reads every form that was ever captured: today's, that of 2018 (without `fee`, which is derived),
the three forms of a coinbase transaction, and records pruned to some addresses (their outputs are
inputs - fee). A number that cannot be known exactly is refused, never guessed; a websocket message,
for example, has no weight.

The facts beyond the eight fields explain a verdict, but no score is computed from them. A fact is
absent where the JSON does not have it: outputs were pruned, a script is missing, or an older
backend gave a `tx_index` of 0.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from core.blockchain_json.coinjoins import coinjoin_protocol
from core.blockchain_json.schema import (
    Input,
    Output,
    PreviousOutput,
    RawTransaction,
    decode_transaction,
)
from core.blockchain_json.scripts import OP_RETURN, dust_limit, script_type
from core.blockchain_json.tokens import token_facts
from core.transaction import MAX_ADDRESS, MAX_OUTPOINTS, DescribedTransaction

Model = TypeVar("Model", bound=BaseModel)

REFUSALS = ("malformed", "weight_unknown", "value_unknown", "inconsistent", "out_of_bounds")
"""The kinds of refusal."""

_COINBASE_INDEX = 0xFFFFFFFF

_FINAL_BUT_LOCKABLE = 0xFFFFFFFE
"""BIP 125: an input whose sequence number is below it signals that it may be replaced."""

_UNIX_TIME_END = 2**32

_ADDRESS, _SCRIPT = re.compile("[0-9A-Za-z]{1,90}"), re.compile("[0-9a-f]+")


class UnusableItemError(ValueError):
    """An item that does not give a transaction; `refusal` is its kind, the message a sentence."""

    def __init__(self, refusal: str, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


def describe(item: bytes) -> DescribedTransaction:
    """The transaction of one item; raises `UnusableItemError`."""
    raw = decode_item(item)
    return build(DescribedTransaction, fields_of(raw, mined=bool(raw.block_height)))


def decode_item(item: bytes | msgspec.Raw) -> RawTransaction:
    """Decode one item; raises `UnusableItemError` where it is not the JSON of a transaction."""
    try:
        return decode_transaction(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableItemError("malformed", f"not a transaction: {error}") from error


def build(model: type[Model], fields: dict[str, Any]) -> Model:
    """Make a model of its fields; raises `UnusableItemError` where one is out of its bounds."""
    try:
        return model(**fields)
    except ValidationError as error:
        sentences = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {str(e['input'])[:80]})"
            if e["loc"]
            else e["msg"]
            for e in error.errors(include_url=False)
        ]
        raise UnusableItemError("out_of_bounds", "; ".join(sentences)) from error


def fields_of(raw: RawTransaction, mined: bool) -> dict[str, Any]:
    """The fields of a `DescribedTransaction`; `mined` says that it is in a block.

    Raises `UnusableItemError`.
    """
    if raw.weight is None:
        raise UnusableItemError(
            "weight_unknown", "its weight is missing, as in a websocket message: it cannot be known"
        )
    coinbase = _is_coinbase(raw, mined)
    inputs = [] if coinbase else raw.inputs
    outputs_complete = raw.vout_sz is None or raw.vout_sz == len(raw.out)
    input_value, output_value, fee = _balance(raw, coinbase, outputs_complete)
    facts = _spending(inputs) | {
        "rbf": _signals_replacement(inputs, raw.rbf),
        "lock_time": _within_uint32(raw.lock_time),
        "version": _within_uint32(raw.ver),
    }
    if outputs_complete and raw.out:
        facts |= _amounts(raw.out) | _scripts(raw.out) | _addresses(inputs, raw.out)
        facts |= _paid(raw.out)
        facts["coinjoin"] = coinjoin_protocol(inputs, raw.out)
        facts |= token_facts(inputs, raw.out)
    return {
        "hash": raw.hash,
        "size": raw.size,
        "weight": raw.weight,
        "fee": fee,
        "inputs_count": len(raw.inputs) if raw.vin_sz is None else raw.vin_sz,
        "outputs_count": len(raw.out) if raw.vout_sz is None else raw.vout_sz,
        "input_value": input_value,
        "output_value": output_value,
        **{name: value for name, value in facts.items() if value is not None},
    }


def _is_coinbase(raw: RawTransaction, mined: bool) -> bool:
    """Whether it creates coins: its one input spends nothing, in any of the three forms.

    The forms: `prev_out` is an object of value 0 at index 0xffffffff; it is null; it is missing or
    empty. The last two may as well be an input that the source did not find, so they count only in
    a block.
    """
    if len(raw.inputs) != 1 or raw.vin_sz not in (None, 1) or raw.fee:
        return False
    output = raw.inputs[0].prev_out or PreviousOutput()
    if output.value is None:
        return mined and output.tx_index == 0
    return output.value == 0 and output.tx_index == 0 and output.n == _COINBASE_INDEX


def _balance(raw: RawTransaction, coinbase: bool, outputs_complete: bool) -> tuple[int, int, int]:
    """Inputs, outputs and fee in satoshi, the one that is missing derived from the other two."""
    outputs = sum(output.value for output in raw.out) if outputs_complete else None
    if coinbase:
        if outputs is None:
            raise UnusableItemError(
                "value_unknown", "it is a coinbase transaction with outputs left out"
            )
        return 0, outputs, 0
    inputs, fee = _sum_of_inputs(raw), raw.fee
    if [inputs, outputs, fee].count(None) > 1:
        raise UnusableItemError(
            "value_unknown",
            "inputs or outputs are left out and there is no fee to derive their value from",
        )
    if inputs is None and not fee:
        raise UnusableItemError(
            "value_unknown", "an input has no value, and a fee of 0 does not tell it"
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
    """The value that is spent in satoshi, or None where an input's value is missing."""
    values = [i.prev_out.value for i in raw.inputs if i.prev_out and i.prev_out.value is not None]
    complete = len(values) == len(raw.inputs) == (len(values) if raw.vin_sz is None else raw.vin_sz)
    return sum(values) if complete else None


def _amounts(outputs: list[Output]) -> dict[str, Any]:
    """The largest and smallest output, and the size of the largest group of one value above 0.

    Equal outputs are the mark of a coinjoin (Meiklejohn and Orlandi 2015, "Privacy-enhancing
    overlays in Bitcoin").
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
    """The script types that are paid, what carries data (OP_RETURN, 0x6a), anchors and dust."""
    scripts = [output.script for output in outputs if output.script]
    if len(scripts) < len(outputs):
        return {}
    types = list(map(script_type, scripts))
    data = [
        (output.value, len(script) // 2)
        for output, script in zip(outputs, scripts, strict=True)
        if script.startswith(OP_RETURN)
    ]
    return {
        "output_types": sorted(set(types)),
        "anchor_outputs": types.count("p2a"),
        "op_return": bool(data),
        "data_bytes": sum(size for _, size in data),
        "burned_value": sum(value for value, _ in data),
        "dust_outputs": sum(
            output.value < dust_limit(script)
            for output, script in zip(outputs, scripts, strict=True)
        ),
    }


def _spending(inputs: list[Input]) -> dict[str, Any]:
    """The script types and outpoints that are spent.

    An outpoint is `tx_index:n`, since the JSON has no previous hash. The backend's `tx_index`
    identifies a transaction: it is the first 53 bits of its id since 2020, and was a row number
    before.
    """
    spent = [i.prev_out for i in inputs if i.prev_out is not None]
    if len(spent) < len(inputs):
        return {}
    facts: dict[str, Any] = {}
    if all(output.script for output in spent):
        facts["input_types"] = sorted({script_type(output.script or "") for output in spent})
    if all(output.tx_index > 0 for output in spent):
        facts["spent_outpoints"] = [f"{o.tx_index}:{o.n}" for o in spent[:MAX_OUTPOINTS]]
        facts["outpoints_cut"] = len(spent) > MAX_OUTPOINTS
        facts |= _owned(spent, "input")
    return facts


def _paid(outputs: list[Output]) -> dict[str, Any]:
    """Who is paid by each output, and how much."""
    return _owned(outputs, "output") | {"outputs_cut": len(outputs) > MAX_OUTPOINTS}


def _owned(outputs: Sequence[Output | PreviousOutput], side: str) -> dict[str, Any]:
    """The owner and the value of each output, spent or paid; nothing where one is unknown."""
    kept = outputs[:MAX_OUTPOINTS]
    owners = [owner(output.addr, output.script) for output in kept]
    values = [output.value for output in kept]
    if None in owners or None in values:
        return {}
    return {f"{side}_addresses": owners, f"{side}_values": values}


def owner(address: str | None, script: str | None) -> str | None:
    """The address of an output, else its script cut to `MAX_ADDRESS` digits; None without either.

    >>> owner("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "76a9"), owner(None, "6a0101")
    ('1BoatSLRHtKNngkdXEeobR76b53LETtpyT', '6a0101')
    """
    if address and _ADDRESS.fullmatch(address):
        return address
    digits = (script or "")[:MAX_ADDRESS]
    return digits if _SCRIPT.fullmatch(digits) else None


def _addresses(inputs: list[Input], outputs: list[Output]) -> dict[str, Any]:
    """The number of addresses, and whether an input's address is also paid.

    That is change to the same address, which Nakamoto's paper (section 10) advises against.
    """
    if any(i.prev_out is None for i in inputs):
        return {}
    spending = {i.prev_out.addr for i in inputs if i.prev_out and i.prev_out.addr}
    paid = {output.addr for output in outputs if output.addr}
    return {
        "addresses_count": len(spending | paid),
        "address_reused": not spending.isdisjoint(paid),
    }


def _signals_replacement(inputs: list[Input], claimed: bool | None) -> bool | None:
    """BIP 125 signalling, by the inputs' sequence numbers, else as the source claims.

    Signalling that is inherited from an unconfirmed parent does not show in one transaction.
    """
    if any(i.sequence is None for i in inputs):
        return claimed
    return any((i.sequence or 0) < _FINAL_BUT_LOCKABLE for i in inputs)


def _within_uint32(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < _UNIX_TIME_END else None
