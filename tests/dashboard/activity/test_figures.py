from base64 import b64decode
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from core.transaction import COIN
from dashboard.activity.fee_rate_figure import fee_rates
from dashboard.activity.figures import patterns, timeline, windows

UTC = ZoneInfo("UTC")
EDGES = np.arange(6) * 60_000_000


def bars(counts: list[int], open_end: bool) -> dict[str, Any]:
    flagged = np.zeros(5, np.int64)
    return timeline(EDGES, np.array(counts), flagged, [], open_end, UTC, "dark", "k")


@pytest.mark.parametrize(("counts", "whole"), [([1, 1], True), ([3, 2], True), ([90, 4], False)])
def test_few_anomalies_are_counted_in_whole_steps(counts: list[int], whole: bool) -> None:
    names = ["zero_fee", "consolidation"]
    figure = patterns(list(zip(names, counts, strict=True)), "dark", "k")
    assert (figure["layout"]["xaxis"].get("dtick") == 1) is whole


def test_the_bar_that_still_grows_is_hatched() -> None:
    shapes = bars([9, 9, 9, 9, 2], True)["data"][0]["marker"]["pattern"]["shape"]
    assert shapes == ["", "", "", "", "/"]
    assert set(bars([9, 9, 9, 9, 2], False)["data"][0]["marker"]["pattern"]["shape"]) == {""}


def test_no_bar_reaches_the_labels_of_the_versions() -> None:
    flagged = np.array([0, 30, 8, 0, 2])
    upper = timeline(EDGES, flagged * 100, flagged, [], True, UTC, "dark", "k")["layout"]["yaxis2"]
    assert upper["range"][1] >= 1.35 * 30


def test_few_transactions_are_counted_in_whole_steps() -> None:
    assert bars([0, 2, 1, 0, 3], True)["layout"]["yaxis"]["dtick"] == 1
    assert "dtick" not in bars([0, 20, 1, 0, 3], True)["layout"]["yaxis"]


def test_a_band_ends_where_nothing_is_known_and_begins_anew() -> None:
    bands = np.repeat([[1.0], [2.0], [3.0], [4.0], [5.0]], 5, axis=1)
    bands[:, 2] = np.nan
    wide, narrow, *lines = fee_rates(EDGES, bands, UTC, "dark", "k")["data"]
    for band, low, high in ((wide, 1, 5), (narrow, 2, 4)):
        heights = np.frombuffer(b64decode(band["y"]["bdata"]), "f4")
        run = [high, high, low, low, np.nan]
        assert np.array_equal(heights, run * 2, equal_nan=True)
        days = [lines[0]["x"][i] for i in (0, 1, 1, 0, 0, 3, 4, 4, 3, 3)]
        assert band["x"] == days and band["fill"] == "toself"
    assert all("fill" not in line for line in lines), "beside a gap it would be drawn wrongly"


def test_a_bin_without_neighbours_is_a_point_where_a_line_has_no_length() -> None:
    bands = np.full((5, 5), np.nan)
    bands[:, [0, 2, 3]] = 7.0
    median, points = fee_rates(EDGES, bands, UTC, "dark", "k")["data"][-2:]
    assert median["mode"] == "lines" and points["mode"] == "markers"
    assert points["x"] == median["x"][:1]
    assert np.frombuffer(b64decode(points["y"]["bdata"]), "f4").tolist() == [7.0]
    bands[:, 1] = 7.0
    assert fee_rates(EDGES, bands, UTC, "dark", "k")["data"][-1]["mode"] == "lines"


def ten_minutes(*minutes: int) -> dict[str, Any]:
    """The figure of the windows that begin so many minutes after noon."""
    noon, each = datetime(2026, 11, 25, 12), [COIN] * len(minutes)
    statistics: dict[str, Any] = {"volume": each, "fees": each, "transactions": each}
    statistics["window_start"] = [noon + timedelta(minutes=minute) for minute in minutes]
    return windows(pa.table(statistics), UTC, "dark", "k")


def test_no_line_of_fees_leads_over_windows_that_are_missing() -> None:
    volume, fees = ten_minutes(0, 10, 60, 70)["data"]
    heights = np.frombuffer(b64decode(fees["y"]["bdata"]), "f4")
    assert np.isnan(heights).tolist() == [False, False, True, False, False]
    assert fees["x"][1] < fees["x"][2] < fees["x"][3] and len(volume["x"]) == 4


@pytest.mark.parametrize(
    ("minutes", "begin", "end"),
    [((0,), "11:10:00", "12:10:00"), (range(0, 120, 10), "12:00:00", "14:00:00")],
)
def test_one_window_alone_does_not_fill_the_width(
    minutes: Iterable[int], begin: str, end: str
) -> None:
    shown = ten_minutes(*minutes)["layout"]["xaxis"]["range"]
    assert shown == [f"2026-11-25 {begin}", f"2026-11-25 {end}"]
