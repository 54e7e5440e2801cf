"""What an event makes of the filters, and what the inputs show of them.

An event is an input that a viewer changes, a press of a button, or what is drawn or clicked on a
figure.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.transaction import COIN
from dashboard.activity.filter_inputs import INPUTS, SAME_THRESHOLD, Inputs
from dashboard.activity.filters import CUSTOM, ZERO_LANE, Filters, format_time
from dashboard.activity.queries import bin_edges


def after_event(
    old: Filters,
    trigger: str | None,
    inputs: Inputs,
    drawn: Inputs | None,
    model_threshold: float | None,
    now: datetime,
    zone: ZoneInfo,
) -> Filters:
    """The filters after an event; `trigger` is the id of the component that caused it.

    On a figure something is `drawn`: a box on the `scatter`, a click on a bar of the `patterns`, a
    `span` of the timeline or a click on a `bar` of it.
    """
    if trigger == "reset":
        return Filters()
    if trigger == "scatter":
        return _after_selection(old, drawn)
    if trigger == "patterns":
        return _after_click(old, drawn)
    if trigger in ("span", "bar"):
        return _after_span(old, drawn, now, zone)
    if trigger in INPUTS:
        return _after_input(old, trigger, inputs, model_threshold, now, zone)
    return old


def _after_input(
    old: Filters,
    trigger: str,
    inputs: Inputs,
    model_threshold: float | None,
    now: datetime,
    zone: ZoneInfo,
) -> Filters:
    parameters = {name: value for name, value in inputs.items() if value not in (None, "", [])}
    parameters["pattern"] = ",".join(parameters.get("pattern", ()))
    parameters["flagged_by"] = ",".join(parameters.get("flagged_by", ()))
    for box in ("flagged", "muted"):
        parameters[box] = "1" if parameters.get(box) else ""
    for side in ("start", "end"):
        typed, time = parameters.get(side), getattr(old, side)
        kept = time is not None and typed == _shown(time, zone)  # the input shows no seconds
        parameters[side] = format_time(time) if kept else _to_utc(typed, zone)
    if parameters.get("range") == CUSTOM and trigger == "range" and not parameters["start"]:
        parameters["start"] = f"{now - timedelta(days=1):%Y-%m-%dT%H:%MZ}"
        parameters["end"] = f"{now:%Y-%m-%dT%H:%MZ}"
    filters = Filters.from_parameters(parameters)
    moved = trigger == "threshold" and _differs(filters, old, model_threshold)
    return filters if moved else replace(filters, threshold=old.threshold)


def _differs(new: Filters, old: Filters, model_threshold: float | None) -> bool:
    """Whether the slider has left the place that it has for the old filters."""
    shown = model_threshold if old.threshold is None else old.threshold
    if new.threshold is None or shown is None:
        return new.threshold is not None
    return abs(new.threshold - shown) >= SAME_THRESHOLD


def _after_span(old: Filters, drawn: Inputs | None, now: datetime, zone: ZoneInfo) -> Filters:
    """The time range of a span drawn on the timeline, or of the bar that was clicked."""
    if span := ((drawn or {}).get("range") or {}).get("x"):
        start, end = (_to_utc(text, zone) for text in sorted(map(str, span)))
    elif points := (drawn or {}).get("points"):
        begin, until = old.interval(now)
        first, second = bin_edges(begin, min(until, now))[:2].tolist()
        start = _to_utc(str(points[0].get("x")), zone)
        last = Filters.from_parameters({"range": CUSTOM, "start": start}).start
        # a range includes its end: the bar ends before what the next one begins with
        end = format_time(last + timedelta(microseconds=second - first - 1)) if last else ""
    else:
        return old
    chosen = Filters.from_parameters({"range": CUSTOM, "start": start, "end": end})
    return replace(old, range=chosen.range, start=chosen.start, end=chosen.end)


def _shown(time: datetime, zone: ZoneInfo) -> str:
    """A time as the browser's input shows it, in the viewer's zone."""
    return time.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def _to_utc(text: str | None, zone: ZoneInfo) -> str:
    """A time in the viewer's zone, as the browser's input holds it, in UTC."""
    try:
        time = datetime.fromisoformat(text or "").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return format_time(time.replace(microsecond=0))


def _after_selection(old: Filters, selection: Inputs | None) -> Filters:
    """Filter by the sides of a box on the scatter: value across, one of `AXES` upwards."""
    sides = (selection or {}).get("range") or {}
    if not {"x", "y"} <= sides.keys():
        return old
    (left, right), (low, high) = sorted(sides["x"]), sorted(sides["y"])
    low = 0.0 if low <= ZERO_LANE else float(f"{low:.4g}")
    high = float(f"{high:.4g}")
    box = replace(old, value_min=int(left * COIN), value_max=int(right * COIN))
    if old.axis == "times":
        return replace(box, times_min=low, times_max=high)
    return replace(box, fee_rate_min=low, fee_rate_max=high)


def _after_click(old: Filters, click: Inputs | None) -> Filters:
    """A click on a pattern's bar filters by it; a second click removes the filter."""
    points = (click or {}).get("points") or [{}]
    name = points[0].get("customdata")
    if not isinstance(name, str):
        return old
    return replace(old, pattern=() if old.pattern == (name,) else (name,))


def input_values(filters: Filters, model_threshold: float | None, zone: ZoneInfo) -> dict[str, Any]:
    """The value of each input for these filters; times in the viewer's zone."""
    values: dict[str, Any] = {name: filters.parameters.get(name) for name in INPUTS}
    for name in INPUTS:
        if name.endswith(("_min", "_max")) and values[name] is not None:
            values[name] = float(values[name])
    threshold = model_threshold or 0.6 if filters.threshold is None else filters.threshold
    for name in ("start", "end"):
        time: datetime | None = getattr(filters, name)
        values[name] = _shown(time, zone) if time else None
    return values | {
        "range": filters.range,
        "threshold": round(threshold, 4),
        "pattern": list(filters.pattern),
        "flagged": ["1"] if filters.flagged else [],
        "muted": ["1"] if filters.muted else [],
        "flagged_by": list(filters.flagged_by),
        "axis": filters.axis,
        "hash": filters.hash,
        "order": filters.order,
    }
