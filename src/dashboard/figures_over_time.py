"""The figures over time: pure functions from numbers to Plotly's own JSON."""

from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.transaction import COIN
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
    """Transactions as bars and the flagged ones as points on an axis of their own."""
    colours, times = PALETTES[theme], local(edges[:-1], zone)
    width = float(edges[1] - edges[0]) / 1000
    some = np.flatnonzero(anomalies)
    hover = "%{x|%b %d, %H:%M:%S}<br>%{y:,} "
    bars = {"type": "bar", "x": times, "y": packed(counts), "name": "transactions",
            "marker": {"color": colours["bar"]}, "width": width * 0.86, "offset": 0,
            "hovertemplate": hover + "transactions<extra></extra>"}  # fmt: skip
    points = {"type": "scatter", "mode": "markers", "x": [times[i] for i in some],
              "y": packed(anomalies[some]), "name": "anomalies (right axis)", "yaxis": "y2",
              "xperiod": width, "xperiodalignment": "middle",
              "marker": {"color": colours["anomaly"], "size": 8, "symbol": "diamond",
                         "line": {"color": colours["panel"], "width": 1}},
              "hovertemplate": hover + "flagged<extra></extra>"}  # fmt: skip
    top = max(4, int(anomalies.max(initial=0) * 1.35))
    right = axis(theme, "anomalies", overlaying="y", side="right", showgrid=False,
                 range=[0, top], tickformat=",d", nticks=5, rangemode="tozero")  # fmt: skip
    right["title"]["font"]["color"] = right["tickfont"]["color"] = colours["anomaly"]
    span = local(edges[[0, -1]], zone)
    return {
        "data": [bars, points],
        "layout": layout(
            theme, keep, bargap=0.1,
            xaxis=axis(theme, type="date", range=span, showgrid=False),
            yaxis=axis(theme, "transactions", tickformat="~s", rangemode="tozero"),
            yaxis2=right,
        ),
    }  # fmt: skip


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
            xaxis=axis(theme, type="date", showgrid=False, range=local(edges[[0, -1]], zone)),
            yaxis=axis(theme, "fee rate (sat/vB)", type="log", tickformat="~s", nticks=6),
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
                 rangemode="tozero", nticks=5)  # fmt: skip
    return {
        "data": [bars, line],
        "layout": layout(
            theme, keep,
            xaxis=axis(theme, type="date", showgrid=False),
            yaxis=axis(theme, "volume (BTC)", tickformat="~s", rangemode="tozero"),
            yaxis2=right,
        ),
    }  # fmt: skip
