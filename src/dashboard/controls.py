"""The filters as inputs: one input a field of `Filters`, named alike."""

from typing import Any

from dash import dcc, html

from core.detector.patterns import PATTERNS
from dashboard.filters import CUSTOM, DEFAULT_RANGE, NO_PATTERN, ORDERS, PRESETS
from dashboard.formats import aria, words

WAIT_SECONDS = 0.6
"""A typed filter applies when the typist pauses for this long."""

RANGES = (
    ("output value", "value", "BTC", "Sum of the outputs, in BTC"),
    ("fee rate", "fee_rate", "sat/vB", "Fee per virtual byte, in sat/vB"),
    ("inputs", "inputs", "", "Number of inputs"),
    ("outputs", "outputs", "", "Number of outputs"),
)


def filter_bar() -> html.Section:
    """Time range, threshold and what is always at hand; the rest opens below."""
    return html.Section(
        [
            html.Div([_time_range(), _threshold(), _reset()], className="bar-row"),
            html.Details(
                [
                    html.Summary(["More filters", html.Span(id="narrowing", className="count")]),
                    html.Div([*_bounds(), _pattern(), _hash(), _flagged()], className="more"),
                ],
                id="more-filters",
                className="more-filters",
            ),
        ],
        className="filters panel",
        **aria("Filters"),
    )


def _reset() -> html.Button:
    return html.Button(
        "Reset all", id="reset", className="quiet reset", title="Back to the default"
    )


def _time_range() -> html.Div:
    options = [{"label": name, "value": name} for name in PRESETS]
    options.append({"label": "custom", "value": CUSTOM})
    moment: dict[str, Any] = {
        "type": "datetime-local",
        "debounce": WAIT_SECONDS,
        "className": "moment",
    }
    return html.Div(
        [
            html.Label("Time range", className="caption"),
            dcc.RadioItems(options, DEFAULT_RANGE, id="range", inline=True, className="segments"),
            html.Div(
                [
                    dcc.Input(id="start", name="from", **moment),
                    html.Span("to"),
                    dcc.Input(id="end", name="to", **moment),
                ],
                id="custom-range",
                hidden=True,
                className="pair",
            ),
        ],
        className="control",
    )


def _threshold() -> html.Div:
    slider = dcc.Slider(
        0.3, 0.9, 0.001, id="threshold", value=0.6, marks=None, updatemode="mouseup",
        allow_direct_input=False,
    )  # fmt: skip
    return html.Div(
        [
            html.Label("Anomaly threshold", className="caption", htmlFor="threshold"),
            html.Div(slider, className="slider"),
            html.Div(id="readout", className="readout", role="status"),
        ],
        className="control threshold",
    )


def _bounds() -> list[html.Div]:
    return [_bound(*each) for each in RANGES]


def _bound(label: str, name: str, unit: str, title: str) -> html.Div:
    def side(end: str, placeholder: str) -> dcc.Input:
        return dcc.Input(
            id=f"{name}_{end}", type="number", min=0, step="any", debounce=WAIT_SECONDS,
            placeholder=placeholder, className="bound", name=f"{label} {placeholder}",
        )  # fmt: skip

    caption = f"{label} ({unit})" if unit else label
    return html.Div(
        [
            html.Label(caption, className="caption", htmlFor=f"{name}_min"),
            html.Div([side("min", "least"), html.Span("–"), side("max", "most")], className="pair"),
        ],
        className="control",
        title=title,
    )


def _pattern() -> html.Div:
    options: list[Any] = [{"label": words(p.name), "value": p.name} for p in PATTERNS]
    options.append({"label": "no known pattern", "value": NO_PATTERN})
    choose = dcc.Dropdown(options, id="pattern", multi=True, placeholder="any", searchable=False)
    return html.Div(
        [html.Label("pattern", className="caption", htmlFor="pattern"), choose],
        className="control wide",
    )


def _hash() -> html.Div:
    search = dcc.Input(
        id="hash", type="search", debounce=WAIT_SECONDS, placeholder="first digits of a hash",
        spellCheck="false", autoComplete="off", maxLength=64,
    )  # fmt: skip
    return html.Div(
        [html.Label("hash", className="caption", htmlFor="hash"), search],
        className="control wide",
    )


def _flagged() -> html.Div:
    box = dcc.Checklist([{"label": "only flagged", "value": "1"}], [], id="flagged")
    return html.Div([html.Span("show", className="caption"), box], className="control")


def order_choice() -> dcc.RadioItems:
    """Which transactions the table keeps."""
    options = [{"label": label, "value": value} for value, label in ORDERS.items()]
    return dcc.RadioItems(options, "score", id="order", inline=True, className="segments small")
