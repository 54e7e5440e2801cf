"""How the inputs and the URL follow each other: pure functions of what the viewer just did."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.transaction import COIN
from dashboard.filters import CUSTOM, Filters

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
