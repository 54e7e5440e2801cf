"""The effective fee rate of a transaction in its package, and its numbers by that rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.effective_fee import Payment, effective_fee_rate, in_package, package_fee_rate
from core.transaction import DETECTOR_FIELDS

FEE, INPUT_VALUE = DETECTOR_FIELDS.index("fee"), DETECTOR_FIELDS.index("input_value")
ROW = [150, 600, 30_000, 1, 2, 1_030_000, 1_000_000, 20.0]

payments = st.builds(Payment, st.integers(0, 10**9), st.integers(1, 4_000_000))


def test_the_fee_rate_of_a_package_is_that_of_all_its_weight() -> None:
    assert package_fee_rate([(0, 600), (3_000, 600)]) == 10
    assert package_fee_rate([(100, 400)]) == 1


@pytest.mark.parametrize(
    ("own", "parents", "children", "expected"),
    [
        (Payment(30_000, 600), [], [], None),
        (Payment(30_000, 600), [Payment(0, 600)], [], 100.0),
        # A parent that pays more than its child is mined without it.
        (Payment(30_000, 600), [Payment(0, 600), Payment(90_000, 600)], [], 100.0),
        (Payment(30_000, 600), [Payment(30_000, 600)], [], None),
        # A child pays what its parent lacks of the going rate of 20 sat/vB.
        (Payment(0, 600), [], [Payment(3_000, 600)], 10.0),
        (Payment(0, 600), [], [Payment(3_000, 600), Payment(4_800, 600)], 16.0),
        (Payment(0, 600), [], [Payment(10**8, 600)], 20.0),
        (Payment(3_600, 600), [], [Payment(10**8, 600)], None),
        (Payment(600, 600), [], [Payment(0, 600)], None),
    ],
)
def test_parents_lower_a_fee_rate_and_children_raise_it_to_the_market(
    own: Payment, parents: list[Payment], children: list[Payment], expected: float | None
) -> None:
    assert effective_fee_rate(own, parents, children, 20.0) == expected


@given(payments, st.lists(payments, max_size=4), st.lists(payments, max_size=4))
def test_a_package_never_makes_a_fee_rarer_than_it_is(
    own: Payment, parents: list[Payment], children: list[Payment]
) -> None:
    rate = effective_fee_rate(own, parents, children, 20.0)
    if rate is not None:
        assert rate <= own.fee_rate * (1 + 1e-9) or rate <= 20.0
        assert rate >= min([own.fee_rate, *(parent.fee_rate for parent in parents)])


def test_the_numbers_have_the_fee_that_the_rate_asks_of_their_own_weight() -> None:
    own, judged = in_package(np.array([ROW, ROW]), np.array([np.nan, 10.0])).tolist()
    assert own == ROW
    assert (judged[FEE], judged[INPUT_VALUE]) == (1_500, 1_001_500)
