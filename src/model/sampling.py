"""The rows that a training sees, drawn from `raw_transactions` without loading the table.

Whole Parquet row groups are read one at a time, seven columns and two to tell the rows apart, and
never more than `READ_ROWS` of them: the cost does not follow the table's size. Row groups are
drawn with a weight that halves every so many days. The newest traffic is held out from all else.

The same table version, plan and seed draw the same rows in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from numpy.typing import NDArray

from core.features import coinbase_rows
from core.transaction import NUMERIC_FIELDS

Integers = NDArray[np.int64]

READ_ROWS = 4_000_000
"""Rows read at most in one drawing: about half a second's work."""

_KEYS = ("partition", "offset")
_COLUMNS = [*NUMERIC_FIELDS, *_KEYS]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """How many rows are drawn, from how far back, and how much the recent weighs.

    `rows` are for the trees and the threshold together; `newest_rows` are held out of at most the
    last quarter. A day's weight halves every `half_life_days`; days before `days` are left out.
    """

    rows: int
    newest_rows: int
    days: int = 14
    half_life_days: float = 3.0


@dataclass(frozen=True)
class Sample:
    """Rows of shape (n, 7), coinbase left out: `drawn` in random order, and the `newest`."""

    drawn: Integers
    newest: Integers
    table_uri: str
    table_version: int
    table_rows: int


@dataclass(frozen=True)
class _File:
    path: str
    rows: int
    day: date
    latest: datetime


@dataclass
class _Reader:
    """Reads row groups through the table's own storage, whatever its URI's scheme."""

    table: DeltaTable
    filesystem: pa.fs.FileSystem = field(init=False)

    def __post_init__(self) -> None:
        handler = DeltaStorageHandler(self.table.table_uri, self.table._storage_options)
        self.filesystem = pa.fs.PyFileSystem(handler)

    def files(self) -> list[_File]:
        actions = pa.table(self.table.get_add_actions(flatten=True)).to_pylist()
        return [
            _File(
                action["path"],
                action["num_records"],
                action["partition.date"],
                action.get("max.append_time")
                or _EPOCH + timedelta(milliseconds=action["modification_time"]),
            )
            for action in sorted(actions, key=lambda action: str(action["path"]))
        ]

    def groups(self, file: _File) -> Iterator[Integers]:
        """Each row group's rows: the seven fields, then partition and offset; shape (n, 9)."""
        with pq.ParquetFile(self.filesystem.open_input_file(file.path)) as parquet:
            for number in range(parquet.num_row_groups):
                group = parquet.read_row_group(number, columns=_COLUMNS, use_threads=False)
                yield np.column_stack(
                    [group.column(name).to_numpy().astype(np.int64) for name in _COLUMNS]
                )


def count_rows(table: DeltaTable) -> int:
    """Rows of a table, by its log alone."""
    return sum(pa.table(table.get_add_actions(flatten=True)).column("num_records").to_pylist())


def newest(table: DeltaTable, rows: int) -> Integers:
    """The newest rows, at least as many as asked where there are so many; shape (n, 7)."""
    reader = _Reader(table)
    found = _newest(reader, reader.files(), rows)
    return _ordinary(found)


def draw(table: DeltaTable, plan: Plan, seed: int) -> Sample:
    """Draw a sample; the table must not be empty."""
    rng = np.random.default_rng(seed)
    reader = _Reader(table)
    files = reader.files()
    total = sum(file.rows for file in files)
    held_out = _held_out(reader, files, plan.newest_rows, rng)
    drawn = _drawn(reader, _recent(files, plan, rng), plan, rng)
    kept = drawn[~np.isin(_key(drawn), _key(held_out))]
    kept = rng.permutation(kept)[: plan.rows]
    return Sample(_ordinary(kept), _ordinary(held_out), table.table_uri, table.version(), total)


def _held_out(
    reader: _Reader, files: list[_File], wanted: int, rng: np.random.Generator
) -> Integers:
    """A random half of the newest rows: one block's order by fee rate must not decide who is in."""
    total = sum(file.rows for file in files)
    if total <= 4 * wanted:
        window, wanted = _newest(reader, files, total), total // 4
    else:
        window = _newest(reader, files, 2 * wanted)
    return rng.permutation(window)[:wanted]


def _newest(reader: _Reader, files: list[_File], rows: int) -> Integers:
    found: list[Integers] = [np.empty((0, len(_COLUMNS)), np.int64)]
    missing = rows
    for file in sorted(files, key=lambda file: (file.latest, file.path), reverse=True):
        if missing <= 0:
            break
        found += list(reader.groups(file))
        missing -= file.rows
    return np.concatenate(found)


def _recent(files: list[_File], plan: Plan, rng: np.random.Generator) -> list[tuple[_File, float]]:
    """Files with their rows' weight, in random order, weightier ones likelier to come early."""
    last = max(file.day for file in files)
    weighted = [
        (file, 0.5 ** ((last - file.day).days / plan.half_life_days))
        for file in files
        if file.rows and (last - file.day).days < plan.days
    ]
    keys = [rng.random() ** (1 / (file.rows * weight)) for file, weight in weighted]
    order = np.argsort(keys)[::-1]
    return [weighted[i] for i in order]


def _drawn(
    reader: _Reader, files: list[tuple[_File, float]], plan: Plan, rng: np.random.Generator
) -> Integers:
    """From each row group a share by its weight; a little more than planned, to be cut later."""
    seen = np.cumsum([file.rows for file, _ in files])
    files = files[: int(np.searchsorted(seen, READ_ROWS)) + 1]
    mass = sum(file.rows * weight for file, weight in files)
    wanted = plan.rows + 2 * plan.newest_rows
    found: list[Integers] = []
    for file, weight in files:
        for group in reader.groups(file):
            share = min(1.0, wanted * weight / mass)
            chosen = rng.random(len(group)) < share
            found.append(group[chosen])
    return np.concatenate(found)


def _key(rows: Integers) -> Integers:
    key: Integers = (rows[:, -2] << 48) | rows[:, -1]
    return key


def _ordinary(rows: Integers) -> Integers:
    numbers = rows[:, : len(NUMERIC_FIELDS)]
    kept: Integers = np.ascontiguousarray(numbers[~coinbase_rows(numbers)])
    return kept
