"""What all figures share: Plotly's own JSON for arrays, times, axes and the frame.

Figures are plain dictionaries: building `plotly.graph_objects` validates every value and takes
ten times as long. Arrays travel as base64 typed arrays. Times are shifted to the viewer's zone,
since Plotly draws them as they come.
"""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dashboard.palette import PALETTES, Theme

Figure = dict[str, Any]

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'


def packed(array: NDArray[Any]) -> dict[str, str]:
    """An array as Plotly's typed array, 4 bytes a number where that is exact enough to draw."""
    kind = "i4" if array.dtype.kind in "iub" else "f4"
    return {"dtype": kind, "bdata": b64encode(array.astype(kind).tobytes()).decode()}


def local(times: NDArray[np.int64], zone: ZoneInfo) -> list[str]:
    """Microseconds since 1970 as the viewer's clock shows them."""
    stamps = (datetime.fromtimestamp(t / 1e6, UTC).astimezone(zone) for t in times.tolist())
    return [stamp.strftime("%Y-%m-%d %H:%M:%S") for stamp in stamps]


def axis(theme: Theme, title: str = "", **more: Any) -> dict[str, Any]:
    """One axis in the theme: quiet grid, title in the muted colour."""
    colours = PALETTES[theme]
    return {
        "title": {"text": title, "font": {"size": 11, "color": colours["muted"]}, "standoff": 6},
        "gridcolor": colours["line"],
        "linecolor": colours["line"],
        "zeroline": False,
        "tickfont": {"size": 11, "color": colours["muted"]},
        "automargin": True,
        **more,
    }


def layout(theme: Theme, keep: str, **more: Any) -> dict[str, Any]:
    """The frame of a figure; while `keep` is the same, the reader's zoom stays."""
    colours = PALETTES[theme]
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": colours["text"]},
        "margin": {"l": 8, "r": 8, "t": 6, "b": 4},
        "hoverlabel": {
            "bgcolor": colours["raised"],
            "bordercolor": colours["line"],
            "font": {"color": colours["text"], "family": FONT},
        },
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom",
                   "font": {"size": 11, "color": colours["muted"]}},
        "uirevision": keep,
        "separators": ".,",
        **more,
    }  # fmt: skip
