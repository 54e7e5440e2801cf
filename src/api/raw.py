"""The body of /predict/raw: a transaction in the JSON of Blockchain.com, as its API returns it."""

from typing import Annotated, Any

import msgspec
from fastapi import HTTPException
from pydantic import WithJsonSchema

from core.blockchain_json.describe import UnusableItemError, describe
from core.transaction import DescribedTransaction

EXAMPLE: dict[str, Any] = {
    "hash": "a1b2c3d4e5f6...",
    "size": 225,
    "weight": 573,
    "fee": 1000,
    "inputs": [{"sequence": 4294967293, "prev_out": {"value": 10_000}}],
    "out": [{"value": 6_000}, {"value": 3_000}],
}

_SATOSHI = {"type": "integer", "minimum": 0, "description": "Satoshi"}
_MAYBE = {"type": ["integer", "null"]}
_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "value": _SATOSHI,
        "script": {"description": "Hexadecimal text; tells the type of the output"},
        "addr": {"description": "Address, where the script has one"},
    },
}
_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prev_out": {
            "type": ["object", "null"],
            "properties": _OUTPUT["properties"] | {"value": _SATOSHI | _MAYBE},
            "description": "The output that is spent; null in a coinbase",
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
        "hash": {"type": "string", "description": "Transaction id, or any text naming it"},
        "size": {"type": "integer", "description": "Total size in bytes"},
        "weight": {"type": "integer", "description": "Weight in weight units"},
        "fee": {
            "type": ["integer", "null"],
            "description": "Fee in satoshi; derived where it is missing",
        },
        "inputs": {"type": "array", "items": _INPUT},
        "out": {"type": "array", "items": {**_OUTPUT, "required": ["value"]}},
    },
    "examples": [EXAMPLE],
}

RawTransactionBody = Annotated[DescribedTransaction, WithJsonSchema(SCHEMA)]
"""What the raw JSON describes; documented as the raw JSON."""


def read_raw(content: bytes) -> DescribedTransaction:
    """Read the raw JSON; raises `HTTPException` with a sentence that says why it cannot be used."""
    try:
        return describe(content)
    except UnusableItemError as error:
        fits = isinstance(error.__cause__, msgspec.ValidationError)
        status = 400 if error.refusal == "malformed" and not fits else 422
        sentence = f"The body is not a transaction as Blockchain.com returns it: {error}."
        raise HTTPException(status, sentence) from error
