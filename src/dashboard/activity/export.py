"""The filtered transactions as CSV, all of them, a thousand at a time."""

import csv
import io
from collections.abc import Iterator, Sequence

from dashboard.activity import queries
from dashboard.activity.filters import Filters
from dashboard.lake.rows import Rows, from_micros

NUMBERS = (
    "size",
    "weight",
    "fee",
    "inputs_count",
    "outputs_count",
    "input_value",
    "output_value",
    "fee_rate",
    "anomaly_score",
    "percentile",
    "threshold",
)
CHUNK_ROWS = 1_000


def csv_lines(rows: Rows, filters: Filters) -> Iterator[str]:
    """CSV with a heading: amounts in satoshi, times in UTC, in order of time."""
    passing = queries.passing(rows, filters)
    flagged = queries.flagged(passing, filters.threshold)
    if filters.flagged:
        passing, flagged = passing.take(flagged), flagged[flagged]
    yield _csv([["hash", "event_time", *NUMBERS, "is_anomaly", "pattern", "model_version"]])
    for first in range(0, len(passing), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        yield _csv(_records(passing.take(part), flagged[part]))


def _records(rows: Rows, flagged: queries.Mask) -> list[tuple[object, ...]]:
    times = [from_micros(t).isoformat() for t in rows["time"].tolist()]
    numbers = [rows[name].tolist() for name in NUMBERS]
    labels = [rows.labels_of(rows.pattern), rows.labels_of(rows.version)]
    return list(zip(rows.hashes(), times, *numbers, flagged.tolist(), *labels, strict=True))


def _csv(records: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue()
