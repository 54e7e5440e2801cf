import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from tests.dashboard.conftest import World, desk
from tests.dashboard.fake_api import FakeApi
from tests.dashboard.test_server import client

from dashboard import first_view
from dashboard.activity.filters import Filters
from dashboard.activity.queries import Bins
from dashboard.lake.rows import micros
from dashboard.markup import markup
from dashboard.sketch import sketch

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def text(html: str) -> str:
    return unescape(re.sub("<[^>]+>", " ", html))


def bins(counts: list[int], anomalies: list[int], width: timedelta) -> Bins:
    edges = micros(NOON) + np.arange(len(counts) + 1) * (width // timedelta(microseconds=1))
    return Bins(edges, np.array(counts), np.array(anomalies))


def test_the_page_arrives_with_the_numbers_of_the_asked_view(world: World) -> None:
    parts = world.desk()
    query = "?range=24h&fee_rate_max=20"
    page = client(parts).get(f"/{query}").get_data(as_text=True)
    numbers = parts.views.activity(Filters.from_query(query), "dark", "UTC").summary
    assert 0 < numbers.transactions < len(world.rows)
    assert f"{numbers.transactions:,} in the last 24 h" in text(page)
    assert f"of {numbers.transactions:,}" in text(page)
    assert f'title="{numbers.volume:,} sat"' in page
    assert re.search(r"checked>24h<", page)
    assert 'class="all" d="M' in page


def test_no_id_stands_twice_on_the_page(world: World) -> None:
    page = client(world.desk()).get("/").get_data(as_text=True)
    assert re.findall(r'<div [^>]*id="([^"]+)"', page) == ["first", "react-entry-point"]


def test_the_other_pages_begin_empty(world: World) -> None:
    assert 'id="first"' not in client(world.desk()).get("/try").get_data(as_text=True)


def test_an_empty_lake_is_said_at_once(tmp_path: Path, api: FakeApi) -> None:
    page = client(desk(tmp_path, api.url)).get("/").get_data(as_text=True)
    assert "waiting for the producer" in text(page)


def test_a_first_view_that_fails_is_counted_and_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = world.desk()
    browser = client(parts)
    monkeypatch.setattr(first_view, "sketch", lambda _: 1 / 0)
    page = browser.get("/").get_data(as_text=True)
    assert "react-entry-point" in page and 'id="first"' not in page
    read = parts.metrics.registry.get_sample_value
    assert read("bitcoin_dashboard_errors_total", {"source": "callback"}) == 1


def test_bars_are_as_high_as_their_counts() -> None:
    drawn = sketch(bins([50, 0, 100], [0, 0, 2], timedelta(minutes=10)))
    assert 'class="all" d="M0 100V69.00h.86V100zM2 100V38.00h.86V100z"' in drawn
    assert 'class="some" d="M2 28V2.55h.86V28z"' in drawn


def test_moments_below_the_bars_are_round_and_lie_in_the_range() -> None:
    drawn = sketch(bins([1] * 60, [0] * 60, timedelta(minutes=1)))
    times = [datetime.fromisoformat(t) for t in re.findall('datetime="([^"]+)"', drawn)]
    assert times == [NOON + timedelta(minutes=10) * i for i in range(6)]
    assert 'class="clock"' in drawn
    assert 'class="day"' in sketch(bins([1] * 7, [0] * 7, timedelta(days=1)))


def test_words_are_escaped() -> None:
    assert markup(["<script>", None, 3], {}) == "&lt;script&gt;3"
