"""Writes Delta tables like the stream's, without a JVM."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake
from numpy.typing import NDArray

from core.lake import open_or_create_table
from core.tables import TABLES
from core.transaction import COIN

THRESHOLD = 0.62
KINDS = ("fee_overpaid", "very_large_value", "dust_fan_out", None)


def scored(count: int, end: datetime, seconds: float, seed: int = 7) -> pa.Table:
    """`count` scored transactions of the `seconds` before `end`, about 1 in 500 an anomaly."""
    rng = np.random.default_rng(seed)
    anomalous = rng.random(count) < 0.002
    times = np.sort(rng.random(count)) * seconds
    inputs = np.minimum(1 + rng.geometric(0.45, count) - 1 + (rng.random(count) < 0.03) * 40, 600)
    outputs = np.minimum(1 + rng.geometric(0.5, count), 400)
    size = 42 + inputs * 68 + outputs * 31 + rng.integers(0, 120, count)
    weight = (size * rng.uniform(2.3, 4.0, count)).astype(np.int64)
    hour = np.sin(times / 3600 * 1.7) * 0.35
    rate = np.exp(rng.normal(2.9, 0.55, count) + hour) * np.where(
        anomalous, rng.choice([1, 60], count), 1
    )
    value = np.exp(rng.normal(14.6, 2.4, count)) * np.where(
        anomalous, rng.choice([1, 9000], count), 1
    )
    value = np.clip(value, 600, 20_000 * COIN).astype(np.int64)
    fee = np.maximum((rate * weight / 4).astype(np.int64), 1)
    score = np.clip(rng.gamma(6, 0.016, count) + 0.34, 0.3, 0.61)
    score = np.where(anomalous, rng.uniform(THRESHOLD, 0.78, count), score)
    start = end - timedelta(seconds=seconds)
    event = np.datetime64(start.replace(tzinfo=None), "us") + (times * 1e6).astype("m8[us]")
    append = event + rng.integers(0, 4_000_000, count).astype("m8[us]")
    none = np.full(count, None, object)
    pattern = np.where(anomalous, rng.choice(np.array(KINDS, object), count), none)
    quiet = rng.choice(np.array(["consolidation", "batch_payout", "data_carrier"], object), count)
    pattern = np.where(~anomalous & (rng.random(count) < 0.15), quiet, pattern)
    ranks = np.searchsorted(np.sort(score), score, side="right") / max(count, 1)
    market = market_fee_rate(event)
    by_rule = (rate > 40 * market) | (rng.random(count) < 0.0005)
    earlier = times < seconds / 3  # scored by the champion before, with a lower threshold
    threshold = np.where(earlier, THRESHOLD - 0.06, THRESHOLD)
    above = score >= threshold
    names = np.array([None, "model", "rule", "both"], object)
    flagged_by = names[above + 2 * by_rule]
    unknown = times < seconds * 0.02  # as rows of an earlier version
    digits = rng.bytes(count * 32).hex()
    return table(
        "scored_transactions",
        hash=[digits[i * 64 : i * 64 + 64] for i in range(count)],
        size=size,
        weight=weight,
        fee=fee,
        inputs_count=inputs,
        outputs_count=outputs,
        input_value=value + fee,
        output_value=value,
        fee_rate=fee * 4 / weight,
        source=["mempool"] * count,
        block_height=[None] * count,
        event_time=event,
        append_time=append,
        anomaly_score=score,
        percentile=ranks,
        threshold=threshold,
        is_anomaly=above | (by_rule & ~unknown),
        pattern=list(pattern),
        patterns=list(map(_patterns, pattern, unknown)),
        reasons=[
            _reasons(*each) for each in zip(above | by_rule, fee * 4 / weight, value, strict=True)
        ],
        model_version=np.where(earlier, "2", "3").tolist(),
        flagged_by=[None if old else name for old, name in zip(unknown, flagged_by, strict=True)],
        market_fee_rate=pa.array(market, mask=unknown),
        scored_at=append + np.timedelta64(1_500_000, "us"),
    )


def _patterns(first: str | None, earlier_version: bool) -> list[str] | None:
    """Every pattern, in the order of `PATTERNS`; null as in a row of an earlier version."""
    names = [] if first is None else [first, "version_3"]
    return None if earlier_version else names


def market_fee_rate(times: NDArray[Any]) -> NDArray[np.float64]:
    """The going fee rate at some times, in sat/vB: a wave of some hours."""
    hours = np.asarray(times, "M8[us]").astype(np.int64) / 3.6e9
    rates: NDArray[np.float64] = np.exp(2.9 + 0.5 * np.sin(hours * 1.7))
    return rates


def markets(start: datetime, end: datetime) -> pa.Table:
    """The market of each minute between two times."""
    first, last = (np.datetime64(each.replace(tzinfo=None), "m") for each in (start, end))
    minutes = np.arange(first, last).astype("M8[us]")
    rate = market_fee_rate(minutes)
    rows = np.full(len(minutes), 2_000)
    return table("market", minute=minutes, fee_rate=rate, low=rate / 3, high=rate * 4, rows=rows)


def _reasons(anomalous: bool, rate: float, value: float) -> list[dict[str, float | str]]:
    low: dict[str, float | str] = {"feature": "fee_rate", "value": float(rate)}
    low |= {"usual_low": 4.1, "usual_high": 92.0, "contribution": 2.4}
    high: dict[str, float | str] = {"feature": "value_per_output", "value": float(value) / 2}
    high |= {"usual_low": 800.0, "usual_high": 3.2e9, "contribution": 1.1}
    return [low, high] if anomalous else []


def table(name: str, **columns: Any) -> pa.Table:
    """Rows of one of the tables: `date` is added, and a nullable column may be missing."""
    schema = TABLES[name]
    day = next(columns[n] for n in ("append_time", "window_start", "minute") if n in columns)
    dates = np.asarray(day, "M8[us]").astype("M8[D]")
    columns |= {"date": dates}
    missing = {f.name: pa.nulls(len(dates), f.type) for f in schema if f.nullable}
    arrays = [pa.array((missing | columns)[f.name], f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def write(
    lake: Path,
    name: str,
    rows: pa.Table,
    origin: str = "simulated",
    written: WriterProperties | None = None,
) -> None:
    """Append rows to a table, which is created like the stream's if it does not exist.

    `written` is how the file is written, as `housekeeping.WRITTEN` says for files that are joined.
    """
    table = open_or_create_table(str(lake), name, TABLES[name], origin, ["date"])
    written = written or WriterProperties()
    write_deltalake(table, rows, mode="append", writer_properties=written)


def write_raw(lake: Path, *rows: Mapping[str, Any]) -> None:
    """Append rows to `raw_transactions`; what they do not have is null, or that of the first."""
    schema = TABLES["raw_transactions"]
    place = {"source": "mempool", "partition": 0, "offset": 0, "first_seen": 0}
    full = [
        {field.name: row.get(field.name, place.get(field.name)) for field in schema}
        | {"append_time": (appended := row.get("append_time", row["event_time"]))}
        | {"date": appended.date()}
        for row in rows
    ]
    write(lake, "raw_transactions", pa.Table.from_pylist(full, schema))


def cut_off_checkpoint(table: Path) -> None:
    """Make a checkpoint of the table's log that ends too early, as after a power failure."""
    delta = DeltaTable(str(table))
    delta.create_checkpoint()
    file = table / "_delta_log" / f"{delta.version():020}.checkpoint.parquet"
    file.write_bytes(file.read_bytes()[:-100])


