"""Scored transactions as immutable NumPy columns, from which everything on the page is computed.

A row takes about 120 bytes; as Arrow strings it takes 500. A day of Bitcoin fits in 75 MB.
"""

from binascii import unhexlify
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.detector.patterns import PATTERNS
from core.detector.rules import RULES_VERSION
from core.transaction import COINBASE_FIELDS, is_coinbase

_PATTERN_NAMES = tuple(pattern.name for pattern in PATTERNS)

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

NUMERIC_COLUMNS: Mapping[str, str] = {
    "time": "int64",
    "scored": "int64",
    "size": "int32",
    "weight": "int32",
    "fee": "int64",
    "inputs_count": "int32",
    "outputs_count": "int32",
    "input_value": "int64",
    "output_value": "int64",
    "fee_rate": "float64",
    "anomaly_score": "float64",
    "percentile": "float32",
    "threshold": "float64",
    "by_model": "bool",
    "by_rule": "bool",
    "coinbase": "bool",
    "market_fee_rate": "float64",
    "patterns": "int32",
    "in_block": "bool",
}
"""NumPy type of each numeric column; `time` and `scored` are microseconds since 1970.

`by_model` and `by_rule` are whether the model and a rule flag the row, `coinbase` is whether it
creates coins, and `market_fee_rate` is NaN where it is not known. `patterns` has a bit for each of
`PATTERNS`, the first the lowest; a name that is none of them is left out. `in_block` is whether the
row was first seen in a block.
"""

SELECTED_COLUMNS = (
    "hash, size, weight, fee, inputs_count, outputs_count, input_value, output_value, fee_rate,"
    " event_time, anomaly_score, percentile, threshold, is_anomaly, pattern, model_version,"
    " scored_at, flagged_by, market_fee_rate, patterns, source"
)
"""The columns of `scored_transactions` that are read, as SQL."""


