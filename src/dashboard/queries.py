"""What the views show, computed from rows: pure, NumPy only, a few milliseconds for a day."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.transaction import is_coinbase
from dashboard.columns import Rows, micros
from dashboard.filters import NO_PATTERN, Filters

Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

BIN_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Widths of a bin of time that a person reads easily; ten minutes are the stream's own windows."""

FEE_RATE_PERCENTILES = (10, 25, 50, 75, 90)
SCORE_BINS = np.linspace(0.3, 0.9, 61)
"""Edges of the score distribution: Isolation Forest scores beyond them are counted at its ends."""


@dataclass(frozen=True)
class Bins:
    """Rows and flagged rows in each bin of time; `edges` in microseconds, one more than bins."""

    edges: NDArray[np.int64]
    counts: NDArray[np.int64]
    anomalies: NDArray[np.int64]


@dataclass(frozen=True)
class Summary:
    """The numbers at a glance; volume in satoshi, the median fee rate in sat/vB."""

    transactions: int
    per_second: float
    flagged: int
    flagged_share: float
    median_fee_rate: float
    volume: int


def flagged(rows: Rows, threshold: float | None) -> Mask:
    """Which rows are anomalies: by the viewer's threshold, else as they were scored."""
    if threshold is None:
        return rows["is_anomaly"].astype(bool)
    reach: Mask = rows["anomaly_score"] >= threshold
    coinbase: Mask = is_coinbase(
        fee=rows["fee"], input_value=rows["input_value"], output_value=rows["output_value"]
    )
    return reach & ~coinbase


def matching(rows: Rows, view: Filters) -> Mask:
    """Which rows pass every filter but the time range and the threshold's verdict."""
    keep = np.ones(len(rows), bool)
    bounds = {
        "output_value": (view.value_min, view.value_max),
        "fee_rate": (view.fee_rate_min, view.fee_rate_max),
        "inputs_count": (view.inputs_min, view.inputs_max),
        "outputs_count": (view.outputs_min, view.outputs_max),
    }
    for column, (least, most) in bounds.items():
        if least is not None:
            keep &= rows[column] >= least
        if most is not None:
            keep &= rows[column] <= most
    if view.pattern:
        names = [*(view.pattern)]
        codes = [i for i, name in enumerate(rows.names) if name in names]
        keep &= np.isin(rows.pattern, codes + ([-1] if NO_PATTERN in names else []))
    if view.hash:
        keep &= rows.find(view.hash)
    return keep


def narrowed(rows: Rows, view: Filters) -> Rows:
    """The rows that pass every filter; nothing is copied where none is set."""
    return rows.take(matching(rows, view)) if view.narrowing else rows


def bin_edges(start: datetime, end: datetime, most: int = 90) -> NDArray[np.int64]:
    """Round edges of at most about `most` equal bins that cover an interval, in microseconds."""
    first, last = micros(start), micros(end)
    widths = [w * 1_000_000 for w in BIN_SECONDS]
    width = next((w for w in widths if (last - first) / w <= most), (last - first) // most + 1)
    first = first // width * width
    return np.arange(first, last + width, width, dtype=np.int64)


def per_bin(rows: Rows, edges: NDArray[np.int64], chosen: Mask | None = None) -> NDArray[np.int64]:
    """Rows in each bin of time, or those chosen of them."""
    times = rows["time"] if chosen is None else rows["time"][chosen]
    return np.diff(np.searchsorted(times, edges)).astype(np.int64)


def fee_rate_bands(rows: Rows, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Percentiles of the fee rate in each bin, (5, bins) in sat/vB; NaN in an empty bin."""
    cuts = np.searchsorted(rows["time"], edges)
    rates = rows["fee_rate"].astype(np.float64, copy=False)
    bands = np.full((len(FEE_RATE_PERCENTILES), len(edges) - 1), np.nan)
    for i, (first, last) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
        if last > first:
            bands[:, i] = np.percentile(rates[first:last], FEE_RATE_PERCENTILES)
    return bands


def score_counts(rows: Rows) -> NDArray[np.int64]:
    """How many rows lie in each bin of the score; the outer bins take what lies beyond them."""
    place = np.clip((rows["anomaly_score"] - 0.3) * 100, 0, 59).astype(np.int64)
    return np.bincount(place, minlength=60)


def pattern_counts(rows: Rows, chosen: Mask) -> list[tuple[str, int]]:
    """How many of the chosen rows follow each pattern, most first."""
    counts = np.bincount(rows.pattern[chosen] + 1, minlength=1)
    named = [(NO_PATTERN if i == 0 else rows.names[i - 1], int(n)) for i, n in enumerate(counts)]
    return sorted(((name, n) for name, n in named if n), key=lambda item: -item[1])


def best(rows: Rows, order: str, most: int) -> Index:
    """The rows that come first in an order, at most `most`, first one first."""
    key = rows[
        {"newest": "time", "value": "output_value"}.get(order, order)
        if order != "score"
        else "anomaly_score"
    ]
    index = np.arange(len(rows))
    if len(rows) > most:
        index = np.argpartition(key, len(rows) - most)[len(rows) - most :]
    return index[np.argsort(-key[index].astype(np.float64), kind="stable")]


def sample(rows: Rows, chosen: Mask, most: int, most_chosen: int) -> tuple[Index, Index]:
    """Rows to draw: an even sample of the rest, and all chosen ones up to the highest scores."""
    rest = np.flatnonzero(~chosen)
    if len(rest) > most:
        rest = rest[np.linspace(0, len(rest) - 1, most).astype(np.intp)]
    marked = np.flatnonzero(chosen)
    if len(marked) > most_chosen:
        marked = np.sort(marked[best(rows.take(marked), "score", most_chosen)])
    return rest, marked


def summary(rows: Rows, chosen: Mask, start: datetime, end: datetime) -> Summary:
    """The numbers at a glance of the rows in a view that covers `start` to `end`."""
    count, anomalies = len(rows), int(chosen.sum())
    first = max(micros(start), int(rows["time"][0])) if count else micros(start)
    seconds = max((micros(end) - first) / 1e6, 1.0)
    return Summary(
        transactions=count,
        per_second=count / seconds,
        flagged=anomalies,
        flagged_share=anomalies / count if count else 0.0,
        median_fee_rate=float(np.median(rows["fee_rate"])) if count else float("nan"),
        volume=int(rows["output_value"].sum()),
    )
