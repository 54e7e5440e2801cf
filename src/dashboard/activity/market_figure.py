"""The figure of the market: the going fee rate over time, and beside it what was flagged."""

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dashboard.activity.fee_rate_figure import band, lone_points
from dashboard.activity.figures import (
    Champions,
    Figure,
    Integers,
    champion_marks,
    packed,
    point_words,
    powers_of_ten,
)
from dashboard.activity.queries import CODES, flagger_codes
from dashboard.lake.rows import Rows
from dashboard.look.formats import local_times, short_number
from dashboard.look.theme import PALETTES, Theme, axis, layout

SYMBOLS = {"model": "diamond", "rule": "triangle-up", "both": "star"}
"""The mark of a transaction, by what flagged it."""

GAP_BINS = 5
"""A line ends where the next bin of the market begins so many bins later."""

LEAST_RATE = 0.01
"""A logarithmic axis has no zero: a lower fee rate, in sat/vB, is drawn here."""


def market(
    markets: pa.Table | None,
    flagged: Rows,
    threshold: float | None,
    champions: Champions,
    edges: Integers,
    zone: ZoneInfo,
    theme: Theme,
    revision: str,
) -> Figure:
    """The median as a line in the band of 10 to 90 %, and the flagged at their own fee rate.

    `markets` is as `Lake.markets` returns it; `threshold` is the viewer's; the
    `edges` are those of the range, in microseconds.
    """
    colours = PALETTES[theme]
    flags = _flags(flagged, threshold, zone, colours["anomaly"])
    return {
        "data": [*_band(markets, zone, colours["accent"]), *flags],
        "layout": layout(
            theme,
            revision,
            hovermode="closest",
            xaxis=axis(theme, type="date", showgrid=False),
            yaxis=axis(theme, "fee rate (sat/vB)", **powers_of_ten(-2, 8, 1)),
            **champion_marks(champions, edges, zone, theme),
        ),
    }


def _band(markets: pa.Table | None, zone: ZoneInfo, colour: str) -> list[Figure]:
    if markets is None or not len(markets):
        return []
    starts = markets.column("time").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    gaps = _gaps(starts)
    times = local_times(np.insert(starts, gaps, starts[gaps] - 1), zone)
    low, median, high = (
        np.insert(markets.column(name).to_numpy(), gaps, np.nan)
        for name in ("low", "fee_rate", "high")
    )
    words = [
        f"going rate {rate} sat/vB<br>10–90 %: {least}–{most}"
        for rate, least, most in zip(
            *(map(short_number, column.tolist()) for column in (median, low, high)), strict=True
        )
    ]
    least, median, most = (np.maximum(each, LEAST_RATE) for each in (low, median, high))
    line: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": times,
        "y": packed(median),
        "connectgaps": False,
        "line": {"color": colour, "width": 2.2},
        "name": "going rate",
        "text": words,
        "hovertemplate": "%{x|%b %d, %H:%M}<br>%{text}<extra></extra>",
    }
    outer = band(times, least, most, "10–90 %", colour, 0.22)
    return [outer, line, *lone_points(times, median, colour)]


def _gaps(starts: Integers) -> NDArray[np.intp]:
    """Before which bins nothing was seen for so long that no line leads there."""
    steps = np.diff(starts)
    if not len(steps):
        return np.empty(0, np.intp)
    return np.flatnonzero(steps > GAP_BINS * steps.min()) + 1


def _flags(flagged: Rows, threshold: float | None, zone: ZoneInfo, colour: str) -> list[Figure]:
    """One trace for each of what flags, each with its own mark."""
    codes, traces = flagger_codes(flagged, threshold), []
    for name, symbol in SYMBOLS.items():
        rows = flagged.take(codes == CODES[name])
        if not len(rows):
            continue
        marker = {"color": colour, "symbol": symbol, "size": 8 if len(rows) <= 150 else 5}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"by {name}",
                "x": local_times(rows["time"], zone),
                "y": packed(np.maximum(rows["fee_rate"], LEAST_RATE)),
                "marker": marker,
                "text": point_words(rows, threshold),
                "customdata": [hash[:16] for hash in rows.hashes()],
                "hovertemplate": "%{x|%b %d, %H:%M:%S}<br>%{text}<extra>click: why</extra>",
            }
        )
    return traces
