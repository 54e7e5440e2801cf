"""The time line in a few marks of SVG, as the drawn chart has it: what a server can draw."""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from dashboard.activity.queries import BIN_SECONDS, Bins
from dashboard.lake.rows import moment
from dashboard.look.formats import short_number

UPPER, LOWER = (0.0, 28.0), (38.0, 100.0)
"""From where to where, in per cent of the height, the anomalies and all transactions are drawn."""

LABELS = 9
"""At most so many moments are named below it."""
DAYS = timedelta(hours=36)
"""A longer range is labelled by days."""


def sketch(bins: Bins) -> str:
    """Transactions as bars and above them the flagged ones, as the drawn chart has them."""
    most, marked = (int(counts.max(initial=0)) for counts in (bins.counts, bins.anomalies))
    upper = max(2.0, marked * 1.1)
    marks = [(0, most, LOWER), (_round(most), most, LOWER), (0, upper, UPPER),
             (_round(upper), upper, UPPER)]  # fmt: skip
    words = "".join(
        f'<span style="top:calc(8px + (100% - 56px)*{_height(at, top, between) / 100:.4f})">'
        f"{short_number(at)}</span>"
        for at, top, between in marks
    )
    return (
        f'<div class="sketch" role="img" aria-label="Transactions and anomalies over time">'
        f'<svg viewBox="0 0 {len(bins.counts)} 100" preserveAspectRatio="none">'
        f'<path class="all" d="{_bars(bins.counts, most, LOWER)}"/>'
        f'<path class="some" d="{_bars(bins.anomalies, upper, UPPER)}"/></svg>'
        f"{words}{_times(bins.edges)}</div>"
    )


def _height(at: float, most: float, between: tuple[float, float]) -> float:
    """How far down a number lies, in per cent."""
    return between[1] - (between[1] - between[0]) * at / max(most, 1)


def _round(most: float) -> int:
    """The greatest 1, 2 or 5 times a power of ten that is not above."""
    power = 10 ** max(len(str(int(most))) - 1, 0)
    return next((step * power for step in (5, 2, 1) if step * power <= most), 1)


def _bars(counts: NDArray[np.int64], most: float, between: tuple[float, float]) -> str:
    bars = ((i, _height(n, most, between)) for i, n in enumerate(counts.tolist()) if n)
    return "".join(f"M{i} {between[1]:g}V{top:.2f}h.86V{between[1]:g}z" for i, top in bars)


def _times(edges: NDArray[np.int64]) -> str:
    """Round moments below the bars; the browser writes them by its own clock."""
    first, last = int(edges[0]), int(edges[-1])
    kind = "day" if moment(last) - moment(first) > DAYS else "clock"
    step = next((s for s in BIN_SECONDS if (last - first) / s <= LABELS * 1e6), 86_400) * 10**6
    return "".join(
        f'<time class="{kind}" style="left:calc(38px + (100% - 50px)'
        f'*{(at - first) / (last - first):.4f})" datetime="{moment(at).isoformat()}"></time>'
        for at in range(first + -first % step, last, step)
    )
