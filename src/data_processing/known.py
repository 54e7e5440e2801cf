"""What the stream has seen within the horizon: hashes, and who spent which outpoint.

Kept in memory as sorted arrays, one an hour of broker time, and rebuilt at the start from the
tables themselves: no state of Spark's own can be lost, or disagree with the tables. Two million
hashes take 32 MB, and looking a micro-batch up costs milliseconds however many there are.
"""

import struct
from collections.abc import Iterable
from datetime import datetime
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

HOUR = 3_600
Keys = NDArray[np.bytes_]
Hours = NDArray[np.int64]


class KnownKeys:
    """The keys of the transactions that were appended lately, by the hour of broker time.

    >>> known = KnownKeys()
    >>> known.add(as_keys([b"a" * 16]), np.array([0]))
    >>> known.contains(as_keys([b"a" * 16, b"b" * 16])).tolist()
    [True, False]
    """

    def __init__(self) -> None:
        self._by_hour: dict[int, Keys] = {}

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._by_hour.values())

    def contains(self, keys: Keys) -> NDArray[np.bool_]:
        """Whether each key is known; shape (n,)."""
        found = np.zeros(len(keys), bool)
        for known in self._by_hour.values():
            at = np.searchsorted(known, keys)
            at[at == len(known)] = 0
            found |= known[at] == keys
        return found

    def add(self, keys: Keys, hours: Hours) -> None:
        """Remember new keys with the hour (Unix time / 3,600) of their append."""
        for hour in np.unique(hours).tolist():
            merged = np.concatenate([self._by_hour.get(hour, keys[:0]), keys[hours == hour]])
            self._by_hour[hour] = np.sort(merged)

    def forget_before(self, oldest: datetime) -> None:
        """Forget the hours that ended before an instant."""
        first = int(oldest.timestamp()) // HOUR
        self._by_hour = {hour: keys for hour, keys in self._by_hour.items() if hour >= first}


def as_keys(values: Iterable[bytes] | pa.ChunkedArray) -> Keys:
    """Keys of 16 bytes each as one array."""
    if isinstance(values, pa.ChunkedArray):
        values = values.to_pylist()
    return np.array(list(values), dtype="S16")


def keys_of_hashes(hashes: pa.ChunkedArray | pa.Array) -> Keys:
    """The keys of transactions by their hashes of 64 hex digits."""
    halves = pc.utf8_slice_codeunits(hashes.cast(pa.string()), 0, 32)
    return bytes_of(halves).view("S16")


def bytes_of(texts: pa.ChunkedArray | pa.Array) -> NDArray[np.uint8]:
    """The bytes that texts of hex digits stand for, one after another."""
    return np.frombuffer(bytes.fromhex("".join(texts.to_pylist())), np.uint8)


def receipt_keys(receipts: pa.Table) -> Keys:
    """A key for each record by where and when Kafka appended it; needs those four columns."""
    columns = (receipts[name].to_pylist() for name in ("topic", "partition", "offset"))
    millis = receipts["append_time"].cast(pa.int64()).to_pylist()
    return as_keys(
        [
            struct.pack(">HHQI", crc32(topic.encode()) & 0xFFFF, p, o, at // 1_000 & 0xFFFFFFFF)
            for topic, p, o, at in zip(*columns, millis, strict=True)
        ]
    )


def hours(times: pa.ChunkedArray | pa.Array) -> Hours:
    """The hour of each instant, Unix time / 3,600; shape (n,)."""
    micros = np.asarray(times.cast(pa.int64()).to_numpy(), np.int64)
    return micros // (HOUR * 1_000_000)


def firsts(keys: Keys) -> NDArray[np.bool_]:
    """Whether each key is the first of its kind in the order given; shape (n,)."""
    first = np.zeros(len(keys), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first
