"""The figures: pure functions from numbers to Plotly's JSON, one for each question of the analyst.

Figures are plain dictionaries, since `plotly.graph_objects` validates every value and takes ten
times as long. Arrays are sent as base64 typed arrays. Plotly knows no time zones: times are
converted to the viewer's zone here. `revision` is Plotly's `uirevision`.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.detector.rules import RULES_VERSION
from core.detector.verdict import SCORE_AXIS
from core.transaction import COIN
from dashboard.activity.filters import FLAGGERS, NO_PATTERN
from dashboard.activity.queries import FLAGGED_BY, flagger_codes
from dashboard.lake.rows import Rows
from dashboard.look.formats import duration, local_times, rate_words, short_number, spaced
from dashboard.look.theme import PALETTES, Theme, axis, layout

Figure = dict[str, Any]
Integers = NDArray[np.int64]

WINDOW_MILLISECONDS = 600_000

LEAST_BARS = 6
"""A figure of bars over time has room for so many: one alone would fill the whole width."""

ROOM_TO_THE_RIGHT = 0.7
"""A threshold up to here has its label to its right; beyond it the label would be cut."""

LAST_PART = 0.9
"""A version that begins later in the range has its label to its left, where it is not cut."""

BELOW_LABELS = 1.4
"""The upper axis of the timeline goes so far above its highest bar, so that no label covers it."""

MOST_LABELS = 6
"""More marks than this have no words: they would cover each other."""

Champions = Sequence[tuple[str, int]]
"""Versions in order, each with the microsecond at which it scored first."""


def packed(array: NDArray[Any]) -> dict[str, str]:
    """An array as Plotly's typed array, 4 bytes a number: exact enough to draw."""
    kind = "i4" if array.dtype.kind in "iub" else "f4"
    return {"dtype": kind, "bdata": b64encode(array.astype(kind).tobytes()).decode()}


def timeline(
    edges: Integers,
    counts: Integers,
    anomalies: Integers,
    champions: Champions,
    open_end: bool,
    zone: ZoneInfo,
    theme: Theme,
    revision: str,
) -> Figure:
    """Transactions over time as bars, and above them the anomalies on their own scale.

    With an `open_end` the last bar is hatched: it goes on to grow.
    """
    colours = PALETTES[theme]
    width = float(edges[1] - edges[0]) / 1000
    bars = {"type": "bar", "x": local_times(edges[:-1], zone), "width": width * 0.86, "offset": 0}
    scale = {"rangemode": "tozero", "tickformat": "~s", "fixedrange": True}
    most = anomalies.max(initial=0)
    upper = axis(
        theme, "anomalies", domain=[0.72, 1], dtick=max(1, int(np.ceil(most / 2))), **scale
    )
    upper["range"] = [0, max(2, most * BELOW_LABELS)]
    upper["title"]["font"]["color"] = colours["anomaly"]
    unit = f"per {duration(width / 1000).removeprefix('1 ')}"
    shapes = [""] * (len(counts) - 1) + ["/" if open_end else ""]
    ticks = {"dtick": 1} if counts.max(initial=0) < 5 else {"nticks": 5}
    return {
        "data": [
            bars | _heights(counts, shapes, colours["bar"], "transactions"),
            bars | _heights(anomalies, shapes, colours["anomaly"], "flagged") | {"yaxis": "y2"},
        ],
        "layout": layout(
            theme,
            revision,
            showlegend=False,
            dragmode="select",
            selectdirection="h",
            newselection={"line": {"color": colours["accent"]}},
            xaxis=axis(theme, type="date", showgrid=False, anchor="y"),
            yaxis=axis(theme, unit, domain=[0, 0.62], **ticks, **scale),
            yaxis2=upper,
            **champion_marks(champions, edges, zone, theme),
        ),
    }


