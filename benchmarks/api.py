"""The API against a FastAPI endpoint that scores nothing, and against `mlflow models serve`.

`python -m benchmarks.api [SECONDS]`: the real service with a champion from a real MLflow server;
every service has one process, and the loads take turns, each so many seconds (default 4).
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import requests
from benchmarks.api_services import Service, mlflow_serving, nothing, ours, tracking
from benchmarks.load import Load, load

from core.transaction import NUMERIC_FIELDS
from data_ingestion.simulation.traffic import numbers
from monitoring.prometheus_metrics import ApiMetrics, new_registry

ROUNDS = 3
SCRAPE_SECONDS = 15
Row = tuple[str, str, str, str, str]


def transactions(count: int) -> list[dict[str, object]]:
    """Generated transactions, as callers send them."""
    rows = numbers(count, seed=3).tolist()
    return [
        {"hash": f"{i:064x}", **dict(zip(NUMERIC_FIELDS, row, strict=True))}
        for i, row in enumerate(rows)
    ]


def in_turns(targets: list[tuple[str, bytes]], connections: int, seconds: float) -> list[Load]:
    """Load each URL with its body several times, one after another; the medians of each."""
    rounds = [
        [load(url, body, connections, seconds) for url, body in targets] for _ in range(ROUNDS)
    ]
    return [
        Load(
            statistics.median(r.per_second for r in runs),
            statistics.median(r.p99 for r in runs),
            sum(r.failed for r in runs),
            runs[0].sender,
        )
        for runs in zip(*rounds, strict=True)
    ]


def against_nothing(api: Service, other: Service, seconds: float) -> list[Row]:
    """One prediction after another, over 1, 16 and 64 connections."""
    content = json.dumps(transactions(1)[0]).encode()
    targets = [(f"{service.url}/predict", content) for service in (api, other)]
    rows = []
    for connections in (1, 16, 64):
        found, base = in_turns(targets, connections, seconds)
        what = f"`/predict`, {connections} connections, {found.sender}"
        rows.append(_row(what, found, base, 0.85))
    return rows


def _row(what: str, found: Load, base: Load, aim: float) -> Row:
    assert found.failed == base.failed == 0, (what, found, base)
    return (
        what,
        f"{found.per_second:,.0f}/s, p99 {found.p99 * 1e3:.2f} ms",
        f"{base.per_second:,.0f}/s, p99 {base.p99 * 1e3:.2f} ms",
        f"{found.per_second / base.per_second:.2f} (p99 {found.p99 / base.p99:.3f})",
        f"at least {aim:g}",
    )


def against_mlflow(api: Service, uri: str, seconds: float) -> list[Row]:
    """The same model behind MLflow's own server."""
    content = json.dumps(transactions(1)[0]).encode()
    row = numbers(1, seed=3)[0].tolist()
    split = {"dataframe_split": {"columns": list(NUMERIC_FIELDS), "data": [row]}}
    with mlflow_serving(uri) as other:
        targets = [
            (f"{api.url}/predict", content),
            (f"{other.url}/invocations", json.dumps(split).encode()),
        ]
        found, base = in_turns(targets, 16, seconds)
    return [_row("against `mlflow models serve`, 16 connections", found, base, 50)]


def batches(api: Service, seconds: float) -> list[Row]:
    """A thousand transactions in each call, over one connection."""
    rows = []
    for reasons, aim in (("flagged", 100_000), ("all", 20_000)):
        content = json.dumps({"transactions": transactions(1_000), "reasons": reasons}).encode()
        (found,) = in_turns([(f"{api.url}/predict/batch", content)], 1, seconds)
        assert not found.failed, found
        what = f"`/predict/batch` of 1,000, reasons for {reasons}"
        rate = f"{found.per_second * 1_000:,.0f} rows/s"
        rows.append((what, rate, "", "", f"{aim:,} rows/s"))
    return rows


def watching(api: Service, per_second: float) -> Row:
    """What counting every request, and a scrape now and then, takes of the API's time."""
    metrics = ApiMetrics(new_registry("api"))
    metrics.know([("/predict", [200])])
    began = time.perf_counter()
    for _ in range(100_000):
        metrics.answered("/predict", 200, 2e-4)
        metrics.usual.inc()
    counting = (time.perf_counter() - began) / 100_000 * per_second
    began = time.perf_counter()
    for _ in range(20):
        requests.get(f"{api.url}/metrics", timeout=30).raise_for_status()
    share = counting + (time.perf_counter() - began) / 20 / SCRAPE_SECONDS
    return ("metrics, of the time at full load", f"{share:.2%}", "", "", "below 2 %")


def main() -> None:
    """Measure, and print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    with (
        tempfile.TemporaryDirectory() as folder,
        tracking(Path(folder)) as uri,
        ours(uri, Path(folder)) as api,
    ):
        start = f"{api.started:.1f} s, {api.mebibytes():.0f} MiB"
        with nothing() as other:
            rows = against_nothing(api, other, seconds)
        busy = float(rows[1][1].split("/s")[0].replace(",", ""))
        rows += batches(api, seconds)
        rows += against_mlflow(api, uri, seconds)
        rows.append(("ready to score, memory at the start", start, "", "", "4 s, 350 MiB"))
        rows.append(("memory after all this", f"{api.mebibytes():.0f} MiB", "", "", "350 MiB"))
        rows.append(watching(api, busy))
    print("| what | the API | the other | ratio | aim |\n|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
