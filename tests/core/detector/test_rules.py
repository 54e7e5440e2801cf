"""Rules: each flags what its words say, next to its limits too, and nothing ordinary."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.detector.rules import (
    FAR,
    LEAST_LOSS,
    RULES,
    fee_step,
    flagged_by_rules,
    rules_of,
    rules_of_row,
)
from core.transaction import DETECTOR_FIELDS

MARKET = 15.0


def row(fee: int, sent: int = 10_000_000, market: float = MARKET, **changed: float) -> list[float]:
    """A transaction of 250 virtual bytes whose numbers agree."""
    numbers = dict(
        zip(DETECTOR_FIELDS, (250, 1_000, fee, 2, 2, sent + fee, sent, market), strict=True)
    )
    return list((numbers | changed).values())


@pytest.mark.parametrize(
    ("numbers", "rules"),
    [
        (row(fee=5_000), ()),
        (row(fee=150_000), ()),
        (row(fee=150_001), ("fee_far_above_market",)),
        (row(fee=10_000, market=0.2), ()),
        (row(fee=10_001, market=0.2), ("fee_far_above_market",)),
        (row(fee=9_999, market=0.2, weight=400, size=100), ()),
        (row(fee=250_000), ("fee_far_above_market",)),
        (row(fee=250_001), ("fee_above_limits", "fee_far_above_market")),
        (row(fee=250_001, market=100.1), ()),
        (
            row(fee=10_000_001, sent=10**10, weight=999_000, size=250_000, market=4.0),
            ("fee_above_limits",),
        ),
        (row(fee=10_000_000, sent=10**10, weight=999_000, size=250_000, market=4.0), ()),
        (row(fee=100_000, sent=99_999), ("fee_above_amount",)),
        (row(fee=100_000, sent=100_000), ()),
        (row(fee=200_000, sent=199_999, market=80.0), ()),
        (
            row(fee=900_000, sent=100),
            ("fee_above_limits", "fee_above_amount", "fee_far_above_market"),
        ),
        (row(fee=5_000, weight=249), ("numbers_contradict",)),
        (row(fee=5_000, weight=250), ()),
        (row(fee=5_000, weight=1_001), ("numbers_contradict",)),
        (row(fee=5_000, input_value=10_005_001), ("numbers_contradict",)),
        (row(fee=5_000, inputs_count=0), ("numbers_contradict",)),
        (row(fee=5_000, outputs_count=0), ("numbers_contradict",)),
        (row(fee=0), ()),
    ],
)
def test_each_rule_flags_beyond_its_limits(numbers: list[float], rules: tuple[str, ...]) -> None:
    assert rules_of(numbers) == rules
    assert flagged_by_rules(np.array([numbers])).tolist() == [bool(rules)]


@pytest.mark.parametrize(
    ("replaced_fee", "rules"),
    [(501, ()), (500, ("fee_multiplied",)), (0, ("fee_multiplied",)), (10_000, ())],
)
def test_a_replacement_that_multiplies_the_fee_is_flagged(
    replaced_fee: int, rules: tuple[str, ...]
) -> None:
    numbers = row(fee=5_000)
    step = float(fee_step(5_000, replaced_fee))
    assert rules_of(numbers, step) == rules
    steps = np.array([step, np.nan])
    assert flagged_by_rules(np.array([numbers, numbers]), steps).tolist() == [bool(rules), False]


def test_the_rules_of_a_row_are_those_of_what_it_was_judged_by() -> None:
    judged = dict(zip(DETECTOR_FIELDS, row(fee=250_001), strict=True)) | {"flagged_by": "rule"}
    assert rules_of_row(judged) == ("fee_above_limits", "fee_far_above_market")
    assert rules_of_row(judged | {"package_fee_rate": 601.0}) == ("fee_far_above_market",)
    assert rules_of_row(judged | {"package_fee_rate": 5.0, "replaced_fee": 25_000}) == (
        "fee_multiplied",
    )
    assert rules_of_row(judged | {"flagged_by": None}) == ()


def test_a_move_of_dust_is_no_loss_in_a_quiet_market() -> None:
    assert rules_of(row(fee=LEAST_LOSS - 1, sent=546, market=0.5)) == ()
    assert rules_of(row(fee=LEAST_LOSS, sent=546, market=0.5)) == ("fee_above_amount",)


@pytest.mark.parametrize("market", [0.6, 15.0, 150.0, 1_500.0])
def test_what_others_pay_is_no_fault(market: float) -> None:
    fee = int(FAR * market * 250)
    assert rules_of(row(fee, sent=1_000, market=market)) == ()
    above = rules_of(row(fee + 1, sent=1_000, market=market))
    assert ("fee_above_limits" in above) == ((fee + 1) / 250 > 1_000)


def test_a_coinbase_is_never_flagged() -> None:
    coinbase = [200, 100, 0, 1, 0, 0, 312_500_000, MARKET]
    assert rules_of(coinbase) == ()
    assert not flagged_by_rules(np.array([coinbase]))[0]
    two_inputs = [200, 100, 0, 2, 0, 0, 312_500_000, MARKET]
    assert rules_of(two_inputs) == ("numbers_contradict",)


def test_many_rows_are_flagged_as_each_alone(traffic: NDArray[np.float64]) -> None:
    rows = traffic[:2_000].copy()
    rows[::10, 2] *= 1_000
    rows[::7, 4] = 0
    flagged = flagged_by_rules(rows)
    assert flagged.tolist() == [bool(rules_of(each)) for each in rows.tolist()]
    assert 200 < flagged.sum() < 600


def test_ordinary_traffic_is_not_flagged(traffic: NDArray[np.float64]) -> None:
    assert flagged_by_rules(traffic).mean() < 5e-4  # of the recorded ones 1 in 8,131


def test_each_rule_has_a_name_words_and_a_source() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.words and rule.source for rule in RULES)
