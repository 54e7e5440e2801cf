"""Recognises records that are in the tables already, however old the rows are.

The tables are the truth: a record is a repeat when `raw_transactions` has its hash, and a reject
when `quarantine` has its position and time. Their keys are kept in `KnownKeys`, which are derived:
at the start and once an hour they are compared with the row counts in the tables' logs, and dates
that differ are read from the table again. So no state can be lost or disagree with the tables, and
no clock decides what is forgotten.
"""

import logging
import struct
from datetime import date
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_processing.known_keys import Days, Keys, KnownKeys, Mask, are_first, as_keys
from data_processing.lake_tables import LakeTables
from data_processing.record_parsing import DAY_MICROS

log = logging.getLogger(__name__)


class SeenTransactions:
    """What the tables hold: hashes of transactions, and positions of rejects.

    The keys are saved in `folder`, which may be deleted while the stream is stopped.
    """

    def __init__(self, tables: LakeTables, folder: Path) -> None:
        self._tables = tables
        self.keys = KnownKeys(folder / _folder_name(tables, "raw_transactions"))
        self._rejects = KnownKeys(folder / _folder_name(tables, "quarantine"))
        self._agree()
        log.info("event=seen_hashes_loaded hashes=%d", len(self.keys))

    def are_repeats(self, transactions: pa.Table) -> Mask:
        """Whether each is in `raw_transactions`, or earlier in these rows; shape (n,)."""
        keys = as_keys(transactions["key"].to_pylist())
        return self.keys.contains(keys) | ~are_first(keys)

    def are_quarantined(self, rejects: pa.Table) -> Mask:
        """Whether each reject is in `quarantine`; shape (n,)."""
        return self._rejects.contains(record_keys(rejects))

    def add(self, transactions: pa.Table) -> None:
        """Add the receipts of transactions that are committed."""
        keys = as_keys(transactions["key"].to_pylist())
        self.keys.add(keys, append_days(transactions["append_time"]))

    def add_rejects(self, rejects: pa.Table) -> None:
        """Add the receipts of rejects that are committed."""
        self._rejects.add(record_keys(rejects), append_days(rejects["append_time"]))

    @property
    def unsaved(self) -> int:
        """The number of keys that are in memory only; each takes 16 bytes."""
        return self.keys.unsaved + self._rejects.unsaved

    def save(self) -> None:
        """Save the keys that are in memory, and forget the dates that the tables have no more.

        Raises `OSError` when a file cannot be written; the keys then stay in memory.
        """
        self.keys.save()
        self._rejects.save()
        self._agree()

    def _agree(self) -> None:
        for name, keys, read in (
            ("raw_transactions", self.keys, self._hashes_of),
            ("quarantine", self._rejects, self._rejects_of),
        ):
            for day in keys.agree(self._tables.rows_by_date(name), read):
                log.info("event=known_keys_read table=%s date=%s", name, day)

    def _hashes_of(self, day: date) -> Keys:
        batches = self._tables.query_batches(
            f"SELECT hash FROM raw_transactions WHERE date = '{day}'", "raw_transactions"
        )
        return np.concatenate([as_keys([]), *(keys_of_hashes(b["hash"]) for b in batches)])

    def _rejects_of(self, day: date) -> Keys:
        rows = self._tables.query(
            'SELECT topic, "partition", "offset", append_time FROM quarantine '
            f"WHERE date = '{day}'",
            "quarantine",
        )
        return record_keys(rows)


def _folder_name(tables: LakeTables, name: str) -> str:
    """A folder for each table: one that is created anew has another id."""
    return f"{name}-{tables.open(name).metadata().id}"


def keys_of_hashes(hashes: pa.ChunkedArray | pa.Array) -> Keys:
    """The keys of transactions from their hashes of 64 hex digits: the first half of each."""
    halves = pc.utf8_slice_codeunits(hashes.cast(pa.string()), 0, 32)
    return as_keys([bytes.fromhex("".join(halves.to_pylist()))])


def record_keys(records: pa.Table) -> Keys:
    """A key for each record from `topic`, `partition`, `offset` and `append_time`."""
    columns = (records[name].to_pylist() for name in ("topic", "partition", "offset"))
    millis = records["append_time"].cast(pa.int64()).to_pylist()
    return as_keys(
        [
            blake2b(
                struct.pack(">IQQ", partition, offset, at // 1_000) + topic.encode(), digest_size=16
            ).digest()
            for topic, partition, offset, at in zip(*columns, millis, strict=True)
        ]
    )


def append_days(times: pa.ChunkedArray | pa.Array) -> Days:
    """The date of each instant; shape (n,)."""
    micros = np.asarray(times.cast(pa.int64()).to_numpy(), np.int64)
    return (micros // DAY_MICROS).astype("datetime64[D]")
