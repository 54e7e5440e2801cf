from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tests.support.delta_tables import scored

from dashboard.activity.pace import present_rate, scoring_lag
from dashboard.lake.rows import Rows, from_table

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
ROWS = from_table(scored(5_000, NOW, 7_200))


def test_the_lag_is_that_of_what_was_scored_lately_outside_of_blocks() -> None:
    assert 1.5 < scoring_lag(ROWS, NOW) < 5.5  # up to 4 s to the broker, then 1.5 s
    numbers = dict(ROWS.numbers)
    numbers["in_block"] = np.arange(len(ROWS)) % 2 == 0
    numbers["scored"] = ROWS["scored"] + np.where(numbers["in_block"], 3_600_000_000, 0)
    confirmed = Rows(ROWS.hash, ROWS.version, ROWS.versions, numbers)
    assert scoring_lag(confirmed, NOW) < 5.5
    assert np.isnan(scoring_lag(ROWS, NOW + timedelta(days=1)))


def test_the_present_rate_is_that_of_five_minutes_or_since_the_first_row() -> None:
    assert present_rate(ROWS, NOW) == pytest.approx(5_000 / 7_200, rel=0.2)
    young = ROWS.between(NOW - timedelta(seconds=60), NOW)
    assert present_rate(young, NOW) == pytest.approx(len(young) / 60, rel=0.1)
    assert present_rate(ROWS, NOW + timedelta(hours=1)) == 0
