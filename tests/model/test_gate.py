from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from core.detector.injected_anomalies import KINDS
from core.feature_table import NAMES
from core.ordinary_traffic import traffic
from model.evaluation import Evaluation, KindEvaluation
from model.flag_budget import CONFIDENCE, interval, keeps_budget
from model.gate import (
    Rules,
    constant_measures,
    refusals,
    repeated_row,
    unfit_data,
)
from model.marked_transactions import MarkedShares
from model.rarity_curve import ORDINARY_SHARE
from model.real_transactions import GROUPS, UNUSUAL

RULES = Rules(budget=0.001)


def evaluation(
    flagged: int,
    rows: int,
    recall: float,
    held_out: float = 0.9,
    wild: int = 0,
    real: dict[str, float] | None = None,
) -> Evaluation:
    kinds = {
        name: KindEvaluation(1.0, 1.0, held_out if kind.held_out else recall)
        for name, kind in KINDS.items()
    }
    shares = {group: float(group in UNUSUAL) for group in GROUPS} | (real or {})
    return Evaluation(rows, flagged, wild, kinds, shares)


@pytest.mark.parametrize(
    ("flagged", "rows", "expected"),
    [
        (0, 500, True),  # too few rows to tell: the first champion must not be refused
        (2, 750, True),
        (10, 750, False),
        (20, 20_000, True),
        (12, 20_000, True),
        (0, 60_000, False),  # flags far less than is left to ordinary rows
        (70, 20_000, False),
        (2_000, 20_000, False),
    ],
)
def test_the_flag_rate_must_fit_the_budget(flagged: int, rows: int, expected: bool) -> None:
    assert keeps_budget(flagged, 0, rows, 0.001) is expected


def test_anomalies_use_none_of_the_budget_up_to_one_row_in_fifty() -> None:
    assert keeps_budget(20 + 200, 200, 20_000, 0.001)
    assert not keeps_budget(20 + 600, 600, 20_000, 0.001), "three in a hundred are traffic"
    assert not keeps_budget(80 + 200, 200, 20_000, 0.001)
    assert refusals(evaluation(220, 20_000, 0.95, wild=200), None, RULES) == []
    (rate,) = refusals(evaluation(280, 20_000, 0.95, wild=200), None, RULES)
    assert "280 of 20000" in rate and "200 of them far out" in rate


def test_the_interval_is_the_exact_binomial_one() -> None:
    low, high = interval(0, 100)
    assert low == 0
    assert high == pytest.approx(1 - 0.005 ** (1 / 100))
    assert interval(100, 100)[1] == 1


def test_a_good_challenger_passes() -> None:
    assert refusals(evaluation(20, 20_000, 0.95), evaluation(20, 20_000, 0.98), RULES) == []
    assert refusals(evaluation(1, 700, 0.8), None, RULES) == []


def test_each_refusal_says_why() -> None:
    (rate,) = refusals(evaluation(2_000, 20_000, 1.0), None, RULES)
    assert "2000 of 20000" in rate
    (worse,) = refusals(evaluation(20, 20_000, 0.90), evaluation(20, 20_000, 0.96), RULES)
    assert "0.900" in worse and "0.960" in worse
    (blind,) = refusals(evaluation(1, 1_000, 0.0), None, RULES)
    assert "below the least" in blind


def test_the_gate_never_uses_the_held_out_kinds() -> None:
    champion = evaluation(20, 20_000, 0.95, held_out=1.0)
    assert refusals(evaluation(20, 20_000, 0.95, held_out=0.0), champion, RULES) == []


def test_rows_in_which_a_measure_never_changes_are_refused() -> None:
    rows = traffic.beside_market(2_000, seed=1)
    assert constant_measures(rows) == []
    rows[:, 2] = 0
    assert [reason.split()[0] for reason in constant_measures(rows)] == [
        "fee_rate",
        "fee",
        "fee_share",
    ]


@pytest.mark.parametrize(("flagged", "rows"), [(1, 1), (5, 100), (37, 20_000), (99, 100)])
def test_the_interval_is_that_of_scipy(flagged: int, rows: int) -> None:
    exact = binomtest(flagged, rows).proportion_ci(CONFIDENCE, "exact")
    assert interval(flagged, rows) == pytest.approx((exact.low, exact.high))


def test_a_rate_is_refused_only_when_its_whole_interval_is_outside() -> None:
    low, high = interval(20, 20_000)
    least = high * 2 / ORDINARY_SHARE
    assert keeps_budget(20, 0, 20_000, least * 0.999)
    assert not keeps_budget(20, 0, 20_000, least * 1.001)
    assert keeps_budget(20, 0, 20_000, low / 2 * 1.001)
    assert not keeps_budget(20, 0, 20_000, low / 2 * 0.999)


