"""The rows of a training, drawn from `raw_transactions` without loading the whole table.

The reader takes whole Parquet row groups, one at a time, and at most `READ_ROWS` rows: the cost
does not grow with the table. A row group's weight halves with every so many days of age. The newest
traffic is held out from the rest.

The same table version, plan and seed draw the same rows in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from numpy.typing import NDArray

from core.features import Floats, coinbase_rows
from core.lake import query
from core.market import fee_rates_at, going_rates
from core.settings import TrainerSettings
from core.tables import TIMESTAMP
from core.transaction import DETECTOR_FIELDS, NUMERIC_FIELDS

Integers = NDArray[np.int64]

READ_ROWS = 4_000_000
"""The most rows that one sample reads: about half a second's work."""

_COLUMNS = [*NUMERIC_FIELDS, "partition", "offset", "append_time"]
"""Partition and offset identify a row; its time is in microseconds."""

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ROWS = np.empty((0, len(_COLUMNS)), np.int64)
_TABLE_FACTS = ("table_uri", "table_version", "table_rows", "covered_seconds")


@dataclass(frozen=True)
class SamplingPlan:
    """How many rows are drawn, from how many days, and how much recent days weigh.

    `rows` are for the trees and the threshold together. `newest_rows` are held out, but at most a
    quarter of the table. A day's weight halves every `half_life_days`; rows older than `days` are
    left out.
    """

    rows: int
    newest_rows: int
    days: int = 14
    half_life_days: float = 3.0

    @classmethod
    def from_settings(cls, settings: TrainerSettings, rows: int) -> "SamplingPlan":
        """The plan of the settings for so many rows."""
        days, half_life = settings.training_days, settings.training_half_life_days
        return cls(rows, settings.newest_rows, days, half_life)


