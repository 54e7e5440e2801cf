"""Recognises records that are in the tables already.

The hashes of the last hours are kept in memory as sorted arrays, one for each hour of broker time.
They are read from the tables at the start, so that no state of Spark's can be lost or disagree with
the tables. Two million hashes take 32 MB, and looking up a micro-batch takes milliseconds.
"""

import logging
import struct
from collections.abc import Iterable
from datetime import datetime, timedelta
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.lake import sql_time
from data_processing.lake_tables import LakeTables

log = logging.getLogger(__name__)

HOUR = 3_600
Keys = NDArray[np.bytes_]
Hours = NDArray[np.int64]


class SeenKeys:
    """The keys of recently appended transactions, by hour of broker time.

    >>> seen = SeenKeys()
    >>> seen.add(as_keys([b"a" * 16]), np.array([0]))
    >>> seen.contains(as_keys([b"a" * 16, b"b" * 16])).tolist()
    [True, False]
    """

    def __init__(self) -> None:
        self._by_hour: dict[int, Keys] = {}

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._by_hour.values())

    def contains(self, keys: Keys) -> NDArray[np.bool_]:
        """Whether each key has been added; shape (n,)."""
        present = np.zeros(len(keys), bool)
        for seen in self._by_hour.values():
            at = np.searchsorted(seen, keys)
            at[at == len(seen)] = 0
            present |= seen[at] == keys
        return present

    def add(self, keys: Keys, hours: Hours) -> None:
        """Add new keys with the hours (Unix time / 3,600) of their append."""
        for hour in np.unique(hours).tolist():
            merged = np.concatenate([self._by_hour.get(hour, keys[:0]), keys[hours == hour]])
            self._by_hour[hour] = np.sort(merged)

    def forget_before(self, oldest: datetime) -> None:
        """Drop the hours that ended before an instant."""
        first = int(oldest.timestamp()) // HOUR
        self._by_hour = {hour: keys for hour, keys in self._by_hour.items() if hour >= first}


class SeenTransactions:
    """What the tables hold already: hashes within the horizon, and rejects that may be read again.

    The tables are read at the first micro-batch. Its oldest record determines how far back: that
    record may have been written before a crash, and one micro-batch may reach over days.
    """

    def __init__(self, tables: LakeTables, horizon_hours: int) -> None:
        self.keys = SeenKeys()
        self._tables, self._horizon = tables, timedelta(hours=horizon_hours)
        self._rejects: Keys | None = None

    def prepare_for(self, oldest: datetime) -> None:
        """Load what a micro-batch needs whose oldest record was appended at `oldest`.

        Later calls only drop the keys that are older than the horizon before it.
        """
        since = oldest - self._horizon
        if self._rejects is None:
            self._rejects = self._rejects_since(oldest)
            self._load_keys(since)
            log.info("event=seen_hashes_loaded hashes=%d", len(self.keys))
        self.keys.forget_before(since)

    def add(self, transactions: pa.Table) -> None:
        """Add the receipts of transactions that are committed."""
        self.keys.add(as_keys(transactions["key"]), append_hours(transactions["append_time"]))

    def are_written(self, rejects: pa.Table) -> NDArray[np.bool_]:
        """Whether each reject was in `quarantine` at the start; shape (n,)."""
        assert self._rejects is not None, "prepared before"
        return np.isin(record_keys(rejects), self._rejects)

    def _load_keys(self, since: datetime) -> None:
        batches = self._tables.query_batches(
            f"SELECT hash, append_time FROM raw_transactions WHERE date >= '{since.date()}' "
            f"AND append_time >= {sql_time(since)}",
            "raw_transactions",
        )
        rows = [(keys_of_hashes(b["hash"]), append_hours(b["append_time"])) for b in batches]
        if rows:
            keys, hours = zip(*rows, strict=True)
            self.keys.add(np.concatenate(keys), np.concatenate(hours))

    def _rejects_since(self, since: datetime) -> Keys:
        rows = self._tables.query(
            'SELECT topic, "partition", "offset", append_time FROM quarantine WHERE '
            f"date >= '{since.date()}' AND append_time >= {sql_time(since)}",
            "quarantine",
        )
        return record_keys(rows)


def as_keys(values: Iterable[bytes] | pa.ChunkedArray) -> Keys:
    """Keys of 16 bytes each as one array."""
    if isinstance(values, pa.ChunkedArray):
        values = values.to_pylist()
    return np.array(list(values), dtype="S16")


def keys_of_hashes(hashes: pa.ChunkedArray | pa.Array) -> Keys:
    """The keys of transactions from their hashes of 64 hex digits."""
    halves = pc.utf8_slice_codeunits(hashes.cast(pa.string()), 0, 32)
    return bytes_of(halves).view("S16")


def bytes_of(texts: pa.ChunkedArray | pa.Array) -> NDArray[np.uint8]:
    """The bytes of all texts of hex digits, concatenated."""
    return np.frombuffer(bytes.fromhex("".join(texts.to_pylist())), np.uint8)


def record_keys(records: pa.Table) -> Keys:
    """A key for each record from `topic`, `partition`, `offset` and `append_time`."""
    columns = (records[name].to_pylist() for name in ("topic", "partition", "offset"))
    millis = records["append_time"].cast(pa.int64()).to_pylist()
    return as_keys(
        [
            struct.pack(">HHQI", crc32(topic.encode()) & 0xFFFF, p, o, at // 1_000 & 0xFFFFFFFF)
            for topic, p, o, at in zip(*columns, millis, strict=True)
        ]
    )


def append_hours(times: pa.ChunkedArray | pa.Array) -> Hours:
    """The hour of each instant, Unix time / 3,600; shape (n,)."""
    micros = np.asarray(times.cast(pa.int64()).to_numpy(), np.int64)
    return micros // (HOUR * 1_000_000)


def are_first(keys: Keys) -> NDArray[np.bool_]:
    """Whether each key occurs for the first time in the array; shape (n,)."""
    first = np.zeros(len(keys), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first
