"""The filters as inputs: their components, and how the inputs and the URL follow each other.

Each input has the name of the field of `Filters` that it holds.
"""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from core.detector.patterns import PATTERNS
from core.detector.verdict import SCORE_AXIS
from dashboard.activity.filters import (
    AXES,
    CUSTOM,
    DEFAULT_RANGE,
    FLAGGERS,
    NO_PATTERN,
    ORDERS,
    PRESETS,
)
from dashboard.look.formats import attribute, spaced

BOUNDS = (
    ("output value", "value", "BTC", "Sum of the outputs, in BTC"),
    ("fee rate", "fee_rate", "sat/vB", "Fee per virtual byte, in sat/vB"),
    ("times the market", "times", "", "Fee rate, divided by what others paid then; below 1: less"),
    ("inputs", "inputs", "", "Number of inputs"),
    ("outputs", "outputs", "", "Number of outputs"),
)
"""Label, field, unit and hover text of each filter with a least and a most."""

INPUTS = (
    *("range", "start", "end", "threshold"),
    *(f"{name}_{side}" for _, name, *_ in BOUNDS for side in ("min", "max")),
    *("pattern", "flagged", "flagged_by", "muted", "hash", "order", "axis"),
)
"""The ids of all inputs."""

TYPING_PAUSE_SECONDS = 0.6
"""A typed filter applies after a pause of this length."""

SLIDER_STEP = 0.001
SAME_THRESHOLD = 0.6 * SLIDER_STEP
"""Two thresholds closer than this are one position of the slider."""

MOST_UNUSUAL_WORDS = (
    "What a rule flags first; then by how far the score lies above the threshold of its version"
)

Inputs = Mapping[str, Any]
"""Values of the inputs, or what a Plotly event carries."""


def filter_bar() -> html.Section:
    """Time range and threshold; the other filters open below."""
    reset = html.Button(
        "Reset all", id="reset", className="quiet reset", title="Back to the default"
    )
    more = [
        *(_bound(*bound) for bound in BOUNDS),
        _pattern(),
        _flagged_by(),
        _hash(),
        _flagged(),
        _muted(),
    ]
    return html.Section(
        [
            html.Div([_time_range(), _threshold(), reset], className="bar-row"),
            html.Details(
                [
                    html.Summary(["More filters", html.Span(id="filter-count", className="count")]),
                    html.Div(more, className="more"),
                ],
                id="more-filters",
                className="more-filters",
            ),
            # below, so that no input moves when a chip appears
            html.Div(id="chips", className="chips", **attribute("aria-label", "Filters in force")),
        ],
        className="filters panel",
        **attribute("aria-label", "Filters"),
    )


def _time_range() -> html.Div:
    options = [{"label": name, "value": name} for name in (*PRESETS, CUSTOM)]
    time: dict[str, Any] = {
        "type": "datetime-local",
        "debounce": TYPING_PAUSE_SECONDS,
        "className": "time-input",
    }
    return html.Div(
        [
            html.Label("Time range", className="caption"),
            dcc.RadioItems(options, DEFAULT_RANGE, id="range", inline=True, className="segments"),
            html.Div(
                [
                    html.Label("from", htmlFor="start"),
                    dcc.Input(id="start", name="from", **time),
                    html.Label("to", htmlFor="end"),
                    dcc.Input(id="end", name="to", **time),
                ],
                id="custom-range",
                hidden=True,
                className="pair",
            ),
            _problem("range"),
        ],
        className="control",
    )


def _threshold() -> html.Div:
    slider = dcc.Slider(
        SCORE_AXIS[0],
        SCORE_AXIS[-1],
        SLIDER_STEP,
        id="threshold",
        value=0.6,
        marks=None,
        updatemode="mouseup",
        allow_direct_input=False,
    )
    return html.Div(
        [
            html.Label("Anomaly threshold", className="caption", htmlFor="threshold"),
            html.Div(slider, className="slider"),
            html.Div(id="readout", className="readout", role="status"),
        ],
        className="control threshold",
    )


def _bound(label: str, name: str, unit: str, title: str) -> html.Div:
    def side(end: str, placeholder: str) -> dcc.Input:
        return dcc.Input(
            id=f"{name}_{end}",
            type="number",
            min=0,
            step="any",
            debounce=TYPING_PAUSE_SECONDS,
            placeholder=placeholder,
            className="bound",
            name=f"{label} {placeholder}",
        )

    caption = f"{label} ({unit})" if unit else label
    return html.Div(
        [
            html.Label(caption, className="caption", htmlFor=f"{name}_min"),
            html.Div([side("min", "least"), html.Span("–"), side("max", "most")], className="pair"),
            _problem(name),
        ],
        className="control",
        title=title,
    )


def _problem(name: str) -> html.Div:
    """Where it is said that nothing can pass a filter, beside its inputs."""
    return html.Div(id=f"{name}-problem", className="problem", role="alert")


def _pattern() -> html.Div:
    options: list[Any] = [{"label": spaced(p.name), "value": p.name} for p in PATTERNS]
    options.append({"label": "no known pattern", "value": NO_PATTERN})
    choose = dcc.Dropdown(options, id="pattern", multi=True, placeholder="any", searchable=False)
    return html.Div(
        [html.Label("pattern", className="caption", htmlFor="pattern"), choose],
        className="control wide",
    )


def _hash() -> html.Div:
    search = dcc.Input(
        id="hash",
        type="search",
        debounce=TYPING_PAUSE_SECONDS,
        placeholder="first digits, or an address",
        spellCheck="false",
        autoComplete="off",
        maxLength=90,
    )
    return html.Div(
        [html.Label("hash", className="caption", htmlFor="hash"), search], className="control wide"
    )


def _flagged() -> html.Div:
    box = dcc.Checklist([{"label": "only flagged", "value": "1"}], [], id="flagged")
    return html.Div([html.Span("show", className="caption"), box], className="control")


def _muted() -> html.Div:
    box = dcc.Checklist([{"label": "show muted", "value": "1"}], [], id="muted")
    return html.Div(
        [html.Span("in the table", className="caption"), box],
        className="control",
        title="Flags that a mute keeps from being news; numbers and charts count them always",
    )


def _flagged_by() -> html.Div:
    options: list[Any] = [{"label": words, "value": name} for name, words in FLAGGERS.items()]
    choose = dcc.Checklist(options, [], id="flagged_by", inline=True, className="checks")
    return html.Div(
        [html.Span("only flagged by", className="caption"), choose],
        className="control",
        title="Rules flag what is wrong or costly in any market; the model what is rare",
    )


def axis_choice() -> dcc.RadioItems:
    """What the scatter shows upwards."""
    options = [{"label": label, "value": value} for value, label in AXES.items()]
    return dcc.RadioItems(options, "fee_rate", id="axis", inline=True, className="segments small")


def order_choice() -> dcc.RadioItems:
    """The order of the table's transactions."""
    options = [{"label": label, "value": value} for value, label in ORDERS.items()]
    options[0]["title"] = MOST_UNUSUAL_WORDS
    return dcc.RadioItems(options, "score", id="order", inline=True, className="segments small")
