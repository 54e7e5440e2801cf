"""The body of /predict/raw: a transaction in the JSON that the API of Blockchain.com returns."""

from typing import Annotated, Any

import msgspec
from fastapi import HTTPException
from pydantic import WithJsonSchema

from api.bodies import check_objects, with_whole_numbers
from api.schemas import MARKET_WORDS, MAX_FEE_RATE, SubmittedTransaction
from core.blockchain_json.describe import UnusableItemError, describe
from core.transaction import MAX_COUNT, DescribedTransaction

MAX_RAW_BYTES = 4 * 1024 * 1024
"""As much as the broker takes as one record; some 7,000 inputs."""

EXAMPLE: dict[str, Any] = {
    "hash": "a1b2c3d4e5f6...",
    "size": 225,
    "weight": 573,
    "fee": 1000,
    "inputs": [{"sequence": 4294967293, "prev_out": {"value": 10_000}}],
    "out": [{"value": 6_000}, {"value": 3_000}],
}

_SATOSHI = {"type": "integer", "minimum": 0, "description": "Satoshi"}
_NULLABLE_INTEGER = {"type": ["integer", "null"]}
_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "value": _SATOSHI,
        "script": {"description": "Hexadecimal text, from which the output's type is read"},
        "addr": {"description": "Address, where the script has one"},
    },
}
_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prev_out": {
            "type": ["object", "null"],
            "properties": _OUTPUT["properties"] | {"value": _SATOSHI | _NULLABLE_INTEGER},
            "description": "The output that is spent; null in a coinbase of a block",
        },
        "sequence": {"description": "Sequence number; signals replaceability"},
    },
}
SCHEMA: dict[str, Any] = {
    "title": "RawTransaction",
    "description": "As /rawtx and /unconfirmed-transactions return it; other fields are ignored",
    "type": "object",
    "required": ["hash", "size", "weight", "inputs", "out"],
    "properties": {
        "hash": {
            "type": "string",
            "description": "Transaction id, or any text that names it",
        },
        "size": {"type": "integer", "description": "Total size in bytes"},
        "weight": {"type": "integer", "description": "Weight in weight units"},
        "fee": {
            "type": ["integer", "null"],
            "description": "Fee in satoshi; computed when it is missing",
        },
        "block_height": {
            "description": "Height of its block; without one an input without a value is refused",
        },
        "market_fee_rate": {
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "maximum": MAX_FEE_RATE,
            "description": MARKET_WORDS,
        },
        "inputs": {"type": "array", "items": _INPUT},
        "out": {"type": "array", "items": {**_OUTPUT, "required": ["value"]}},
    },
    "examples": [EXAMPLE],
}


class _Market(msgspec.Struct):
    """What a caller may add to the raw JSON."""

    market_fee_rate: Annotated[float, msgspec.Meta(gt=0, le=MAX_FEE_RATE)] | None = None


RawTransactionBody = Annotated[SubmittedTransaction, WithJsonSchema(SCHEMA)]
"""The transaction that the raw JSON describes; the OpenAPI document shows the raw JSON."""


def read_raw(content: bytes) -> SubmittedTransaction:
    """Read the raw JSON; raises `HTTPException` whose detail says why it cannot be used."""
    check_objects(content, MAX_COUNT)
    try:
        transaction = _described(content)
    except UnusableItemError as error:
        is_json = isinstance(error.__cause__, msgspec.ValidationError)
        status = 400 if error.refusal == "malformed" and not is_json else 422
        detail = f"The body is not a transaction as Blockchain.com returns it: {error}."
        raise HTTPException(status, detail) from error
    return SubmittedTransaction.model_construct(
        **transaction.__dict__, market_fee_rate=_market_fee_rate(content)
    )


def _market_fee_rate(content: bytes) -> float | None:
    """The going fee rate that the caller gives beside a transaction that was read."""
    if b"market_fee_rate" not in content:
        return None
    try:
        return msgspec.json.decode(content, type=_Market).market_fee_rate
    except msgspec.MsgspecError as error:
        raise HTTPException(422, f"The market_fee_rate cannot be used: {error}.") from error


def _described(content: bytes) -> DescribedTransaction:
    try:
        return describe(content)
    except UnusableItemError as error:
        if not isinstance(error.__cause__, msgspec.ValidationError) or "`float`" not in str(error):
            raise
        try:
            decoded = msgspec.json.encode(with_whole_numbers(content))
        except (ValueError, RecursionError):
            raise error from None
    return describe(decoded)
