"""The simulated market: its path, the factor on it, and what is observed."""

import json
from typing import Any, get_args

import pytest
from tests.support.simulated import NOW, transactions

from core.ordinary_traffic.market_paths import PATHS, from_rate
from core.settings import SimulatorSettings
from data_ingestion.simulation.simulated_market import SimulatedMarket, reprice


def item(fee: object, *coins: object) -> dict[str, Any]:
    inputs = [{"prev_out": None if coin is None else {"value": coin}} for coin in coins]
    return {"fee": fee, "inputs": inputs, "out": [{"value": 1}]}


def test_every_path_can_be_set() -> None:
    field = SimulatorSettings.model_fields["simulator_market"]
    assert set(get_args(field.annotation)) == set(PATHS)


def test_a_path_counts_from_the_start() -> None:
    market = SimulatedMarket("step", 1, NOW)
    assert [market.level(NOW + at) for at in (0, 899, 900)] == [1, 1, 4]


def test_factors_multiply_and_stay_within_their_bounds() -> None:
    market = SimulatedMarket("off", 1, NOW)
    for factor, level in ((4, 4), (10, 40), (0.025, 1)):
        market.multiply(factor)
        assert market.level(NOW) == pytest.approx(level)
    market.multiply(500)
    with pytest.raises(ValueError, match="1500 times"):
        market.multiply(3)
    assert market.level(NOW) == pytest.approx(500)


def test_the_going_rate_is_that_of_the_newest_transactions() -> None:
    market = SimulatedMarket("off", 1, NOW)
    assert market.going_rate(NOW) == pytest.approx(1 / from_rate(1.0))
    arrived = transactions(300)
    for transaction in arrived:
        market.observe(transaction)
    rates = sorted(t.fee * 4 / t.weight for t in arrived[-200:])
    assert rates[99] <= market.going_rate(NOW) <= rates[100]


def test_the_largest_inputs_give_first() -> None:
    given = item(100, 60, 30, 40)
    reprice(given, 0.1)
    assert given["fee"] == 10
    assert [spent["prev_out"]["value"] for spent in given["inputs"]] == [0, 30, 10]


@pytest.mark.parametrize(
    "given", [item(0, 5), item(None, 5), item("9", 50), item(9), item(9, 50, None), item(9, "50")]
)
def test_what_does_not_state_fee_and_values_stays_as_it_is(given: dict[str, Any]) -> None:
    before = json.dumps(given)
    reprice(given, 4.0)
    assert json.dumps(given) == before
