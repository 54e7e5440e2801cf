"""The API against a FastAPI endpoint that scores nothing, and against `mlflow models serve`.

`python -m benchmarks.api [SECONDS]`: the real service with a champion from a real MLflow server;
every service has one process, and the loads take turns, each so many whole seconds (default 4).
"""

import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import requests
from benchmarks.api_services import Service, mlflow_serving, nothing, ours, tracking, uncounted
from benchmarks.load import Load, load

from core.transaction import NUMERIC_FIELDS
from data_ingestion.simulation.traffic import numbers
from monitoring.prometheus_metrics import ApiMetrics, new_registry

ROUNDS = 3
SCRAPE_SECONDS, PAIRS = 15, 40
Row = tuple[str, str, str, str, str]


def transactions(count: int) -> list[dict[str, object]]:
    """Generated transactions, as callers send them."""
    rows = numbers(count, seed=3).tolist()
    return [
        {"hash": f"{i:064x}", **dict(zip(NUMERIC_FIELDS, row, strict=True))}
        for i, row in enumerate(rows)
    ]


@dataclass(frozen=True)
class Target:
    """A service, and what is sent to one of its paths."""

    service: Service
    path: str
    content: bytes

    def load(self, connections: int, seconds: float) -> Load:
        """Load it once, and see what it takes of the processor."""
        before = self.service.processor_seconds()
        found = load(self.service.url + self.path, self.content, connections, seconds)
        taken = self.service.processor_seconds() - before
        return replace(found, processor=taken / max(found.per_second * seconds, 1))


def in_turns(
    targets: list[Target], connections: int, seconds: float, rounds: int = ROUNDS
) -> list[Load]:
    """Load each several times, one after another; the medians of each."""
    found = [[target.load(connections, seconds) for target in targets] for _ in range(rounds)]
    return [
        Load(
            statistics.median(r.per_second for r in runs),
            statistics.median(r.p99 for r in runs),
            sum(r.failed for r in runs),
            runs[0].sender,
            statistics.median(r.processor for r in runs),
        )
        for runs in zip(*found, strict=True)
    ]


def against_nothing(api: Service, other: Service, seconds: float) -> list[Row]:
    """One prediction after another, over 1, 16 and 64 connections."""
    content = json.dumps(transactions(1)[0]).encode()
    targets = [Target(service, "/predict", content) for service in (api, other)]
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
        _figures(found),
        _figures(base),
        f"{found.per_second / base.per_second:.2f} (p99 {found.p99 / base.p99:.3f})",
        f"at least {aim:g}",
    )


def _figures(found: Load) -> str:
    processor = f"{found.processor * 1e6:,.0f} µs of the processor"
    return f"{found.per_second:,.0f}/s, p99 {found.p99 * 1e3:.2f} ms, {processor}"


def against_mlflow(api: Service, uri: str, seconds: float) -> list[Row]:
    """The same model behind MLflow's own server."""
    content = json.dumps(transactions(1)[0]).encode()
    row = numbers(1, seed=3)[0].tolist()
    split = {"dataframe_split": {"columns": list(NUMERIC_FIELDS), "data": [row]}}
    with mlflow_serving(uri) as other:
        targets = [
            Target(api, "/predict", content),
            Target(other, "/invocations", json.dumps(split).encode()),
        ]
        found, base = in_turns(targets, 16, seconds)
    return [_row("against `mlflow models serve`, 16 connections", found, base, 50)]


def batches(api: Service, seconds: float) -> list[Row]:
    """A thousand transactions in each call, over two connections: the service is never idle."""
    rows = []
    for reasons, aim in (("flagged", 100_000), ("all", 20_000)):
        content = json.dumps({"transactions": transactions(1_000), "reasons": reasons}).encode()
        (found,) = in_turns([Target(api, "/predict/batch", content)], 2, seconds)
        assert not found.failed, found
        what = f"`/predict/batch` of 1,000, reasons for {reasons}"
        rate = f"{found.per_second * 1_000:,.0f} rows/s"
        rows.append((what, rate, "", "", f"{aim:,} rows/s"))
    return rows


def watching(api: Service, other: Service) -> list[Row]:
    """What counting requests takes of the processor: in short turns with the API that does not.

    The difference is far below the noise of one turn: the median of many pairs is told, whose order
    alternates, and counting is also timed by itself.
    """
    target = Target(api, "/predict", json.dumps(transactions(1)[0]).encode())
    turns = [target, replace(target, service=other)]
    pairs = []
    for i in range(PAIRS):
        (found,), (base,) = (in_turns([each], 16, 1, 1) for each in turns[:: 1 if i % 2 else -1])
        pairs.append((found, base) if i % 2 else (base, found))
    ratio = statistics.median(found.processor / base.processor for found, base in pairs)
    share = _counting_seconds() / statistics.median(found.processor for found, _ in pairs)
    alone = f"{share:.1%}, and {_scrape_seconds(api) / SCRAPE_SECONDS:.2%} for scrapes"
    what = f"metrics, of the processor's time at full load, {PAIRS} pairs"
    return [(what, "", "", f"{ratio - 1:.1%} more; timed alone {alone}", "below 2 %")]


def _counting_seconds() -> float:
    metrics = ApiMetrics(new_registry("api"))
    metrics.know([("/predict", [200])])
    began = time.process_time()
    for i in range(100_000):
        metrics.answered("/predict", 200, 2e-4)
        metrics.scored(1, flagged=0)
        if i % 5_000 == 0:  # about a second's
            metrics.settle()
    return (time.process_time() - began) / 100_000


def _scrape_seconds(api: Service) -> float:
    before = api.processor_seconds()
    for _ in range(20):
        requests.get(f"{api.url}/metrics", timeout=30).raise_for_status()
    return (api.processor_seconds() - before) / 20


def main() -> None:
    """Measure, and print the table."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    with (
        tempfile.TemporaryDirectory() as folder,
        tracking(Path(folder)) as uri,
        ours(uri, Path(folder)) as api,
    ):
        start = f"{api.started:.1f} s, {api.mebibytes():.0f} MiB"
        with nothing() as other:
            rows = against_nothing(api, other, seconds)
        rows += batches(api, seconds)
        with uncounted(uri, Path(folder)) as other:
            rows += watching(api, other)
        rows += against_mlflow(api, uri, seconds)
        rows.append(("ready to score, memory at the start", start, "", "", "4 s, 350 MiB"))
        rows.append(("memory after all this", f"{api.mebibytes():.0f} MiB", "", "", "350 MiB"))
    print("| what | the API | the other | ratio | aim |\n|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