@dataclass(frozen=True)
class Rows:
    """Scored transactions in order of their event time.

    `version` is an index into `versions`.
    """

    hash: NDArray[np.void]
    version: NDArray[np.int16]
    versions: tuple[str, ...]
    numbers: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.hash)

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.numbers[column]

    def take(self, index: "NDArray[np.intp] | NDArray[np.bool_] | slice") -> "Rows":
        """The rows of an index, a mask or a slice; a slice copies nothing."""
        numbers = {name: column[index] for name, column in self.numbers.items()}
        return Rows(self.hash[index], self.version[index], self.versions, numbers)

    def between(self, start: datetime, end: datetime) -> "Rows":
        """The rows from `start` to `end`, both included."""
        first = int(np.searchsorted(self["time"], to_micros(start), "left"))
        return self.take(slice(first, int(np.searchsorted(self["time"], to_micros(end), "right"))))

    def hash_starts_with(self, prefix: str) -> NDArray[np.bool_]:
        """Where the hash begins with these hexadecimal digits; nowhere for other text."""
        try:
            whole = np.frombuffer(bytes.fromhex(prefix[: len(prefix) // 2 * 2]), np.uint8)
            half = int(prefix[-1], 16) if len(prefix) % 2 else None
        except ValueError:
            return np.zeros(len(self), bool)
        digits = self.hash.view(np.uint8).reshape(len(self), 32)
        matches: NDArray[np.bool_] = (digits[:, : len(whole)] == whole).all(axis=1)
        return matches if half is None else matches & (digits[:, len(whole)] >> 4 == half)

    def hashes(self) -> list[str]:
        """The hashes as 64 hexadecimal digits each."""
        digits = self.hash.tobytes().hex()
        return [digits[i : i + 64] for i in range(0, len(digits), 64)]

    def times_market(self) -> NDArray[np.float64]:
        """The fee rate in multiples of the market's; NaN where the market is not known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            times: NDArray[np.float64] = self["fee_rate"] / self["market_fee_rate"]
        return times

    def scored_by(self, version: str) -> NDArray[np.bool_]:
        """Which rows a model version has scored."""
        code = self.versions.index(version) if version in self.versions else -1
        scored: NDArray[np.bool_] = self.version == code
        return scored

    def unscored(self) -> NDArray[np.bool_]:
        """Which rows only rules have looked at."""
        return self.scored_by(RULES_VERSION)

    def patterns(self) -> list[list[str]]:
        """The names of the patterns of each row, the most telling first."""
        named = {bits: pattern_names(bits) for bits in np.unique(self["patterns"]).tolist()}
        return [named[bits] for bits in self["patterns"].tolist()]


def pattern_bits(names: Iterable[str]) -> int:
    """These patterns as bits, as the column `patterns` has them."""
    return sum(1 << _PATTERN_NAMES.index(name) for name in names if name in _PATTERN_NAMES)


def pattern_names(bits: int) -> list[str]:
    """The names of the patterns of these bits, the most telling first."""
    return [name for place, name in enumerate(_PATTERN_NAMES) if bits >> place & 1]


def to_micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=int(micros))


def no_rows() -> Rows:
    """Rows of length 0."""
    numbers = {name: np.empty(0, kind) for name, kind in NUMERIC_COLUMNS.items()}
    return Rows(np.empty(0, "V32"), np.empty(0, np.int16), (), numbers)


def from_table(table: pa.Table, versions: tuple[str, ...] = ()) -> Rows:
    """Convert a table of `SELECTED_COLUMNS`; new versions are appended to those given."""
    renamed = {"time": "event_time", "scored": "scored_at"}
    computed = _flaggers(table) | {
        "coinbase": _coinbases(table),
        "patterns": _pattern_bits(table),
        "in_block": pc.equal(table.column("source").cast(pa.string()), "block"),
    }
    numbers: dict[str, NDArray[Any]] = {}
    for name, kind in NUMERIC_COLUMNS.items():
        column = computed[name] if name in computed else table.column(renamed.get(name, name))
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        numbers[name] = column.to_numpy().astype(kind)
    versions, version = _encode(table.column("model_version"), versions)
    order = np.argsort(numbers["time"], kind="stable")
    return Rows(_hash_bytes(table.column("hash")), version, versions, numbers).take(order)


def _flaggers(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Whether the model and a rule flag each row; rows of earlier versions have only a model."""
    flagged_by = table.column("flagged_by").cast(pa.string())
    by_rule = pc.is_in(flagged_by, value_set=pa.array(("rule", "both")))
    alone = pc.is_in(flagged_by, value_set=pa.array(("rule",)))
    return {"by_model": pc.and_not(table.column("is_anomaly"), alone), "by_rule": by_rule}


def _coinbases(table: pa.Table) -> pa.ChunkedArray:
    """Whether each row is a coinbase transaction."""
    columns = {name: table.column(name).to_numpy() for name in COINBASE_FIELDS}
    return pa.chunked_array([is_coinbase(**columns)])


def _pattern_bits(table: pa.Table) -> pa.Array:
    """The patterns of each row as bits; rows of earlier versions have the first alone."""
    bits = _bits_of(table.column("pattern"))
    lists = table.column("patterns").combine_chunks()
    places, names = pc.list_parent_indices(lists), pc.list_flatten(lists)
    every = np.bincount(places.to_numpy(), _bits_of(names), len(table)).astype(np.int32)
    return pa.array(np.where(lists.is_null(), bits, every))


def _bits_of(names: pa.ChunkedArray | pa.Array) -> NDArray[np.int32]:
    """The bit of each name, 0 for null and for one that is no pattern."""
    place = pc.index_in(names.cast(pa.string()), value_set=pa.array(_PATTERN_NAMES))
    bits = np.array([*(1 << each for each in range(len(_PATTERN_NAMES))), 0], np.int32)
    found: NDArray[np.int32] = bits[place.fill_null(len(_PATTERN_NAMES)).to_numpy()]
    return found


def concatenate(*parts: Rows) -> Rows:
    """All rows in order of time; each part was made with the versions of the part before it."""
    parts = tuple(part for part in parts if len(part)) or parts[-1:]
    if len(parts) == 1:
        return parts[0]
    ordered = all(one["time"][-1] <= next["time"][0] for one, next in pairwise(parts))
    order = None if ordered else np.argsort(_join(part["time"] for part in parts), kind="stable")
    return Rows(
        _join((part.hash for part in parts), order),
        _join((part.version for part in parts), order),
        parts[-1].versions,
        {name: _join((part[name] for part in parts), order) for name in NUMERIC_COLUMNS},
    )


def _join(columns: Iterable[NDArray[Any]], order: NDArray[np.intp] | None = None) -> NDArray[Any]:
    """Join and sort one column, so that only one column is in memory twice at a time."""
    joined = np.concatenate([*columns])
    return joined if order is None else joined[order]


def _hash_bytes(column: pa.ChunkedArray) -> NDArray[np.void]:
    if not len(column):
        return np.empty(0, "V32")
    strings = column.cast(pa.large_string()).combine_chunks()
    _, offsets, digits = strings.buffers()
    ends = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
    return np.frombuffer(unhexlify(digits[int(ends[0]) : int(ends[-1])]), "V32")


def _encode(
    column: pa.ChunkedArray, versions: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """The versions with a column's new ones, and each row's index into them."""
    encoded = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    versions = versions + tuple(name for name in names if name not in versions)
    codes = np.array([versions.index(name) for name in names], np.int16)
    return versions, codes[encoded.indices.to_numpy()]
