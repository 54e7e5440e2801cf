"""The API's lists over ten million scored transactions, and its stream with a hundred clients.

`python -m benchmarks.api_lists [MILLIONS]` fills a Delta table with days of 604,800 rows (7 a
second), and asks a real service for pages, files and events. Every time is that of the client.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import requests
from benchmarks.scored_lake import DAY_ROWS, fill
from tests.support.api_process import ApiProcess, api_process
from tests.support.scored_lake import append_scored, scored_row

ROUNDS = 10
CLIENTS = 100
EVENTS = 100
"""Flagged rows of one commit."""

Row = tuple[str, float, float | None, str]
"""What was measured, its value, the most it should be, its unit."""

PAGES = {
    "a page of 100 flagged": ("/anomalies", {}),
    "a page of 100": ("/transactions", {}),
    "a page of 1,000": ("/transactions", {"limit": "1000"}),
    "a page of 100, fees 5 times the market's, of one week": (
        "/transactions",
        {"times_min": "5", "range": "7d"},
    ),
    "no row passes, all files read": ("/transactions", {"value_min": "20000000"}),
}


def measure_pages(url: str) -> list[Row]:
    """Medians of the first pages, and of pages in the middle."""
    rows: list[Row] = []
    for what, (path, asked) in PAGES.items():
        aim = None if "limit" in asked else 300
        rows.append((what, median_ms(lambda: get(url + path, asked)), aim, "ms"))  # noqa: B023
    middle = {"end": (datetime.now(UTC) - timedelta(days=8)).isoformat(), "limit": "100"}
    page = get(f"{url}/transactions", middle).json()

    def following() -> None:
        nonlocal page
        asked = middle | {"cursor": page["next"]}
        page = get(f"{url}/transactions", asked).json()

    rows.append(("the next page of 100, in the middle", median_ms(following), 300, "ms"))
    return rows


def measure_downloads(api: ApiProcess) -> list[Row]:
    """A file of each kind, and how long `/anomalies/recent` takes meanwhile."""
    rows: list[Row] = []
    for form in ("csv", "parquet"):
        start = time.perf_counter()
        with requests.get(
            f"{api.url}/transactions", params={"format": form}, stream=True, timeout=60
        ) as answer:
            answer.raise_for_status()
            parts = answer.iter_content(None)
            next(parts)
            first = time.perf_counter() - start
            size = sum(map(len, parts))
            assert size > 1_000_000, size
        whole = time.perf_counter() - start
        rows.append((f"100,000 rows as {form}: first byte", first * 1e3, 1_000, "ms"))
        rows.append((f"100,000 rows as {form}", whole, None, "s"))
    threads = [
        Thread(target=get, args=(f"{api.url}/transactions", {"format": form}))
        for form in ("csv", "parquet")
    ]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        waits.append(seconds(lambda: get(f"{api.url}/anomalies/recent", {})))
    rows.append(("/anomalies/recent during two downloads, worst", max(waits) * 1e3, 1_000, "ms"))
    status = Path(f"/proc/{api.process.pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    rows.append(("most memory of the service so far", peak, 700, "MiB"))
    return rows


async def listen(url: str, ready: asyncio.Barrier) -> float:
    """Read events until the last one of a commit; the Unix time at which it came."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 22)
    writer.write(b"GET /anomalies/stream HTTP/1.1\r\nHost: bench\r\n\r\n")
    await reader.readuntil(b"retry: 3000")
    await ready.wait()
    for _ in range(EVENTS):
        await reader.readuntil(b"event: flagged")
    came = time.time()
    writer.close()
    return came


async def fan_out(url: str, lake: Path) -> list[float]:
    """Seconds from a commit to its last event at each client."""
    ready = asyncio.Barrier(CLIENTS + 1)
    clients = [asyncio.create_task(listen(url, ready)) for _ in range(CLIENTS)]
    await ready.wait()
    base = scored_row("", timedelta(0), 0.9)
    now = datetime.now(UTC)
    own = {"scored_at": now, "event_time": now, "append_time": now, "date": now.date()}
    new = [base | own | {"hash": f"{time.time_ns() * EVENTS + n:064x}"} for n in range(EVENTS)]
    await asyncio.to_thread(append_scored, str(lake), new)
    committed = time.time()
    return [came - committed for came in await asyncio.gather(*clients)]


def measure_stream(url: str, lake: Path) -> list[Row]:
    """How soon every client has what was committed."""
    waits = [wait for _ in range(ROUNDS // 2) for wait in asyncio.run(fan_out(url, lake))]
    p95 = statistics.quantiles(waits, n=20)[-1]
    what = f"{EVENTS} flags of one commit at each of {CLIENTS} clients, p95"
    return [(what, p95, 3, "s"), ("the same, worst", max(waits), None, "s")]


def get(url: str, asked: dict[str, str]) -> requests.Response:
    """An answer, read whole; raises for an error."""
    answer = requests.get(url, params=asked, timeout=60)
    answer.raise_for_status()
    return answer


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_ms(action: Callable[[], object]) -> float:
    """The median of several times, in milliseconds."""
    return statistics.median(seconds(action) for _ in range(ROUNDS)) * 1e3


def main() -> None:
    """Measure, and print the table."""
    rows = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        count = fill(lake, rows, datetime.now(UTC))
        with api_process(Path(folder), {"LAKE_URI": str(lake)}) as api:
            measured = measure_pages(api.url) + measure_downloads(api)
            measured += measure_stream(api.url, lake)
    print(f"\nAPI lists and stream, {count:,} scored transactions, {count // DAY_ROWS} days\n")
    print("| what | measured | aim |\n|---|---|---|")
    for what, value, most, unit in measured:
        print(f"| {what} | {value:,.3g} {unit} | {'' if most is None else f'{most:,} {unit}'} |")


if __name__ == "__main__":
    main()