def empty_newest_commit(table: Path) -> None:
    """Leave nothing of the table's newest commit, as after a power failure."""
    (table / "_delta_log" / f"{DeltaTable(str(table)).version():020}.json").write_bytes(b"")


def window_statistics(rows: pa.Table) -> pa.Table:
    """The ten-minute windows of scored rows."""
    times = rows.column("event_time").cast(pa.int64()).to_numpy() // 600_000_000
    rate, value, fee, anomalous = (
        rows.column(n).to_numpy() for n in ("fee_rate", "output_value", "fee", "is_anomaly")
    )
    windows = np.unique(times)
    groups = [times == w for w in windows]
    start = (windows * 600).astype("M8[s]").astype("M8[us]")
    percentiles = {
        f"fee_rate_p{p}": [float(np.percentile(rate[g], p)) for g in groups]
        for p in (10, 25, 50, 75, 90, 99)
    }
    return table(
        "transaction_stats",
        window_start=start,
        window_end=start + np.timedelta64(600, "s"),
        transactions=[int(g.sum()) for g in groups],
        volume=[int(value[g].sum()) for g in groups],
        fees=[int(fee[g].sum()) for g in groups],
        **percentiles,
        anomalies=[int(anomalous[g].sum()) for g in groups],
    )


def confirmation(hash: str, height: int, now: datetime) -> pa.Table:
    """A block that confirms a transaction."""
    time = [now.replace(tzinfo=None)]
    return table(
        "confirmations",
        hash=[hash],
        block_height=[height],
        block_hash=["0" * 64],
        block_time=time,
        append_time=time,
    )


def replacement(
    hash: str, replaced: str, now: datetime, fee: int = 2_000, replaced_fee: int = 1_500
) -> pa.Table:
    """A transaction that replaces another."""
    return table(
        "replacements",
        outpoint=["1:0"],
        hash=[hash],
        replaced_hash=[replaced],
        fee=[fee],
        replaced_fee=[replaced_fee],
        fee_change=[fee - replaced_fee],
        append_time=[now.replace(tzinfo=None)],
    )
