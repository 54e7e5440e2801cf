"""One number everywhere: for any filters the tile, the read-out, the charts, the table, the CSV and
the API count the same transactions, whether the rows are in memory or read from the lake."""

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.dashboard_backend import fill, make_services
from tests.support.delta_tables import scored

from api.routes.anomalies import ScoredTable
from dashboard.activity.export import csv_lines
from dashboard.activity.filter_events import after_event
from dashboard.activity.filters import FLAGGERS, NO_PATTERN, ORDERS, Filters
from dashboard.activity.page_text import page_text, threshold_readout
from dashboard.activity.queries import TABLE_ROWS
from dashboard.lake.rows import from_micros, to_micros
from dashboard.services import Services

NOWHERE = "http://127.0.0.1:9"
MOST = 1_000


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    """A lake of a morning, with coinbases of high scores, of two versions and of rows before."""
    lake, now = tmp_path_factory.mktemp("one_count") / "lake", datetime.now(UTC)
    rows = scored(4_000, now, 3 * 3600)
    place, field = rows.column_names.index("event_time"), rows.schema.field("event_time")
    seconds = pc.floor_temporal(rows["event_time"], unit="second")  # as a source says them
    rows = rows.set_column(place, field, seconds.cast(field.type))
    coinbase = np.arange(len(rows)) % 80 == 0
    changed: dict[str, object] = {"inputs_count": 1, "input_value": 0, "fee": 0, "fee_rate": 0.0}
    changed |= {"anomaly_score": 0.8, "is_anomaly": False, "flagged_by": None}
    for name, value in changed.items():
        field = rows.schema.field(name)
        column = pc.if_else(coinbase, pa.scalar(value, field.type), rows[name])
        rows = rows.set_column(rows.column_names.index(name), field, column)
    fill(lake, rows, now)
    services = make_services(lake, NOWHERE, clock=lambda: now)
    services.recent.refresh()
    return services


def some(*values: object) -> st.SearchStrategy[object]:
    """One of these, or mostly no bound: with many bounds at once nothing passes."""
    return st.sampled_from([*[None] * 6 * len(values), *values])


names = st.sampled_from(["fee_overpaid", "consolidation", "version_3", "dust", NO_PATTERN])
filters_drawn = st.builds(
    Filters,
    range=st.sampled_from(["15m", "1h", "6h", "24h", "7d"]),
    threshold=st.none() | st.sampled_from([0.0, 0.4, 0.45, 0.56, 0.62, 0.7, 1.0]),
    value_min=some(1_000, 1_000_000, 10**9),
    value_max=some(10**6, 10**8, 10**12),
    fee_rate_min=some(5.0, 20.0, 300.0),
    fee_rate_max=some(10.0, 25.0, 1_000.0),
    times_min=some(0.5, 1.0, 30.0),
    times_max=some(1.0, 50.0),
    inputs_min=some(2, 40),
    outputs_max=some(1, 3),
    pattern=st.just(()) | st.lists(names, max_size=2, unique=True).map(tuple),
    flagged=st.booleans(),
    flagged_by=st.lists(st.sampled_from(list(FLAGGERS)), max_size=2, unique=True).map(tuple),
    hash=st.sampled_from([""] * 8 + ["a", "3f"]),
    order=st.sampled_from(list(ORDERS)),
)
hours = st.tuples(st.floats(0, 4), st.floats(0, 4)).map(sorted)


def exported(services: Services, filters: Filters, now: datetime) -> list[dict[str, str]]:
    lines = "".join(csv_lines(services.lake, filters, now, lambda: False)).splitlines()
    return list(csv.DictReader(lines))


