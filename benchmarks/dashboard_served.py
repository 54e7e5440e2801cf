"""A dashboard as its door starts it: what its viewers cost, and when a browser paints what."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests
from axe_playwright_python.sync_playwright import Axe
from local.ports import free_port
from local.screenshot import QUIET
from local.services import LIMITS
from playwright.sync_api import Page, sync_playwright

from core.settings import ROOT

VIEWERS = 10
REFRESH_SECONDS = 5

SLOW_LINE = {
    "offline": False,
    "latency": 40,
    "downloadThroughput": 1_500_000 / 8,
    "uploadThroughput": 750_000 / 8,
}
"""A line of 1.5 Mbit/s, in bytes a second and milliseconds."""

RECORD_PAINTS = """
  const painted = window.painted = {}, all = (selector) => [...document.querySelectorAll(selector)];
  const visible = (e) => e.getBoundingClientRect().top < innerHeight;
  const record = (name) => requestAnimationFrame(() => setTimeout(
    () => { painted[name] ??= performance.now() / 1000; }));
  (function check() {
    if (all(".flagged .number .unit").length) record("first");
    if (!all("#first-view").length && all("#grid .ag-row").length) record("usable");
    const plots = all(".js-plotly-plot").filter(visible);
    const drawn = plots.length && plots.every((p) => p.data && p.data.length);
    if (drawn && !all("#first-view").length && all(".ag-row").length) record("whole");
    requestAnimationFrame(check);
  })();
"""
"""Records when the tiles' numbers are painted, when the page is usable, with the table in place of
the first view, and when the whole page is there: each visible chart too."""


@contextmanager
def served(lake: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The dashboard in its own process, as both stacks start it."""
    port = str(free_port())
    settings = {
        "DASHBOARD_PORT": port,
        "LAKE_URI": str(lake),
        "DATA_ORIGIN": "simulated",
        "DASHBOARD_REFRESH_SECONDS": str(REFRESH_SECONDS),
    }
    environment = LIMITS | os.environ | settings
    folder = ROOT / "src" / "dashboard"
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_rows(url)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


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


def refresh_body(url: str, query: str, viewer: int) -> dict[str, Any]:
    """What a browser posts at a refresh, from the page's own list of callbacks."""
    callbacks = requests.get(f"{url}/_dash-dependencies", timeout=10).json()
    callback = next(c for c in callbacks if "pill.children" in c["output"])
    values = {
        "activity-tick.data": viewer,
        "url.search": query,
        "shown.data": None,
        "client.data": {"theme": "dark", "zone": "UTC", "id": f"viewer{viewer}"},
    }

    def with_values(inputs: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [i | {"value": values[f"{i['id']}.{i['property']}"]} for i in inputs]

    names = callback["output"].strip(".").split("...")
    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    return {
        "output": callback["output"],
        "outputs": outputs,
        "inputs": with_values(callback["inputs"]),
        "state": with_values(callback["state"]),
        "changedPropIds": ["url.search"],
    }


def measure_viewers(
    url: str, process: psutil.Process, seconds: float, queries: list[str]
) -> tuple[float, float, float]:
    """What ten viewers cost: share of a core, MiB, and the median wait in seconds.

    Each looks at one of `queries`, the queries of URLs.
    """
    bodies = [refresh_body(url, queries[i % len(queries)], i) for i in range(VIEWERS)]
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


def measure_paints(url: str) -> tuple[float, float]:
    """Seconds from the request to the numbers, and to the whole page; with an empty cache."""
    with new_page() as page:
        times = open_whole(page, url)
        return times["first"], times["whole"]


def measure_slow_line(url: str) -> tuple[float, float, float]:
    """On a slow line: seconds until the page is usable, its bytes, and those of a refresh."""
    with new_page() as page:
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        line.send("Network.emulateNetworkConditions", SLOW_LINE)
        received: list[float] = []
        line.on("Network.loadingFinished", lambda sent: received.append(sent["encodedDataLength"]))
        times = open_whole(page, url)
        page.wait_for_timeout(2_000 * REFRESH_SECONDS)  # what is below the window draws itself
        return times["usable"], sum(received), _refresh_bytes(page, received)


def measure_refresh(url: str) -> float:
    """The bytes of a refresh, in the median."""
    with new_page() as page:
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        received: list[float] = []
        line.on("Network.loadingFinished", lambda sent: received.append(sent["encodedDataLength"]))
        open_whole(page, url)
        page.wait_for_timeout(2_000 * REFRESH_SECONDS)
        return _refresh_bytes(page, received)


def _refresh_bytes(page: Page, received: list[float]) -> float:
    refreshes = []
    for _ in range(5):
        received.clear()
        page.wait_for_timeout(1_000 * REFRESH_SECONDS)
        refreshes.append(sum(received))
    return statistics.median(refreshes)


def count_violations(url: str) -> int:
    """How many elements axe-core finds wrong on a page."""
    with new_page() as page:
        page.goto(url, wait_until="networkidle")
        return sum(len(rule["nodes"]) for rule in Axe().run(page).response["violations"])


@contextmanager
def new_page() -> Iterator[Page]:
    """A page of a Chromium with an empty cache."""
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        try:
            yield browser.new_page(viewport={"width": 1440, "height": 900})
        finally:
            browser.close()


def open_whole(page: Page, url: str) -> dict[str, float]:
    """Open a page and wait until it is whole; the seconds as `RECORD_PAINTS` has them."""
    page.add_init_script(RECORD_PAINTS)
    page.goto(url, wait_until="commit")
    page.wait_for_function("window.painted.whole", timeout=180_000)
    times: dict[str, float] = page.evaluate("window.painted")
    return times
