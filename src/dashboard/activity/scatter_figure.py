"""The scatter of the transactions: fee rate against value, each with its score.

Both axes are logarithmic and have no zero, so zeros lie in a lane of their own at the edge. Of many
ordinary transactions a sample is drawn; the outlying are always drawn.
"""

from typing import Any

import numpy as np

from core.transaction import COIN
from dashboard.activity.figures import Figure, packed, point_words, powers_of_ten
from dashboard.activity.filters import ZERO_LANE
from dashboard.activity.queries import Index
from dashboard.lake.rows import Rows
from dashboard.look.formats import btc, short_number
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
            xaxis=axis(theme, "value (BTC)", **with_lane(powers_of_ten(-8, 5, 2), VALUE_LANE)),
            yaxis=axis(theme, UPWARDS[upwards], **with_lane(powers_of_ten(-3, 7, 1), ZERO_LANE)),
            annotations=_sampled(len(rest), ordinary, colours["muted"]),
        ),
    }


def _points(rows: Rows, threshold: float | None, upwards: str, marker: dict[str, Any]) -> Figure:
    hover = "%{text}<br>%{customdata}…<extra>click: why</extra>"
    rates = rows["fee_rate"] if upwards == "fee_rate" else rows.times_market()
    values, words = map(btc, rows["output_value"].tolist()), point_words(rows, threshold)
    return {
        "type": "scatter",
        "mode": "markers",
        "hovertemplate": hover,
        "x": packed(np.maximum(rows["output_value"] / COIN, VALUE_LANE)),
        "y": packed(np.maximum(rates, ZERO_LANE)),
        "marker": {**marker, "color": packed(rows["anomaly_score"])},
        "text": [f"{value}, {word}" for value, word in zip(values, words, strict=True)],
        "customdata": [hash[:16] for hash in rows.hashes()],
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 0.25}},
    }


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