def champion_marks(
    champions: Champions, edges: Integers, zone: ZoneInfo, theme: Theme
) -> dict[str, Any]:
    """Dotted lines and labels for a layout, one for each version but the first of the range.

    The range is that of the `edges`, in microseconds. Scores before and after such a mark are not
    comparable, and the threshold is another.
    """
    colours = PALETTES[theme]
    # a version can score after the range's end what was seen in it
    marks = [(version, at) for version, at in champions[1:] if edges[0] <= at <= edges[-1]]
    times = local_times((at for _, at in marks), zone)
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1}
    line["line"] = {"color": colours["muted"], "width": 1, "dash": "dot"}
    label = {"yref": "paper", "y": 1, "yanchor": "top", "showarrow": False}
    label |= {"font": {"color": colours["muted"], "size": 10}, "bgcolor": colours["panel"]}
    late = edges[0] + LAST_PART * (edges[-1] - edges[0])
    labels = [
        label | {"x": time} | _beside_its_line(version, at > late)
        for time, (version, at) in zip(times, marks, strict=True)
    ]
    return {
        "shapes": [line | {"x0": time, "x1": time} for time in times],
        "annotations": labels if len(labels) <= MOST_LABELS else [],
    }


def _beside_its_line(version: str, to_the_left: bool) -> dict[str, Any]:
    words = "rules alone" if version == RULES_VERSION else f"v{version}"
    if to_the_left:
        return {"text": f"{words} →", "xanchor": "right", "xshift": -2}
    return {"text": words, "xanchor": "left", "xshift": 2}


def _heights(counts: Integers, shapes: list[str], colour: str, noun: str) -> Figure:
    hover = f"%{{x|%b %d, %H:%M:%S}}<br>%{{y:,}} {noun}<extra></extra>"
    hatched = {"shape": shapes, "fillmode": "replace", "size": 5, "solidity": 0.4}
    return {
        "y": packed(counts),
        "marker": {"color": colour, "pattern": hatched},
        "hovertemplate": hover,
    }


def scores(counts: Integers, threshold: float | None, theme: Theme, revision: str) -> Figure:
    """The score distribution with the threshold; logarithmic, so that its tail is visible."""
    colours, edges = PALETTES[theme], np.array(SCORE_AXIS)
    middles = (edges[:-1] + edges[1:]) / 2
    line = 1.0 if threshold is None else threshold
    bars = {
        "type": "bar",
        "x": packed(middles),
        "y": packed(counts),
        "marker": {"color": [colours["anomaly" if m >= line else "bar"] for m in middles]},
        "hovertemplate": "score %{x:.3f} ± 0.005<br>%{y:,} transactions<extra></extra>",
    }
    return {
        "data": [bars],
        "layout": layout(
            theme,
            revision,
            bargap=0.08,
            showlegend=False,
            xaxis=axis(
                theme, "anomaly score", showgrid=False, range=[SCORE_AXIS[0], SCORE_AXIS[-1]]
            ),
            yaxis=axis(theme, "transactions", type="log", dtick=1, tickformat="~s"),
            **_threshold_mark(threshold, colours["anomaly"]),
        ),
    }


def _threshold_mark(at: float | None, colour: str) -> Figure:
    """The threshold as a dotted line with its value beside it."""
    if at is None:
        return {"shapes": [], "annotations": []}
    line = {
        "type": "line",
        "x0": at,
        "x1": at,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": colour, "width": 2, "dash": "dot"},
    }
    to_the_right = at < ROOM_TO_THE_RIGHT
    label = {
        "x": at,
        "y": 1,
        "yref": "paper",
        "xanchor": "left" if to_the_right else "right",
        "xshift": 5 if to_the_right else -5,
        "showarrow": False,
        "text": f"threshold {at:.3f}",
        "font": {"color": colour, "size": 11},
    }
    return {"shapes": [line], "annotations": [label]}


def powers_of_ten(least: int, most: int, step: int) -> dict[str, Any]:
    """A logarithmic axis whose ticks are plain numbers: 0.001, 1, 1k, 1M, no prefixes below one.

    The ticks are the powers from `least` to `most`, both included.

    >>> powers_of_ten(-2, 8, 2)["ticktext"]
    ['0.01', '1', '100', '10k', '1M', '100M']
    """
    powers = range(least, most + 1, step)
    texts = [f"{10.0**p:.{max(0, -p)}f}" if p < 3 else short_number(10.0**p) for p in powers]
    return {"type": "log", "tickvals": [10.0**p for p in powers], "ticktext": texts}


