"""A large `scored_transactions` table, written in seconds, for benchmarks that read it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.support.delta_tables import write

from core.tables import SCORED_TRANSACTIONS
from data_processing.chores.housekeeping import WRITTEN

DAY_ROWS = 604_800
"""Seven transactions a second."""


def generate_rows(rows: int, end: datetime, seconds: float, seed: int) -> pa.Table:
    """Scored transactions of the `seconds` before `end`, about 1 in 1,000 flagged."""
    rng = np.random.default_rng(seed)
    back = (np.sort(rng.random(rows))[::-1] * seconds * 1e6).astype("m8[us]")
    event = np.datetime64(end.replace(tzinfo=None), "us") - back
    inputs, outputs = 1 + rng.geometric(0.5, rows), 1 + rng.geometric(0.5, rows)
    size = 42 + 68 * inputs + 31 * outputs
    rate, value = np.exp(rng.normal(2.9, 0.6, rows)), np.exp(rng.normal(14.6, 2.4, rows))
    fee = (rate * size).astype(np.int64) + 1
    score = np.clip(rng.gamma(6, 0.018, rows) + 0.34, 0.3, 0.9)
    threshold = float(np.quantile(score, 0.999))
    columns: dict[str, Any] = {
        "hash": hashes(rng, rows),
        "size": size,
        "weight": size * 3,
        "fee": fee,
        "inputs_count": inputs,
        "outputs_count": outputs,
        "fee_rate": fee * 4 / (size * 3),
        "input_value": value.astype(np.int64) + fee,
        "output_value": value.astype(np.int64),
        "event_time": event,
        "append_time": event,
        "scored_at": event,
        "anomaly_score": score,
        "percentile": rng.random(rows),
        "threshold": np.full(rows, threshold),
        "is_anomaly": score >= threshold,
        "flagged_by": np.array([None, "model"], object)[(score >= threshold).astype(int)],
        "market_fee_rate": np.full(rows, float(np.exp(2.9))),
        "date": event.astype("M8[D]"),
        "source": np.full(rows, "mempool"),
        "model_version": np.full(rows, "3"),
        "block_height": pa.nulls(rows),
        "package_fee_rate": pa.nulls(rows),
        "replaced_fee": pa.nulls(rows),
        "pattern": pa.nulls(rows),
        "patterns": pa.array([[]]).take(pa.array(np.zeros(rows, np.int8))),
        "reasons": pa.array([[]]).take(pa.array(np.zeros(rows, np.int8))),
    }
    arrays = [pa.array(columns[f.name]).cast(f.type) for f in SCORED_TRANSACTIONS]
    return pa.Table.from_arrays(arrays, schema=SCORED_TRANSACTIONS)


def hashes(rng: np.random.Generator, rows: int) -> pa.Array:
    """Random hashes as Arrow strings, without a Python object for each."""
    digits = rng.bytes(rows * 32).hex().encode()
    offsets = np.arange(0, rows * 64 + 1, 64, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def fill(lake: Path, rows: int, end: datetime, traffic: int = 1) -> int:
    """Write whole days of rows, the newest last, of `traffic` times mainnet's; returns how many.

    Their files are as housekeeping leaves those of a day that has ended.
    """
    days = max(1, round(rows / DAY_ROWS))
    for back in range(days - 1, -1, -1):
        day = generate_rows(DAY_ROWS, end - timedelta(days=back // traffic), 86_400, back)
        write(lake, "scored_transactions", day, written=WRITTEN["scored_transactions"])
    return days * DAY_ROWS
