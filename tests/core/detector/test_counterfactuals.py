from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.detector.champion import Champion
from core.detector.counterfactuals import CHANGED, counterfactuals
from core.detector.injected_anomalies import KINDS
from core.detector.rules import Judged, flagged_by_rules

Floats = NDArray[np.float64]
PAYMENT = Judged(250, 1_000, 5_000, 2, 2, 1_005_000, 1_000_000, 14.0)[:-1]


@pytest.fixture
def strict(champion: Champion, traffic: Floats) -> Champion:
    """A champion that flags one row in a hundred, and not the payment."""
    threshold = float(np.quantile(champion.scores(traffic), 0.99))
    calibration = replace(champion.calibration, threshold=threshold)
    return replace(champion, calibration=calibration)


def applied(numbers: Any, field: str, value: int) -> Floats:
    """The eight numbers after the change, at the same fee rate and size for each part."""
    own = Judged(*numbers)
    new = own._replace(**{field: value})
    if field.endswith("_count"):
        growth = (42 + 272 * new.inputs_count + 124 * new.outputs_count) / (
            42 + 272 * own.inputs_count + 124 * own.outputs_count
        )
        sized = {name: round(getattr(own, name) * growth) for name in ("size", "weight", "fee")}
        new = new._replace(**sized)
    return np.array([new._replace(input_value=new.output_value + new.fee)[:-1]], np.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_after_each_change_nothing_flags_it(strict: Champion, traffic: Floats, kind: str) -> None:
    rng, found = np.random.default_rng(3), 0
    for numbers in KINDS[kind].apply(traffic[:12], rng).tolist():
        for field, value, score in counterfactuals(strict, tuple(numbers)) or ():
            (row,) = applied(numbers, field, value)
            assert strict.scores(np.array([row]))[0] == score < strict.threshold
            assert not flagged_by_rules(np.array([row]))[0]
            found += 1
    assert found or kind in ("giant_mix", "extreme_size"), "these are far out in several numbers"


def test_an_overpaid_fee_is_told_a_fee_and_the_nearest_change_comes_first(
    strict: Champion,
) -> None:
    overpaid = Judged(*PAYMENT)._replace(fee=9_000_000, input_value=10_000_000)[:-1]
    changes = counterfactuals(strict, overpaid) or []
    assert "fee" in [change.field for change in changes]
    ratios = [
        abs(np.log(change.value / getattr(Judged(*overpaid), change.field))) for change in changes
    ]
    assert ratios == sorted(ratios)
    (fee,) = (change.value for change in changes if change.field == "fee")
    assert 5_000 < fee < 1_000_000
    (nearer,) = applied(overpaid, "fee", round(fee * 1.07))
    rows = np.array([nearer])
    assert strict.flags(rows, strict.scores(rows))[0] or flagged_by_rules(rows)[0]


def test_an_ordinary_transaction_and_a_coinbase_need_no_change(strict: Champion) -> None:
    assert counterfactuals(strict, PAYMENT) is None
    assert counterfactuals(strict, (200, 700, 0, 1, 2, 0, 312_500_000, 14.0)) is None


def test_where_no_single_change_is_enough_there_is_none(strict: Champion) -> None:
    impossible = Judged(*PAYMENT)._replace(weight=200, size=250)[:-1]
    assert counterfactuals(strict, impossible) == []


@pytest.mark.parametrize("field", CHANGED)
def test_a_field_of_zero_and_one_at_its_limit_are_tried(strict: Champion, field: str) -> None:
    most = 100_000 if field.endswith("_count") else 10**15
    for value in (0, most):
        numbers = Judged(*PAYMENT)._replace(**{field: value})
        changes = counterfactuals(strict, numbers[:-1]) or []
        assert all(0 <= change.value <= 21 * 10**14 for change in changes)