def point_words(rows: Rows, threshold: float | None) -> list[str]:
    """Fee rate, score and what flags it of each row, for a hover text."""
    numbers = (rows["fee_rate"], rows.times_market(), rows["anomaly_score"], rows.unscored())
    return [
        rate_words(rate, times)
        + ("" if alone else f"<br>score {score:.3f}")
        + (f"<br>flagged by {FLAGGERS[name]}" if (name := FLAGGED_BY[code]) else "")
        for rate, times, score, alone, code in zip(
            *(column.tolist() for column in numbers),
            flagger_codes(rows, threshold).tolist(),
            strict=True,
        )
    ]


def patterns(counts: list[tuple[str, int]], theme: Theme, revision: str) -> Figure:
    """How many of the flagged have each pattern, the most frequent on top."""
    shown = counts[:8][::-1]
    names, numbers = [name for name, _ in shown], [n for _, n in shown]
    most = max(numbers, default=1)
    ticks = {"dtick": 1} if most < 4 else {"nticks": 4}
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": numbers,
        "y": ["no known pattern" if name == NO_PATTERN else spaced(name) for name in names],
        "customdata": names,
        "text": [f"{n:,}" for n in numbers],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": PALETTES[theme]["anomaly"]},
        "hovertemplate": "%{x:,} flagged: %{y}<extra>click: filter</extra>",
    }
    scale = {"tickformat": ",d", "fixedrange": True, "range": [0, most * 1.15], **ticks}
    return {
        "data": [bars],
        "layout": layout(
            theme,
            revision,
            showlegend=False,
            bargap=0.35,
            xaxis=axis(theme, "flagged transactions", **scale),
            yaxis=axis(theme, showgrid=False, fixedrange=True, ticksuffix="  "),
        ),
    }


def range_of_bars(starts: Sequence[int] | Integers, width: int, zone: ZoneInfo) -> list[str]:
    """The range of an axis of times that shows bars, and has room for `LEAST_BARS` of them.

    `starts` are in microseconds, ascending, and `width` is too.
    """
    end = starts[-1] + width
    return local_times((min(starts[0], end - LEAST_BARS * width), end), zone)


def windows(statistics: pa.Table, zone: ZoneInfo, theme: Theme, revision: str) -> Figure:
    """The stream's ten-minute statistics: volume as bars, fees as a line on the right axis."""
    colours = PALETTES[theme]
    start = statistics.column("window_start").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    starts = start.to_numpy()
    times = local_times(starts, zone)
    volume, fees = (statistics.column(name).to_numpy() / COIN for name in ("volume", "fees"))
    width = WINDOW_MILLISECONDS * 1_000
    stops = np.flatnonzero(np.diff(starts) > width) + 1
    shown = range_of_bars(starts, width, zone)
    bars = {
        "type": "bar",
        "x": times,
        "y": packed(volume),
        "name": "volume",
        "marker": {"color": colours["bar"]},
        "customdata": statistics.column("transactions").to_pylist(),
        "width": WINDOW_MILLISECONDS * 0.86,
        "offset": 0,
        "hovertemplate": "%{x|%H:%M}, 10 min<br>%{y:,.2f} BTC in %{customdata:,}"
        " transactions<extra></extra>",
    }
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": local_times(np.insert(starts, stops, starts[stops] - 1), zone),
        "y": packed(np.insert(fees, stops, np.nan)),
        "connectgaps": False,
        "name": "fees (right axis)",
        "yaxis": "y2",
        "line": {"color": colours["good"], "width": 2},
        "marker": {"size": 4},
        "xperiod": WINDOW_MILLISECONDS,
        "xperiodalignment": "middle",
        "hovertemplate": "%{x|%H:%M}, 10 min<br>%{y:,.4f} BTC fees<extra></extra>",
    }
    right = {"overlaying": "y", "side": "right", "showgrid": False, "rangemode": "tozero"}
    right |= {"nticks": 5, "tickmode": "auto", "tickformat": "~g"}
    return {
        "data": [bars, line],
        "layout": layout(
            theme,
            revision,
            xaxis=axis(theme, type="date", showgrid=False, range=shown),
            yaxis=axis(theme, "volume (BTC)", tickformat="~s", rangemode="tozero"),
            yaxis2=axis(theme, "fees (BTC)", **right),
        ),
    }
