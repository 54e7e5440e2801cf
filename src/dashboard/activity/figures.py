"""What all figures share: Plotly's own JSON for arrays, times, axes and the frame.

Figures are plain dictionaries: building `plotly.graph_objects` validates every value and takes
ten times as long. Arrays travel as base64 typed arrays. Times are shifted to the viewer's zone,
since Plotly draws them as they come.

The figures: pure functions from numbers to Plotly's own JSON, one a question of the analyst.

The figures over time: pure functions from numbers to Plotly's own JSON.
"""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.transaction import COIN
from dashboard.activity.filters import NO_PATTERN
from dashboard.activity.queries import FEE_RATE_PERCENTILES, SCORE_BINS, Index
from dashboard.lake.rows import Rows
from dashboard.look.formats import duration, words
from dashboard.look.theme import PALETTES, Theme

Figure = dict[str, Any]

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'


def packed(array: NDArray[Any]) -> dict[str, str]:
    """An array as Plotly's typed array, 4 bytes a number where that is exact enough to draw."""
    kind = "i4" if array.dtype.kind in "iub" else "f4"
    return {"dtype": kind, "bdata": b64encode(array.astype(kind).tobytes()).decode()}


def local(times: NDArray[np.int64], zone: ZoneInfo) -> list[str]:
    """Microseconds since 1970 as the viewer's clock shows them."""
    stamps = (datetime.fromtimestamp(t / 1e6, UTC).astimezone(zone) for t in times.tolist())
    return [stamp.strftime("%Y-%m-%d %H:%M:%S") for stamp in stamps]


def axis(theme: Theme, title: str = "", **more: Any) -> dict[str, Any]:
    """One axis in the theme: quiet grid, title in the muted colour."""
    colours = PALETTES[theme]
    return {
        "title": {"text": title, "font": {"size": 11, "color": colours["muted"]}, "standoff": 6},
        "gridcolor": colours["line"],
        "linecolor": colours["line"],
        "zeroline": False,
        "tickfont": {"size": 11, "color": colours["muted"]},
        "automargin": True,
        **more,
    }


def layout(theme: Theme, keep: str, **more: Any) -> dict[str, Any]:
    """The frame of a figure; while `keep` is the same, the reader's zoom stays."""
    colours = PALETTES[theme]
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": colours["text"]},
        "margin": {"l": 8, "r": 8, "t": 6, "b": 4},
        "hoverlabel": {
            "bgcolor": colours["raised"],
            "bordercolor": colours["line"],
            "font": {"color": colours["text"], "family": FONT},
        },
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom",
                   "font": {"size": 11, "color": colours["muted"]}},
        "uirevision": keep,
        "separators": ".,",
        **more,
    }  # fmt: skip


MANY = 150
"""More marks than this are drawn smaller: they would hide each other."""


def scores(counts: NDArray[np.int64], threshold: float | None, theme: Theme, keep: str) -> Figure:
    """The score distribution, logarithmic so that the tail shows, and the threshold on it."""
    colours, middles = PALETTES[theme], (SCORE_BINS[:-1] + SCORE_BINS[1:]) / 2
    line = 1.0 if threshold is None else threshold
    colour = [colours["anomaly"] if m >= line else colours["bar"] for m in middles]
    bars = {
        "type": "bar", "x": packed(middles), "y": packed(counts), "marker": {"color": colour},
        "hovertemplate": "score %{x:.3f} ± 0.005<br>%{y:,} transactions<extra></extra>",
    }  # fmt: skip
    marks, words = ([], []) if threshold is None else _threshold(threshold, colours["anomaly"])
    return {
        "data": [bars],
        "layout": layout(
            theme, keep, bargap=0.08, shapes=marks, annotations=words, showlegend=False,
            xaxis=axis(theme, "anomaly score", showgrid=False, range=[0.3, 0.9]),
            yaxis=axis(theme, "transactions", type="log", dtick=1, tickformat="~s"),
        ),
    }  # fmt: skip


