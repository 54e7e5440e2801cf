"""The dashboard over ten million scored transactions, and as a browser finds it.

`python -m benchmarks.dashboard [MILLIONS]`: a Delta table of days of 604,800 rows (7 a second),
the last of which is the viewer's range. The server runs in a process of its own for the memory and
for the ten viewers, who each ask what a browser asks at every refresh.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import requests
from benchmarks.scored_lake import DAY_ROWS, NAME, day, fill
from deltalake import write_deltalake
from local.screenshot import QUIET
from playwright.sync_api import sync_playwright

from core.settings import ROOT
from dashboard.data import Api, Lake
from dashboard.filters import Filters
from dashboard.recent import Recent
from dashboard.views import Views
from monitoring.common import new_registry
from monitoring.dashboard_metrics import DashboardMetrics

VIEWERS = 10
REFRESH_SECONDS = 5


def refreshes(lake: Path, rounds: int) -> tuple[float, float, float]:
    """First read, then medians: read what is new, and all views of a day; in seconds."""
    metrics = DashboardMetrics(new_registry("dashboard"))
    parts = Lake(str(lake), "simulated")
    keep = timedelta(hours=25)
    recent = Recent(parts, Api("http://127.0.0.1:9"), lambda: datetime.now(UTC), metrics, keep, 5)
    views = Views(recent, parts, 5_000_000)
    first = timed(recent.refresh)
    read, shown = [], []
    for i in range(rounds):
        write_deltalake(str(lake / NAME), day(35, datetime.now(UTC), 5, 1_000 + i), mode="append")
        read.append(timed(recent.refresh))
        shown.append(timed(lambda: views.activity(Filters(range="24h"), "dark", "UTC")))
    return first, statistics.median(read), statistics.median(shown)


def timed(action: Any) -> float:
    """The seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@contextmanager
def served(lake: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The dashboard as its door starts it, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    own = {"DASHBOARD_PORT": port, "LAKE_URI": str(lake), "DATA_ORIGIN": "simulated",
           "DASHBOARD_REFRESH_SECONDS": str(REFRESH_SECONDS)}  # fmt: skip
    folder = ROOT / "src" / "dashboard"
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=folder, env=os.environ | own, stderr=subprocess.DEVNULL
    ) as running:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_rows(url)
            yield url, psutil.Process(running.pid)
        finally:
            running.terminate()


def wait_for_rows(url: str) -> None:
    """Return when the server has read the lake; raises `TimeoutError` after two minutes."""
    for _ in range(600):
        try:
            text = requests.get(f"{url}/metrics", timeout=5).text
            if "bitcoin_dashboard_cached_rows 0.0" not in text:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise TimeoutError(url)


def refresh_body(url: str, view: str, viewer: int) -> dict[str, Any]:
    """What a browser posts at a refresh, read from the page's own list of callbacks."""
    callbacks = requests.get(f"{url}/_dash-dependencies", timeout=10).json()
    found = next(c for c in callbacks if "figures.data" in c["output"])
    known = {"tick.n_intervals": viewer, "url.search": view, "serial.data": None,
             "client.data": {"theme": "dark", "zone": "UTC", "id": f"viewer{viewer}"}}  # fmt: skip

    def filled(slots: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [slot | {"value": known[f"{slot['id']}.{slot['property']}"]} for slot in slots]

    names = found["output"].strip(".").split("...")
    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    return {"output": found["output"], "outputs": outputs, "inputs": filled(found["inputs"]),
            "state": filled(found["state"]), "changedPropIds": ["url.search"]}  # fmt: skip


def viewers(url: str, process: psutil.Process, seconds: float) -> tuple[float, float, float]:
    """Share of a core and MiB that ten viewers cost, and the median wait for an answer."""
    bodies = [refresh_body(url, "?range=24h", i) for i in range(VIEWERS)]
    waits: list[float] = []

    def watch(body: dict[str, Any]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.perf_counter()
            answer = requests.post(f"{url}/_dash-update-component", json=body, timeout=30)
            answer.raise_for_status()
            json.loads(answer.content)
            waits.append(time.perf_counter() - start)
            time.sleep(REFRESH_SECONDS)

    before, start = sum(process.cpu_times()[:2]), time.monotonic()
    with ThreadPoolExecutor(VIEWERS) as pool:
        list(pool.map(watch, bodies))
    used = sum(process.cpu_times()[:2]) - before
    memory = process.memory_info().rss / 2**20
    return used / (time.monotonic() - start), memory, statistics.median(waits)


def first_paint(url: str) -> float:
    """Seconds until a browser that has nothing cached has drawn the numbers and the figures."""
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            start = time.perf_counter()
            page.goto(url, wait_until="commit")
            page.wait_for_selector("#timeline .bars .point path", timeout=60_000)
            return time.perf_counter() - start
        finally:
            browser.close()


def main() -> None:
    """Fill a lake, measure, print the table."""
    rows = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder)
        fill(lake, rows, datetime.now(UTC))
        read, news, shown = refreshes(lake, 20)
        with served(lake) as (url, process):
            paint = statistics.median(first_paint(f"{url}/?range=24h") for _ in range(3))
            core, memory, wait = viewers(url, process, 40)
    total = max(1, round(rows / DAY_ROWS)) * DAY_ROWS
    print(f"Dashboard over {total:,} scored transactions, range of a day\n")
    print("| what | measured | aim | measured / aim |\n|---|---|---|---|")
    for what, value, aim, unit in (
        ("refresh, all views, median", shown * 1000, 300, "ms"),
        ("reading what is new, median", news * 1000, 300, "ms"),
        ("first read of a day", read, 10, "s"),
        ("first useful paint in Chromium", paint, 2, "s"),
        ("ten viewers: of a core", core, 0.5, ""),
        ("ten viewers: memory", memory, 500, "MiB"),
        ("ten viewers: median wait", wait * 1000, 300, "ms"),
    ):
        print(f"| {what} | {value:.3g} {unit} | {aim} {unit} | {value / aim:.2f} |")


if __name__ == "__main__":
    main()
