"""A dashboard on generated Delta tables and a small API, in the process of the test."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa
from flask.testing import FlaskClient
from plotly.utils import PlotlyJSONEncoder
from tests.support.dashboard_api import FakeApi
from tests.support.delta_tables import (
    confirmation,
    markets,
    replacement,
    window_statistics,
    write,
)

from core.cases import CaseBook
from core.casework import CaseworkStore
from core.mutes import MutesReader
from dashboard.activity.export import Exports
from dashboard.activity.view import ViewCache
from dashboard.lake.opinions import OpinionsReader
from dashboard.lake.parts import Parts
from dashboard.lake.recent import RecentRows
from dashboard.lake.sources import Api, Lake, Trainer
from dashboard.server import build_app
from dashboard.services import Services
from monitoring.dashboard_metrics import DashboardMetrics
from monitoring.prometheus_metrics import new_registry

INPUTS = [
    {"id": "threshold", "property": "drag_value", "value": 0.5},
    {"id": "url", "property": "search", "value": ""},
    {"id": "shown", "property": "data", "value": None},
]
READ_OUT = {
    "output": "readout.children",
    "outputs": {"id": "readout", "property": "children"},
    "changedPropIds": ["threshold.drag_value"],
    "inputs": INPUTS,
}
"""The body by which a page asks for the readout of its threshold."""


def make_services(lake: Path, api_url: str, origin: str = "simulated", **changes: Any) -> Services:
    """The parts as the door wires them; rows are read only when `refresh` is called."""
    metrics, api = DashboardMetrics(new_registry("dashboard")), Api(api_url)
    clock = changes.get("clock", lambda: datetime.now(UTC))
    open_lake = partial(Lake, str(lake), origin)
    casework = CaseworkStore(f"{lake}-casework", origin)
    recent = RecentRows(
        open_lake(),
        api,
        Parts(changes.get("parts", {}), clock),
        clock,
        metrics,
        timedelta(hours=25),
        changes.get("cache_rows", 1_000_000),
        OpinionsReader(casework, MutesReader(casework, clock)),
    )
    return Services(
        origin=origin,
        recent=recent,
        views=ViewCache(recent, open_lake()),
        lake=open_lake(),
        cases=CaseBook(CaseworkStore(str(lake.parent / "casework"), origin)),
        api=api,
        trainer=Trainer(api_url),
        metrics=metrics,
        explorer_url="https://explorer.example/tx/",
        mlflow_url="http://localhost:5000",
        refresh_seconds=changes.get("refresh_seconds", 1),
        exports=Exports(
            open_lake,
            changes.get("seconds", monotonic),
            changes.get("exports", 2),
            changes.get("export_seconds", 600),
        ),
        password=changes.get("password"),
        path_prefix=changes.get("path_prefix", "/"),
        grafana_url=changes.get("grafana_url"),
        casework=casework,
    )


@dataclass
class Backend:
    """A lake with the rows that were written to it, the newest of them `now`, and an API."""

    lake: Path
    rows: pa.Table
    now: datetime
    api: FakeApi

    @property
    def flagged(self) -> list[str]:
        return list(self.rows.filter(self.rows["is_anomaly"]).column("hash").to_pylist())

    def services(self, **changes: Any) -> Services:
        return make_services(self.lake, self.api.url, **changes)


def fill(lake: Path, rows: pa.Table, now: datetime) -> None:
    """Write all the tables that the stream would write for these rows."""
    write(lake, "scored_transactions", rows)
    write(lake, "transaction_stats", window_statistics(rows))
    write(lake, "market", markets(now - timedelta(hours=26), now))
    hashes = rows.filter(rows["is_anomaly"]).column("hash").to_pylist()
    write(lake, "confirmations", confirmation(hashes[0], 914_233, now))
    write(lake, "replacements", replacement(hashes[1], hashes[2], now))


def http_client(services: Services) -> FlaskClient:
    """A client of the app, after one refresh."""
    services.recent.refresh()
    client: FlaskClient = build_app(services).server.test_client()
    return client


def as_text(components: Any) -> str:
    """Components as the JSON that is sent to a browser."""
    return json.dumps(components, cls=PlotlyJSONEncoder, ensure_ascii=False)
