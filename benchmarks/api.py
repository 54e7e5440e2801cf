"""The API against a FastAPI endpoint that scores nothing, and against `mlflow models serve`.

`python -m benchmarks.api [SECONDS]` runs the real service with a champion from a real MLflow
server. Every service has one process. The services are loaded in turns, each for so many whole
seconds (default 4).
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests
from benchmarks.api_counting import added_seconds
from benchmarks.api_services import Service, mlflow_serving, nothing, ours, tracking
from benchmarks.load import Load, load

from core.ordinary_traffic.traffic import numbers
from core.registry.follower import load_champion
from core.transaction import DETECTOR_FIELDS, NUMERIC_FIELDS

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
    """A service, and what is sent to one of its paths, with further `headers`."""

    service: Service
    path: str
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def load(self, connections: int, seconds: float) -> Load:
        """Load it once, and measure its processor time for one answer."""
        before = self.service.processor_seconds()
        result = load(
            self.service.url + self.path, self.content, connections, seconds, self.headers
        )
        spent = self.service.processor_seconds() - before
        return replace(result, processor=spent / max(result.per_second * seconds, 1))


def in_turns(
    targets: list[Target], connections: int, seconds: float, rounds: int = ROUNDS
) -> list[Load]:
    """Load each several times, in turns; returns the medians of each."""
    results = [[target.load(connections, seconds) for target in targets] for _ in range(rounds)]
    return [
        Load(
            statistics.median(r.per_second for r in runs),
            statistics.median(r.p99 for r in runs),
            sum(r.failed for r in runs),
            runs[0].sender,
            statistics.median(r.processor for r in runs),
        )
        for runs in zip(*results, strict=True)
    ]


def against_nothing(api: Service, other: Service, seconds: float) -> list[Row]:
    """One prediction after another, over 1, 16 and 64 connections."""
    content = json.dumps(transactions(1)[0]).encode()
    targets = [Target(service, "/predict", content) for service in (api, other)]
    rows = []
    for connections in (1, 16, 64):
        ours, base = in_turns(targets, connections, seconds)
        what = f"`/predict`, {connections} connections, {ours.sender}"
        rows.append(row_of(what, ours, base, 0.85))
    return rows


def row_of(what: str, ours: Load, base: Load, aim: float) -> Row:
    """A row of the table: both services, the ratio of their rates, and the aim."""
    assert ours.failed == base.failed == 0, (what, ours, base)
    return (
        what,
        _figures(ours),
        _figures(base),
        f"{ours.per_second / base.per_second:.2f} (p99 {ours.p99 / base.p99:.3f})",
        f"at least {aim:g}",
    )


def _figures(result: Load) -> str:
    processor = f"{result.processor * 1e6:,.0f} µs of the processor"
    return f"{result.per_second:,.0f}/s, p99 {result.p99 * 1e3:.2f} ms, {processor}"


def against_mlflow(api: Service, uri: str, seconds: float) -> list[Row]:
    """The same model behind MLflow's own server."""
    content = json.dumps(transactions(1)[0]).encode()
    row = [*numbers(1, seed=3)[0].tolist(), 15.5]
    split = {"dataframe_split": {"columns": list(DETECTOR_FIELDS), "data": [row]}}
    with mlflow_serving(uri) as other:
        targets = [
            Target(api, "/predict", content),
            Target(other, "/invocations", json.dumps(split).encode()),
        ]
        ours, base = in_turns(targets, 16, seconds)
    return [row_of("against `mlflow models serve`, 16 connections", ours, base, 100)]


def batches(api: Service, seconds: float) -> list[Row]:
    """A thousand transactions in each call, over two connections: the service is never idle."""
    rows = []
    for reasons, aim in (("flagged", 100_000), ("all", 20_000)):
        content = json.dumps({"transactions": transactions(1_000), "reasons": reasons}).encode()
        (result,) = in_turns([Target(api, "/predict/batch", content)], 2, seconds)
        assert not result.failed, result
        what = f"`/predict/batch` of 1,000, reasons for {reasons}"
        rate = f"{result.per_second * 1_000:,.0f} rows/s"
        rows.append((what, rate, "", "", f"{aim:,} rows/s"))
    return rows


def metrics_cost(api: Service, uri: str, seconds: float) -> list[Row]:
    """The share of the processor's time that metrics take at full load."""
    bodies = [json.dumps(each).encode() for each in transactions(1_000)]
    (result,) = in_turns([Target(api, "/predict", bodies[0])], 16, seconds)
    added = added_seconds(load_champion(uri, "1"), bodies)
    scrapes = _scrape_seconds(api) / SCRAPE_SECONDS
    ratio = f"{added / result.processor:.1%} ({added * 1e6:.1f} µs); {scrapes:.2%} for scrapes"
    return [("metrics, of the processor's time at full load", _figures(result), "", ratio, "4 %")]


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
        rows += metrics_cost(api, uri, seconds)
        rows += against_mlflow(api, uri, seconds)
        rows.append(("ready to score, memory at the start", start, "", "", "5 s, 350 MiB"))
        rows.append(("memory after all this", f"{api.mebibytes():.0f} MiB", "", "", "350 MiB"))
    print("| what | the API | the other | ratio | aim |\n|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
