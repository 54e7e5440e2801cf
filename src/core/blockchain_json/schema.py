"""The schema of one transaction in the JSON of Blockchain.com, with the fields that are used.

A field is optional where any capture lacks it. All other fields (witnesses, which are most of the
bytes) are skipped while decoding.
"""

from typing import Annotated

import msgspec

Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number in JSON may have 4,300 digits, and the text of a larger sum fails; these are 64 bits."""


class PreviousOutput(msgspec.Struct):
    """The output that an input spends; value in satoshi."""

    tx_index: Integer = 0
    n: Integer = 0
    value: Integer | None = None
    script: str | None = None
    addr: str | None = None


class Input(msgspec.Struct):
    """An input; `prev_out` is null, missing or empty in a coinbase transaction."""

    prev_out: PreviousOutput | None = None
    sequence: Integer | None = None


class Output(msgspec.Struct):
    """An output; value in satoshi."""

    value: Integer
    script: str | None = None
    addr: str | None = None


class RawTransaction(msgspec.Struct, kw_only=True):
    """One transaction: HTTP as of today or 2018, websocket, or pruned to some addresses."""

    hash: str
    ver: Integer | None = None
    size: Integer
    weight: Integer | None = None
    fee: Integer | None = None
    vin_sz: Integer | None = None
    vout_sz: Integer | None = None
    inputs: list[Input]
    out: list[Output]
    time: Integer | None = None
    block_height: Integer | None = None
    lock_time: Integer | None = None
    rbf: bool | None = None


class _BareOutput(msgspec.Struct):
    value: Integer


class _BarePreviousOutput(msgspec.Struct):
    tx_index: Integer = 0
    n: Integer = 0
    value: Integer | None = None


class _BareInput(msgspec.Struct):
    prev_out: _BarePreviousOutput | None = None


class _BareTransaction(msgspec.Struct, kw_only=True):
    """What the eight fields are made of; decoded when another part of the item is malformed."""

    hash: str
    size: Integer
    weight: Integer | None = None
    fee: Integer | None = None
    vin_sz: Integer | None = None
    vout_sz: Integer | None = None
    inputs: list[_BareInput]
    out: list[_BareOutput]


_TRANSACTION = msgspec.json.Decoder(RawTransaction)
_BARE = msgspec.json.Decoder(_BareTransaction)


def decode_transaction(item: bytes | msgspec.Raw) -> RawTransaction:
    """Decode one transaction; without the facts beyond the eight fields where they are malformed.

    Raises `msgspec.DecodeError`, whose message names the place and the fault.
    """
    try:
        return _TRANSACTION.decode(item)
    except msgspec.DecodeError:
        bare = _BARE.decode(item)
    return msgspec.convert(msgspec.to_builtins(bare), RawTransaction)
