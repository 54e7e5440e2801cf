"""From one item of raw JSON to the transaction it describes, or the reason why not.

Every shape that was ever captured is read: today's and that of 2018 (no `fee`: derived), the three
forms of a coinbase transaction, and records pruned to some addresses (output = input - fee). What
cannot be known exactly is refused, never guessed: the websocket has no weight, for one.
"""

from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from core.facts import facts
from core.raw_transaction import Input, RawTransaction, decode_transaction
from core.transaction import DescribedTransaction

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
