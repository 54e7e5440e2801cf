"""The dashboard over ten million scored transactions: its refresh, its viewers, its first paint.

`python -m benchmarks.dashboard [MILLIONS]` fills a Delta table with days of 604,800 rows (7 a
second); the viewers' range is the last day. Then it fills one day with all these rows, of which the
newest `DASHBOARD_CACHE_ROWS` are shown. New rows arrive between two refreshes. Memory and the ten
viewers are measured on a server process, with the requests that a browser makes.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread

from benchmarks.dashboard_served import (
    REFRESH_SECONDS,
    count_violations,
    measure_paints,
    measure_refresh,
    measure_slow_line,
    measure_viewers,
    served,
)
from benchmarks.scored_lake import DAY_ROWS, fill, generate_rows
from tests.support.delta_tables import write

from core.settings import DashboardSettings
from dashboard.activity.filters import Filters
from dashboard.activity.view import ViewCache
from dashboard.lake.parts import Parts
from dashboard.lake.recent import RecentRows
from dashboard.lake.sources import Api, Lake
from monitoring.dashboard_metrics import DashboardMetrics
from monitoring.prometheus_metrics import new_registry

ROUNDS = 20
DAY = Filters(range="24h")
QUERIES = ["?range=24h", "?range=24h&fee_rate_min=20", "?range=6h", "?range=1h"]
"""What the viewers look at: the same query for several viewers is computed once."""

Row = tuple[str, float, float | None, str]
"""What was measured, its value, the most it should be, its unit."""


def measure_refreshes(lake: Path) -> dict[str, float]:
    """Seconds of the first read, and medians: reading what is new, views of a day, of a month."""
    settings, source = DashboardSettings(), Lake(str(lake), "simulated")
    recent = RecentRows(
        source,
        Api("http://127.0.0.1:9"),
        Parts({}, lambda: datetime.now(UTC)),
        lambda: datetime.now(UTC),
        DashboardMetrics(new_registry("dashboard")),
        timedelta(hours=settings.dashboard_cache_hours),
        settings.dashboard_cache_rows,
    )
    views = ViewCache(recent, source)
    now = datetime.now(UTC)
    month = Filters(range="custom", start=now - timedelta(days=30), end=now + timedelta(hours=1))
    first, new, same, changed, long = seconds(recent.refresh), [], [], [], []
    views.view(month, "dark", "UTC")
    for i in range(ROUNDS):
        other = Filters(range="24h", fee_rate_min=5.0 + i, value_max=10**8)
        add_rows(lake, i)
        new.append(seconds(recent.refresh))
        same.append(seconds(partial(views.view, DAY, "dark", "UTC")))
        changed.append(seconds(partial(views.view, other, "dark", "UTC")))
        long.append(seconds(partial(views.view, month, "dark", "UTC")))
    medians = {"new": new, "same": same, "changed": changed, "month": long}
    return {"first": first} | {name: statistics.median(each) for name, each in medians.items()}


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def add_rows(lake: Path, seed: int) -> None:
    """Write as many rows as mainnet brings between two refreshes."""
    count, now = 7 * REFRESH_SECONDS, datetime.now(UTC)
    rows = generate_rows(count, now, REFRESH_SECONDS, 1_000 + seed)
    write(lake, "scored_transactions", rows)


@contextmanager
def arriving_rows(lake: Path) -> Iterator[None]:
    """Write rows in the background."""
    stopped = Event()

    def run() -> None:
        seed = 100
        while not stopped.wait(REFRESH_SECONDS):
            add_rows(lake, seed := seed + 1)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def measure(rows: int, traffic: int) -> list[Row]:
    """Fill a lake with `traffic` times mainnet's traffic, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder)
        fill(lake, rows, datetime.now(UTC), traffic)
        times = measure_refreshes(lake)
        with served(lake) as (url, process):
            usable, first_visit, refresh = measure_slow_line(f"{url}/{QUERIES[0]}")
            violations = sum(count_violations(f"{url}/{page}") for page in ("", "try", "model"))
            with arriving_rows(lake):
                paints = [measure_paints(f"{url}/{QUERIES[0]}") for _ in range(3)]
                news = measure_refresh(f"{url}/{QUERIES[0]}")
                core, memory, wait = measure_viewers(url, process, 40, QUERIES)
    first, whole = (statistics.median(each) for each in zip(*paints, strict=True))
    busy = traffic > 1
    return [
        ("refresh, all views, median", times["same"] * 1000, 300, "ms"),
        ("the same, the filters changed", times["changed"] * 1000, 300, "ms"),
        ("the same, 30 days in the range", times["month"] * 1000, 300, "ms"),
        ("reading what is new, median", times["new"] * 1000, 300, "ms"),
        ("first read of a day", times["first"], None if busy else 10, "s"),
        ("first useful paint in Chromium: the numbers", first, 1, "s"),
        ("whole page in Chromium", whole, None, "s"),
        ("usable at 1.5 Mbit/s: table, filters, panel", usable, 12, "s"),
        ("a first visit transfers", first_visit / 1e6, None, "MB"),
        ("a refresh without news transfers", refresh / 1e3, 20, "kB"),
        ("a refresh with news transfers", news / 1e3, 80, "kB"),
        ("what axe-core finds wrong on the three pages", violations, None, ""),
        ("ten viewers of four views: of a core", core, 0.5, ""),
        ("ten viewers: memory", memory, None if busy else 500, "MiB"),
        ("ten viewers: median wait", wait * 1000, 300, "ms"),
    ]


def main() -> None:
    """Measure both lakes, print the tables."""
    rows = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    days = max(1, round(rows / DAY_ROWS))
    readings = [(1, f"over {days} days, range of the last"), (days, "all in one day")]
    for traffic, words in readings[: 1 + (days > 1)]:
        print(f"\nDashboard, {days * DAY_ROWS:,} scored transactions {words}\n")
        print("| what | measured | aim | measured / aim |\n|---|---|---|---|")
        for row in measure(rows, traffic):
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
