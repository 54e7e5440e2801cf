"""Marks in a chart over time: from here on another model has scored.

Scores before and after such a mark are not comparable, and the threshold is another.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from core.detector.rules import RULES_VERSION
from dashboard.look.theme import PALETTES, Theme

MOST_LABELS = 6
"""More marks than this have no words: they would cover each other."""


Champions = Sequence[tuple[str, int]]
"""Versions in order, each with the microsecond at which it scored first."""


def champion_marks(champions: Champions, zone: ZoneInfo, theme: Theme) -> dict[str, Any]:
    """Dotted lines and labels for a layout, one for each version but the first of the range."""
    colour, marks = PALETTES[theme]["muted"], champions[1:]
    times = [
        f"{datetime.fromtimestamp(at / 1e6, UTC).astimezone(zone):%Y-%m-%d %H:%M:%S}"
        for _, at in marks
    ]
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1}
    line["line"] = {"color": colour, "width": 1, "dash": "dot"}
    label = {"yref": "paper", "y": 1, "xanchor": "left", "yanchor": "top", "xshift": 3}
    label |= {"showarrow": False, "font": {"color": colour, "size": 10}}
    labels = [
        label | {"x": time, "text": "rules alone" if version == RULES_VERSION else f"v{version}"}
        for time, (version, _) in zip(times, marks, strict=True)
    ]
    return {
        "shapes": [line | {"x0": time, "x1": time} for time in times],
        "annotations": labels if len(labels) <= MOST_LABELS else [],
    }
