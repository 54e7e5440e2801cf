"""Each chart in a sentence, for whoever does not see it."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.detector.verdict import SCORE_AXIS
from core.transaction import COIN
from dashboard.activity.filters import NO_PATTERN
from dashboard.activity.queries import Aggregates
from dashboard.activity.view import ActivityView, model_threshold
from dashboard.lake.rows import Rows
from dashboard.look.formats import duration, short_number, spaced

NOTHING = "Nothing is drawn."
MEDIAN = 2
"""The place of the median in `Aggregates.bands`."""

MOST_PATTERNS = 8
"""As many patterns as the chart shows."""


def chart_words(view: ActivityView, threshold: float | None) -> dict[str, str]:
    """A sentence for each figure; `threshold` is the viewer's own, None for the model's."""
    numbers, snapshot = view.aggregates, view.snapshot
    flagged, drawn = numbers.rows.take(numbers.drawn[1]), len(numbers.drawn[0])
    threshold = model_threshold(snapshot) if threshold is None else threshold
    words = {
        "timeline": _timeline(numbers),
        "scores": _scores(numbers.score_counts, threshold),
        "scatter": f"{drawn:,} ordinary transactions drawn. {_flagged(flagged)}",
        "fee_rates": _fee_rates(numbers.bands[MEDIAN]),
        "market": _flagged(flagged),
        "patterns": _patterns(numbers.pattern_counts),
        "windows": _windows(view.statistics),
    }
    if snapshot.market is not None:
        rate = short_number(snapshot.market.fee_rate)
        words["market"] = f"The going rate is {rate} sat/vB now. {words['market']}"
    return words


def _timeline(numbers: Aggregates) -> str:
    if not numbers.counts.sum():
        return NOTHING
    width = duration(float(numbers.edges[1] - numbers.edges[0]) / 1e6)
    flagged, most = numbers.anomalies.sum(), numbers.anomalies.max()
    return (
        f"{numbers.counts.sum():,} transactions, {flagged:,} of them flagged; in {width} at most "
        f"{numbers.counts.max():,}, and {most:,} flagged."
    )


def _scores(counts: NDArray[np.int64], threshold: float | None) -> str:
    filled = np.flatnonzero(counts)
    if not len(filled):
        return NOTHING
    low, high, top = (SCORE_AXIS[i] for i in (filled[0], filled[-1] + 1, counts.argmax()))
    words = f"Scores from {low:.2f} to {high:.2f}, most of them about {top:.2f}"
    return f"{words}." if threshold is None else f"{words}; the threshold is {threshold:.3f}."


def _fee_rates(medians: NDArray[np.float64]) -> str:
    known = medians[~np.isnan(medians)]
    if not len(known):
        return NOTHING
    low, high, last = (short_number(rate) for rate in (known.min(), known.max(), known[-1]))
    return f"The median fee rate goes from {low} to {high} sat/vB; it is {last} at the end."


def _flagged(rows: Rows) -> str:
    if not len(rows):
        return "None is flagged."
    rates, values = rows["fee_rate"], rows["output_value"] / COIN
    low, high, least, most = map(
        short_number, (rates.min(), rates.max(), values.min(), values.max())
    )
    return (
        f"{len(rows):,} flagged, with fee rates from {low} to {high} sat/vB and values from "
        f"{least} to {most} BTC."
    )


def _patterns(counts: list[tuple[str, int]]) -> str:
    named = (
        f"{'no known pattern' if name == NO_PATTERN else spaced(name)} {count:,}"
        for name, count in counts[:MOST_PATTERNS]
    )
    words = ", ".join(named)
    return f"Of the flagged: {words}." if words else NOTHING


def _windows(statistics: pa.Table | None) -> str:
    if statistics is None:
        return NOTHING
    volume, fees = (statistics.column(name)[-1].as_py() / COIN for name in ("volume", "fees"))
    return f"The last ten minutes moved {short_number(volume)} BTC for {fees:,.4f} BTC of fees."
