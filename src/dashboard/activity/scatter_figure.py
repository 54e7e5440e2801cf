"""The scatter of the transactions: fee rate against value, each with its score.

Both axes are logarithmic and have no zero, so zeros lie in a lane of their own at the edge. Of many
ordinary transactions a sample is drawn; the outlying are always drawn.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.transaction import COIN
from dashboard.activity.figures import Figure, powers_of_ten
from dashboard.activity.filters import FLAGGERS, ZERO_LANE
from dashboard.activity.queries import FLAGGED_BY, Index, flagger_codes
from dashboard.lake.rows import Rows
from dashboard.look.formats import short_number
from dashboard.look.theme import PALETTES, Theme, axis, layout

MANY_MARKS = 150
"""More marks than this are drawn smaller, so that they do not hide each other."""

UPWARDS = {"fee_rate": "fee rate (sat/vB)", "times": "fee rate, times the market's"}
"""The axis's title for each of `AXES`."""

VALUE_LANE = 1e-9
"""Where a value of zero is drawn, in BTC: a tenth of a satoshi."""


def scatter(
    rows: Rows,
    drawn: tuple[Index, Index],
    ordinary: int,
    threshold: float | None,
    upwards: str,
    theme: Theme,
    revision: str,
) -> Figure:
    """Fee rate against value, coloured by score, the anomalies on top.

    `drawn` are the rows to draw, ordinary ones and anomalies, and `ordinary` is how many of the
    first there are in all; `upwards` is one of `AXES`.
    """
    rest, anomalies = drawn
    colours = PALETTES[theme]
    scale = [[0, colours["score-low"]], [0.55, colours["score-mid"]], [1, colours["score-high"]]]
    marker = {"cmin": 0.35, "cmax": 0.7, "colorscale": scale}
    legend = {
        "title": {"text": "score", "font": {"size": 11, "color": colours["muted"]}},
        "thickness": 6,
        "len": 0.9,
        "outlinewidth": 0,
        "tickformat": ".1f",
        "tickfont": {"size": 10, "color": colours["muted"]},
    }
    many = len(anomalies) > MANY_MARKS
    outline = {"color": colours["text"], "width": 0.5 if many else 1}
    dot = {**marker, "size": 4, "opacity": 0.75, "colorbar": legend}
    diamond = {**marker, "size": 6 if many else 9, "symbol": "diamond", "line": outline}
    return {
        "data": [
            _points(rows.take(rest), threshold, upwards, dot),
            _points(rows.take(anomalies), threshold, upwards, diamond),
        ],
        "layout": layout(
            theme,
            revision,
            dragmode="select",
            showlegend=False,
            hovermode="closest",
            newselection={"line": {"color": colours["accent"]}},
            xaxis=axis(theme, "value (BTC)", **with_lane(powers_of_ten(-8, 4, 2), VALUE_LANE)),
            yaxis=axis(theme, UPWARDS[upwards], **with_lane(powers_of_ten(-3, 8, 1), ZERO_LANE)),
            annotations=_sampled(len(rest), ordinary, colours["muted"]),
        ),
    }


def _points(rows: Rows, threshold: float | None, upwards: str, marker: dict[str, Any]) -> Figure:
    """The points as short numbers, from which the browser makes the words of a point."""
    rates, times = rows["fee_rate"], rows.times_market()
    height, other = (rates, times) if upwards == "fee_rate" else (times, rates)
    kinds = zip(
        np.isfinite(times).tolist(),
        rows.unscored().tolist(),
        flagger_codes(rows, threshold).tolist(),
        strict=True,
    )
    hover = [_hover(upwards, *kind) for kind in kinds]
    return {
        "type": "scatter",
        "mode": "markers",
        "hovertemplate": hover if len(set(hover)) > 1 else "".join(hover[:1]),
        "x": _short(np.maximum(rows["output_value"] / COIN, VALUE_LANE), 4),
        "y": _short(np.maximum(height, ZERO_LANE), 4),
        "marker": {**marker, "color": np.round(rows["anomaly_score"], 3).tolist()},
        "text": _short(other, 3),
        "customdata": [hash[:16] for hash in rows.hashes()],
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 0.25}},
    }


@cache
def _hover(upwards: str, market_known: bool, unscored: bool, code: int) -> str:
    """The words of one kind of point: there are so few that they take no room when compressed."""
    rate, times = "%{y:,.3~f} sat/vB", "%{text} × market"
    if upwards != "fee_rate":
        rate, times = "%{text} sat/vB", "%{y:,.3~f} × market"
    words = [f"%{{x:,.8~f}} BTC, {rate} ({times})" if market_known else f"%{{x:,.8~f}} BTC, {rate}"]
    if not unscored:
        words.append("score %{marker.color:.3f}")
    if (name := FLAGGED_BY[code]) is not None:
        words.append(f"flagged by {FLAGGERS[name]}")
    return "<br>".join([*words, "%{customdata}…<extra>click: why</extra>"])


def _short(numbers: NDArray[np.float64], digits: int) -> list[float | None]:
    """Numbers of few significant digits, 0 or more; what is not known is None.

    >>> _short(np.array([0.0, 0.0123456, 1234.5, np.nan]), 3)
    [0.0, 0.0123, 1230.0, None]
    """
    known = np.isfinite(numbers)
    powers = np.log10(numbers, where=known & (numbers > 0), out=np.zeros(len(numbers)))
    places = digits - 1 - np.floor(powers)  # behind the point, where negative before it
    whole = 10.0 ** np.abs(places)  # a fraction, as 0.1, would not be exact
    short = np.where(
        places < 0, np.round(numbers / whole) * whole, np.round(numbers * whole) / whole
    )
    return [value if there else None for value, there in zip(short.tolist(), known, strict=True)]


def with_lane(scale: dict[str, Any], lane: float) -> dict[str, Any]:
    """A logarithmic axis with a tick for the lane of the zeros."""
    values, texts = [lane, *scale["tickvals"]], ["0", *scale["ticktext"]]
    return scale | {"tickvals": values, "ticktext": texts}


def _sampled(drawn: int, ordinary: int, colour: str) -> list[Figure]:
    """What is not drawn, in words at the lower edge."""
    if drawn >= ordinary:
        return []
    text = f"{drawn:,} of {short_number(ordinary)} ordinary drawn, the outlying among them"
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": 0, "xanchor": "right"}
    font = {"size": 10, "color": colour}
    return [place | {"yanchor": "bottom", "showarrow": False, "text": text, "font": font}]
