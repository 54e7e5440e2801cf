"""Generated traffic must resemble the real one, or everything measured on it misleads."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.ordinary_traffic.behaviours import BEHAVIOURS
from core.ordinary_traffic.script_types import TYPE_NAMES
from core.ordinary_traffic.traffic import Traffic, going_rate, numbers
from core.transaction import NUMERIC_FIELDS

COLUMNS = ("size", "weight", "fee", "n_inputs", "n_outputs", "input_value", "output_value")
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)
FACTOR = 1.75
"""Largest factor between a quantile of the generated and of the recorded traffic."""


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.float64]:
    """Two days of traffic, so that day cycle and spikes are in it."""
    return numbers(120_000, seed=11, rate=0.7).astype(float)


@pytest.fixture
def recorded(sample: Path) -> NDArray[np.float64]:
    with gzip.open(sample / "mempool_2024_features.csv.gz", "rt") as lines:
        return np.array([[float(row[c]) for c in COLUMNS] for row in csv.DictReader(lines)])


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=NUMERIC_FIELDS)
def test_quantiles_resemble_those_of_recorded_transactions(
    drawn: NDArray[np.float64], recorded: NDArray[np.float64], column: int
) -> None:
    ratio = np.quantile(drawn[:, column], QUANTILES) / np.quantile(recorded[:, column], QUANTILES)
    assert ratio.min() > 1 / FACTOR, ratio
    assert ratio.max() < FACTOR, ratio


def test_fee_rates_resemble_those_of_recorded_transactions(
    drawn: NDArray[np.float64], recorded: NDArray[np.float64]
) -> None:
    rates = [np.quantile(rows[:, 2] * 4 / rows[:, 1], QUANTILES) for rows in (drawn, recorded)]
    ratio = rates[0] / rates[1]
    assert ratio.min() > 1 / FACTOR, ratio
    assert ratio.max() < FACTOR, ratio


def test_every_row_adds_up(drawn: NDArray[np.float64]) -> None:
    row = dict(zip(NUMERIC_FIELDS, drawn.T, strict=True))
    assert (row["fee"] == row["input_value"] - row["output_value"]).all()
    assert (row["size"] <= row["weight"]).all()
    assert (row["weight"] <= 4 * row["size"]).all()
    assert ((4 * row["size"] - row["weight"]) % 3 == 0).all(), "a witness has whole bytes"
    assert (drawn > 0).all()


def test_the_same_seed_draws_the_same_traffic() -> None:
    assert (numbers(1_000, seed=5) == numbers(1_000, seed=5)).all()
    assert (numbers(1_000, seed=5) != numbers(1_000, seed=6)).any()


def test_every_behaviour_has_its_share() -> None:
    batch = Traffic(seed=2).draw(np.full(50_000, 1.8e9))
    counted = np.bincount(batch.behaviour, minlength=len(BEHAVIOURS)) / 50_000
    shares = np.array([behaviour.share for behaviour in BEHAVIOURS])
    assert np.abs(counted - shares / shares.sum()).max() < 0.01
    assert (counted > shares / shares.sum() / 2).all()


def test_a_payment_weighs_what_bip_141_says() -> None:
    """P2WPKH to P2WPKH and P2WPKH change: 140.25 to 141 virtual bytes, in every textbook."""
    batch = Traffic(seed=3).draw(np.full(5_000, 1.8e9))
    name = [behaviour.name for behaviour in BEHAVIOURS].index("payment")
    plain = (batch.behaviour == name) & (batch.input_type == 0) & (batch.output_type == 0)
    assert set(batch.numbers[plain, 1].tolist()) == {561, 562}


def test_no_token_is_carried_by_dust() -> None:
    """An output below its type's dust limit would not be relayed: 294 and 330 satoshi."""
    batch = Traffic(seed=4).draw(np.full(20_000, 1.8e9))
    names = [behaviour.name for behaviour in BEHAVIOURS]
    tokens = np.isin(batch.behaviour, [names.index("token transfer"), names.index("inscription")])
    each = batch.numbers[:, 6] // batch.numbers[:, 4]
    limits = {TYPE_NAMES.index("p2wpkh"): 294, TYPE_NAMES.index("p2tr"): 330}
    for kind, limit in limits.items():
        paid = each[tokens & (batch.output_type == kind)]
        assert paid.min() == limit
        assert paid.max() <= 1_000


def fee_rates(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return rows[:, 2] * 4 / rows[:, 1]


def test_what_is_paid_follows_the_path() -> None:
    start = 1.8e9
    paid = fee_rates(numbers(20_000, seed=1, start=start, rate=10, path="step"))
    before, after = paid[:9_000], paid[9_000:]
    assert abs(np.median(after) / np.median(before) / 4 - 1) < 0.05
    assert (
        abs(np.median(after) / going_rate(np.array([start + 950]), 1, "step", start)[0] - 1) < 0.05
    )


def test_the_market_can_have_a_seed_of_its_own() -> None:
    times = np.linspace(1.8e9, 1.8e9 + 600, 3_000)

    def paid(seed: int, market_seed: int | None = None) -> float:
        traffic = Traffic(seed, "day", market_seed=market_seed)
        return float(np.median(fee_rates(traffic.draw(times).numbers)))

    assert paid(1, market_seed=2) == pytest.approx(paid(2), rel=0.1)
    assert paid(1) != pytest.approx(paid(2), rel=0.5)


def test_a_batch_begins_its_path_where_the_first_one_began() -> None:
    traffic = Traffic(seed=1, path="step")
    paid = [fee_rates(traffic.draw(np.full(4_000, 1.8e9 + at)).numbers) for at in (0, 600, 1_200)]
    first, second, third = (np.median(rates) for rates in paid)
    assert abs(second / first - 1) < 0.1
    assert abs(third / first / 4 - 1) < 0.1


def test_a_quiet_market_pays_less_than_1_sat_per_virtual_byte_in_whole_satoshi() -> None:
    """A level of 0.6 sat/vB: 66 satoshi for the smallest transactions, not 0 and not 110."""
    saturday = 1.8e9 - 1.8e9 % 86_400 + 86_400 + 43_200
    rows = numbers(4_000, seed=1, start=saturday, rate=1, path="day")
    going = going_rate(saturday + np.arange(4_000.0), 1, "day", saturday)
    lightest = rows[:, 1] < 600
    assert lightest.sum() > 1_000
    beside = fee_rates(rows) / going
    assert max(np.median(going), np.median(fee_rates(rows))) < 1
    assert abs(np.median(beside) - 1) < 0.05
    assert abs(np.median(beside[lightest]) / np.median(beside) - 1) < 0.1
    assert rows[:, 2].min() >= 30
    assert (rows[:, 2] == rows[:, 5] - rows[:, 6]).all()
