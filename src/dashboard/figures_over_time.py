"""The figures over time: pure functions from numbers to Plotly's own JSON."""

from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.transaction import COIN
from dashboard.formats import duration
from dashboard.palette import PALETTES, Theme
from dashboard.plotting import Figure, axis, layout, local, packed
from dashboard.queries import FEE_RATE_PERCENTILES


def timeline(
    edges: NDArray[np.int64],
    counts: NDArray[np.int64],
    anomalies: NDArray[np.int64],
    zone: ZoneInfo,
    theme: Theme,
    keep: str,
) -> Figure:
    """Transactions as bars, and above them the flagged ones on a scale of their own."""
    colours, times = PALETTES[theme], local(edges[:-1], zone)
    width = float(edges[1] - edges[0]) / 1000
    common = {"type": "bar", "x": times, "width": width * 0.86, "offset": 0}
    all_bars = _bars(common, counts, colours["bar"], "transactions")
    some = _bars(common, anomalies, colours["anomaly"], "flagged") | {"yaxis": "y2"}
    whole = {"rangemode": "tozero", "tickformat": "~s", "fixedrange": True}
    step = max(1, int(np.ceil(anomalies.max(initial=0) / 2)))
    upper = axis(theme, "anomalies", domain=[0.72, 1], dtick=step, **whole)
    upper["range"] = [0, max(2, anomalies.max(initial=0) * 1.1)]
    upper["title"]["font"]["color"] = colours["anomaly"]
    return {
        "data": [all_bars, some],
        "layout": layout(
            theme,
            keep,
            showlegend=False,
            xaxis=axis(theme, type="date", showgrid=False, anchor="y"),
            yaxis=axis(
                theme,
                f"per {duration(width / 1000).removeprefix('1 ')}",
                domain=[0, 0.62],
                nticks=5,
                **whole,
            ),
            yaxis2=upper,
        ),
    }


def _bars(common: Figure, counts: NDArray[np.int64], colour: str, what: str) -> Figure:
    hover = f"%{{x|%b %d, %H:%M:%S}}<br>%{{y:,}} {what}<extra></extra>"
    return {**common, "y": packed(counts), "marker": {"color": colour}, "hovertemplate": hover}


def fee_rates(
    edges: NDArray[np.int64], bands: NDArray[np.float64], zone: ZoneInfo, theme: Theme, keep: str
) -> Figure:
    """Percentiles of the fee rate over time: the median as a line in two bands."""
    colours, times = PALETTES[theme], local((edges[:-1] + edges[1:]) // 2, zone)
    data = []
    for place, fill in ((0, None), (4, "outer"), (1, None), (3, "inner"), (2, None)):
        line = place == 2
        data.append({
            "type": "scatter", "mode": "lines", "x": times, "y": packed(bands[place]),
            "name": f"{FEE_RATE_PERCENTILES[place]} %" if not line else "median",
            "line": {"color": colours["accent"], "width": 2.2 if line else 0},
            "fill": "tonexty" if fill else "none", "connectgaps": False, "showlegend": line,
            "fillcolor": _faded(colours["accent"], 0.16 if fill == "outer" else 0.26),
            "hovertemplate": "%{y:,.1f}",
        })  # fmt: skip
    for trace, name in ((data[1], "10–90 %"), (data[3], "25–75 %")):
        trace |= {"showlegend": True, "name": name, "hovertemplate": "up to %{y:,.1f}"}
    return {
        "data": data,
        "layout": layout(
            theme, keep, hovermode="x unified",
            xaxis=axis(theme, type="date", showgrid=False),
            yaxis=axis(theme, "fee rate (sat/vB)", type="log", tickformat="~s", dtick="D2"),
        ),
    }  # fmt: skip


def _faded(colour: str, strength: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"


def windows(stats: pa.Table, zone: ZoneInfo, theme: Theme, keep: str) -> Figure:
    """The ten-minute statistics: volume as bars, fees as a line on an axis of its own."""
    colours = PALETTES[theme]
    start = stats.column("window_start").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    times = local(start.to_numpy(), zone)
    volume, fees = (stats.column(name).to_numpy() / COIN for name in ("volume", "fees"))
    count = stats.column("transactions").to_numpy()
    bars = {"type": "bar", "x": times, "y": packed(volume), "name": "volume",
            "marker": {"color": colours["bar"]}, "customdata": count.tolist(),
            "width": 600_000 * 0.86, "offset": 0,
            "hovertemplate": "%{x|%H:%M}, 10 min<br>%{y:,.2f} BTC in %{customdata:,}"
                             " transactions<extra></extra>"}  # fmt: skip
    line = {"type": "scatter", "mode": "lines+markers", "x": times, "y": packed(fees),
            "name": "fees (right axis)", "yaxis": "y2",
            "line": {"color": colours["good"], "width": 2}, "marker": {"size": 4},
            "xperiod": 600_000, "xperiodalignment": "middle",
            "hovertemplate": "%{x|%H:%M}, 10 min<br>%{y:,.4f} BTC fees<extra></extra>"}  # fmt: skip
    right = axis(theme, "fees (BTC)", overlaying="y", side="right", showgrid=False,
                 rangemode="tozero", nticks=5, tickmode="auto", tickformat="~g")  # fmt: skip
    return {
        "data": [bars, line],
        "layout": layout(
            theme, keep,
            xaxis=axis(theme, type="date", showgrid=False),
            yaxis=axis(theme, "volume (BTC)", tickformat="~s", rangemode="tozero"),
            yaxis2=right,
        ),
    }  # fmt: skip
