"""One transaction in the JSON of Blockchain.com: the fields that are used, everything optional that
was ever absent.

Fields that are not named here (witnesses, most of the bytes) are skipped without being stored.
"""

import msgspec


class PreviousOutput(msgspec.Struct):
    """The output that an input spends; value in satoshi."""

    tx_index: int = 0
    n: int = 0
    value: int | None = None
    script: str | None = None
    addr: str | None = None


class Input(msgspec.Struct):
    """An input; `prev_out` is null, missing or empty in a coinbase transaction."""

    prev_out: PreviousOutput | None = None
    sequence: int | None = None


class Output(msgspec.Struct):
    """An output; value in satoshi."""

    value: int
    script: str | None = None
    addr: str | None = None


class RawTransaction(msgspec.Struct, kw_only=True):
    """One transaction: HTTP of today and of 2018, websocket, or pruned to some addresses."""

    hash: str
    size: int
    weight: int | None = None
    fee: int | None = None
    vin_sz: int | None = None
    vout_sz: int | None = None
    inputs: list[Input]
    out: list[Output]
    time: int | None = None
    block_height: int | None = None
    lock_time: int | None = None
    rbf: bool | None = None


class _BareOutput(msgspec.Struct):
    value: int


class _BarePreviousOutput(msgspec.Struct):
    tx_index: int = 0
    n: int = 0
    value: int | None = None


class _BareInput(msgspec.Struct):
    prev_out: _BarePreviousOutput | None = None


class _BareTransaction(msgspec.Struct, kw_only=True):
    """What the eight fields need: read when something else in the item is malformed."""

    hash: str
    size: int
    weight: int | None = None
    fee: int | None = None
    vin_sz: int | None = None
    vout_sz: int | None = None
    inputs: list[_BareInput]
    out: list[_BareOutput]


_TRANSACTION = msgspec.json.Decoder(RawTransaction)
_BARE = msgspec.json.Decoder(_BareTransaction)


def decode_transaction(item: bytes | msgspec.Raw) -> RawTransaction:
    """One transaction, without its facts where only these are malformed.

    Raises `msgspec.DecodeError`, which says what is missing or wrong, and where.
    """
    try:
        return _TRANSACTION.decode(item)
    except msgspec.DecodeError:
        bare = _BARE.decode(item)
    return msgspec.convert(msgspec.to_builtins(bare), RawTransaction)