@settings(max_examples=60)
@given(filters=filters_drawn, custom=st.none() | hours)
def test_every_place_counts_the_same(
    services: Services, filters: Filters, custom: list[float] | None
) -> None:
    snapshot = services.recent.snapshot
    now = snapshot.taken_at
    if custom is not None:
        late, early = (now - timedelta(hours=each) for each in custom)
        filters = replace(filters, range="custom", start=early, end=late)
    start, end = filters.interval(now)
    memory, problem = services.views.aggregates(filters, snapshot)
    lake = services.views.long_ranges.aggregate(filters, start, end, now)
    assert problem is None
    rows = exported(services, replace(filters, flagged=False, flagged_by=()), now)
    flagged = exported(services, replace(filters, flagged=True), now)
    text = page_text(services.views.view(filters, "dark", "UTC"), filters, 5)
    readout = threshold_readout(snapshot, memory, filters)
    for numbers in (memory, lake):
        shown = numbers.anomalies if filters.only_flagged else numbers.counts
        assert numbers.summary.transactions == len(rows)
        assert numbers.summary.flagged == len(flagged) == numbers.anomalies.sum()
        assert shown.sum() == (len(flagged) if filters.only_flagged else len(rows))
    assert text.tiles["flagged"].number == f"{len(flagged):,}"
    assert text.tiles["rate"].note.startswith(f"{len(rows):,} ")
    assert readout is not None and readout.flagged == f"{len(flagged):,}"
    table = services.views.view(filters, "dark", "UTC").table
    assert len(table) == min(len(flagged) if filters.only_flagged else len(rows), TABLE_ROWS)
    by_hash = {row["hash"]: row for row in rows}
    assert {row["hash"] for row in flagged} <= by_hash.keys()
    assert all(row["hash"] in by_hash for row in table)


@pytest.mark.parametrize("query", ["", "&flagged=1"])
def test_a_range_that_ends_on_the_edge_of_a_bin_draws_what_it_counts(
    services: Services, query: str
) -> None:
    snapshot = services.recent.snapshot
    rows, now = snapshot.rows, snapshot.taken_at
    times = rows["time"] if not query else rows["time"][rows["by_model"] | rows["by_rule"]]
    end = from_micros(times[-1])
    filters = Filters.from_query(
        f"?range=custom&start={end - timedelta(seconds=60):%FT%TZ}&end={end:%FT%TZ}{query}"
    )
    memory, _ = services.views.aggregates(filters, snapshot)
    lake = services.views.long_ranges.aggregate(filters, *filters.interval(now), now)
    for numbers in (memory, lake):
        shown = numbers.summary.flagged if query else numbers.summary.transactions
        assert numbers.counts.sum() == shown > 0
        assert numbers.edges[-1] == to_micros(end)
        assert numbers.counts[-1] > 0 and not np.isnan(numbers.bands[:, -1]).any()


def test_a_click_on_a_bar_shows_as_many_as_the_bar(services: Services) -> None:
    snapshot, hour = services.recent.snapshot, Filters()
    drawn, _ = services.views.aggregates(hour, snapshot)
    for i in range(1, len(drawn.counts) - 1):
        bar = {"points": [{"x": f"{from_micros(drawn.edges[i]):%F %T}"}]}
        clicked = after_event(hour, "bar", {}, bar, None, snapshot.taken_at, ZoneInfo("UTC"))
        shown, _ = services.views.aggregates(clicked, snapshot)
        assert shown.summary.transactions == drawn.counts[i]
        assert shown.summary.flagged == drawn.anomalies[i]


@settings(max_examples=20)
@given(
    since=st.floats(0.1, 4),
    by=st.none() | st.sampled_from(list(FLAGGERS)),
    least=st.none() | st.sampled_from([0.6, 0.62, 0.7]),
)
def test_the_api_lists_what_the_page_counts(
    services: Services, since: float, by: str | None, least: float | None
) -> None:
    now = services.recent.snapshot.taken_at
    start = now - timedelta(hours=since)
    listed = ScoredTable(services.lake.uri, "simulated").recent(start, least, MOST, by)  # type: ignore[arg-type]
    filters = Filters(range="custom", start=start, end=now, flagged_by=(by,) if by else ())
    if least is None:
        count = services.views.aggregates(filters, services.recent.snapshot)[0].summary.flagged
        assert len(listed) == count < MOST
    elif by is None:
        rows = exported(services, filters, now)
        scores = [float(row["anomaly_score"]) for row in rows if row["input_value"] != "0"]
        assert len(listed) == sum(score >= least for score in scores)
