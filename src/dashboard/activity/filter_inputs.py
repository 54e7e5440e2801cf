"""The filters as inputs: one input a field of `Filters`, named alike.

How the inputs and the URL follow each other: pure functions of what the viewer just did.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dash import dcc, html

from core.detector.patterns import PATTERNS
from core.transaction import COIN
from dashboard.activity.filters import CUSTOM, DEFAULT_RANGE, NO_PATTERN, ORDERS, PRESETS, Filters
from dashboard.look.formats import aria, words

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


INPUTS = (
    "range", "start", "end", "threshold", "value_min", "value_max", "fee_rate_min",
    "fee_rate_max", "inputs_min", "inputs_max", "outputs_min", "outputs_max", "pattern", "flagged",
    "hash", "order",
)  # fmt: skip
"""The inputs, each named as the field of `Filters` it holds."""

Words = Mapping[str, Any]


def changed(
    old: Filters,
    cause: str | None,
    inputs: Words,
    brushed: Words | None,
    clicked: Words | None,
    model: float | None,
    now: datetime,
    zone: ZoneInfo,
) -> Filters:
    """The view after what the viewer did: an input, a brush, a click on a pattern, a reset."""
    if cause == "reset":
        return Filters()
    if cause == "scatter":
        return _brushed(old, brushed)
    if cause == "patterns":
        return _clicked(old, clicked)
    if cause in INPUTS:
        return _typed(cause, inputs, model, now, zone)
    return old


def _typed(
    cause: str, inputs: Words, model: float | None, now: datetime, zone: ZoneInfo
) -> Filters:
    words = {name: value for name, value in inputs.items() if value not in (None, "", [])}
    words["pattern"] = ",".join(words.get("pattern", ()))
    words["flagged"] = "1" if words.get("flagged") else ""
    for side in ("start", "end"):
        words[side] = _utc(words.get(side), zone)
    if words.get("range") == CUSTOM and cause == "range" and not words["start"]:
        moments = {"start": now - timedelta(days=1), "end": now}
        words |= {name: each.strftime("%Y-%m-%dT%H:%MZ") for name, each in moments.items()}
    view = Filters.from_words(words)
    at_model = (
        model is not None and view.threshold is not None and abs(view.threshold - model) < 0.0006
    )
    return replace(view, threshold=None) if at_model else view


def _utc(text: str | None, zone: ZoneInfo) -> str:
    """A moment of the viewer's clock, as the browser's input holds it, in UTC."""
    try:
        local = datetime.fromisoformat(text or "").replace(tzinfo=zone)
    except ValueError:
        return ""
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _brushed(old: Filters, brushed: Words | None) -> Filters:
    """A box drawn on the scatter filters by its sides: value across, fee rate upwards."""
    box = (brushed or {}).get("range") or {}
    if not {"x", "y"} <= box.keys():
        return old
    (left, right), (low, high) = sorted(box["x"]), sorted(box["y"])
    return replace(
        old,
        value_min=int(left * COIN),
        value_max=int(right * COIN),
        fee_rate_min=float(f"{low:.4g}"),
        fee_rate_max=float(f"{high:.4g}"),
    )


def _clicked(old: Filters, clicked: Words | None) -> Filters:
    """A click on a pattern's bar filters by it; another click takes the filter away."""
    points = (clicked or {}).get("points") or [{}]
    name = points[0].get("customdata")
    if not isinstance(name, str):
        return old
    return replace(old, pattern=() if old.pattern == (name,) else (name,))


def values(view: Filters, model: float | None, zone: ZoneInfo) -> dict[str, Any]:
    """What each input shows of a view."""
    words: dict[str, Any] = view.words
    shown: dict[str, Any] = {name: words.get(name) for name in INPUTS}
    for name in INPUTS:
        if name.endswith(("_min", "_max")) and shown[name] is not None:
            shown[name] = float(shown[name])
    for name in ("start", "end"):
        at: datetime | None = getattr(view, name)
        shown[name] = at.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if at else None
    return shown | {
        "range": view.range,
        "threshold": round(view.threshold or model or 0.6, 4),
        "pattern": list(view.pattern),
        "flagged": ["1"] if view.flagged else [],
        "hash": view.hash,
        "order": view.order,
    }
