"""Generated traffic must resemble the real one, or everything measured on it misleads."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.ordinary_traffic.behaviours import BEHAVIOURS
from core.ordinary_traffic.script_types import TYPE_NAMES
from core.ordinary_traffic.traffic import (
    SPIKE_FACTOR,
    SPIKE_SECONDS,
    SPIKE_SHARE,
    Traffic,
    day_cycle,
    fee_level,
    numbers,
)
from core.transaction import NUMERIC_FIELDS

MIDNIGHT = 20_000 * 86_400
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
    assert counted.min() > 0.001


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


def every(seconds: int, times: int) -> NDArray[np.float64]:
    return (MIDNIGHT + seconds * np.arange(times)).astype(np.float64)


def test_the_day_has_its_peak_in_the_afternoon_and_its_trough_at_night() -> None:
    hours = day_cycle(every(3_600, 24))
    assert hours.argmax() == 15
    assert hours.argmin() == 3
    assert abs(hours.mean() - 1) < 1e-9


def test_a_spike_multiplies_the_fee_level_of_its_quarter_hour() -> None:
    times = every(SPIKE_SECONDS, 4_000)
    spikes = fee_level(times, seed=1) / day_cycle(times)
    raised = spikes[spikes > 1]
    assert abs(len(raised) / len(times) - SPIKE_SHARE) < 0.02
    assert raised.min() >= SPIKE_FACTOR[0]
    assert raised.max() <= SPIKE_FACTOR[1]


def test_a_seed_has_its_spikes_at_the_same_times_for_any_times_passed() -> None:
    times = every(600, 500)
    one_by_one = [fee_level(times[n : n + 1], seed=4)[0] for n in range(500)]
    assert fee_level(times, seed=4).tolist() == one_by_one