@dataclass(frozen=True)
class Sample:
    """Rows of shape (n, 8) without coinbase: `drawn` in random order, and the held-out `newest`.

    `covered_seconds` is the time from the earliest to the latest of `drawn`, 0 if it is unknown.
    """

    drawn: Floats
    newest: Floats
    table_uri: str
    table_version: int
    table_rows: int
    covered_seconds: float = 0.0

    def write(self, path: Path) -> None:
        """Write the rows in their order, with a column that says which are the held-out ones."""
        rows = np.concatenate([self.drawn, self.newest])
        columns = dict(zip(DETECTOR_FIELDS, rows.T, strict=True))
        newest = np.arange(len(rows)) >= len(self.drawn)
        facts = {name: str(getattr(self, name)) for name in _TABLE_FACTS}
        table = pa.table(columns | {"newest": newest}).replace_schema_metadata(facts)
        pq.write_table(table, path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> "Sample":
        """Read a file of `write`; raises `KeyError` for one without the going fee rate."""
        table = pq.read_table(path, use_threads=False)
        rows = np.column_stack([table.column(name).to_numpy() for name in DETECTOR_FIELDS])
        newest, facts = table.column("newest").to_numpy(), table.schema.metadata
        # Samples of earlier versions do not say how long they cover.
        uri, version, count, covered = (facts.get(name.encode(), b"0") for name in _TABLE_FACTS)
        return cls(
            rows[~newest], rows[newest], uri.decode(), int(version), int(count), float(covered)
        )


def count_rows(table: DeltaTable) -> int:
    """Rows of a table, from its log alone."""
    return sum(pa.table(table.get_add_actions(flatten=True)).column("num_records").to_pylist())


@dataclass(frozen=True)
class NewestDay:
    """Rows of shape (n, 8), drawn evenly from the newest 24 hours, and the time they cover."""

    rows: Floats
    covered_seconds: float


def newest_day(table: DeltaTable, most: int) -> NewestDay:
    """About `most` rows without coinbase; at high rates not every file of the day is read."""
    reader = _TableReader(table)
    newest = max((file.latest for file in reader.files), default=_EPOCH)
    start = (newest - _DAY - _EPOCH) // timedelta(microseconds=1)
    files = [file for file in reader.files if file.latest > newest - _DAY]
    files = files[:: 1 + sum(file.rows for file in files) // READ_ROWS]
    step = 1 + sum(file.rows for file in files) // most
    parts, passed = [_NO_ROWS], 0
    for file in files:
        for group in reader.row_groups(file):
            rows = group[group[:, -1] > start]
            parts.append(rows[-passed % step :: step])
            passed += len(rows)
    drawn = np.concatenate(parts)
    return NewestDay(_beside_markets(drawn, table), _covered_seconds(drawn))


def newest_rows(table: DeltaTable, most: int) -> Floats:
    """The newest rows without coinbase, at most so many; shape (n, 8)."""
    return _beside_markets(_TableReader(table).newest(most), table)


def draw_sample(table: DeltaTable, plan: SamplingPlan, seed: int) -> Sample:
    """Draw a sample; the table must not be empty."""
    rng = np.random.default_rng(seed)
    reader = _TableReader(table)
    held_out = _hold_out(reader, plan.newest_rows, rng)
    drawn = _draw(reader, plan, rng)
    kept = drawn[~np.isin(_row_ids(drawn), _row_ids(held_out))]
    kept = rng.permutation(kept)[: plan.rows]
    return Sample(
        _beside_markets(kept, table),
        _beside_markets(held_out, table),
        table.table_uri,
        table.version(),
        reader.rows,
        _covered_seconds(kept),
    )


@dataclass(frozen=True)
class _File:
    path: str
    rows: int
    day: date
    latest: datetime


class _TableReader:
    """Lists a table's files and reads their row groups, on any storage that delta-rs knows."""

    def __init__(self, table: DeltaTable) -> None:
        handler = DeltaStorageHandler(table.table_uri, table._storage_options)
        self._filesystem = pa.fs.PyFileSystem(handler)
        actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        self.files = [
            _File(
                action["path"],
                action["num_records"],
                action["partition.date"],
                action.get("max.append_time")
                or _EPOCH + timedelta(milliseconds=action["modification_time"]),
            )
            for action in sorted(actions, key=lambda action: str(action["path"]))
        ]
        self.rows = sum(file.rows for file in self.files)

    def row_groups(self, file: _File) -> Iterator[Integers]:
        """The rows of each group: the columns of `_COLUMNS`; shape (n, 10)."""
        with pq.ParquetFile(self._filesystem.open_input_file(file.path)) as parquet:
            for number in range(parquet.num_row_groups):
                group = parquet.read_row_group(number, columns=_COLUMNS, use_threads=False)
                times = group.column("append_time").cast(TIMESTAMP)
                group = group.set_column(len(_COLUMNS) - 1, "append_time", times)
                yield np.column_stack(
                    [group.column(name).to_numpy().astype(np.int64) for name in _COLUMNS]
                )

    def newest(self, rows: int) -> Integers:
        """The newest `rows` rows of the newest files, or all there are; shape (n, 10).

        Files are read as a whole until there are enough; one may have all of an ended day.
        """
        groups = [_NO_ROWS]
        missing = rows
        for file in sorted(self.files, key=lambda file: (file.latest, file.path), reverse=True):
            if missing <= 0:
                break
            groups += list(self.row_groups(file))
            missing -= file.rows
        read = np.concatenate(groups)
        return read[np.argsort(read[:, -1], kind="stable")][-rows:]


def _hold_out(reader: _TableReader, wanted: int, rng: np.random.Generator) -> Integers:
    """A random half of the newest rows, because a block lists its rows by their fee rate."""
    if reader.rows <= 4 * wanted:
        window, wanted = reader.newest(reader.rows), reader.rows // 4
    else:
        window = reader.newest(2 * wanted)
    return rng.permutation(window)[:wanted]


def _draw(reader: _TableReader, plan: SamplingPlan, rng: np.random.Generator) -> Integers:
    """Draw from each row group a share by its weight: a few more rows than planned."""
    files = _weighted_files(reader.files, plan, rng)
    rows_before = np.cumsum([file.rows for file, _ in files])
    files = files[: int(np.searchsorted(rows_before, READ_ROWS)) + 1]
    total_weight = sum(file.rows * weight for file, weight in files)
    wanted = plan.rows + 2 * plan.newest_rows
    groups: list[Integers] = []
    for file, weight in files:
        for group in reader.row_groups(file):
            share = min(1.0, wanted * weight / total_weight)
            groups.append(group[rng.random(len(group)) < share])
    return np.concatenate(groups)


def _weighted_files(
    files: list[_File], plan: SamplingPlan, rng: np.random.Generator
) -> list[tuple[_File, float]]:
    """Files with the weight of each of their rows, in random order, heavier ones rather first.

    Those whose weight is too small for a number are left out, as they would not be drawn.
    """
    # Counted in days that have rows, so that no clock that was ahead for once makes all others old.
    days = sorted({file.day for file in files if file.rows}, reverse=True)
    ages = {day: age for age, day in enumerate(days)}
    weighted = [
        (file, weight)
        for file in files
        if file.rows
        and ages[file.day] < plan.days
        and (weight := 0.5 ** (ages[file.day] / plan.half_life_days))
    ]
    keys = [rng.random() ** (1 / (file.rows * weight)) for file, weight in weighted]
    return [weighted[i] for i in np.argsort(keys)[::-1]]


def _row_ids(rows: Integers) -> Integers:
    ids: Integers = (rows[:, -3] << 48) | rows[:, -2]
    return ids


def _covered_seconds(rows: Integers) -> float:
    return float(np.ptp(rows[:, -1])) / 1e6 if len(rows) else 0.0


def _beside_markets(rows: Integers, table: DeltaTable) -> Floats:
    """The seven numbers of all rows but coinbase transactions, each beside its market.

    Rows from before the table `market` begins are measured beside the other rows given.
    """
    numbers = rows[:, : len(NUMERIC_FIELDS)]
    rows = rows[~coinbase_rows(numbers)]
    numbers, times = rows[:, : len(NUMERIC_FIELDS)], rows[:, -1]
    minutes, rates = _written_markets(table)
    market = fee_rates_at(times, minutes, rates) if len(minutes) else np.empty(len(rows))
    unknown = times < minutes[0] if len(minutes) else np.ones(len(rows), np.bool_)
    if unknown.any():
        fee_rates = numbers[unknown, 2] * 4 / numbers[unknown, 1]
        market[unknown] = going_rates(times[unknown], fee_rates)
    return np.column_stack([numbers.astype(np.float64), market])


def _written_markets(table: DeltaTable) -> tuple[Integers, Floats]:
    """The minutes of the table `market` beside `table`, in microseconds, and their fee rates."""
    uri = f"{table.table_uri.rstrip('/').rpartition('/')[0]}/market"
    try:
        market = DeltaTable(uri, storage_options=table._storage_options)
    except TableNotFoundError:
        return np.empty(0, np.int64), np.empty(0)
    found = query("SELECT minute, fee_rate FROM market ORDER BY minute", market=market)
    minutes = found["minute"].cast(TIMESTAMP).cast(pa.int64()).to_numpy()
    return minutes, found["fee_rate"].to_numpy()
