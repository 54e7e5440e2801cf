"""Pages and blocks in the JSON of Blockchain.com, decoded in two steps, so that one malformed item
costs only itself: first the page, with each item left as the bytes it is (`msgspec.Raw`), then each
item alone (`core/blockchain_json/schema.py`).
"""

import msgspec


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


def hash_of(item: bytes | msgspec.Raw) -> str | None:
    """The hash that an item gives itself, or None where it has none."""
    try:
        return _NAMED.decode(item).hash
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
