"""The figures: pure functions from numbers to Plotly's own JSON, one a question of the analyst."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.transaction import COIN
from dashboard.columns import Rows
from dashboard.filters import NO_PATTERN
from dashboard.formats import words
from dashboard.palette import PALETTES, Theme
from dashboard.plotting import Figure, axis, layout, packed
from dashboard.queries import SCORE_BINS, Index

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
