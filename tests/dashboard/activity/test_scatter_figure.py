from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dashboard.activity.test_queries import ROWS

from dashboard.activity.filters import ZERO_LANE
from dashboard.activity.scatter_figure import VALUE_LANE, scatter
from dashboard.lake.rows import Rows


def drawn(rows: Rows, ordinary: int, upwards: str = "fee_rate") -> dict[str, Any]:
    every, none = np.arange(len(rows)), np.arange(0)
    return scatter(rows, (every, none), ordinary, None, upwards, "dark", "")


def test_what_has_no_fee_and_what_moves_nothing_lies_in_a_lane_of_its_own() -> None:
    free = dict(ROWS.numbers)
    free["fee_rate"] = np.where(np.arange(len(ROWS)) < 3, 0.0, ROWS["fee_rate"])
    free["output_value"] = np.where(np.arange(len(ROWS)) < 2, 0, ROWS["output_value"])
    rows = Rows(ROWS.hash, ROWS.version, ROWS.versions, free)
    figure = drawn(rows, len(rows))
    points, axes = figure["data"][0], figure["layout"]
    assert points["y"][:3] == [ZERO_LANE] * 3
    assert points["x"][:2] == [VALUE_LANE] * 2
    for name, lane in (("xaxis", VALUE_LANE), ("yaxis", ZERO_LANE)):
        assert (axes[name]["tickvals"][0], axes[name]["ticktext"][0]) == (lane, "0")


def test_a_sample_says_that_it_is_one() -> None:
    (note,) = drawn(ROWS, 50_000)["layout"]["annotations"]
    assert note["text"].startswith(f"{len(ROWS):,} of 50k ordinary drawn")
    assert drawn(ROWS, len(ROWS))["layout"]["annotations"] == []


@given(st.floats(0.001, 1e9))
def test_a_point_is_sent_as_a_number_of_few_digits_that_is_near_it(rate: float) -> None:
    """More digits are not seen, and would be half of what a refresh sends."""
    rates = np.full(len(ROWS), rate)
    rows = Rows(ROWS.hash, ROWS.version, ROWS.versions, {**ROWS.numbers, "fee_rate": rates})
    sent = drawn(rows, len(rows))["data"][0]["y"][0]
    assert sent == float(f"{sent:.4g}")
    assert sent == pytest.approx(rate, rel=0.0006)
