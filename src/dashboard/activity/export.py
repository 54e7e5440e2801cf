"""The filtered transactions as CSV, every one of them, a thousand at a time."""

import csv
import io
from collections.abc import Iterator

import numpy as np

from dashboard.activity import queries
from dashboard.activity.filters import Filters
from dashboard.lake.rows import Rows, moment

COLUMNS = (
    "size", "weight", "fee", "inputs_count", "outputs_count", "input_value", "output_value",
    "fee_rate", "anomaly_score", "percentile", "threshold",
)  # fmt: skip
CHUNK = 1_000


def lines(rows: Rows, view: Filters) -> Iterator[str]:
    """CSV with a heading: amounts in satoshi, times in UTC, in order of time."""
    passing = queries.narrowed(rows, view)
    chosen = queries.flagged(passing, view.threshold)
    if view.flagged:
        passing, chosen = passing.take(chosen), chosen[chosen]
    heading = ["hash", "event_time", *COLUMNS, "is_anomaly", "pattern", "model_version"]
    yield _csv([heading])
    for first in range(0, len(passing), CHUNK):
        part = slice(first, first + CHUNK)
        yield _csv(_records(passing.take(part), chosen[part]))


def _records(rows: Rows, chosen: queries.Mask) -> list[tuple[object, ...]]:
    times = [moment(t).isoformat() for t in np.asarray(rows["time"]).tolist()]
    numbers = [rows[name].tolist() for name in COLUMNS]
    words = [rows.words(rows.pattern), rows.words(rows.version)]
    return list(zip(rows.hashes(), times, *numbers, chosen.tolist(), *words, strict=True))


def _csv(records: list[tuple[object, ...]] | list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue()
