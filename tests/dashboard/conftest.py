"""A dashboard on synthetic Delta tables and a small API, in this process."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.dashboard.fake_api import FakeApi
from tests.dashboard.lake_maker import confirmation, replacement, scored, stats, write

from dashboard.data import Api, Lake, Trainer
from dashboard.desk import Desk
from dashboard.recent import Recent
from dashboard.views import Views
from monitoring.dashboard_metrics import DashboardMetrics
from monitoring.prometheus_metrics import new_registry

COUNT = 6_000
HOURS = 3


@dataclass
class World:
    """A lake with the rows that were written, and the API beside it."""

    lake: Path
    rows: pa.Table
    api: FakeApi

    @property
    def flagged(self) -> list[str]:
        return list(self.rows.filter(self.rows["is_anomaly"]).column("hash").to_pylist())

    def desk(self, **changes: Any) -> Desk:
        return desk(self.lake, self.api.url, **changes)


def desk(lake: Path, api_url: str, origin: str = "simulated", **changes: Any) -> Desk:
    """The parts as the door wires them, followed only when `refresh` is called."""
    metrics = DashboardMetrics(new_registry("dashboard"))
    parts, api = Lake(str(lake), origin), Api(api_url)
    clock = changes.get("clock", lambda: datetime.now(UTC))
    every = changes.get("every", 1)
    at_hand = changes.get("cache_rows", 1_000_000)
    recent = Recent(parts, api, clock, metrics, timedelta(hours=25), every, at_hand)
    most = changes.get("most_rows", 1_000_000)
    return Desk(
        origin=origin,
        recent=recent,
        views=Views(recent, Lake(str(lake), origin), most),
        lake=Lake(str(lake), origin),
        api=api,
        trainer=Trainer(api_url),
        metrics=metrics,
        explorer="https://explorer.example/tx/",
        mlflow="http://localhost:5000",
        refresh_seconds=every,
    )


def fill(lake: Path, rows: pa.Table, now: datetime) -> None:
    """All the tables that the stream would write of these rows."""
    write(lake, "scored_transactions", rows)
    write(lake, "transaction_stats", stats(rows))
    odd = rows.filter(rows["is_anomaly"]).column("hash").to_pylist()
    write(lake, "confirmations", confirmation(odd[0], 914_233, now))
    write(lake, "replacements", replacement(odd[1], odd[2], now))


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    now = datetime.now(UTC)
    rows = scored(COUNT, now, 3600 * HOURS)
    lake = tmp_path_factory.mktemp("template") / "lake"
    fill(lake, rows, now)
    return lake, rows


@pytest.fixture
def world(tmp_path: Path, template: tuple[Path, pa.Table], api: FakeApi) -> World:
    """A lake of its own for each test: tables hold no path of where they lie."""
    lake, rows = template
    return World(Path(shutil.copytree(lake, tmp_path / "lake")), rows, api)
