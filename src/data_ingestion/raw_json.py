"""The JSON of Blockchain.com as it arrives: only the fields that are used, everything optional that
was ever absent.

A page is decoded in two steps, so that one malformed item costs only itself: first the page, with
each item left as the bytes it is (`msgspec.Raw`), then each item alone. Fields that are not named
here (witnesses, most of the bytes) are skipped without being stored.
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


class Tip(msgspec.Struct):
    """Answer of `/latestblock`."""

    hash: str
    height: int


class RawBlock(msgspec.Struct):
    """Answer of `/rawblock/…`; `tx` holds the bytes of each transaction."""

    hash: str
    height: int
    prev_block: str
    time: int
    tx: list[msgspec.Raw]


class _Page(msgspec.Struct):
    txs: list[msgspec.Raw]


class _Named(msgspec.Struct):
    hash: str


_PAGE = msgspec.json.Decoder(_Page)
_BLOCK = msgspec.json.Decoder(RawBlock)
_TIP = msgspec.json.Decoder(Tip)
_TRANSACTION = msgspec.json.Decoder(RawTransaction)
_BARE = msgspec.json.Decoder(_BareTransaction)
_NAMED = msgspec.json.Decoder(_Named)


def decode_page(body: bytes) -> list[bytes]:
    """The items of `/unconfirmed-transactions`; raises `msgspec.DecodeError`."""
    return [bytes(item) for item in _PAGE.decode(body).txs]


def decode_block(body: bytes) -> RawBlock:
    """A block; raises `msgspec.DecodeError`."""
    return _BLOCK.decode(body)


def decode_tip(body: bytes) -> Tip:
    """The newest block; raises `msgspec.DecodeError`."""
    return _TIP.decode(body)


def decode_transaction(item: bytes | msgspec.Raw) -> RawTransaction:
    """One transaction, without its facts where only these are malformed.

    Raises `msgspec.DecodeError`, which says what is missing or wrong, and where.
    """
    try:
        return _TRANSACTION.decode(item)
    except msgspec.DecodeError:
        bare = _BARE.decode(item)
    return msgspec.convert(msgspec.to_builtins(bare), RawTransaction)


def hash_of(item: bytes | msgspec.Raw) -> str | None:
    """The hash that an item gives itself, or None where it has none."""
    try:
        return _NAMED.decode(item).hash
    except msgspec.DecodeError:
        return None