def test_a_recall_on_the_limit_passes() -> None:
    rules = Rules(budget=0.001, margin=0.25, least_recall=0.5)
    assert refusals(evaluation(20, 20_000, 0.5), evaluation(20, 20_000, 0.75), rules) == []
    assert len(refusals(evaluation(20, 20_000, 0.49), evaluation(20, 20_000, 0.75), rules)) == 2


def test_a_measure_may_have_one_value_in_nearly_every_row_but_not_in_999_of_1000() -> None:
    rows = traffic.beside_market(1_000, seed=1)
    rows[:, 3] = np.where(np.arange(1_000) < 999, 1, 2)  # inputs
    inputs, smaller = constant_measures(rows)
    assert inputs.startswith("inputs_count ") and smaller.startswith("smaller_side ")
    rows[998, 3] = 2
    rows[998:, 4] = 2
    assert constant_measures(rows) == []


def test_without_rows_every_measure_is_refused() -> None:
    assert len(constant_measures(traffic.beside_market(10, seed=1)[:0])) == len(NAMES)


def test_half_of_the_rows_may_not_be_copies_of_one() -> None:
    rows = traffic.beside_market(100, seed=1)
    assert repeated_row(np.concatenate([np.tile(rows[:1], (98, 1)), rows[1:]])) == []
    (reason,) = unfit_data(np.concatenate([np.tile(rows[:1], (99, 1)), rows[1:]]))
    assert reason == "99 of 198 rows are the same row: the source repeats itself"
    assert repeated_row(rows[:1]) == repeated_row(rows[:0]) == []
    assert len(unfit_data(rows[:1].repeat(9, axis=0))) == len(NAMES) + 1


def test_a_challenger_must_flag_every_accident_of_history() -> None:
    (reason,) = refusals(evaluation(20, 20_000, 0.95, real={"accidents": 0.8}), None, RULES)
    assert reason == "flags only 0.80 of the accidents of history"


@pytest.mark.parametrize(
    ("real", "champions", "named"),
    [
        ({"wasabi_1_coinjoins": 0.73}, {}, None),  # what a forest of other rows may lose
        ({"wasabi_1_coinjoins": 0.5}, {}, "flags 0.833 of the unusual real transactions"),
        ({"wasabi_2_coinjoins": 0.0}, {}, "flags 0.667 of the unusual real transactions"),
        ({"wasabi_2_coinjoins": 0.0}, {"wasabi_2_coinjoins": 0.0}, None),
        ({"mempool_of_2024": 1.0}, {}, "of the ordinary real transactions"),
        ({"mempool_of_2024": 1.0}, {"mempool_of_2024": 1.0}, None),
        ({"mempool_of_2024": 0.2}, {}, None),
        ({"whirlpool_coinjoins": 1.0}, {"joinmarket_coinjoins": 1.0}, None),
    ],
)
def test_no_promotion_that_loses_real_transactions(
    real: dict[str, float], champions: dict[str, float], named: str | None
) -> None:
    challenger = evaluation(20, 20_000, 0.95, real=real)
    champion = evaluation(20, 20_000, 0.95, real=champions)
    found = refusals(challenger, champion, RULES)
    assert len(found) == (named is not None) and (named or "") in "".join(found), found
    assert refusals(challenger, None, RULES) == []


@pytest.mark.parametrize(
    ("ours", "its", "refused"),
    [
        ((0.8, 0.6), (1.0, 1.0), False),  # drops more false alarms than useful flags
        ((0.79, 1.0), (1.0, 1.0), True),
        ((0.81, 1.0), (1.0, 1.0), False),
        ((1.0, 0.3), (1.0, 0.0), True),
        ((0.0, 0.0), (1.0, 1.0), False),
    ],
)
def test_a_challenger_keeps_its_advantage_on_what_people_marked(
    ours: tuple[float, float], its: tuple[float, float], refused: bool
) -> None:
    whole = evaluation(20, 20_000, 0.95)
    challenger = replace(whole, marked=MarkedShares(40, 40, *ours))
    champion = replace(whole, marked=MarkedShares(40, 40, *its))
    found = refusals(challenger, champion, RULES)
    assert [("marked flags" in reason) for reason in found] == [True] * refused
    assert refusals(challenger, champion, RULES, marks_count=False) == []
    assert refusals(challenger, whole, RULES) == refusals(whole, champion, RULES) == []
