"""The dashboard over ten million scored transactions, and as a browser finds it.

`python -m benchmarks.dashboard [MILLIONS]`: a Delta table of days of 604,800 rows (7 a second),
the last of which is the viewers' range; then the same number within that one day, of which the
newest `DASHBOARD_CACHE_ROWS` are shown. Between two refreshes new rows arrive. The server runs in a
process of its own for the memory and for the ten viewers, who each ask what a browser asks.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

from benchmarks.dashboard_served import REFRESH_SECONDS, paints, served, viewers
from benchmarks.scored_lake import DAY_ROWS, NAME, day, fill
from deltalake import write_deltalake

from core.settings import DashboardSettings
from dashboard.data import Api, Lake
from dashboard.filters import Filters
from dashboard.recent import Recent
from dashboard.views import Views
from monitoring.dashboard_metrics import DashboardMetrics
from monitoring.prometheus_metrics import new_registry

ROUNDS = 20
DAY = Filters(range="24h")
VIEWS = ["?range=24h", "?range=24h&fee_rate_min=20", "?range=6h", "?range=1h"]
"""What the viewers look at: a view that others share costs nothing more."""

Row = tuple[str, float, float | None, str]
"""What was measured, its value, what it should be at most, its unit."""


def refreshes(lake: Path) -> dict[str, float]:
    """The first read, then medians: reading what is new, and all views of a day; in seconds."""
    metrics, settings = DashboardMetrics(new_registry("dashboard")), DashboardSettings()
    parts, rows = Lake(str(lake), "simulated"), settings.dashboard_cache_rows
    keep = timedelta(hours=settings.dashboard_cache_hours)
    api = Api("http://127.0.0.1:9")
    recent = Recent(parts, api, lambda: datetime.now(UTC), metrics, keep, REFRESH_SECONDS, rows)
    views = Views(recent, parts, settings.dashboard_max_rows)
    found: dict[str, list[float]] = {"first": [timed(recent.refresh)]}
    for i in range(ROUNDS):
        other = Filters(range="24h", fee_rate_min=5.0 + i, value_max=10**8)
        arrive(lake, i)
        for name, action in (
            ("news", recent.refresh),
            ("same", lambda: views.activity(DAY, "dark", "UTC")),
            ("changed", lambda other=other: views.activity(other, "dark", "UTC")),
        ):
            found.setdefault(name, []).append(timed(action))
    return {name: statistics.median(each) for name, each in found.items()}


def timed(action: Any) -> float:
    """The seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def arrive(lake: Path, seed: int) -> None:
    """As many rows as mainnet brings between two refreshes."""
    rows = day(7 * REFRESH_SECONDS, datetime.now(UTC), REFRESH_SECONDS, 1_000 + seed)
    write_deltalake(str(lake / NAME), rows, mode="append")


@contextmanager
def arriving(lake: Path) -> Iterator[None]:
    """Rows arrive meanwhile."""
    stopped = Event()

    def bring() -> None:
        seed = 100
        while not stopped.wait(REFRESH_SECONDS):
            arrive(lake, seed := seed + 1)

    thread = Thread(target=bring)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def measure(rows: int, crowd: int) -> list[Row]:
    """Fill a lake, `crowd` times mainnet's traffic, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder)
        fill(lake, rows, datetime.now(UTC), crowd)
        found = refreshes(lake)
        with served(lake) as (url, process), arriving(lake):
            seen = [paints(f"{url}/{VIEWS[0]}") for _ in range(3)]
            core, memory, wait = viewers(url, process, 40, VIEWS)
    first, whole = (statistics.median(each) for each in zip(*seen, strict=True))
    busy = crowd > 1
    return [
        ("refresh, all views, median", found["same"] * 1000, 300, "ms"),
        ("the same, the filters changed", found["changed"] * 1000, 300, "ms"),
        ("reading what is new, median", found["news"] * 1000, 300, "ms"),
        ("first read of a day", found["first"], None if busy else 10, "s"),
        ("first useful paint in Chromium: numbers and a chart", first, 2, "s"),
        ("whole page in Chromium, and it answers", whole, None, "s"),
        ("ten viewers of four views: of a core", core, 0.5, ""),
        ("ten viewers: memory", memory, None if busy else 500, "MiB"),
        ("ten viewers: median wait", wait * 1000, 300, "ms"),
    ]


def main() -> None:
    """Measure both lakes, print the tables."""
    rows = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    days = max(1, round(rows / DAY_ROWS))
    readings = [(1, f"over {days} days, range of the last"), (days, "all in one day")]
    for crowd, words in readings[: 1 + (days > 1)]:
        print(f"\nDashboard, {days * DAY_ROWS:,} scored transactions {words}\n")
        print("| what | measured | aim | measured / aim |\n|---|---|---|---|")
        for row in measure(rows, crowd):
            print(line(*row), flush=True)


def line(what: str, value: float, aim: float | None, unit: str) -> str:
    """A row of the table.

    >>> line("wait", 2, 4, "s")
    '| wait | 2 s | 4 s | 0.50 |'
    """
    beside = " | " if aim is None else f"{aim:g} {unit}".strip() + f" | {value / aim:.2f}"
    return f"| {what} | {f'{value:.3g} {unit}'.strip()} | {beside} |"


if __name__ == "__main__":
    main()
