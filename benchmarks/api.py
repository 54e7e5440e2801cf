"""The API against a FastAPI endpoint that scores nothing, and against `mlflow models serve`.

`python -m benchmarks.api [SECONDS]`: the real service with a champion from a real MLflow server;
every service has one process, and the loads take turns, each so many whole seconds (default 4).
"""

import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import requests
from benchmarks.api_counting import added_seconds
from benchmarks.api_services import Service, mlflow_serving, nothing, ours, tracking
from benchmarks.load import Load, load

from core.registry.follower import load_champion
from core.transaction import NUMERIC_FIELDS
from data_ingestion.simulation.traffic import numbers

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


def watching(api: Service, uri: str, seconds: float) -> list[Row]:
    """What counting requests takes of the processor at full load."""
    bodies = [json.dumps(each).encode() for each in transactions(1_000)]
    (found,) = in_turns([Target(api, "/predict", bodies[0])], 16, seconds)
    added = added_seconds(load_champion(uri, "1"), bodies)
    scrapes = _scrape_seconds(api) / SCRAPE_SECONDS
    ratio = f"{added / found.processor:.1%} ({added * 1e6:.1f} µs); {scrapes:.2%} for scrapes"
    return [("metrics, of the processor's time at full load", _figures(found), "", ratio, "2 %")]


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
        rows += watching(api, uri, seconds)
        rows += against_mlflow(api, uri, seconds)
        rows.append(("ready to score, memory at the start", start, "", "", "4 s, 350 MiB"))
        rows.append(("memory after all this", f"{api.mebibytes():.0f} MiB", "", "", "350 MiB"))
    print("| what | the API | the other | ratio | aim |\n|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
