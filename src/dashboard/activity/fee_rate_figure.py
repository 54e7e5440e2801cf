"""The figure of fee rates over time, and the bands that it and the market's figure have."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dashboard.activity.figures import Figure, Integers, packed
from dashboard.activity.queries import FEE_RATE_PERCENTILES
from dashboard.look.formats import local_times
from dashboard.look.theme import PALETTES, Theme, axis, layout

Floats = NDArray[np.float64]

BANDS = ((0, 4, "10–90 %", 0.16), (1, 3, "25–75 %", 0.26))
"""Each band's lower and upper percentile, its name, and its opacity; the wider lies below."""

MEDIAN = 2


def fee_rates(
    edges: Integers, bands: Floats, zone: ZoneInfo, theme: Theme, revision: str
) -> Figure:
    """Percentiles of the fee rate over time: the median as a line in two bands."""
    colour, times = PALETTES[theme]["accent"], local_times((edges[:-1] + edges[1:]) // 2, zone)
    line: dict[str, Any] = {"type": "scatter", "x": times, "connectgaps": False}
    edge = line | {"mode": "lines", "line": {"width": 0, "color": colour}, "showlegend": False}
    data = [band(times, bands[i], bands[j], name, colour, part) for i, j, name, part in BANDS]
    for low, high, name, _ in BANDS:
        least = {"name": f"{FEE_RATE_PERCENTILES[low]} %", "hovertemplate": "%{y:,.1f}"}
        data.append(edge | least | {"y": packed(bands[low])})
        most = {"name": name, "hovertemplate": "up to %{y:,.1f}"}
        data.append(edge | most | {"y": packed(bands[high])})
    drawn = {"mode": "lines", "line": {"color": colour, "width": 2.2}}
    words = {"name": "median", "showlegend": True, "hovertemplate": "%{y:,.1f}"}
    data.append(line | drawn | words | {"y": packed(bands[MEDIAN])})
    data += lone_points(times, bands[MEDIAN], colour)
    return {
        "data": data,
        "layout": layout(
            theme,
            revision,
            hovermode="x unified",
            xaxis=axis(theme, type="date", showgrid=False),
            yaxis=axis(theme, "fee rate (sat/vB)", type="log", tickformat="~s", dtick="D2"),
        ),
    }


def lone_points(times: Sequence[str], heights: Floats, colour: str) -> list[Figure]:
    """The values of a line that have no neighbours, as points: there the line has no length."""
    known = np.pad(~np.isnan(heights), 1)
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    if not len(alone):
        return []
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [times[place] for place in alone.tolist()],
        "y": packed(heights[alone]),
        "marker": {"size": 5, "color": colour},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [points]


def band(
    times: Sequence[str], low: Floats, high: Floats, name: str, colour: str, opacity: float
) -> Figure:
    """A band without words of its own; NaN in `low` is a gap.

    Plotly's fill between two lines would cover other heights, too, where these have a gap.
    """
    places, heights = outlines(low, high)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [times[place] for place in places.tolist()],
        "y": packed(heights),
        "name": name,
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": transparent(colour, opacity),
        "hoverinfo": "skip",
        "showlegend": True,
    }


def outlines(low: Floats, high: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The corners of a band by their places and heights, NaN behind each run without a gap.

    >>> places, heights = outlines(np.array([1.0, 2.0, np.nan]), np.array([5.0, 6.0, np.nan]))
    >>> places.tolist(), heights.tolist()
    ([0, 1, 1, 0, 0], [5.0, 6.0, 2.0, 1.0, nan])
    """
    known = np.flatnonzero(~np.isnan(low))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    places = [part for run in runs for part in (run, run[::-1], run[:1])]
    heights = [
        part for run in runs for part in (high[run], low[run[::-1]], np.full(len(run[:1]), np.nan))
    ]
    return np.concatenate(places), np.concatenate(heights)


def transparent(colour: str, opacity: float) -> str:
    """A colour of a palette, `#rrggbb`, with an opacity in 0..1."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
