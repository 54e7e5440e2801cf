"""A dashboard as its door starts it: what its viewers cost, and what a browser sees when."""

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
from local.ports import free_port
from local.screenshot import QUIET
from playwright.sync_api import sync_playwright

from core.settings import ROOT

VIEWERS = 10
REFRESH_SECONDS = 5

WATCH = """
  const when = window.drawn = {}, all = (what) => [...document.querySelectorAll(what)];
  const inSight = (e) => e.getBoundingClientRect().top < innerHeight;
  const note = (name) => requestAnimationFrame(() => setTimeout(
    () => { when[name] ??= performance.now() / 1000; }));
  (function look() {
    const chart = all("#first .sketch .all[d^=M], #timeline .bars .point path").length;
    if (chart && all(".flagged .number .unit").length) note("first");
    const plots = all(".js-plotly-plot").filter(inSight);
    const whole = plots.length && plots.every((p) => p.data && p.data.length);
    if (whole && !all("#first").length && all(".ag-row").length) note("whole");
    requestAnimationFrame(look);
  })();
"""
"""Notes when there were painted the tiles' numbers with the first chart, and the whole page, which
answers by then: each chart in sight, and the table."""


@contextmanager
def served(lake: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The dashboard as its door starts it, in a process of its own."""
    port = str(free_port())
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


def viewers(
    url: str, process: psutil.Process, seconds: float, views: list[str]
) -> tuple[float, float, float]:
    """Share of a core and MiB that ten viewers cost, and the median wait for an answer.

    They look at `views`, URLs' queries, by turns.
    """
    bodies = [refresh_body(url, views[i % len(views)], i) for i in range(VIEWERS)]
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


def paints(url: str) -> tuple[float, float]:
    """Seconds from the request to the first useful paint, and to the whole page; nothing cached."""
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(WATCH)
            page.goto(url, wait_until="commit")
            page.wait_for_function("window.drawn.whole", timeout=180_000)
            seen: dict[str, float] = page.evaluate("window.drawn")
            return seen["first"], seen["whole"]
        finally:
            browser.close()