def _threshold(at: float, colour: str) -> tuple[list[Figure], list[Figure]]:
    """The threshold as a dotted line and its words beside it."""
    line = {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": colour, "width": 2, "dash": "dot"}}  # fmt: skip
    words = {"x": at, "y": 1, "yref": "paper", "xanchor": "left", "xshift": 5, "showarrow": False,
             "text": f"threshold {at:.3f}", "font": {"color": colour, "size": 11}}  # fmt: skip
    return [line], [words]


def scatter(rows: Rows, rest: Index, marked: Index, theme: Theme, keep: str) -> Figure:
    """Fee rate against value, both logarithmic; colour by score, the flagged ones on top."""
    colours = PALETTES[theme]
    scale = [[0, colours["score-low"]], [0.55, colours["score-mid"]], [1, colours["score-high"]]]
    marker = {"cmin": 0.35, "cmax": 0.7, "colorscale": scale}
    bar = {"title": {"text": "score", "font": {"size": 11, "color": colours["muted"]}},
           "thickness": 6, "len": 0.9, "outlinewidth": 0, "tickformat": ".1f",
           "tickfont": {"size": 10, "color": colours["muted"]}}  # fmt: skip
    common = {**marker, "size": 4, "opacity": 0.75, "colorbar": bar}
    many = len(marked) > MANY
    bold = {**marker, "size": 6 if many else 9, "symbol": "diamond",
            "line": {"color": colours["text"], "width": 0.5 if many else 1}}  # fmt: skip
    data = [_points(rows, rest, "transactions", common), _points(rows, marked, "anomalies", bold)]
    return {
        "data": data,
        "layout": layout(
            theme, keep, dragmode="select", showlegend=False, hovermode="closest",
            newselection={"line": {"color": colours["accent"]}},
            xaxis=axis(theme, "value (BTC)", **_powers(-8, 5, 2)),
            yaxis=axis(theme, "fee rate (sat/vB)", **_powers(-3, 7, 1)),
        ),
    }  # fmt: skip


def _powers(least: int, most: int, step: int) -> dict[str, Any]:
    """A logarithmic axis whose ticks are plain numbers: 0.001, 1, 1k, no prefixes below one."""
    powers = range(least, most, step)
    texts = [f"{10.0**p:.{max(0, -p)}f}" if p < 3 else f"{10 ** (p - 3)}k" for p in powers]
    return {"type": "log", "tickvals": [10.0**p for p in powers], "ticktext": texts}


def _points(rows: Rows, index: Index, name: str, marker: dict[str, Any]) -> Figure:
    some = rows.take(index)
    hover = (
        "%{x:.6~f} BTC at %{y:,.1f} sat/vB<br>score %{marker.color:.3f}"
        "<br>%{customdata}…<extra>click: why</extra>"
    )
    value = some["output_value"] / COIN
    return {
        "type": "scatter", "mode": "markers", "name": name, "hovertemplate": hover,
        "x": packed(value), "y": packed(some["fee_rate"]),
        "marker": {**marker, "color": packed(some["anomaly_score"])},
        "customdata": [text[:16] for text in some.hashes()],
        "selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.25}},
    }  # fmt: skip


def patterns(counts: list[tuple[str, int]], theme: Theme, keep: str) -> Figure:
    """How many of the flagged follow each pattern, the most frequent on top."""
    colours, shown = PALETTES[theme], counts[:8][::-1]
    most = max([n for _, n in shown], default=1)
    ticks = {"dtick": 1} if most < 4 else {"nticks": 4}
    bars = {
        "type": "bar", "orientation": "h", "x": [n for _, n in shown],
        "y": ["no known pattern" if name == NO_PATTERN else words(name) for name, _ in shown],
        "customdata": [name for name, _ in shown], "text": [f"{n:,}" for _, n in shown],
        "textposition": "outside", "cliponaxis": False,
        "marker": {"color": colours["anomaly"]},
        "hovertemplate": "%{x:,} flagged: %{y}<extra>click: filter</extra>",
    }  # fmt: skip
    return {
        "data": [bars],
        "layout": layout(
            theme, keep, showlegend=False, bargap=0.35,
            xaxis=axis(theme, "flagged transactions", tickformat=",d",
                       fixedrange=True, range=[0, most * 1.15], **ticks),
            yaxis=axis(theme, showgrid=False, fixedrange=True, ticksuffix="  "),
        ),
    }  # fmt: skip


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
