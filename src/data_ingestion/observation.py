"""From one item of raw JSON to the `ObservedTransaction` that is published."""

import msgspec

from core.blockchain_json.describe import build, decode_item, fields_of
from core.blockchain_json.schema import RawTransaction
from core.transaction import ObservedTransaction, TransactionSource

_UNIX_TIME_END = 2**32


def observe(
    item: bytes | msgspec.Raw,
    first_seen: int,
    source: TransactionSource,
    block_height: int | None = None,
) -> ObservedTransaction:
    """Read one item; `first_seen` in Unix seconds.

    Raises `core.blockchain_json.describe.UnusableItemError`.
    """
    raw = decode_item(item)
    seen = {
        "time": raw.time if raw.time and 0 <= raw.time < _UNIX_TIME_END else None,
        "first_seen": first_seen,
        "block_height": block_height if block_height is not None else _height(raw),
        "source": source,
    }
    return build(ObservedTransaction, fields_of(raw) | seen)


def _height(raw: RawTransaction) -> int | None:
    """An unconfirmed item says null, 0 (older captures) or nothing."""
    height = raw.block_height
    return height if height is not None and 0 < height <= 2**31 else None
