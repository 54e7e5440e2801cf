"""The going fee rate on the page: the tile, the figure, and lakes of an earlier version."""

import shutil
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tests.support.dashboard_api import FakeApi
from tests.support.dashboard_backend import Backend, make_services
from tests.support.delta_tables import markets, scored, write

from core.lake import open_or_create_table
from dashboard.activity import market_figure
from dashboard.activity.filters import Filters
from dashboard.activity.page_text import page_text
from dashboard.lake.rows import no_rows
from dashboard.lake.sources import Lake
from dashboard.services import Services

DAY = Filters(range="24h")


def test_the_tile_says_the_going_rate_its_range_and_its_age(
    backend: Backend, services: Services
) -> None:
    market = services.recent.snapshot.market
    assert market is not None
    assert timedelta(0) <= backend.now - market.minute < timedelta(minutes=3)
    view = services.views.view(DAY, "dark", "UTC")
    tile = page_text(view, DAY, 5).tiles["fee"]
    assert float(tile.number) == pytest.approx(market.fee_rate, rel=0.01)
    assert tile.note.startswith("most pay ") and " ago; median " in tile.note


def test_the_figure_has_the_band_and_every_flagged_row(
    backend: Backend, services: Services
) -> None:
    view = services.views.view(DAY, "dark", "UTC")
    traces = view.figures["market"]["data"]
    names = [trace.get("name") for trace in traces]
    assert names[:2] == ["10–90 %", "going rate"]
    marks = [hash for trace in traces[2:] for hash in trace["customdata"]]
    assert sorted(marks) == sorted(hash[:16] for hash in backend.flagged)
    assert {"by model", "by rule", "by both"} == set(names[2:])


def test_a_going_rate_of_thousands_is_said_as_everywhere() -> None:
    row = {"time": [datetime(2024, 4, 20, tzinfo=UTC)]}
    table = pa.table(row | {"fee_rate": [1_234.5], "low": [0.04], "high": [12_500.0]})
    nothing, edges = no_rows(), np.array([0, 60_000_000])
    figure = market_figure.market(table, nothing, None, [], edges, ZoneInfo("UTC"), "dark", "")
    _, line, point = figure["data"]
    assert line["text"] == ["going rate 1.23k sat/vB<br>10–90 %: 0.04–12.5k"]
    assert point["mode"] == "markers" and point["x"] == line["x"], "a line of one bin has no length"


def test_no_line_leads_over_hours_in_which_nothing_was_seen() -> None:
    start = datetime(2026, 11, 23, 9, tzinfo=UTC)
    times = [start + timedelta(minutes=each) for each in (0, 1, 3, 4, 200, 201)]
    rates = [10.0, 11.0, 12.0, 13.0, 30.0, 31.0]
    table = pa.table({"time": times, "fee_rate": rates, "low": rates, "high": rates})
    edges = np.array([0, 60_000_000])
    figure = market_figure.market(table, no_rows(), None, [], edges, ZoneInfo("UTC"), "dark", "")
    band, line = figure["data"]
    drawn = [np.frombuffer(b64decode(each["y"]["bdata"]), np.float32) for each in (band, line)]
    assert np.flatnonzero(np.isnan(drawn[1])).tolist() == [4]
    assert line["x"][3] < line["x"][4] < line["x"][5] and len(line["text"]) == len(line["x"])
    assert np.flatnonzero(np.isnan(drawn[0])).tolist() == [8, 13], "two outlines of their own"
    assert band["fill"] == "toself" and len(band["x"]) == len(drawn[0])


def test_a_month_of_minutes_is_a_few_hundred_bins(backend: Backend, services: Services) -> None:
    now = backend.now
    write(backend.lake, "market", markets(now - timedelta(days=30), now - timedelta(hours=26)))
    month = Filters(range="custom", start=now - timedelta(days=30), end=now)
    table = services.views.markets(month, services.recent.snapshot)
    assert table is not None and 100 < len(table) < 250
    last = Filters(range="custom", start=now - timedelta(hours=1), end=now)
    hour = services.views.markets(last, services.recent.snapshot)
    assert hour is not None and 58 <= len(hour) <= 62


def test_without_the_table_there_is_a_sentence_and_the_median_of_the_range(
    backend: Backend,
) -> None:
    shutil.rmtree(backend.lake / "market")
    services = backend.services()
    services.recent.refresh()
    view = services.views.view(DAY, "dark", "UTC")
    tile = page_text(view, DAY, 5).tiles["fee"]
    assert tile.number == "–" and tile.note.startswith("no market yet; median ")
    assert all(trace["mode"] == "markers" for trace in view.figures["market"]["data"])


def test_a_table_of_an_earlier_version_is_read_without_a_market(
    tmp_path: Path, api: FakeApi
) -> None:
    rows: pa.Table = scored(300, datetime.now(UTC), 600)
    old = rows.drop_columns(["flagged_by", "market_fee_rate", "patterns"])
    lake, name = str(tmp_path), "scored_transactions"
    table = open_or_create_table(lake, name, old.schema, "simulated", ["date"])
    write_deltalake(table, old, mode="append")
    services = make_services(tmp_path, api.url)
    assert services.recent.refresh().problem is None
    view = services.views.view(Filters(range="7d"), "dark", "UTC")
    assert view.problem is None and view.summary.transactions == 300
    assert {row["times"] for row in view.table} == {None}
    flagged = [row for row in view.table if row["flagged"]]
    assert {row["flagged_by"] for row in flagged} <= {"model"}
    above = Filters(range="7d", times_min=0)
    assert services.views.view(above, "dark", "UTC").summary.transactions == 0
    batches = Lake(str(tmp_path), "simulated").batches(
        "scored_transactions", "SELECT flagged_by FROM scored_transactions"
    )
    assert sum(batch.num_rows for batch in batches) == 300
